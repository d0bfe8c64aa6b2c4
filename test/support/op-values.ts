// Numbers and tensors for op cases: seeded values, arbitraries over shapes, and one tensor in several memory layouts.
import fc from 'fast-check';

import { Tensor } from '../../lib';
import type { DType } from '../../lib';
import { arrayOf, isFloating } from '../../lib/dtype';
import { Storage } from '../../lib/tensor/storage';
import type { CaseRecord, CaseTensor, CaseValue } from './case-values';
import { isRecord, isTensor } from './case-values';
import type { NdArray } from './nd-array';
import { forEachIndex, sizeOf } from './nd-array';

// ---- memory ----

/**
 * contiguous: row-major. strided: the first dimension runs fastest, with gaps between all elements and before the
 * first; the gaps hold NaN (99 for integers), so that whoever reads them is found out.
 */
export type Layout = 'contiguous' | 'strided';

/** The tensor of a case in memory; `dtype` is for floating ones. */
export function built(value: CaseTensor, dtype: DType, layout: Layout): Tensor {
  const { shape } = value;
  const own = value.dtype ?? dtype;
  const strides = new Array<number>(shape.length);
  let extent = layout === 'contiguous' ? 1 : 2;
  for (let k = 0; k < shape.length; k++) {
    const d = layout === 'contiguous' ? shape.length - 1 - k : k;
    strides[d] = extent;
    extent *= layout === 'contiguous' ? shape[d] : shape[d] + 1;
  }
  const offset = layout === 'contiguous' ? 0 : 3;
  const data = arrayOf(own, offset + extent);
  if (layout === 'contiguous') data.set(value.data);
  else {
    data.fill(isFloating(own) ? NaN : own === 'bool' ? 1 : 99);
    forEachIndex(shape, (index, flat) => {
      let at = offset;
      for (let d = 0; d < index.length; d++) at += index[d] * strides[d];
      data[at] = value.data[flat];
    });
  }
  return new Tensor(Storage.adopt(own, data), [...shape], strides, offset);
}

export function valuesOf(t: Tensor): NdArray {
  return { shape: t.shape, data: new Float64Array(t.toTypedArray()) };
}

/** An argument or option as a call takes it: tensors built, everything else as it is. */
export type CallValue =
  null | boolean | number | string | Tensor | readonly CallValue[] | { readonly [key: string]: CallValue };

export type CallRecord = Readonly<Record<string, CallValue>>;

/** Builds every tensor of a record of arguments or options. */
export function builtRecord(record: CaseRecord, dtype: DType, layout: Layout): CallRecord {
  const convert = (value: CaseValue): CallValue => {
    if (isTensor(value)) return built(value, dtype, layout);
    if (isRecord(value)) return builtRecord(value, dtype, layout);
    return Array.isArray(value) ? value.map(convert) : (value as CallValue);
  };
  return Object.fromEntries(
    Object.entries(record).flatMap(([key, value]) => (value === undefined ? [] : [[key, convert(value)]])),
  );
}

// ---- seeded numbers ----

// Held here because looking up a global takes long inside of jest.
const { floor, fround, imul } = Math;

/** A stream of numbers in [0, 1) (mulberry32). */
function stream(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = imul(state ^ (state >>> 15), 1 | state);
    t = (t + imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export type Domain = readonly [low: number, high: number];

/**
 * Distinct odd multiples of a power of two (1/32 if there is room) in random order: none is 0 or a multiple of 1/16,
 * where functions have corners, no two are ties, and sums of products are exact in float32.
 */
function gridValues(count: number, [low, high]: Domain, random: () => number): Float64Array {
  let step = 1 / 16;
  while ((high - low) / step < count) step /= 2;
  const slots = Array.from({ length: Math.floor((high - low) / step) }, (_, i) => low + (i + 0.5) * step);
  for (let i = 0; i < count; i++) {
    const j = i + floor(random() * (slots.length - i));
    [slots[i], slots[j]] = [slots[j], slots[i]];
  }
  return Float64Array.from(slots.slice(0, count));
}

/** grid: see gridValues. real: any float32 numbers, whose sums have to be rounded. */
export type ValueKind = 'grid' | 'real';

export function seededTensor(
  shape: readonly number[],
  seed: number,
  domain: Domain = [-4, 4],
  kind: ValueKind = 'grid',
): CaseTensor {
  const random = stream(seed);
  const count = sizeOf(shape);
  if (kind === 'grid') return { shape, data: gridValues(count, domain, random) };
  const [low, high] = domain;
  const data = new Float64Array(count);
  for (let i = 0; i < count; i++) data[i] = fround(low + (high - low) * random());
  return { shape, data };
}

/** Integers in 0..limit-1 as an int32 tensor. */
export function seededIndices(shape: readonly number[], seed: number, limit: number): CaseTensor {
  const random = stream(seed);
  const data = Float64Array.from({ length: sizeOf(shape) }, () => floor(random() * limit));
  return { shape, data, dtype: 'int32' };
}

export function seededMask(shape: readonly number[], seed: number): CaseTensor {
  const random = stream(seed);
  return {
    shape,
    data: Float64Array.from({ length: sizeOf(shape) }, () => Number(random() < 0.5)),
    dtype: 'bool',
  };
}

// ---- arbitraries ----

export const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });

/** A size around a vector width now and then, small else. */
export const sizes = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });

/** Shapes of rank minRank..maxRank, a few hundred elements at most. */
export function shapes(minRank: number, maxRank: number, minSize = 1): fc.Arbitrary<number[]> {
  const largest = [minSize, 35, 17, 7, 4, 3, 3];
  return fc
    .integer({ min: minRank, max: maxRank })
    .chain((rank) => fc.array(sizes(minSize, largest[rank] ?? 2), { minLength: rank, maxLength: rank }));
}

export const tensors = (
  shape: readonly number[],
  domain?: Domain,
  kind?: ValueKind,
): fc.Arbitrary<CaseTensor> => seeds.map((seed) => seededTensor(shape, seed, domain, kind));

/** A shape that broadcasts with `shape` to `shape`: dimensions dropped at the front, others reduced to 1. */
export const broadcastable = (shape: readonly number[]): fc.Arbitrary<number[]> =>
  fc
    .tuple(
      fc.integer({ min: 0, max: shape.length }),
      fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }),
    )
    .map(([drop, ones]) => shape.map((size, d) => (ones[d] ? 1 : size)).slice(drop));

/** A dimension of a tensor of this rank, counted from either side. */
export const dims = (rank: number): fc.Arbitrary<number> =>
  fc.integer({ min: -Math.max(rank, 1), max: Math.max(rank, 1) - 1 });
