/** The options of convolutions, read and checked. */
import { ArgumentRangeError, rangeError, typeError } from '../errors';
import { formatShape, type Size } from '../shape';
import { effectiveKernel, maxSize, type SpatialRank } from './spatial';

/**
 * Zeros around the input: one number, one per dimension, or a pair `[before, after]` per dimension. `'valid'` is none;
 * `'same'` keeps the size (stride 1 only) and puts an odd zero after.
 */
export type ConvPadding = Size | readonly (readonly [number, number])[] | 'same' | 'valid';

export interface ConvOptions {
  /** Distance of neighbouring windows. Default 1. */
  readonly stride?: Size;
  /** Default 0. */
  readonly padding?: ConvPadding;
  /** Distance of neighbouring kernel elements. Default 1. */
  readonly dilation?: Size;
  /** Groups of channels that do not mix. Default 1. */
  readonly groups?: number;
}

export interface ConvTransposeOptions {
  /** Distance at which input elements are laid out. Default 1. */
  readonly stride?: Size;
  /** Cut off at both ends of the output. Default 0. */
  readonly padding?: Size;
  /** Added at the end of the output. Default 0. */
  readonly outputPadding?: Size;
  /** Groups of channels that do not mix. Default 1. */
  readonly groups?: number;
  /** Distance of neighbouring kernel elements. Default 1. */
  readonly dilation?: Size;
}

/** One number per dimension, read once from a number for all or a list. */
function numbers(op: string, argument: string, value: unknown, rank: SpatialRank): unknown[] {
  if (typeof value === 'number') return new Array<unknown>(rank).fill(value);
  const list: unknown[] = Array.isArray(value) ? Array.from(value as readonly unknown[]) : [];
  if (list.length === rank) return list;
  const form = new Array<string>(rank).fill('number').join(', ');
  throw typeError(op, argument, `must be a number or [${form}]`, value);
}

function checkNumber(op: string, argument: string, value: unknown): number {
  if (typeof value === 'number') return value;
  throw typeError(op, argument, 'must be a number', value);
}

/** Stride or dilation: integers from 1. */
export function steps(
  op: string,
  argument: 'stride' | 'dilation',
  value: unknown,
  rank: SpatialRank,
): number[] {
  return numbers(op, argument, value, rank).map((entry, i) => {
    const name = `${argument}[${i}]`;
    const v = checkNumber(op, name, entry);
    if (Number.isInteger(v) && v >= 1 && v <= maxSize) return v;
    const integer = argument === 'stride' || !Number.isInteger(v) ? 'an integer ' : '';
    throw rangeError(op, name, `must be ${integer}>= 1${v > maxSize ? ` and <= ${maxSize}` : ''}`, v);
  });
}

/** Padding or output padding: integers from 0. */
function amount(op: string, argument: string, value: unknown, whole: unknown): number {
  const v = checkNumber(op, argument, value);
  if (Number.isInteger(v) && v >= 0) return v;
  throw rangeError(op, argument, Number.isInteger(v) ? 'must be >= 0' : 'must be an integer >= 0', whole);
}

/** Integers from 0, one per dimension. */
export function amounts(op: string, argument: string, value: unknown, rank: SpatialRank): number[] {
  return numbers(op, argument, value, rank).map((entry) => amount(op, argument, entry, value));
}

/** Padding of any form as [before, after] per dimension. */
export function paddingPairs(
  op: string,
  value: unknown,
  kernel: readonly number[],
  stride: readonly number[],
  dilation: readonly number[],
): (readonly [number, number])[] {
  const rank = kernel.length as SpatialRank;
  const argument = 'padding';
  if (value === 'valid') return kernel.map(() => [0, 0] as const);
  if (value === 'same') {
    if (stride.some((s) => s !== 1)) {
      throw new ArgumentRangeError({
        op,
        argument,
        expected: '"same" needs stride 1',
        received: formatShape(stride),
      });
    }
    return kernel.map((k, d) => {
      const total = effectiveKernel(k, dilation[d]) - 1;
      return [Math.floor(total / 2), Math.ceil(total / 2)] as const;
    });
  }
  if (typeof value === 'string') {
    const expected =
      'must be "same", "valid", a number >= 0, one per dimension or [before, after] per dimension';
    throw rangeError(op, argument, expected, value);
  }
  return numbers(op, argument, value, rank).map((entry, i) => {
    if (!Array.isArray(entry)) {
      const both = amount(op, argument, entry, value);
      return [both, both] as const;
    }
    const pair: unknown[] = Array.from(entry as readonly unknown[]);
    if (pair.length !== 2) {
      throw typeError(op, `${argument}[${i}]`, 'must be a number or [before, after]', pair);
    }
    return [amount(op, argument, pair[0], pair), amount(op, argument, pair[1], pair)] as const;
  });
}

export function checkGroups(op: string, value: unknown): number {
  const v = checkNumber(op, 'groups', value);
  if (Number.isInteger(v) && v >= 1) return v;
  throw rangeError(op, 'groups', Number.isInteger(v) ? 'must be >= 1' : 'must be an integer >= 1', v);
}
