/**
 * Padding of the last dimensions: with a constant, mirrored, with the border repeated, or around in a circle.
 *
 * The constant is one copy into a filled tensor; the other modes select along one dimension after the other, so their
 * gradient (each border element adds to the element it came from) is that of the selection.
 */
import { record } from '../autograd/graph';
import { ArgumentRangeError, ShapeError, typeError } from '../errors';
import { checkOptions, formatShape, integer, real, shapeError, type Shape } from '../shape';
import { copyElements, fillElements } from '../tensor/copy';
import { tensor } from '../tensor/create';
import { Tensor, expectTensor } from '../tensor/tensor';
import { oneOf } from './checks';
import { indexSelect } from './indexing';
import { narrow } from './views';

export type PaddingMode = 'constant' | 'reflect' | 'replicate' | 'circular';

export interface PadOptions {
  /** Default `constant`. */
  readonly mode?: PaddingMode;
  /** The constant. Default 0. */
  readonly value?: number;
}

/** What is added before and after one dimension; negative cuts off (constant mode only). */
interface Border {
  readonly dim: number;
  readonly before: number;
  readonly after: number;
}

function borders(op: string, input: Tensor, padding: readonly number[]): Border[] {
  if (!Array.isArray(padding) || padding.length % 2 !== 0 || padding.length > 2 * input.ndim) {
    throw typeError(
      op,
      'padding',
      `must hold a pair per padded dimension, last dimension first, for input ${formatShape(input.shape)}`,
      padding,
    );
  }
  const values = padding.map((v, i) => integer(op, `padding[${i}]`, v, -(2 ** 31), 2 ** 31));
  return Array.from({ length: values.length / 2 }, (_, i) => ({
    dim: input.ndim - 1 - i,
    before: values[2 * i],
    after: values[2 * i + 1],
  }));
}

function paddedShape(op: string, shape: Shape, list: readonly Border[]): number[] {
  const out = [...shape];
  for (const { dim, before, after } of list) {
    out[dim] += before + after;
    if (out[dim] < 0) {
      throw new ShapeError({
        op,
        argument: 'padding',
        expected: `must leave dimension ${dim} of ${formatShape(shape)} a size >= 0`,
        received: `${before} and ${after}`,
      });
    }
  }
  return out;
}

function constantPad(op: string, input: Tensor, list: readonly Border[], value: number): Tensor {
  const shape = paddedShape(op, input.shape, list);
  const y = Tensor.empty(shape, input.dtype);
  fillElements(y, value);
  /** The input's part that stays, and the part of the output that holds it. */
  const inner = (whole: Tensor, sign: 1 | -1): Tensor =>
    list.reduce((t, { dim, before, after }) => {
      const cutFront = Math.max(0, sign * before);
      const cutBack = Math.max(0, sign * after);
      return narrow(t, dim, cutFront, Math.max(0, t.shape[dim] - cutFront - cutBack));
    }, whole);
  copyElements(inner(input.detach(), -1), inner(y, 1));
  const from = input.shape;
  return record(op, y, [input], (grad) => {
    const kept = inner(grad, 1);
    if (list.every((b) => b.before >= 0 && b.after >= 0)) return [kept];
    const dx = Tensor.empty(from, grad.dtype);
    fillElements(dx, 0);
    copyElements(kept, inner(dx, -1));
    return [dx];
  });
}

/** Source position of every position of a padded dimension. */
function sources(op: string, mode: PaddingMode, size: number, border: Border): Int32Array {
  const { before, after, dim } = border;
  const limit = mode === 'reflect' ? size - 1 : mode === 'circular' ? size : Infinity;
  if (before < 0 || after < 0 || before > limit || after > limit || size === 0) {
    const most =
      mode === 'reflect'
        ? `less than its size ${size}`
        : mode === 'circular'
          ? `at most its size ${size}`
          : 'any size';
    throw new ArgumentRangeError({
      op,
      argument: 'padding',
      expected: `of dimension ${dim} must be >= 0 and ${most} in mode ${mode}`,
      received: `${before} and ${after}`,
    });
  }
  return Int32Array.from({ length: before + size + after }, (_, i) => {
    const at = i - before;
    if (mode === 'circular') return (at + size) % size;
    if (mode === 'replicate') return Math.min(Math.max(at, 0), size - 1);
    const mirrored = Math.abs(at);
    return mirrored < size ? mirrored : 2 * (size - 1) - mirrored;
  });
}

/**
 * Adds a border around the last dimensions.
 *
 * @param padding pairs [before, after], last dimension first: `[left, right, top, bottom]` for images; negative numbers
 *   cut off in constant mode
 * @throws ArgumentRangeError for a border that the mode cannot fill
 *
 * @example
 * F.pad(arange(4).reshape(1, 1, 2, 2), [1, 1, 0, 0], { mode: 'replicate' }).toArray(); // [[[[0,0,1,1],[2,2,3,3]]]]
 */
export function pad(input: Tensor, padding: readonly number[], options: PadOptions = {}): Tensor {
  const op = 'pad';
  checkOptions(op, options);
  expectTensor(op, 'input', input);
  const mode = oneOf(op, 'mode', options.mode ?? 'constant', [
    'constant',
    'reflect',
    'replicate',
    'circular',
  ]);
  const list = borders(op, input, padding);
  if (mode === 'constant') {
    return constantPad(
      op,
      input,
      list,
      real(op, 'value', options.value ?? 0, 'must be a number', () => true),
    );
  }
  const spatial = list.length;
  if (spatial === 0 || (input.ndim !== spatial + 1 && input.ndim !== spatial + 2)) {
    throw shapeError(
      op,
      'input',
      `must have ${spatial} padded dimensions after channels (and batch) in mode ${mode}`,
      input.shape,
    );
  }
  return list.reduce((t, border) => {
    if (border.before === 0 && border.after === 0) return t;
    return indexSelect(t, border.dim, tensor(sources(op, mode, t.shape[border.dim], border)));
  }, input);
}
