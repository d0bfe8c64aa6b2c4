// Batch normalisation and its kin.
import fc from 'fast-check';

import * as F from '../../../lib/functional';
import type { CaseRecord } from '../case-values';
import type { OpCase, OpEntry } from '../op-cases';
import { scaled } from '../op-cases';
import type { Domain } from '../op-values';
import { seededTensor, seeds } from '../op-values';
import { positional } from './call';

const values: Domain = [-4, 4];
const variances: Domain = [0.5, 4];

/** [n, c, ...] with a plane of 1 to 40 elements; some small enough to be checked by differences. */
const channelShapes: fc.Arbitrary<number[]> = fc.oneof(
  fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 3 })),
  fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 70 })),
  fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 40 })),
  fc.tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 9 }),
  ),
);

const product = (sizes: readonly number[]): number => sizes.reduce((p, s) => p * s, 1);

/** weight and bias [c], each perhaps left out. */
function affine(seed: number, shape: readonly number[], parts: number): Record<string, CaseRecord[string]> {
  return {
    ...((parts & 1) === 1 && { weight: seededTensor(shape, seed + 1, values, 'real') }),
    ...((parts & 2) === 2 && { bias: seededTensor(shape, seed + 2, values, 'real') }),
  };
}

const eps = fc.constantFrom(undefined, 1e-3, 0.25);

const batchNormCases: fc.Arbitrary<OpCase> = fc
  .tuple(
    seeds,
    channelShapes,
    fc.boolean(),
    fc.boolean(),
    fc.nat(3),
    fc.constantFrom(undefined, 0, 0.3, 1),
    eps,
    fc.constantFrom({}, {}, { relu: true }, { relu6: true }),
    fc.boolean(),
  )
  .map(([seed, drawn, training, running, parts, momentum, epsilon, range, adds]) => {
    const [n, c, ...rest] = drawn;
    // Training needs more than one value per channel, and with two far apart from each other nothing is left to check.
    const shape = training && n * product(rest) < 3 ? [3, c, ...rest] : drawn;
    const keep = running || !training;
    return {
      args: {
        input: seededTensor(shape, seed, values, 'real'),
        runningMean: keep ? seededTensor([c], seed + 3, values, 'real') : null,
        runningVar: keep ? seededTensor([c], seed + 4, variances, 'real') : null,
      },
      options: {
        ...affine(seed, [c], parts),
        training,
        ...(momentum !== undefined && { momentum }),
        ...(epsilon !== undefined && { eps: epsilon }),
        ...(adds && { add: seededTensor(shape, seed + 5, values, 'real') }),
        ...range,
      },
    };
  });

const large = (): OpCase => ({
  args: { input: seededTensor([6, 5, 50, 61], 1, values, 'real'), runningMean: null, runningVar: null },
  options: { ...affine(1, [5], 3), training: true },
});

export const normEntries: readonly OpEntry[] = [
  {
    op: 'batchNorm',
    call: positional(F.batchNorm),
    value: scaled(8),
    gradient: scaled(64),
    cases: batchNormCases,
    large,
  },
];
