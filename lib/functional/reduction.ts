/**
 * Reductions over no (all), one or several dimensions: sums, means, spreads, norms, products.
 *
 * Sums run in blocks whose totals are added in double, in an order that does not depend on threads.
 */
import { needsGrad, record } from '../autograd/graph';
import { isFloating } from '../dtype';
import { run } from '../native';
import {
  checkOptions,
  contiguousStrides,
  normalizeDims,
  real,
  shapeError,
  sizeOf,
  type Shape,
} from '../shape';
import { contiguousElements } from '../tensor/copy';
import { Tensor, expectTensor } from '../tensor/tensor';
import { castTo, reduceDims, reduceMiddle, type ReduceFn } from './broadcast';
import {
  abs,
  add,
  div,
  eq,
  exp,
  gt,
  log,
  maximum,
  mul,
  ne,
  pow,
  sign,
  sqrt,
  square,
  sub,
  where,
} from './elementwise';
import { expand, permute, reshape } from './views';

/** One dimension or several, negative from the end; null or nothing for all. */
export type Dims = number | readonly number[] | null;

export interface ReduceOptions {
  /** Keep reduced dimensions with size 1. Default false. */
  readonly keepdim?: boolean;
}

/** Values and their positions along one dimension. */
export interface ValuesAndIndices {
  readonly values: Tensor;
  /** int32 */
  readonly indices: Tensor;
}

// ---- what all reductions share ----

/** One reduction of tensors of shape `from`. */
export interface Reducing {
  /** Sorted; empty only for 0-d tensors. */
  readonly dims: readonly number[];
  /** Elements that go into each result. */
  readonly count: number;
  readonly from: Shape;
  /** The reduced dimensions as 1. */
  readonly kept: Shape;
  /** Shape of the result. */
  readonly shape: Shape;
}

export function reducing(op: string, x: Tensor, dim: Dims | undefined, options: ReduceOptions): Reducing {
  checkOptions('reducing', options);
  const dims = normalizeDims(op, dim, x.ndim);
  if (dims.length === x.ndim) {
    const kept = new Array<number>(x.ndim).fill(1);
    return { dims, count: x.numel, from: x.shape, kept, shape: options.keepdim === true ? kept : [] };
  }
  const kept = x.shape.map((d, i) => (dims.includes(i) ? 1 : d));
  return {
    dims,
    count: sizeOf(dims.map((d) => x.shape[d])),
    from: x.shape,
    kept,
    shape: options.keepdim === true ? kept : x.shape.filter((_, i) => !dims.includes(i)),
  };
}

/** A contiguous tensor under another shape, not recorded. */
function under(t: Tensor, shape: Shape): Tensor {
  return new Tensor(t.storage, shape, contiguousStrides(shape), t.offset);
}

/** Reduces, not recorded; always into fresh memory. */
export function reduced(fn: ReduceFn, x: Tensor, r: Reducing): Tensor {
  if (r.dims.length === x.ndim) return reduceMiddle(fn, contiguousElements(x), 1, r.count, 1, r.shape);
  return under(reduceDims(fn, x, r.dims), r.shape);
}

/** A gradient (or value) of the result's shape, over all elements it was reduced from; not recorded. */
export function widened(t: Tensor, r: Reducing): Tensor {
  return expand(reshape(t.detach(), r.kept), r.from);
}

/** For reductions that have no result for no elements. */
export function emptyError(op: string, t: Tensor): never {
  throw shapeError(op, 'input', 'must not be empty along the reduced dimension', t.shape);
}

/** Integers and bools through float64, which holds them exactly. */
export function exactFloat(t: Tensor): Tensor {
  return isFloating(t.dtype) ? t : castTo(t, 'float64');
}

/** An average of integers is a float32. */
function averaged(t: Tensor, compute: (x: Tensor) => Tensor): Tensor {
  return isFloating(t.dtype) ? compute(t) : castTo(compute(castTo(t, 'float64')), 'float32');
}

// ---- sums and means ----

/** Sum over `dim` (all dimensions if omitted). Integer and bool tensors give int32. */
export function sum(input: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  checkOptions('sum', options);
  expectTensor('sum', 'input', input);
  if (!isFloating(input.dtype)) return castTo(sum(castTo(input, 'float64'), dim, options), 'int32');
  const r = reducing('sum', input, dim, options);
  const y = reduced('sum', input, r);
  if (!needsGrad(input)) return y;
  return record('sum', y, [input], (grad) => [widened(grad, r)]);
}

/** Mean over `dim` (all dimensions if omitted); NaN of no elements. Integers give float32. */
export function mean(input: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  checkOptions('mean', options);
  expectTensor('mean', 'input', input);
  return averaged(input, (x) => {
    const r = reducing('mean', x, dim, options);
    const y = reduced('mean', x, r);
    if (!needsGrad(x)) return y;
    return record('mean', y, [x], (grad) => [widened(div(grad, r.count), r)]);
  });
}

