/**
 * Convolution and transposed convolution over one, two or three spatial dimensions.
 *
 *     conv:  y[n, oc, o] = bias[oc] + sum over ic, k of x[n, ic, o stride - padding + k dilation] w[oc, ic, k]
 *
 * (a cross-correlation, as everywhere in deep learning), where ic runs over the input channels of oc's group. The
 * transposed convolution is the map from y to x with the same terms: the input gradient of a convolution. So three
 * native ops serve both, each for all ranks: `conv`, `convBackwardInput`, `convBackwardWeight`.
 */
import { needsGrad, record, type Recording } from '../autograd/graph';
import { run } from '../native';
import { contiguousElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import { sumTo } from './broadcast';
import type { ConvOptions, ConvTransposeOptions } from './conv-options';
import { planConv, planConvTranspose, type ConvDescriptor } from './conv-shape';
import { packedWeights } from './conv-weights';
import { addOf, finish, noEnding, rangeOf } from './ending';
import type { SpatialRank } from './spatial';
import { reshape } from './views';

export type { ConvOptions, ConvPadding, ConvTransposeOptions } from './conv-options';

function forward(
  d: ConvDescriptor,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  y: Tensor,
  ending = noEnding,
): Tensor {
  const use = packedWeights('conv', d, weight);
  const packedReady = Number(use.ready);
  const { packed } = use;
  if (ending === noEnding) {
    run('conv', use.ready ? { ...d, packedReady } : d, { x, weight, bias, y, packed });
  } else {
    const add = ending.add == null ? null : contiguousElements(ending.add);
    const { low, high } = rangeOf(ending);
    run('convThen', { low, high, ...d, packedReady }, { x, weight, bias, y, packed, add });
  }
  use.ready = packed !== null;
  return y;
}

function backwardInput(
  d: ConvDescriptor,
  dy: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  dx: Tensor,
): Tensor {
  const use = packedWeights('convBackwardInput', d, weight);
  run('convBackwardInput', use.ready ? { ...d, packedReady: 1 } : d, {
    dy,
    weight,
    bias,
    dx,
    packed: use.packed,
  });
  use.ready = use.packed !== null;
  return dx;
}

function backwardWeight(
  d: ConvDescriptor,
  x: Tensor,
  dy: Tensor,
  dw: Tensor | null,
  db: Tensor | null,
): void {
  run('convBackwardWeight', d, { x, dy, dw, db });
}

/** The elements for native code, and the copies among them, which nobody else sees. @internal */
export function operands(input: Tensor, weight: Tensor, bias: Tensor | null) {
  const x = contiguousElements(input);
  const w = contiguousElements(weight);
  const b = bias === null ? null : contiguousElements(bias);
  const saved = [x, w];
  const owned = saved.filter((t) => t !== input && t !== weight);
  return { x, w, b, keep: { saved, owned } };
}

/** Records `y` as a convolution of the operands, whose gradients the two functions write where they are wanted. @internal */
export function recordConvolution(
  op: string,
  y: Tensor,
  [input, weight, bias]: readonly [Tensor, Tensor, Tensor | null],
  writeInput: (dy: Tensor, dx: Tensor) => void,
  writeWeight: (dy: Tensor, dw: Tensor | null, db: Tensor | null) => void,
  keep: Recording,
): Tensor {
  return record(
    op,
    y,
    [input, weight, bias],
    (grad, wanted) => {
      const dy = contiguousElements(grad);
      const empty = (i: number, like: Tensor): Tensor | null =>
        wanted[i] ? Tensor.empty(like.shape, y.dtype) : null;
      const dx = empty(0, input);
      const dw = empty(1, weight);
      const db = bias === null ? null : empty(2, bias);
      if (dx !== null) writeInput(dy, dx);
      if (dw !== null || db !== null) writeWeight(dy, dw, db);
      return [dx, dw, db];
    },
    keep,
  );
}

/**
 * The convolution of `rank` spatial dimensions, with `ending` in the same pass where no gradient is recorded. `lanes`: if
 * the images lie in lanes, how many in a vector (lanes.ts).
 * @internal
 */
export function convolution(
  rank: SpatialRank,
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvOptions,
  ending = noEnding,
  lanes = 0,
): Tensor {
  const op = `conv${rank}d`;
  const { descriptor, shape } = planConv(op, rank, input, weight, bias, options, lanes);
  const { x, w, b, keep } = operands(input, weight, bias);
  const add = addOf(op, ending, input, shape, 'the result');
  const isRecorded = needsGrad(input, weight, bias);
  const own = isRecorded || needsGrad(add) ? noEnding : ending;
  const y = forward(descriptor, x, w, b, Tensor.empty(shape, x.dtype), own);
  if (!isRecorded) return own === ending ? y : finish(y, ending, true);
  recordConvolution(
    op,
    y,
    [input, weight, bias],
    (dy, dx) => void backwardInput(descriptor, dy, w, null, dx),
    (dy, dw, db) => {
      backwardWeight(descriptor, x, dy, dw, db);
    },
    keep,
  );
  return finish(y, ending, true);
}

/** The transposed convolution of `rank` spatial dimensions, with `ending`. @internal */
export function transposedConvolution(
  rank: SpatialRank,
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvTransposeOptions,
  ending = noEnding,
): Tensor {
  const op = `convTranspose${rank}d`;
  const { descriptor, shape } = planConvTranspose(op, rank, input, weight, bias, options);
  const { x, w, b, keep } = operands(input, weight, bias);
  const y = backwardInput(descriptor, x, w, b, Tensor.empty(shape, x.dtype));
  record(
    op,
    y,
    [input, weight, bias],
    (grad, wanted) => {
      const dy = contiguousElements(grad);
      const dx = wanted[0] ? forward(descriptor, dy, w, null, Tensor.empty(input.shape, x.dtype)) : null;
      const dw = wanted[1] ? Tensor.empty(weight.shape, x.dtype) : null;
      if (dw !== null) backwardWeight(descriptor, dy, x, dw, null);
      const channels = descriptor.cIn;
      const perChannel = [channels, ...new Array<number>(rank).fill(1)];
      const db = wanted[2] ? reshape(sumTo(dy, perChannel), [channels]) : null;
      return [dx, dw, db];
    },
    keep,
  );
  return finish(y, ending, true);
}

/**
 * Convolution over sequences.
 *
 * **Shape**: input [n, c, l] or [c, l], weight [cOut, c / groups, k], bias [cOut] -> [n, cOut, lOut] or [cOut, lOut] with
 * lOut = floor((l + padding before and after - dilation (k - 1) - 1) / stride) + 1
 * @throws ShapeError, ArgumentRangeError, ArgumentTypeError or DTypeError, naming the argument and the rule
 *
 * @example
 * const y = F.conv1d(rand([8, 3, 100]), randn([16, 3, 5]), null, { padding: 'same' }); // [8, 16, 100]
 */
export function conv1d(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvOptions = {},
): Tensor {
  return convolution(1, input, weight, bias, options);
}

/**
 * Convolution over images.
 *
 * **Shape**: input [n, c, h, w] or [c, h, w], weight [cOut, c / groups, kH, kW], bias [cOut] ->
 * [n, cOut, hOut, wOut] or [cOut, hOut, wOut], sizes as in {@link conv1d}
 * @throws ShapeError, ArgumentRangeError, ArgumentTypeError or DTypeError, naming the argument and the rule
 *
 * @example
 * const x = rand([1, 3, 32, 32]);
 * const y = F.conv2d(x, randn([16, 3, 3, 3]), zeros([16]), { stride: 2, padding: 1 }); // [1, 16, 16, 16]
 */
export function conv2d(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvOptions = {},
): Tensor {
  return convolution(2, input, weight, bias, options);
}

/**
 * Convolution over volumes.
 *
 * **Shape**: input [n, c, d, h, w] or [c, d, h, w], weight [cOut, c / groups, kD, kH, kW], bias [cOut] ->
 * [n, cOut, dOut, hOut, wOut] or without n, sizes as in {@link conv1d}
 * @throws ShapeError, ArgumentRangeError, ArgumentTypeError or DTypeError, naming the argument and the rule
 *
 * @example
 * const y = F.conv3d(rand([2, 1, 8, 16, 16]), randn([4, 1, 3, 3, 3])); // [2, 4, 6, 14, 14]
 */
export function conv3d(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvOptions = {},
): Tensor {
  return convolution(3, input, weight, bias, options);
}

/**
 * Transposed convolution over sequences: the map that {@link conv1d}'s input gradient is.
 *
 * **Shape**: input [n, c, l] or [c, l], weight [c, cOut / groups, k], bias [cOut] -> [n, cOut, lOut] or [cOut, lOut] with
 * lOut = (l - 1) stride - 2 padding + dilation (k - 1) + outputPadding + 1
 * @throws ShapeError, ArgumentRangeError, ArgumentTypeError or DTypeError, naming the argument and the rule
 *
 * @example
 * const y = F.convTranspose1d(rand([1, 16, 50]), randn([16, 3, 4]), null, { stride: 2, padding: 1 }); // [1, 3, 100]
 */
export function convTranspose1d(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor {
  return transposedConvolution(1, input, weight, bias, options);
}

/**
 * Transposed convolution over images: the map that {@link conv2d}'s input gradient is.
 *
 * **Shape**: input [n, c, h, w] or [c, h, w], weight [c, cOut / groups, kH, kW], bias [cOut] ->
 * [n, cOut, hOut, wOut] or [cOut, hOut, wOut], sizes as in {@link convTranspose1d}
 * @throws ShapeError, ArgumentRangeError, ArgumentTypeError or DTypeError, naming the argument and the rule
 *
 * @example
 * const y = F.convTranspose2d(rand([1, 8, 7, 7]), randn([8, 4, 2, 2]), null, { stride: 2 }); // [1, 4, 14, 14]
 */
export function convTranspose2d(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor {
  return transposedConvolution(2, input, weight, bias, options);
}

/**
 * Transposed convolution over volumes: the map that {@link conv3d}'s input gradient is.
 *
 * **Shape**: input [n, c, d, h, w] or [c, d, h, w], weight [c, cOut / groups, kD, kH, kW], bias [cOut] ->
 * [n, cOut, dOut, hOut, wOut] or without n, sizes as in {@link convTranspose1d}
 * @throws ShapeError, ArgumentRangeError, ArgumentTypeError or DTypeError, naming the argument and the rule
 *
 * @example
 * const y = F.convTranspose3d(rand([1, 2, 4, 4, 4]), randn([2, 1, 2, 2, 2]), null, { stride: 2 }); // [1, 1, 8, 8, 8]
 */
export function convTranspose3d(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor {
  return transposedConvolution(3, input, weight, bias, options);
}
