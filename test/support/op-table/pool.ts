// Max, average and adaptive pooling and unpooling of every rank.
import fc from 'fast-check';

import * as F from '../../../lib/functional';
import type { CaseRecord, CaseTensor } from '../case-values';
import { sizeOf } from '../nd-array';
import type { OpCase, OpEntry } from '../op-cases';
import { exact, sums } from '../op-cases';
import { seededTensor, seeds } from '../op-values';
import { positional } from './call';

type Rank = 1 | 2 | 3;
const ranks: readonly Rank[] = [1, 2, 3];

/** One call, one entry per spatial dimension. */
interface Draw {
  readonly seed: number;
  readonly lead: readonly number[];
  readonly kernel: readonly number[];
  readonly stride: readonly number[] | null;
  readonly dilation: readonly number[];
  readonly padding: readonly number[];
  readonly more: readonly number[];
  readonly ceilMode: boolean;
  readonly real: boolean;
}

const each = (rank: Rank, min: number, max: number): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min, max }), { minLength: rank, maxLength: rank });

const leads: fc.Arbitrary<number[]> = fc.oneof(
  fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 3 })),
  fc.tuple(fc.integer({ min: 1, max: 3 })),
);

/** Some planes are small enough to be checked by differences, some wider than the widest vector. */
const largest = (rank: Rank): fc.Arbitrary<number> => fc.constantFrom(2, [0, 40, 20, 6][rank]);

const draws = (rank: Rank, dilated: boolean): fc.Arbitrary<Draw> =>
  largest(rank).chain((more) =>
    fc.record({
      seed: seeds,
      lead: leads,
      kernel: each(rank, 1, rank === 1 ? 7 : 4),
      stride: fc.oneof(fc.constant(null), each(rank, 1, 4), each(rank, 2, 2)),
      dilation: dilated ? each(rank, 1, 3) : fc.constant(new Array<number>(rank).fill(1)),
      padding: each(rank, 0, 2),
      more: each(rank, 0, more),
      ceilMode: fc.boolean(),
      real: fc.boolean(),
    }),
  );

/**
 * The draw as sizes that make sense: padding at most half the window, input at least as large as the window and not
 * so small that it falls between the cells of a dilated one.
 */
function windowsOf(draw: Draw): { shape: number[]; padding: number[] } {
  const reach = draw.kernel.map((k, d) => draw.dilation[d] * (k - 1) + 1);
  const padding = draw.padding.map((p, d) => Math.min(p, Math.floor(reach[d] / 2)));
  const size = reach.map((r, d) => Math.max(draw.dilation[d], r - 2 * padding[d]) + draw.more[d]);
  return { shape: [...draw.lead, ...size], padding };
}

function optionsOf(draw: Draw, padding: readonly number[]): Record<string, CaseRecord[string]> {
  return {
    ...(draw.stride && { stride: draw.stride }),
    ...(padding.some((p) => p > 0) && { padding }),
    ...(draw.ceilMode && { ceilMode: true }),
  };
}

/** Distinct values, so that differences do not meet ties; real ones where sums have to be rounded. */
const input = (draw: Draw, shape: readonly number[]): CaseTensor =>
  seededTensor(shape, draw.seed, [-4, 4], draw.real ? 'real' : 'grid');

const maxCases = (rank: Rank): fc.Arbitrary<OpCase> =>
  draws(rank, true).map((draw) => {
    const { shape, padding } = windowsOf(draw);
    const dilation = draw.dilation.some((d) => d > 1) ? { dilation: draw.dilation } : {};
    return {
      args: { input: seededTensor(shape, draw.seed), kernelSize: draw.kernel },
      options: { ...optionsOf(draw, padding), ...dilation },
      exact: true,
    };
  });

