// Reductions, running sums, order.
import fc from 'fast-check';

import * as lib from '../../../lib';
import type { CaseValue } from '../case-values';
import type { Accuracy, OpCase, OpCall, OpEntry } from '../op-cases';
import { exact, relative, scaled, sums } from '../op-cases';
import type { Domain } from '../op-values';
import { dims, seededTensor, shapes, tensors } from '../op-values';
import { positional, positionalOrOmitted } from './call';

/** Nothing, one dimension or several distinct ones, counted from either side. */
const dimLists = (rank: number): fc.Arbitrary<CaseValue> =>
  fc.oneof(
    fc.constant(null),
    dims(rank),
    fc
      .subarray(
        Array.from({ length: rank }, (_, d) => d),
        { minLength: Math.min(rank, 1) },
      )
      .map((list) => list.map((d) => (d % 2 === 0 ? d : d - rank))),
  );

const keepdims = fc.constantFrom({}, { keepdim: true }, { keepdim: false });

interface ReductionCases {
  readonly domain?: Domain;
  /** false: one dimension at most. */
  readonly several?: boolean;
  readonly minSize?: number;
  readonly options?: fc.Arbitrary<OpCase['options']>;
}

const reductionCases = ({
  domain,
  several = true,
  minSize = 0,
  options,
}: ReductionCases): fc.Arbitrary<OpCase> =>
  shapes(1, 4, minSize).chain((shape) =>
    fc
      .tuple(
        tensors(shape, domain),
        several ? dimLists(shape.length) : fc.oneof(fc.constant(null), dims(shape.length)),
        keepdims,
        options ?? fc.constant({}),
      )
      .map(([input, dim, keepdim, more]) => ({
        args: { input, dim },
        // Without a dimension max and min take no options.
        options: dim === null && !several ? {} : { ...keepdim, ...more },
      })),
  );

function reduction(
  op: string,
  call: OpCall,
  value: Accuracy,
  gradient: Accuracy,
  cases: ReductionCases = {},
): OpEntry {
  return {
    op,
    call,
    value,
    gradient,
    cases: reductionCases(cases),
    large: () => ({
      args: { input: seededTensor([7, 150, 130], 1, cases.domain, 'real'), dim: 1 },
      options: {},
    }),
  };
}

const corrections = fc.constantFrom({}, { correction: 0 });
const exponents = fc.constantFrom(
  {},
  { p: 0 },
  { p: 1 },
  { p: 1.5 },
  { p: 3 },
  { p: Infinity },
  { p: -Infinity },
);
const call = positionalOrOmitted;

const reductions = [
  reduction('sum', call(lib.sum), sums(), exact),
  reduction('mean', call(lib.mean), sums(), relative(2), { minSize: 1 }),
  reduction('var', call(lib.variance), scaled(16), scaled(8), { minSize: 2, options: corrections }),
  reduction('std', call(lib.std), scaled(16), scaled(8), { minSize: 2, options: corrections }),
  reduction('norm', call(lib.norm), scaled(32), scaled(8), { minSize: 1, options: exponents }),
  reduction('logsumexp', call(lib.logsumexp), scaled(8), scaled(8), { minSize: 1 }),
  reduction('amax', call(lib.amax), exact, exact, { minSize: 1 }),
  reduction('amin', call(lib.amin), exact, exact, { minSize: 1 }),
  reduction('max', call(lib.max), exact, exact, { minSize: 1, several: false }),
  reduction('min', call(lib.min), exact, exact, { minSize: 1, several: false }),
  reduction('argmax', call(lib.argmax), exact, exact, { minSize: 1, several: false }),
  reduction('argmin', call(lib.argmin), exact, exact, { minSize: 1, several: false }),
];

// ---- along one dimension ----

const alongOne = fc
  .constant(null)
  .chain(() => shapes(1, 4, 0))
  .chain((shape) => fc.tuple(tensors(shape), dims(shape.length)));

const cumsum: OpEntry = {
  op: 'cumsum',
  call: positional(lib.cumsum),
  value: sums(),
  cases: alongOne.map(([input, dim]) => ({ args: { input, dim }, options: {} })),
  large: () => ({ args: { input: seededTensor([40, 50, 60], 1, [-1, 1], 'real'), dim: 1 }, options: {} }),
};

const sort: OpEntry = {
  op: 'sort',
  call: positional(lib.sort),
  value: exact,
  cases: fc.tuple(alongOne, fc.boolean()).map(([[input, dim], descending]) => ({
    args: { input, dim },
    options: descending ? { descending } : {},
  })),
  large: () => ({ args: { input: seededTensor([40, 50, 60], 1, [-1, 1], 'real'), dim: 1 }, options: {} }),
};

const topk: OpEntry = {
  op: 'topk',
  call: positional(lib.topk),
  value: exact,
  cases: fc
    .tuple(alongOne, fc.boolean(), fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([[input, dim], largest, part]) => ({
      args: { input, k: Math.round(part * (input.shape.at(dim) ?? 1)) },
      options: { dim, largest },
    })),
};

export const reductionEntries: readonly OpEntry[] = [...reductions, cumsum, sort, topk];
