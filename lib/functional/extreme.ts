/**
 * Largest and smallest elements: over everything or several dimensions (ties share the gradient), or along one dimension
 * with positions (the first of several equals wins, and takes the gradient). A NaN wins over all numbers.
 */
import { needsGrad, record } from '../autograd/graph';
import { run } from '../native';
import { checkOptions, normalizeDim, sizeOf } from '../shape';
import { contiguousElements } from '../tensor/copy';
import { Tensor, expectTensor } from '../tensor/tensor';
import { castTo, reduceCode } from './broadcast';
import { eq, ne, where } from './elementwise';
import { scattered } from './gather';
import {
  emptyError,
  exactFloat,
  reduced,
  reducing,
  sharedAmong,
  widened,
  type Dims,
  type ReduceOptions,
  type ValuesAndIndices,
} from './reduction';
import { reshape, squeeze } from './views';

function extremeOver(
  op: string,
  fn: 'max' | 'min',
  input: Tensor,
  dim: Dims | undefined,
  options: ReduceOptions,
): Tensor {
  expectTensor(op, 'input', input);
  const x = exactFloat(input);
  const r = reducing(op, x, dim, options);
  if (r.count === 0) emptyError(op, x);
  const values = x.detach();
  const y = reduced(fn, values, r);
  if (!needsGrad(x)) return castTo(y, input.dtype);
  const result = y.detach();
  return record(
    op,
    y,
    [x],
    (grad) => {
      const wide = widened(result, r);
      const hit = where(ne(wide, wide), ne(values, values), eq(values, wide));
      return [sharedAmong(hit, grad, r)];
    },
    { saved: [values, result] },
  );
}

/** Extreme values along one dimension with the position of the first; the gradient goes there. */
function extremeAlong(
  op: string,
  fn: 'max' | 'min',
  input: Tensor,
  dim: number,
  keepdim: boolean,
): ValuesAndIndices {
  const x = exactFloat(input);
  const d = normalizeDim(op, dim, x.ndim);
  const n = x.ndim === 0 ? 1 : x.shape[d];
  if (n === 0) emptyError(op, x);
  const kept = x.shape.map((v, i) => (i === d ? 1 : v));
  const outer = sizeOf(x.shape.slice(0, d));
  const inner = sizeOf(x.shape.slice(d + 1));
  const y = Tensor.empty(kept, x.dtype);
  const index = Tensor.empty(kept, 'int32');
  const fields = { fn: reduceCode[fn], outer, n, inner };
  run('reduce', fields, { x: contiguousElements(x.detach()), y, index });
  const { shape } = x;
  const values = needsGrad(x)
    ? record(op, y, [x], (grad) => [scattered(shape, d, index, grad)], { saved: [index] })
    : castTo(y, input.dtype);
  if (keepdim || x.ndim === 0) return { values, indices: index };
  return { values: squeeze(values, d), indices: squeeze(index, d) };
}

/**
 * The largest element; with `dim`, the largest along it and their positions.
 *
 * @throws ShapeError of no elements
 * @example
 * const { values, indices } = max(tensor([[1, 3, 2]]), 1); // tensor([3.]), tensor([1])
 */
export function max(input: Tensor): Tensor;
export function max(input: Tensor, dim: number, options?: ReduceOptions): ValuesAndIndices;
export function max(input: Tensor, dim?: number, options: ReduceOptions = {}): Tensor | ValuesAndIndices {
  checkOptions('max', options);
  expectTensor('max', 'input', input);
  if (dim == null) return extremeOver('max', 'max', input, null, {});
  return extremeAlong('max', 'max', input, dim, options.keepdim === true);
}

/** The smallest element; with `dim`, the smallest along it and their positions. @throws as {@link max} */
export function min(input: Tensor): Tensor;
export function min(input: Tensor, dim: number, options?: ReduceOptions): ValuesAndIndices;
export function min(input: Tensor, dim?: number, options: ReduceOptions = {}): Tensor | ValuesAndIndices {
  checkOptions('min', options);
  expectTensor('min', 'input', input);
  if (dim == null) return extremeOver('min', 'min', input, null, {});
  return extremeAlong('min', 'min', input, dim, options.keepdim === true);
}

/** The largest elements over one or several dimensions (all if omitted). @throws ShapeError of no elements */
export function amax(input: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  checkOptions('amax', options);
  return extremeOver('amax', 'max', input, dim, options);
}

/** The smallest elements over one or several dimensions (all if omitted). @throws ShapeError of no elements */
export function amin(input: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  checkOptions('amin', options);
  return extremeOver('amin', 'min', input, dim, options);
}

function argExtreme(
  op: 'argmax' | 'argmin',
  input: Tensor,
  dim: number | null | undefined,
  options: ReduceOptions,
): Tensor {
  const x = expectTensor(op, 'input', input).detach();
  const fn = op === 'argmax' ? 'max' : 'min';
  if (dim != null) return extremeAlong(op, fn, x, dim, options.keepdim === true).indices;
  const { indices } = extremeAlong(op, fn, reshape(x, [x.numel]), 0, false);
  return options.keepdim === true ? reshape(indices, new Array<number>(x.ndim).fill(1)) : indices;
}

/** Position of the first largest element along `dim`, or in row-major order; int32. */
export function argmax(input: Tensor, dim?: number | null, options: ReduceOptions = {}): Tensor {
  checkOptions('argmax', options);
  return argExtreme('argmax', input, dim, options);
}

/** Position of the first smallest element along `dim`, or in row-major order; int32. */
export function argmin(input: Tensor, dim?: number | null, options: ReduceOptions = {}): Tensor {
  checkOptions('argmin', options);
  return argExtreme('argmin', input, dim, options);
}
