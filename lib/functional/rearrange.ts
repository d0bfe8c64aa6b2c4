/** Tensors cut into pieces, repeated, reversed, rotated; all made of views and `cat`, so gradients follow. */
import { ArgumentRangeError, ShapeError, rangeError } from '../errors';
import {
  checkShape,
  formatShape,
  integer,
  normalizeDim,
  normalizeDims,
  numberList,
  shapeError,
  sizeOf,
} from '../shape';
import { Tensor, expectTensor } from '../tensor/tensor';
import { clone } from './elementwise';
import { indexSelect } from './indexing';
import { cat, expand, flatten, narrow, permute, reshape } from './views';

function expectDimension(op: string, input: Tensor): void {
  if (expectTensor(op, 'input', input).ndim > 0) return;
  throw new ShapeError({
    op,
    argument: 'input',
    expected: 'must have a dimension',
    received: 'a 0-d tensor',
  });
}

/**
 * Views of `input` along `dim`: all of one size (the last may be smaller), or of the listed sizes.
 *
 * @example
 * const [a, b] = split(x, [3, 5], 1);
 */
export function split(input: Tensor, splitSize: number | readonly number[], dim = 0): Tensor[] {
  const op = 'split';
  expectDimension(op, input);
  const d = normalizeDim(op, dim, input.ndim);
  const size = input.shape[d];
  if (typeof splitSize === 'number') {
    const step = integer(op, 'splitSize', splitSize, size === 0 ? 0 : 1);
    const count = Math.max(1, Math.ceil(size / Math.max(1, step)));
    return Array.from({ length: count }, (_, i) =>
      narrow(input, d, i * step, Math.min(step, size - i * step)),
    );
  }
  const sizes = checkShape(op, splitSize, 'splitSize');
  const total = sizes.reduce((sum, n) => sum + n, 0);
  if (total !== size) {
    throw rangeError(op, 'splitSize', `must add up to ${size}, the size of dimension ${d}`, sizes);
  }
  let start = 0;
  return sizes.map((n) => {
    start += n;
    return narrow(input, d, start - n, n);
  });
}

/** At most `chunks` views of equal size along `dim`; the last may be smaller. */
export function chunk(input: Tensor, chunks: number, dim = 0): Tensor[] {
  expectDimension('chunk', input);
  integer('chunk', 'chunks', chunks, 1);
  const size = input.shape[normalizeDim('chunk', dim, input.ndim)];
  if (size === 0) return Array.from({ length: chunks }, () => narrow(input, dim, 0, 0));
  return split(input, Math.ceil(size / chunks), dim);
}

/** A copy with the order along `dims` reversed. */
export function flip(input: Tensor, dims: number | readonly number[]): Tensor {
  expectTensor('flip', 'input', input);
  const listed = numberList('flip', 'dims', dims);
  const list = listed.length === 0 ? [] : normalizeDims('flip', listed, input.ndim);
  let y = input;
  for (const d of list) {
    const n = input.shape[d];
    const order = Tensor.empty([n], 'int32');
    for (let i = 0; i < n; i++) order.storage.data[i] = n - 1 - i;
    y = indexSelect(y, d, order);
  }
  return y === input ? clone(input) : y;
}

/**
 * Elements moved by `shifts` along `dims`, those pushed out coming in at the other end; without `dims` in row-major order.
 *
 * @example
 * roll(tensor([1, 2, 3]), 1, 0); // tensor([3., 1., 2.])
 */
export function roll(
  input: Tensor,
  shifts: number | readonly number[],
  dims?: number | readonly number[],
): Tensor {
  const op = 'roll';
  expectTensor(op, 'input', input);
  const shiftList = numberList(op, 'shifts', shifts);
  shiftList.forEach((s, i) => integer(op, `shifts[${i}]`, s, -Number.MAX_SAFE_INTEGER));
  if (dims === undefined) {
    if (shiftList.length !== 1) lengthError(op, shiftList.length, 1);
    return reshape(roll(flatten(input), shiftList, [0]), input.shape);
  }
  const dimList = numberList(op, 'dims', dims);
  if (shiftList.length !== dimList.length) lengthError(op, shiftList.length, dimList.length);
  expectDimension(op, input);
  const start = dimList.length === 0 ? clone(input) : input;
  return dimList.reduce(
    (t, dim, i) => rollOne(t, shiftList[i], normalizeDim(op, dim, t.ndim, `dims[${i}]`)),
    start,
  );
}

