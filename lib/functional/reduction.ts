/**
 * Reductions over no (all), one or several dimensions.
 *
 * Sums run in blocks whose totals are added in double, in an order that does not depend on threads.
 */
import { needsGrad, record } from '../autograd/engine';
import { isFloating } from '../dtype';
import { ShapeError } from '../errors';
import { run } from '../native';
import { formatShape, normalizeDim, normalizeDims, sizeOf } from '../shape';
import { contiguousElements } from '../tensor/copy';
import { Tensor, expectTensor } from '../tensor/tensor';
import { castTo, reduceCode, reduceDims } from './broadcast';
import { div, mul, sqrt, square, sub, eq } from './elementwise';
import { expand, reshape } from './views';

export type Dims = number | readonly number[];

export interface ReduceOptions {
  /** Keep reduced dimensions with size 1. Default false. */
  readonly keepdim?: boolean;
}

function dropDims(kept: Tensor, dims: readonly number[], keepdim: boolean | undefined): Tensor {
  if (keepdim === true || dims.length === 0) return kept;
  return reshape(
    kept,
    kept.shape.filter((_, i) => !dims.includes(i)),
  );
}

function floating(t: Tensor): Tensor {
  return isFloating(t.dtype) ? t : castTo(t, 'float32');
}

/** Sum over `dim` (all dimensions if omitted). Integer and bool tensors give int32. */
export function sum(input: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  expectTensor('sum', 'input', input);
  if (!isFloating(input.dtype)) return castTo(sum(castTo(input, 'float64'), dim, options), 'int32');
  const dims = normalizeDims('sum', dim, input.ndim);
  const y = reduceDims('sum', input.detach(), dims);
  const { shape } = input;
  const kept = dims.length === 0 ? input : record('sum', y, [input], (grad) => [expand(grad, shape)]);
  return dropDims(kept, dims, options.keepdim);
}

/** Mean over `dim` (all dimensions if omitted). */
export function mean(input: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  expectTensor('mean', 'input', input);
  const x = floating(input);
  const dims = normalizeDims('mean', dim, x.ndim);
  const n = sizeOf(dims.map((d) => x.shape[d]));
  return div(sum(x, dims, options), n);
}

/**
 * Variance over `dim`: the mean squared distance from the mean, with n - correction in the denominator.
 * Computed in two passes, so it stays accurate for data far from zero.
 */
export function variance(
  input: Tensor,
  dim?: Dims,
  options: ReduceOptions & { readonly correction?: number } = {},
): Tensor {
  expectTensor('var', 'input', input);
  const x = floating(input);
  const dims = normalizeDims('var', dim, x.ndim);
  const n = sizeOf(dims.map((d) => x.shape[d]));
  const centred = sub(x, mean(x, dims, { keepdim: true }));
  return div(sum(square(centred), dims, options), Math.max(0, n - (options.correction ?? 1)));
}

/** Standard deviation over `dim`, see {@link variance}. */
export function std(
  input: Tensor,
  dim?: Dims,
  options: ReduceOptions & { readonly correction?: number } = {},
): Tensor {
  return sqrt(variance(input, dim, options));
}

/** Euclidean norm over `dim` (all dimensions if omitted). */
export function norm(input: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  return sqrt(sum(square(floating(expectTensor('norm', 'input', input))), dim, options));
}

function extremeAll(fn: 'max' | 'min', input: Tensor): Tensor {
  const x = floating(input);
  if (x.numel === 0) emptyError(fn, x);
  const flat = contiguousElements(x.detach());
  const y = Tensor.empty([], x.dtype);
  run('reduce', { fn: reduceCode[fn], outer: 1, n: x.numel, inner: 1 }, { x: flat, y, index: null });
  if (!needsGrad(x)) return castTo(y, input.dtype);
  // The gradient is shared evenly among equal extremes, as in PyTorch's full reduction.
  return record(
    fn,
    y,
    [x],
    (grad) => {
      const hit = castTo(eq(x, y), grad.dtype);
      return [mul(hit, div(grad, sum(hit)))];
    },
    { saved: [x] },
  );
}