const avgCases = (rank: Rank): fc.Arbitrary<OpCase> =>
  fc
    .tuple(draws(rank, false), fc.constantFrom(undefined, true, false), fc.constantFrom(null, null, 3, -2.5))
    .map(([draw, countIncludePad, divisorOverride]) => {
      const { shape, padding } = windowsOf(draw);
      return {
        args: { input: input(draw, shape), kernelSize: draw.kernel },
        options: {
          ...optionsOf(draw, padding),
          ...(countIncludePad !== undefined && { countIncludePad }),
          ...(divisorOverride !== null && { divisorOverride }),
        },
      };
    });

const adaptiveCases = (rank: Rank, isMax: boolean): fc.Arbitrary<OpCase> =>
  largest(rank).chain((more) =>
    fc
      .tuple(
        seeds,
        leads,
        each(rank, 1, more),
        fc.array(fc.constantFrom(1, 2, 3, 5, 7, null), { minLength: rank, maxLength: rank }),
        fc.boolean(),
      )
      .map(([seed, lead, size, outputSize, real]) => ({
        args: {
          input: seededTensor([...lead, ...size], seed, [-4, 4], real && !isMax ? 'real' : 'grid'),
          outputSize,
        },
        options: {},
        exact: isMax,
      })),
  );

/** Distinct positions in every plane, so that nothing is overwritten. */
const unpoolCases = (rank: Rank): fc.Arbitrary<OpCase> =>
  fc.tuple(seeds, leads, each(rank, 1, 4), each(rank, 1, 3)).map(([seed, lead, size, kernel]) => {
    const plane = sizeOf(size);
    const outPlane = size.reduce((product, s, d) => product * s * kernel[d], 1);
    const shape = [...lead, ...size];
    const data = Float64Array.from({ length: sizeOf(shape) }, (_, i) => {
      const at = i % plane;
      return Math.floor((at * outPlane) / plane) + ((seed + i) % Math.max(1, Math.floor(outPlane / plane)));
    });
    const indices: CaseTensor = { shape, data, dtype: 'int32' };
    return {
      args: { input: seededTensor(shape, seed), indices, kernelSize: kernel },
      options: {},
      exact: true,
    };
  });

const largeSize = { 1: [16, 8, 4001], 2: [4, 8, 61, 67], 3: [2, 4, 13, 21, 23] } as const;

const large = (rank: Rank, kernel: number, options: CaseRecord): (() => OpCase) => {
  return () => ({
    args: { input: seededTensor(largeSize[rank], 1, [-4, 4], 'real'), kernelSize: kernel },
    options: { ...options, stride: 2, padding: 1 },
  });
};

const largeAdaptive = (rank: Rank): (() => OpCase) => {
  return () => ({
    args: { input: seededTensor(largeSize[rank], 1, [-4, 4], 'real'), outputSize: 6 },
    options: {},
  });
};

export const poolEntries: readonly OpEntry[] = ranks.flatMap((rank): OpEntry[] => [
  {
    op: `maxPool${rank}d`,
    call: positional(F[`maxPool${rank}dWithIndices`]),
    value: exact,
    gradient: sums(),
    cases: maxCases(rank),
    large: large(rank, 3, { dilation: 1 }),
  },
  {
    op: `avgPool${rank}d`,
    call: positional(F[`avgPool${rank}d`]),
    value: sums(),
    cases: avgCases(rank),
    large: large(rank, 3, { countIncludePad: false }),
  },
  {
    op: `adaptiveAvgPool${rank}d`,
    call: positional(F[`adaptiveAvgPool${rank}d`]),
    value: sums(),
    cases: adaptiveCases(rank, false),
    large: largeAdaptive(rank),
  },
  {
    op: `adaptiveMaxPool${rank}d`,
    call: positional(F[`adaptiveMaxPool${rank}dWithIndices`]),
    value: exact,
    gradient: sums(),
    cases: adaptiveCases(rank, true),
    large: largeAdaptive(rank),
  },
  {
    op: `maxUnpool${rank}d`,
    call: positional(F[`maxUnpool${rank}d`]),
    value: exact,
    cases: unpoolCases(rank),
  },
]);