// ---- variance and standard deviation ----

export interface VarianceOptions extends ReduceOptions {
  /** Taken off the number of elements in the denominator. Default 1: the unbiased estimate. */
  readonly correction?: number;
}

interface Centred {
  /** x minus its rounded mean. */
  readonly values: Tensor;
  /** What the mean was off by: the mean of `values`. */
  readonly rest: Tensor;
}

/** x - mean in two pieces. Rounding the mean would show where it is large beside the spread. */
function centred(x: Tensor, r: Reducing): Centred {
  const values = sub(x, widened(reduced('mean', x, r), r));
  return { values, rest: reduced('mean', values, r) };
}

/** (sum d^2 - n rest^2) / (n - correction) with d = x - mean; not recorded. */
function varianceOf(x: Tensor, r: Reducing, divisor: number): Tensor {
  const { values, rest } = centred(x, r);
  const squares = sub(reduced('sumOfSquares', values, r), mul(square(rest), r.count));
  return div(maximum(squares, 0), divisor);
}

function spread(op: 'var' | 'std', input: Tensor, dim: Dims | undefined, options: VarianceOptions): Tensor {
  expectTensor(op, 'input', input);
  const { correction = 1 } = options;
  real(op, 'correction', correction, 'must be finite', Number.isFinite);
  return averaged(input, (x) => {
    const values = x.detach();
    const r = reducing(op, x, dim, options);
    const divisor = Math.max(0, r.count - correction);
    const variance = varianceOf(values, r, divisor);
    const y = op === 'std' ? sqrt(variance) : variance;
    if (!needsGrad(x)) return y;
    const result = y.detach();
    // d var / dx = 2 (x - mean) / divisor; d std = d var / (2 std), 0 where all elements are equal, as in PyTorch.
    return record(
      op,
      y,
      [x],
      (grad) => {
        const scale = op === 'std' ? where(eq(result, 0), 0, div(grad, result)) : mul(grad, 2);
        const { values: d, rest } = centred(values, r);
        return [mul(sub(d, widened(rest, r)), widened(div(scale, divisor), r))];
      },
      { saved: op === 'std' ? [values, result] : [values] },
    );
  });
}

/**
 * Variance over `dim`: the mean squared distance from the mean, with n - correction in the denominator. Accurate also for
 * data far from zero.
 *
 * @example
 * x.var([0, 2, 3], { correction: 0, keepdim: true }); // what batch normalisation divides by
 */
export function variance(input: Tensor, dim?: Dims, options: VarianceOptions = {}): Tensor {
  checkOptions('var', options);
  return spread('var', input, dim, options);
}

/** Standard deviation over `dim`: the root of {@link variance}. */
export function std(input: Tensor, dim?: Dims, options: VarianceOptions = {}): Tensor {
  checkOptions('std', options);
  return spread('std', input, dim, options);
}

// ---- norms ----

export interface NormOptions extends ReduceOptions {
  /** The exponent: any number, Infinity for the largest |x|, 0 for the number of non-zeros. Default 2. */
  readonly p?: number;
}

function normValue(x: Tensor, r: Reducing, p: number): Tensor {
  if (p === 2) return sqrt(reduced('sumOfSquares', x, r));
  if (p === 0) return reduced('sum', castTo(ne(x, 0), x.dtype), r);
  if (p === 1) return reduced('sum', abs(x), r);
  if (p === Infinity) return reduced('max', abs(x), r);
  if (p === -Infinity) return reduced('min', abs(x), r);
  return pow(reduced('sum', pow(abs(x), p), r), 1 / p);
}

/** d norm / dx = sign(x) (|x| / norm)^(p - 1); 0 where the norm is 0, as in PyTorch. */
function normGradient(grad: Tensor, x: Tensor, y: Tensor, r: Reducing, p: number): Tensor {
  if (p === 0) return mul(x, 0);
  if (p === 1) return mul(sign(x), widened(grad, r));
  if (!Number.isFinite(p)) return mul(sign(x), sharedAmong(eq(abs(x), widened(y, r)), grad, r));
  const safe = widened(where(eq(y, 0), 1, y), r);
  let slope = p === 2 ? div(x, safe) : mul(sign(x), pow(div(abs(x), safe), p - 1));
  if (p < 1) slope = where(eq(x, 0), 0, slope); // infinite there
  return mul(slope, widened(where(eq(y, 0), 0, grad), r));
}

/**
 * The p-norm (sum |x|^p)^(1/p) over `dim` (all dimensions if omitted).
 *
 * @example
 * tensor([[3, 4]]).norm();             // tensor(5.)
 * norm(x, 1, { p: 1, keepdim: true }); // sums of absolute values
 */