function emptyError(op: string, t: Tensor): never {
  throw new ShapeError({
    op,
    argument: 'input',
    expected: 'must not be empty along the reduced dimension',
    received: formatShape(t.shape),
  });
}

/** Values and their positions along one dimension. */
export interface ValuesAndIndices {
  readonly values: Tensor;
  /** int32 */
  readonly indices: Tensor;
}

/** Extreme values along one dimension with the position of the first; the gradient goes there. */
function extremeAlong(fn: 'max' | 'min', input: Tensor, dim: number, keepdim: boolean): ValuesAndIndices {
  const x = floating(input);
  const d = normalizeDim(fn, dim, x.ndim);
  const n = x.ndim === 0 ? 1 : x.shape[d];
  if (n === 0) emptyError(fn, x);
  const source = contiguousElements(x.detach());
  const shape = x.shape.map((v, i) => (i === d ? 1 : v));
  const outer = sizeOf(x.shape.slice(0, d));
  const inner = sizeOf(x.shape.slice(d + 1));
  const y = Tensor.empty(shape, x.dtype);
  const index = Tensor.empty(shape, 'int32');
  run('reduce', { fn: reduceCode[fn], outer, n, inner }, { x: source, y, index });
  const values = needsGrad(x)
    ? record(fn, y, [x], (grad) => [scatterAlong(grad, index, n, d)], { saved: [index] })
    : castTo(y, input.dtype);
  return { values: dropDims(values, [d], keepdim), indices: dropDims(index, [d], keepdim) };
}

/** Zeros of size n along `d` with grad at the positions `index`. */
function scatterAlong(grad: Tensor, index: Tensor, n: number, d: number): Tensor {
  const positions = Tensor.empty(
    grad.shape.map((_, i) => (i === d ? n : 1)),
    'int32',
  );
  for (let i = 0; i < n; i++) positions.storage.data[i] = i;
  return mul(castTo(eq(positions, index), grad.dtype), grad);
}

/** The largest element, or the largest along `dim` with positions. A NaN wins. */
export function max(input: Tensor): Tensor;
export function max(input: Tensor, dim: number, options?: ReduceOptions): ValuesAndIndices;
export function max(input: Tensor, dim?: number, options: ReduceOptions = {}): Tensor | ValuesAndIndices {
  expectTensor('max', 'input', input);
  return dim === undefined ? extremeAll('max', input) : extremeAlong('max', input, dim, options.keepdim === true);
}

/** The smallest element, or the smallest along `dim` with positions. A NaN wins. */
export function min(input: Tensor): Tensor;
export function min(input: Tensor, dim: number, options?: ReduceOptions): ValuesAndIndices;
export function min(input: Tensor, dim?: number, options: ReduceOptions = {}): Tensor | ValuesAndIndices {
  expectTensor('min', 'input', input);
  return dim === undefined ? extremeAll('min', input) : extremeAlong('min', input, dim, options.keepdim === true);
}

function argExtreme(fn: 'max' | 'min', input: Tensor, dim: number | undefined, keepdim: boolean): Tensor {
  const x = input.detach();
  const flat = dim === undefined ? reshape(contiguousElements(x), [x.numel]) : x;
  return extremeAlong(fn, flat, dim ?? 0, keepdim).indices;
}

/** Position of the first largest element along `dim`, or in row-major order; int32. */
export function argmax(input: Tensor, dim?: number, options: ReduceOptions = {}): Tensor {
  return argExtreme('max', expectTensor('argmax', 'input', input), dim, options.keepdim === true);
}

/** Position of the first smallest element along `dim`, or in row-major order; int32. */
export function argmin(input: Tensor, dim?: number, options: ReduceOptions = {}): Tensor {
  return argExtreme('min', expectTensor('argmin', 'input', input), dim, options.keepdim === true);
}
