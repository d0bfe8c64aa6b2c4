/**
 * Pooling to a given output size: output o of a dimension covers floor(o in / out) up to ceil((o + 1) in / out).
 *
 * Where the input is a multiple of the output, windows are all alike and the pools of `pool.ts` do it.
 */
import { needsGrad, record } from '../autograd/graph';
import { typeError } from '../errors';
import { run } from '../native';
import { sizeOf, type Shape, type Size } from '../shape';
import { contiguousElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import { expectFloating } from './checks';
import { scatterIntoPlanes } from './max-unpool';
import { Plans, withOwnShape } from './plans';
import { avgPool, maxPool, maxPoolWithIndices } from './pool';
import { poolPlanes, poolSize } from './pool-shape';
import type { ValuesAndIndices } from './reduction';
import { triple, type SpatialRank } from './spatial';

/** One size for all dimensions or one per dimension, height first; null keeps the input's. */
export type AdaptiveSize = number | readonly (number | null)[];

interface AdaptivePlan {
  readonly fields: {
    readonly planes: number;
    readonly in: readonly number[];
    readonly out: readonly number[];
  };
  readonly shape: Shape;
  /** The window, where all are alike. */
  readonly kernel: Size | null;
}

const plans = new Plans<AdaptivePlan>();

function planAdaptive(op: string, rank: SpatialRank, input: Tensor, outputSize: AdaptiveSize): AdaptivePlan {
  expectFloating(op, 'input', input);
  return withOwnShape(
    plans.get([rank, outputSize, ...input.shape], () => planNew(op, rank, input, outputSize)),
  );
}

function planNew(op: string, rank: SpatialRank, input: Tensor, outputSize: AdaptiveSize): AdaptivePlan {
  const given: readonly unknown[] = Array.isArray(outputSize)
    ? Array.from(outputSize as readonly unknown[])
    : new Array<unknown>(rank).fill(outputSize);
  if (given.length !== rank) {
    throw typeError(
      op,
      'outputSize',
      `must be a number or have ${rank} ${rank === 1 ? 'entry' : 'entries'}`,
      given,
    );
  }
  const wanted = given.map((v, i) =>
    v === null && Array.isArray(outputSize) ? null : poolSize(op, `outputSize[${i}]`, v, 1),
  );
  const { lead, size } = poolPlanes(op, input, rank);
  const out = wanted.map((v, i) => v ?? size[i]);
  const uniform = size.every((s, i) => s % out[i] === 0);
  const kernel = size.map((s, i) => s / out[i]);
  const isCube = kernel.every((k) => k === kernel[0]);
  return {
    fields: { planes: sizeOf(lead), in: triple(size, 1), out: triple(out, 1) },
    shape: [...lead, ...out],
    kernel: !uniform ? null : isCube ? kernel[0] : kernel,
  };
}

function adaptiveAvgPool(rank: SpatialRank, input: Tensor, outputSize: AdaptiveSize): Tensor {
  const op = `adaptiveAvgPool${rank}d`;
  const { fields, shape, kernel } = planAdaptive(op, rank, input, outputSize);
  if (kernel !== null) return avgPool(rank, input, kernel, {});
  const y = Tensor.empty(shape, input.dtype);
  run('adaptiveAvgPool', fields, { x: contiguousElements(input), y });
  if (!needsGrad(input)) return y;
  return record(op, y, [input], (dy) => {
    const dx = Tensor.empty(input.shape, dy.dtype);
    run('adaptiveAvgPoolBackward', fields, { dy: contiguousElements(dy), dx });
    return [dx];
  });
}

/** The pool for windows that differ, with positions if gradients or the caller need them. */
function adaptiveMaxPool(
  op: string,
  input: Tensor,
  { fields, shape }: AdaptivePlan,
  keepIndices: boolean,
): { values: Tensor; indices: Tensor | null } {
  const grad = needsGrad(input);
  const y = Tensor.empty(shape, input.dtype);
  const index = grad || keepIndices ? Tensor.empty(shape, 'int32') : null;
  run('adaptiveMaxPool', fields, { x: contiguousElements(input), y, index });
  if (index === null || !grad) return { values: y, indices: index };
  const values = record(
    op,
    y,
    [input],
    (dy) => [scatterIntoPlanes(contiguousElements(dy), index, input.shape, fields.planes)],
    keepIndices ? { saved: [index] } : { owned: [index] },
  );
  return { values, indices: index };
}

function adaptiveMax(rank: SpatialRank, input: Tensor, outputSize: AdaptiveSize): Tensor {
  const op = `adaptiveMaxPool${rank}d`;
  const plan = planAdaptive(op, rank, input, outputSize);
  if (plan.kernel !== null) return maxPool(rank, input, plan.kernel, {}, false).values;
  return adaptiveMaxPool(op, input, plan, false).values;
}

function adaptiveMaxWithIndices(
  rank: SpatialRank,
  input: Tensor,
  outputSize: AdaptiveSize,
): ValuesAndIndices {
  const op = `adaptiveMaxPool${rank}d`;
  const plan = planAdaptive(op, rank, input, outputSize);
  if (plan.kernel !== null) return maxPoolWithIndices(rank, input, plan.kernel, {});
  const { values, indices } = adaptiveMaxPool(op, input, plan, true);
  return { values, indices: indices ?? Tensor.empty(plan.shape, 'int32') };
}

/**
 * Means over windows chosen so that the output has the length `outputSize`.
 *
 * **Shape**: [n, c, l] or [c, l] -> [.., outputSize]
 * @throws ShapeError for empty inputs, ArgumentRangeError unless sizes are integers >= 1
 *
 * @example
 * F.adaptiveAvgPool1d(tensor([[[1, 2, 3, 4, 5]]]), 2).toArray(); // [[[2, 4]]]
 */
export function adaptiveAvgPool1d(input: Tensor, outputSize: AdaptiveSize): Tensor {
  return adaptiveAvgPool(1, input, outputSize);
}

/**
 * Means over windows chosen so that the output has `outputSize`; 1 is global average pooling.
 *
 * **Shape**: [n, c, h, w] or [c, h, w] -> [.., outputSize[0], outputSize[1]]
 * @throws ShapeError for empty inputs, ArgumentRangeError unless sizes are integers >= 1
 *
 * @example
 * F.adaptiveAvgPool2d(randn([1, 512, 7, 7]), 1).shape; // [1, 512, 1, 1]
 */
export function adaptiveAvgPool2d(input: Tensor, outputSize: AdaptiveSize): Tensor {
  return adaptiveAvgPool(2, input, outputSize);
}

/** {@link adaptiveAvgPool2d} for [n, c, d, h, w] or [c, d, h, w]. */
export function adaptiveAvgPool3d(input: Tensor, outputSize: AdaptiveSize): Tensor {
  return adaptiveAvgPool(3, input, outputSize);
}

/** {@link adaptiveMaxPool2d} for [n, c, l] or [c, l]. */
export function adaptiveMaxPool1d(input: Tensor, outputSize: AdaptiveSize): Tensor {
  return adaptiveMax(1, input, outputSize);
}

/**
 * Largest values over windows chosen so that the output has `outputSize`.
 *
 * **Shape**: [n, c, h, w] or [c, h, w] -> [.., outputSize[0], outputSize[1]]
 * @throws ShapeError for empty inputs, ArgumentRangeError unless sizes are integers >= 1
 *
 * @example
 * F.adaptiveMaxPool2d(randn([1, 64, 9, 9]), [5, 7]).shape; // [1, 64, 5, 7]
 */
export function adaptiveMaxPool2d(input: Tensor, outputSize: AdaptiveSize): Tensor {
  return adaptiveMax(2, input, outputSize);
}

/** {@link adaptiveMaxPool2d} for [n, c, d, h, w] or [c, d, h, w]. */
export function adaptiveMaxPool3d(input: Tensor, outputSize: AdaptiveSize): Tensor {
  return adaptiveMax(3, input, outputSize);
}

/** {@link adaptiveMaxPool1d} that also gives positions within each plane (int32). */
export function adaptiveMaxPool1dWithIndices(input: Tensor, outputSize: AdaptiveSize): ValuesAndIndices {
  return adaptiveMaxWithIndices(1, input, outputSize);
}

/** {@link adaptiveMaxPool2d} that also gives positions h * width + w within each plane (int32). */
export function adaptiveMaxPool2dWithIndices(input: Tensor, outputSize: AdaptiveSize): ValuesAndIndices {
  return adaptiveMaxWithIndices(2, input, outputSize);
}

/** {@link adaptiveMaxPool3d} that also gives positions (d * height + h) * width + w within each plane (int32). */
export function adaptiveMaxPool3dWithIndices(input: Tensor, outputSize: AdaptiveSize): ValuesAndIndices {
  return adaptiveMaxWithIndices(3, input, outputSize);
}