export function norm(input: Tensor, dim?: Dims, options: NormOptions = {}): Tensor {
  checkOptions('norm', options);
  expectTensor('norm', 'input', input);
  const { p = 2 } = options;
  real('norm', 'p', p, 'must be a number', (v) => !Number.isNaN(v));
  return averaged(input, (x) => {
    const r = reducing('norm', x, dim, options);
    if (r.count === 0 && !Number.isFinite(p)) emptyError('norm', x);
    const values = x.detach();
    const y = normValue(values, r, p);
    if (!needsGrad(x)) return y;
    const result = y.detach();
    return record('norm', y, [x], (grad) => [normGradient(grad, values, result, r, p)], {
      saved: [values, result],
    });
  });
}

/** The gradient of each result in equal parts to the elements that `hit` marks; not recorded. */
export function sharedAmong(hit: Tensor, grad: Tensor, r: Reducing): Tensor {
  const hits = castTo(hit, grad.dtype);
  return mul(hits, widened(div(grad, reduced('sum', hits, r)), r));
}

// ---- log-sum-exp ----

/**
 * log(sum(exp(x))) over `dim` without overflow: the largest element is taken off first.
 *
 * @example
 * logsumexp(tensor([[1000, 1000]]), 1); // tensor([1000.6931])
 */
export function logsumexp(input: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  checkOptions('logsumexp', options);
  expectTensor('logsumexp', 'input', input);
  return averaged(input, (x) => {
    const r = reducing('logsumexp', x, dim, options);
    const values = x.detach();
    const y = r.count === 0 ? log(reduced('sum', values, r)) : shiftedLogSum(values, r);
    if (!needsGrad(x)) return y;
    const result = y.detach();
    return record(
      'logsumexp',
      y,
      [x],
      (grad) => [mul(exp(sub(values, widened(result, r))), widened(grad, r))],
      { saved: [values, result] },
    );
  });
}

function shiftedLogSum(x: Tensor, r: Reducing): Tensor {
  const largest = reduced('max', x, r);
  // An infinite maximum is the result already; taking it off would give NaN.
  const shift = where(eq(abs(largest), Infinity), 0, largest);
  const terms = exp(sub(x, widened(shift, r)));
  return add(log(reduced('sum', terms, r)), shift);
}

// ---- products ----

/** The middle dimension of [outer, n, inner] that a product runs over, after moving the reduced dimensions together. */
interface Lines {
  readonly values: Tensor;
  readonly outer: number;
  readonly n: number;
  /** Undoes the moving for a tensor of the moved shape. */
  readonly restored: (t: Tensor) => Tensor;
}

/** The reduced dimensions last. */
function linesOf(x: Tensor, r: Reducing): Lines {
  const order = [...x.shape.keys()].filter((d) => !r.dims.includes(d)).concat(r.dims);
  const inverse = order.map((_, d) => order.indexOf(d));
  const moved = permute(x, order);
  return {
    values: contiguousElements(moved),
    outer: sizeOf(r.kept),
    n: r.count,
    restored: (t) => permute(t, inverse),
  };
}

/** Product over `dim` (all dimensions if omitted). Integers give int32. */
export function prod(input: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  checkOptions('prod', options);
  expectTensor('prod', 'input', input);
  if (!isFloating(input.dtype)) return castTo(prod(castTo(input, 'float64'), dim, options), 'int32');
  const r = reducing('prod', input, dim, options);
  const lines = linesOf(input.detach(), r);
  const y = Tensor.empty(r.shape, input.dtype);
  const { outer, n } = lines;
  run('product', { outer, n, inner: 1 }, { x: lines.values, y });
  if (!needsGrad(input)) return y;
  return record(
    'prod',
    y,
    [input],
    (grad) => {
      const others = Tensor.empty(lines.values.shape, grad.dtype);
      run('cumulate', { fn: 2, outer, n, inner: 1 }, { x: lines.values, y: others });
      return [mul(lines.restored(others), widened(grad, r))];
    },
    { saved: [lines.values] },
  );
}

// ---- any and all ----

/** True where at least one element along `dim` (of all if omitted) is not 0; bool. */
export function any(input: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  checkOptions('any', options);
  expectTensor('any', 'input', input);
  const x = castTo(ne(input, 0), 'float64');
  return gt(reduced('sum', x, reducing('any', x, dim, options)), 0);
}

/** True where no element along `dim` (of all if omitted) is 0; bool. */
export function all(input: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  checkOptions('all', options);
  expectTensor('all', 'input', input);
  const x = castTo(eq(input, 0), 'float64');
  return eq(reduced('sum', x, reducing('all', x, dim, options)), 0);
}
