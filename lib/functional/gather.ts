/**
 * Picking and placing elements along one dimension by a tensor of positions of the same rank.
 *
 *     gather      y[i, j] = x[index[i, j], j]      (dim 0)
 *     scatter     y = x; y[index[i, j], j] = src[i, j]
 *     scatterAdd  y = x; y[index[i, j], j] += src[i, j]
 */
import { needsGrad, record } from '../autograd/graph';
import { ArgumentRangeError, DTypeError } from '../errors';
import { run } from '../native';
import { formatShape, normalizeDim, shapeError, type Shape } from '../shape';
import { cloneElements, copyElements, fillElements } from '../tensor/copy';
import { Tensor, expectTensor } from '../tensor/tensor';
import { checkOperand, expectDTypeOf } from './checks';
import type { Operand } from './elementwise';
import { expand } from './views';

/** Position of element `flat` of a tensor of `shape`, as text. */
function place(flat: number, shape: Shape): string {
  const at: number[] = [];
  for (let d = shape.length - 1, rest = flat; d >= 0; d--) {
    at.unshift(rest % shape[d]);
    rest = Math.floor(rest / shape[d]);
  }
  return formatShape(at);
}

/** Checks that `index` is int32 with all values in low..high, and returns them in row-major order. */
export function indexValues(
  op: string,
  argument: string,
  index: Tensor,
  low: number,
  high: number,
): Int32Array {
  const values = expectTensor(op, argument, index).toTypedArray();
  if (!(values instanceof Int32Array)) {
    throw new DTypeError({
      op,
      argument,
      expected: 'must be int32',
      received: index.dtype,
      hint: `convert with ${argument}.to('int32')`,
    });
  }
  for (let i = 0; i < values.length; i++) {
    if (values[i] >= low && values[i] <= high) continue;
    throw new ArgumentRangeError({
      op,
      argument: `${argument} at ${place(i, index.shape)}`,
      expected: high < low ? 'has nothing to choose from' : `must be in ${low}..${high}`,
      received: String(values[i]),
    });
  }
  return values;
}

/** Checks rank, sizes and values of `index` and returns the dimension. */
function checkIndex(op: string, input: Tensor, dim: number, index: Tensor): number {
  expectTensor(op, 'input', input);
  expectTensor(op, 'index', index);
  const d = normalizeDim(op, dim, input.ndim);
  const fits = index.ndim === input.ndim && index.shape.every((n, i) => i === d || n <= input.shape[i]);
  if (!fits) {
    throw shapeError(
      op,
      'index',
      `must have the rank of input ${formatShape(input.shape)} and be no larger except in dimension ${d}`,
      index.shape,
    );
  }
  indexValues(op, 'index', index, 0, (input.ndim === 0 ? 1 : input.shape[d]) - 1);
  return d;
}

/** Strides of a walk over the other dimensions; `dim` is walked by the index. */
function walkStrides(t: Tensor, dim: number): number[] {
  return t.strides.map((s, i) => (i === dim ? 0 : s));
}

const sizeAlong = (t: Tensor, dim: number): number => (t.ndim === 0 ? 1 : t.shape[dim]);
const strideAlong = (t: Tensor, dim: number): number => (t.ndim === 0 ? 1 : t.strides[dim]);

/** Not recorded, checked by the caller. */
function gathered(x: Tensor, dim: number, index: Tensor): Tensor {
  const y = Tensor.empty(index.shape, x.dtype);
  run(
    'gather',
    {
      rank: index.ndim,
      shape: index.shape,
      xStrides: walkStrides(x, dim),
      indexStrides: index.strides,
      size: sizeAlong(x, dim),
      along: strideAlong(x, dim),
    },
    { x, index, y },
  );
  return y;
}

/** y[index] = or += src, in place, not recorded, checked by the caller. */
function place_(y: Tensor, dim: number, index: Tensor, src: Tensor, accumulate: boolean): void {
  run(
    'scatter',
    {
      rank: index.ndim,
      shape: index.shape,
      yStrides: walkStrides(y, dim),
      indexStrides: index.strides,
      srcStrides: src.strides,
      size: sizeAlong(y, dim),
      along: strideAlong(y, dim),
      accumulate: accumulate ? 1 : 0,
    },
    { y, index, src },
  );
}

/** Zeros of `shape` to which src is added at `index`: the gradient of picking. Not recorded. */
export function scattered(shape: Shape, dim: number, index: Tensor, src: Tensor): Tensor {
  const y = Tensor.empty(shape, src.dtype);
  fillElements(y, 0);
  place_(y, dim, index, src, true);
  return y;
}