function lengthError(op: string, shifts: number, dims: number): never {
  throw new ArgumentRangeError({
    op,
    argument: 'shifts',
    expected: `must have as many entries as dims, ${dims}`,
    received: String(shifts),
  });
}

function rollOne(t: Tensor, shift: number, d: number): Tensor {
  const n = t.shape[d];
  const s = n === 0 ? 0 : ((shift % n) + n) % n;
  return cat([narrow(t, d, n - s, s), narrow(t, d, 0, n - s)], d);
}

/**
 * The tensor repeated along every dimension; more entries than dimensions add dimensions in front.
 *
 * @example
 * repeat(tensor([1, 2]), [2, 3]).shape; // [2, 6]
 */
export function repeat(input: Tensor, repeats: readonly number[]): Tensor {
  const op = 'repeat';
  expectTensor(op, 'input', input);
  const counts = checkShape(op, repeats, 'repeats');
  if (counts.length < input.ndim) {
    throw shapeError(
      op,
      'repeats',
      `must have at least ${input.ndim} entries, one per dimension of ${formatShape(input.shape)}`,
      counts,
    );
  }
  const lead = counts.length - input.ndim;
  const y = reshape(input, [...new Array<number>(lead).fill(1), ...input.shape]);
  checkShape(
    op,
    y.shape.map((n, d) => n * counts[d]),
    'the result',
  );
  if (counts.every((count) => count === 1)) return clone(y);
  return counts.reduce((t, count, d) => (count === 1 ? t : repeatOne(t, count, d)), y);
}

/** `count` blocks side by side along dimension d, for count > 1 or 0. */
function repeatOne(t: Tensor, count: number, d: number): Tensor {
  const { shape } = t;
  const [outer, block] = [sizeOf(shape.slice(0, d)), sizeOf(shape.slice(d))];
  const blocks = expand(reshape(t, [outer, 1, block]), [outer, count, block]);
  return reshape(
    blocks,
    shape.map((n, i) => (i === d ? n * count : n)),
  );
}

/** As {@link repeat}, with 1 for dimensions in front that `dims` leaves out. */
export function tile(input: Tensor, dims: readonly number[]): Tensor {
  expectTensor('tile', 'input', input);
  const counts = checkShape('tile', dims, 'dims');
  return repeat(input, [...new Array<number>(Math.max(0, input.ndim - counts.length)).fill(1), ...counts]);
}

/** Dimensions moved to other places, the rest kept in order. */
export function movedim(
  input: Tensor,
  source: number | readonly number[],
  destination: number | readonly number[],
): Tensor {
  const op = 'movedim';
  expectTensor(op, 'input', input);
  const listed = (argument: string, dims: number | readonly number[]): number[] => {
    const list = numberList(op, argument, dims).map((d) => normalizeDim(op, d, input.ndim, argument));
    if (new Set(list).size === list.length) return list;
    throw rangeError(op, argument, 'must not repeat', dims);
  };
  const from = listed('source', source);
  const to = listed('destination', destination);
  if (from.length !== to.length) {
    throw new ArgumentRangeError({
      op,
      argument: 'destination',
      expected: `must have as many entries as source, ${from.length}`,
      received: String(to.length),
    });
  }
  const rest = input.shape.map((_, d) => d).filter((d) => !from.includes(d));
  const order = input.shape.map((_, d) => {
    const at = to.indexOf(d);
    return at >= 0 ? from[at] : -1;
  });
  return permute(
    input,
    order.map((d) => (d >= 0 ? d : (rest.shift() ?? 0))),
  );
}
