// Normalisations within a sample, and pooling by norms.
import fc from 'fast-check';

import * as F from '../../../lib/functional';
import type { CaseRecord } from '../case-values';
import type { OpCase, OpEntry } from '../op-cases';
import { scaled } from '../op-cases';
import { seededTensor, seeds } from '../op-values';
import { positional } from './call';

const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const imageShapes = fc.tuple(between(1, 3), between(1, 3), between(2, 4), between(2, 9));

function affine(seed: number, shape: readonly number[], parts: number): CaseRecord {
  return {
    ...((parts & 1) === 1 && { weight: seededTensor(shape, seed + 1, [-4, 4], 'real') }),
    ...((parts & 2) === 2 && { bias: seededTensor(shape, seed + 2, [-4, 4], 'real') }),
  };
}

const real = (shape: readonly number[], seed: number): ReturnType<typeof seededTensor> =>
  seededTensor(shape, seed, [-4, 4], 'real');

const layerCases: fc.Arbitrary<OpCase> = fc
  .tuple(seeds, imageShapes, between(1, 3), fc.nat(3))
  .map(([seed, shape, last, parts]) => {
    const normalizedShape = shape.slice(4 - last);
    return {
      args: { input: real(shape, seed), normalizedShape },
      options: affine(seed, normalizedShape, parts),
    };
  });

const groupCases: fc.Arbitrary<OpCase> = fc
  .tuple(seeds, imageShapes, between(1, 3), fc.nat(3))
  .map(([seed, [n, c, h, w], numGroups, parts]) => ({
    args: { input: real([n, c * numGroups, h, w], seed), numGroups },
    options: affine(seed, [c * numGroups], parts),
  }));

const instanceCases: fc.Arbitrary<OpCase> = fc
  .tuple(seeds, imageShapes, fc.nat(3), fc.boolean())
  .map(([seed, [n, c, h, w], parts, running]) => ({
    args: {
      input: real([n, c, h, w + 1], seed),
      runningMean: running ? real([c], seed + 3) : null,
      runningVar: running ? seededTensor([c], seed + 4, [0.5, 4], 'real') : null,
    },
    options: affine(seed, [c], parts),
  }));

const responseCases: fc.Arbitrary<OpCase> = fc
  .tuple(seeds, imageShapes, between(1, 5))
  .map(([seed, shape, size]) => ({ args: { input: real(shape, seed), size }, options: { alpha: 0.5 } }));

const lpCases = (rank: 1 | 2): fc.Arbitrary<OpCase> =>
  fc.tuple(seeds, fc.constantFrom(1, 2, 3), between(1, 3), between(0, 6)).map(([seed, p, kernel, more]) => ({
    args: {
      // positive, so that roots of odd powers have derivatives
      input: seededTensor([2, 2, ...new Array<number>(rank).fill(kernel + more)], seed, [0.5, 4], 'real'),
      normType: p,
      kernelSize: kernel,
    },
    options: {},
  }));

export const sampleNormEntries: readonly OpEntry[] = [
  {
    op: 'layerNorm',
    call: positional(F.layerNorm),
    value: scaled(64),
    cases: layerCases,
    large: () => ({ args: { input: real([64, 20, 60], 1), normalizedShape: [20, 60] }, options: {} }),
  },
  {
    op: 'groupNorm',
    call: positional(F.groupNorm),
    value: scaled(64),
    cases: groupCases,
    large: () => ({ args: { input: real([8, 12, 30, 30], 1), numGroups: 3 }, options: {} }),
  },
  {
    op: 'instanceNorm',
    call: positional(F.instanceNorm),
    value: scaled(64),
    cases: instanceCases,
    large: () => ({
      args: { input: real([8, 12, 30, 30], 1), runningMean: null, runningVar: null },
      options: {},
    }),
  },
  {
    op: 'localResponseNorm',
    call: positional(F.localResponseNorm),
    value: scaled(64),
    cases: responseCases,
    large: () => ({ args: { input: real([4, 12, 30, 30], 1), size: 5 }, options: {} }),
  },
  { op: 'lpPool1d', call: positional(F.lpPool1d), value: scaled(64), cases: lpCases(1) },
  { op: 'lpPool2d', call: positional(F.lpPool2d), value: scaled(64), cases: lpCases(2) },
];