/**
 * The elements of `input` at positions `index` along `dim`. Gradients of elements that are picked several times add up.
 *
 * **Shape**: that of index, which has the rank of input and is no larger in the other dimensions
 * @param index int32, positions in 0..input.shape[dim]-1
 * @throws ShapeError, DTypeError; RangeError for a position outside
 *
 * @example
 * gather(probabilities, 1, labels.unsqueeze(1)); // the probability of each label, [n, 1]
 */
export function gather(input: Tensor, dim: number, index: Tensor): Tensor {
  const d = checkIndex('gather', input, dim, index);
  const y = gathered(input.detach(), d, index);
  if (!needsGrad(input)) return y;
  const { shape } = input;
  return record('gather', y, [input], (grad) => [scattered(shape, d, index, grad)], { saved: [index] });
}

function checkSource(op: string, input: Tensor, index: Tensor, src: Tensor): void {
  expectDTypeOf(op, 'src', src, input, 'input');
  if (src.ndim === index.ndim && index.shape.every((n, i) => n <= src.shape[i])) return;
  throw shapeError(op, 'src', `must be at least as large as index ${formatShape(index.shape)}`, src.shape);
}

/** The part of a source that an index reads. */
function usedPart(src: Tensor, index: Tensor): Tensor {
  return new Tensor(src.storage, index.shape, src.strides, src.offset);
}

/** What src gets back: the gradient at the places it was written to, 0 for parts that were not used. */
function sourceGradient(grad: Tensor, d: number, index: Tensor, shape: Shape): Tensor {
  const used = gathered(grad, d, index);
  if (index.shape.every((n, i) => n === shape[i])) return used;
  const whole = Tensor.empty(shape, grad.dtype);
  fillElements(whole, 0);
  const part = usedPart(whole, index);
  copyElements(used, part);
  return whole;
}

/**
 * A copy of `input` with `src` written to the positions `index` along `dim`. Of several values for one place the last in
 * row-major order stays.
 *
 * **Shape**: that of input; index has its rank, src is at least as large as index or a number
 * @throws as {@link gather}
 *
 * @example
 * zeros([n, 10]).scatter(1, labels.unsqueeze(1), 1); // one-hot rows
 */
export function scatter(input: Tensor, dim: number, index: Tensor, src: Operand): Tensor {
  const op = 'scatter';
  const d = checkIndex(op, input, dim, index);
  checkOperand(op, 'src', src);
  if (src instanceof Tensor) checkSource(op, input, index, src);
  const y = cloneElements(input);
  place_(y, d, index, src instanceof Tensor ? usedPart(src, index) : scalarLike(src, index, input), false);
  const from = src instanceof Tensor ? src : null;
  if (!needsGrad(input, from)) return y;
  return record(
    op,
    y,
    [input, from],
    (grad, wanted) => {
      let rest: Tensor | null = null;
      if (wanted[0]) {
        rest = cloneElements(grad);
        place_(rest, d, index, scalarLike(0, index, rest), false);
      }
      return [rest, wanted[1] && from !== null ? sourceGradient(grad, d, index, from.shape) : null];
    },
    { saved: [index] },
  );
}

/** One number over the shape of `index`. */
function scalarLike(value: number, index: Tensor, like: Tensor): Tensor {
  const t = Tensor.empty([], like.dtype);
  t.storage.data[0] = value;
  return expand(t, index.shape);
}

/**
 * A copy of `input` with `src` added at the positions `index` along `dim`; places may repeat.
 *
 * **Shape**: that of input; index has its rank, src is at least as large as index
 * @throws as {@link gather}
 *
 * @example
 * zeros([3]).scatterAdd(0, tensor(new Int32Array([0, 2, 2])), ones([3])); // tensor([1., 0., 2.])
 */
export function scatterAdd(input: Tensor, dim: number, index: Tensor, src: Tensor): Tensor {
  const op = 'scatterAdd';
  const d = checkIndex(op, input, dim, index);
  checkSource(op, input, index, expectTensor(op, 'src', src));
  const y = cloneElements(input);
  place_(y, d, index, usedPart(src, index), true);
  if (!needsGrad(input, src)) return y;
  const { shape } = src;
  return record(
    op,
    y,
    [input, src],
    (grad, wanted) => [grad, wanted[1] ? sourceGradient(grad, d, index, shape) : null],
    { saved: [index] },
  );
}
