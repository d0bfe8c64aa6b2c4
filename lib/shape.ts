/** Shapes: checks, sizes, strides, broadcasting. No tensors here. */
import { ArgumentRangeError, ArgumentTypeError, ShapeError, describe, typeError, rangeError } from './errors';

export type Shape = readonly number[];

/** A spatial size: one number for all dimensions or one per dimension, height first. */
export type Size = number | readonly number[];

export const maxRank = 8;
export const maxElements = 2 ** 38;

export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

/** The error that `argument` has this shape. */
export function shapeError(op: string, argument: string, expected: string, shape: Shape): ShapeError {
  return new ShapeError({ op, argument, expected, received: formatShape(shape) });
}

export function sizeOf(shape: Shape): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** Row-major strides in elements. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * Checks an integer argument and returns it.
 * @throws ArgumentTypeError if it is not a number, ArgumentRangeError if it is no integer in `min..max`.
 */
export function integer(
  op: string,
  argument: string,
  value: unknown,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== 'number') {
    throw typeError(op, argument, 'must be a number', value);
  }
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    const tooLarge = Number.isInteger(value) && value > max;
    const range =
      max === Number.MAX_SAFE_INTEGER ? `>= ${min}${tooLarge ? ` and <= ${max}` : ''}` : `in ${min}..${max}`;
    throw rangeError(op, argument, `must be an integer ${range}`, value);
  }
  return value;
}

/** Checks a real argument and returns it; `rule` says in words what `ok` tests. */
export function real(
  op: string,
  argument: string,
  value: unknown,
  rule: string,
  ok: (v: number) => boolean,
): number {
  if (typeof value !== 'number') {
    throw typeError(op, argument, 'must be a number', value);
  }
  if (!ok(value)) {
    throw rangeError(op, argument, rule, value);
  }
  return value;
}

/** Reads a list once; for callers without types. @throws ArgumentTypeError unless `value` is an array */
export function readList<T>(op: string, argument: string, value: readonly T[], of: string): T[] {
  if (Array.isArray(value)) return Array.from(value as readonly T[]);
  throw typeError(op, argument, `must be an array of ${of}`, value);
}

/** A number, or a list of them, as a list. */
export function numberList(op: string, argument: string, value: number | readonly number[]): number[] {
  if (typeof value === 'number') return [value];
  if (Array.isArray(value)) return Array.from(value as readonly number[]);
  throw typeError(op, argument, 'must be a number or an array of numbers', value);
}

/** @throws ArgumentTypeError for `null`, `2` or `[2]` in the place of options, as in a call with PyTorch's positions */
export function checkOptions(op: string, options: object): void {
  if (typeof options === 'object' && (options as object | null) !== null && !Array.isArray(options)) return;
  throw new ArgumentTypeError({
    op,
    argument: 'options',
    expected: 'must be an object',
    received: describe(options),
    hint: 'as in { stride: 2 }',
  });
}

/**
 * Reads a shape once (proxies and getters cannot change it afterwards) and checks every entry, the rank and the
 * element count.
 */
export function checkShape(op: string, value: unknown, argument = 'shape'): number[] {
  if (!Array.isArray(value)) {
    throw typeError(op, argument, 'must be an array of integers', value);
  }
  const shape: unknown[] = Array.from(value as readonly unknown[]);
  if (shape.length > maxRank) {
    throw new ShapeError({
      op,
      argument,
      expected: `rank ${shape.length} exceeds ${maxRank}`,
      received: describe(shape),
    });
  }
  const checked = shape.map((d, i) => {
    // Also where doubles have no odd integers any more: it is not the entry that is wrong but their number.
    const large = Number.isInteger(d) && (d as number) > maxElements;
    if (large && shape.every((n) => typeof n === 'number')) checkElementCount(op, shape, argument);
    return integer(op, `${argument}[${i}]`, d, 0);
  });
  checkElementCount(op, checked, argument);
  return checked;
}

export function checkElementCount(op: string, shape: Shape, argument = 'shape'): number {
  const n = sizeOf(shape);
  if (!(n <= maxElements)) {
    throw shapeError(op, argument, `element count exceeds 2^38`, shape);
  }
  return n;
}

/** Normalises a `Size` to `rank` integers >= `min`. */
export function sizeTuple(op: string, argument: string, value: unknown, rank: number, min: number): number[] {
  if (typeof value === 'number') {
    const v = integer(op, rank === 1 ? argument : `${argument}[0]`, value, min);
    return new Array<number>(rank).fill(v);
  }
  if (!Array.isArray(value)) {
    const list = new Array<string>(rank).fill('number').join(', ');
    throw typeError(op, argument, `must be a number or [${list}]`, value);
  }
  const entries: unknown[] = Array.from(value as readonly unknown[]);
  if (entries.length !== rank) {
    const list = new Array<string>(rank).fill('number').join(', ');
    const received = `${entries.length} in ${describe(entries)}`;
    const expected = `must be a number or [${list}]: it must have ${rank} ${rank === 1 ? 'entry' : 'entries'}`;
    // A list of the wrong length is a wrong value of the right type, but PyTorch users meet both: keep RangeError.
    throw new ArgumentRangeError({ op, argument, expected, received });
  }
  return entries.map((v, i) => integer(op, `${argument}[${i}]`, v, min));
}

/** A dimension index with negatives counted from the end. */
export function normalizeDim(op: string, dim: unknown, rank: number, argument = 'dim'): number {
  const limit = Math.max(rank, 1);
  const d = integer(op, argument, dim, -limit, limit - 1);
  return d < 0 ? d + limit : d;
}

/** Sorted distinct dimensions; all of them when `dim` is undefined, null or an empty list. */
export function normalizeDims(
  op: string,
  dim: number | readonly number[] | null | undefined,
  rank: number,
): number[] {
  if (dim == null || (typeof dim !== 'number' && dim.length === 0)) {
    const all = new Array<number>(rank);
    for (let i = 0; i < rank; i++) all[i] = i;
    return all;
  }
  const list = typeof dim === 'number' ? [dim] : Array.from(dim);
  const dims = list.map((d) => normalizeDim(op, d, rank)).sort((a, b) => a - b);
  for (let i = 1; i < dims.length; i++) {
    if (dims[i] === dims[i - 1]) {
      throw rangeError(op, 'dim', 'must not repeat', list);
    }
  }
  return rank === 0 ? [] : dims;
}

/** The shape two operands broadcast to (NumPy rules). */
export function broadcastShapes(op: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 1; i <= rank; i++) {
    const da = i <= a.length ? a[a.length - i] : 1;
    const db = i <= b.length ? b[b.length - i] : 1;
    if (da !== db && da !== 1 && db !== 1) {
      throw new ShapeError({
        op,
        argument: 'shapes',
        expected: `${formatShape(a)} and ${formatShape(b)} cannot be broadcast: dimension ${rank - i}`,
        received: `${da} and ${db}`,
      });
    }
    out[rank - i] = da === 1 ? db : da;
  }
  return out;
}

/** Strides that walk a tensor of `shape`/`strides` as if it had the broadcast shape `target`. */
export function broadcastStrides(shape: Shape, strides: readonly number[], target: Shape): number[] {
  const out = new Array<number>(target.length).fill(0);
  const lead = target.length - shape.length;
  for (let i = 0; i < shape.length; i++) {
    out[lead + i] = shape[i] === 1 ? 0 : strides[i];
  }
  return out;
}
