/**
 * Max unpooling: puts values back where max pooling found them, with zeros elsewhere.
 */
import { needsGrad, record } from '../autograd/graph';
import { ArgumentRangeError, DTypeError } from '../errors';
import { run } from '../native';
import { expectTensor, Tensor } from '../tensor/tensor';
import { contiguousElements } from '../tensor/copy';
import {
  checkOptions,
  formatShape,
  integer,
  sameShape,
  shapeError,
  sizeOf,
  sizeTuple,
  type Shape,
  type Size,
} from '../shape';
import { expectFloating } from './checks';
import { poolPlanes } from './pool-shape';
import type { SpatialRank } from './spatial';

/** Zeros of `shape` to which `x` is added at positions `index` within each of `planes` planes; both contiguous. */
export function scatterIntoPlanes(x: Tensor, index: Tensor, shape: Shape, planes: number): Tensor {
  const y = Tensor.empty(shape, x.dtype);
  const [n, size] = planes === 0 ? [0, 0] : [x.numel / planes, y.numel / planes];
  run('scatterPlanes', { planes, n, size, accumulate: 1 }, { x, index, y });
  return y;
}

export interface MaxUnpoolOptions {
  /** Default: the kernel size. */
  readonly stride?: Size | null | undefined;
  readonly padding?: Size | undefined;
  /** Spatial size of the result (or the whole shape), where several inputs pool to the same size. */
  readonly outputSize?: readonly number[] | undefined;
}

/** The spatial size that pools to `size`; checked against `outputSize` as in PyTorch: within one stride of it. */
function unpooledSize(
  op: string,
  rank: SpatialRank,
  size: Shape,
  kernelSize: Size,
  options: MaxUnpoolOptions,
): number[] {
  const kernel = sizeTuple(op, 'kernelSize', kernelSize, rank, 1);
  const stride = options.stride == null ? kernel : sizeTuple(op, 'stride', options.stride, rank, 1);
  const padding = sizeTuple(op, 'padding', options.padding ?? 0, rank, 0);
  const usual = size.map((s, i) => (s - 1) * stride[i] - 2 * padding[i] + kernel[i]);
  const { outputSize } = options;
  const given = outputSize === undefined ? usual : Array.from(outputSize).slice(-rank);
  const lowest = usual.map((s, i) => Math.max(1, s - stride[i] + 1));
  const fits =
    given.length === rank &&
    (outputSize === undefined || [rank, rank + 1, rank + 2].includes(outputSize.length)) &&
    given.every((s, i) => s >= lowest[i] && s < usual[i] + stride[i]);
  if (!fits) {
    throw shapeError(
      op,
      'outputSize',
      `must lie between ${formatShape(lowest)} and ${formatShape(usual.map((s, i) => s + stride[i] - 1))}`,
      given,
    );
  }
  return given.map((s, i) => integer(op, `outputSize[${i}]`, s, 1, 2 ** 31 - 1));
}

/** Names the first index that lies outside a plane of the result. */
function checkIndices(op: string, indices: Tensor, limit: number): void {
  const values = indices.toTypedArray();
  const at = values.findIndex((v: number) => v < 0 || v >= limit);
  if (at < 0) return;
  let rest = at;
  const where = [...indices.shape].reverse().map((d) => {
    const i = rest % d;
    rest = Math.floor(rest / d);
    return i;
  });
  throw new ArgumentRangeError({
    op,
    argument: `index ${values[at]} at [${where.reverse().join(',')}]`,
    expected: `outside 0..${limit - 1}`,
    received: '',
  });
}

function maxUnpool(
  rank: SpatialRank,
  input: Tensor,
  indices: Tensor,
  kernelSize: Size,
  options: MaxUnpoolOptions,
): Tensor {
  const op = `maxUnpool${rank}d`;
  checkOptions(op, options);
  expectFloating(op, 'input', input);
  expectTensor(op, 'indices', indices);
  if (indices.dtype !== 'int32') {
    throw new DTypeError({ op, argument: 'indices', expected: 'must be int32', received: indices.dtype });
  }
  if (!sameShape(indices.shape, input.shape)) {
    throw shapeError(
      op,
      'indices',
      `must have the shape of input ${formatShape(input.shape)}`,
      indices.shape,
    );
  }
  const { lead, size } = poolPlanes(op, input, rank);
  const out = unpooledSize(op, rank, size, kernelSize, options);
  const shape = [...lead, ...out];
  const planes = sizeOf(lead);
  checkIndices(op, indices, sizeOf(out));
  const index = contiguousElements(indices);
  const y = Tensor.empty(shape, input.dtype);
  const fields = { planes, n: sizeOf(size), size: sizeOf(out) };
  run('scatterPlanes', { accumulate: 0, ...fields }, { x: contiguousElements(input), index, y });
  if (!needsGrad(input)) return y;
  return record(
    op,
    y,
    [input],
    (dy) => {
      const dx = Tensor.empty(input.shape, dy.dtype);
      run('gatherPlanes', fields, { x: contiguousElements(dy), index, y: dx });
      return [dx];
    },
    { saved: [indices] },
  );
}

/** {@link maxUnpool2d} for [n, c, l] or [c, l]. */
export function maxUnpool1d(
  input: Tensor,
  indices: Tensor,
  kernelSize: Size,
  options: MaxUnpoolOptions = {},
): Tensor {
  return maxUnpool(1, input, indices, kernelSize, options);
}

/**
 * Puts the values of `input` at their positions `indices` (int32, within each plane), zeros elsewhere.
 *
 * **Shape**: [n, c, h, w] or [c, h, w] -> (h - 1) stride - 2 padding + kernelSize rows, and columns likewise, unless
 * `outputSize` says otherwise
 * @throws ArgumentRangeError for an index outside its plane, ShapeError for sizes that do not fit
 *
 * @example
 * const { values, indices } = F.maxPool2dWithIndices(x, 2);
 * F.maxUnpool2d(values, indices, 2);
 */
export function maxUnpool2d(
  input: Tensor,
  indices: Tensor,
  kernelSize: Size,
  options: MaxUnpoolOptions = {},
): Tensor {
  return maxUnpool(2, input, indices, kernelSize, options);
}

/** {@link maxUnpool2d} for [n, c, d, h, w] or [c, d, h, w]. */
export function maxUnpool3d(
  input: Tensor,
  indices: Tensor,
  kernelSize: Size,
  options: MaxUnpoolOptions = {},
): Tensor {
  return maxUnpool(3, input, indices, kernelSize, options);
}
