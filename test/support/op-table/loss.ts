// Losses, with every reduction.
import fc from 'fast-check';

import * as F from '../../../lib/functional';
import type { CaseRecord, CaseTensor } from '../case-values';
import type { OpCase, OpEntry } from '../op-cases';
import { scaled } from '../op-cases';
import type { Domain } from '../op-values';
import { broadcastable, seededIndices, seededTensor, seeds, shapes } from '../op-values';
import { positional } from './call';

const values: Domain = [-4, 4];
const unit: Domain = [0, 1];

const reduction = fc.constantFrom<CaseRecord>(
  {},
  { reduction: 'none' },
  { reduction: 'mean' },
  { reduction: 'sum' },
);

/** [c], [n, c] or [n, c, ...] with a few classes, or many. */
const classShapes: fc.Arbitrary<number[]> = fc.oneof(
  fc.tuple(fc.integer({ min: 1, max: 9 })),
  fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })),
  fc.tuple(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 40 })),
  fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 35 })),
  fc.tuple(
    fc.integer({ min: 1, max: 2 }),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 4 }),
  ),
);

const withoutClasses = (shape: readonly number[]): number[] =>
  shape.filter((_, d) => d !== (shape.length === 1 ? 0 : 1));

const classesOf = (shape: readonly number[]): number => shape[shape.length === 1 ? 0 : 1];

/** Targets of which some have the index that is ignored, but not all: their mean is another test's. */
function indexTarget(shape: readonly number[], seed: number, ignored: number | undefined): CaseTensor {
  const target = seededIndices(withoutClasses(shape), seed, classesOf(shape));
  if (ignored === undefined) return target;
  const data = target.data.map((t, i) => (i % 3 === 1 ? ignored : t));
  if (data[0] === ignored) data[0] = ignored === 0 && classesOf(shape) > 1 ? 1 : 0;
  return { ...target, data };
}

interface ClassDraw {
  readonly smoothing: boolean;
  readonly probabilities: boolean;
}

function classCases({ smoothing, probabilities }: ClassDraw): fc.Arbitrary<OpCase> {
  return fc
    .tuple(
      classShapes,
      seeds,
      reduction,
      fc.boolean(),
      fc.constantFrom(undefined, -100, 0),
      fc.constantFrom(0, 0, 0.1, 0.5, 1),
      fc.boolean(),
    )
    .map(([shape, seed, reduced, weighted, ignored, labelSmoothing, shares]) => {
      const c = classesOf(shape);
      const asShares = probabilities && shares;
      // With one class, index 0 is all there is: nothing else could be the target.
      const ignoreIndex = asShares || (ignored === 0 && c === 1) ? undefined : ignored;
      const input = seededTensor(shape, seed, values, 'real');
      const target = asShares
        ? seededTensor(shape, seed + 1, unit, 'real')
        : indexTarget(shape, seed + 1, ignoreIndex);
      return {
        args: { input, target },
        options: {
          ...reduced,
          ...(weighted && { weight: seededTensor([c], seed + 2, [0.25, 2], 'real') }),
          ...(ignoreIndex !== undefined && { ignoreIndex }),
          ...(smoothing && labelSmoothing > 0 && { labelSmoothing }),
        },
      };
    });
}

/** Input and target of one shape, the target perhaps in another range. */
const pairs = (
  input: Domain,
  target: Domain,
  more: (seed: number, shape: readonly number[]) => fc.Arbitrary<CaseRecord> = () => fc.constant({}),
): fc.Arbitrary<OpCase> =>
  fc
    .tuple(shapes(1, 4), seeds, reduction)
    .chain(([shape, seed, reduced]) => fc.tuple(fc.constant({ shape, seed, reduced }), more(seed, shape)))
    .map(([{ shape, seed, reduced }, options]) => ({
      args: {
        input: seededTensor(shape, seed, input, 'real'),
        target: seededTensor(shape, seed + 1, target, 'real'),
      },
      options: { ...reduced, ...options },
    }));

/** Weights that broadcast to the input, under each of the names or left out. */
const weights =
  (...names: readonly string[]) =>
  (seed: number, shape: readonly number[]): fc.Arbitrary<CaseRecord> =>
    fc
      .tuple(...names.map(() => fc.option(broadcastable(shape))))
      .map((drawn) =>
        Object.fromEntries(
          drawn.flatMap((own, i) =>
            own === null ? [] : [[names[i], seededTensor(own, seed + 2 + i, [0.25, 2], 'real')]],
          ),
        ),
      );

const oneOf =
  (...options: readonly CaseRecord[]) =>
  (): fc.Arbitrary<CaseRecord> =>
    fc.constantFrom(...options);

/** Class probabilities; cross entropy of class indices among threads is in functional/loss.test.ts. */
const large = (): OpCase => ({
  args: {
    input: seededTensor([500, 60], 1, values, 'real'),
    target: seededTensor([500, 60], 2, unit, 'real'),
  },
  options: { labelSmoothing: 0.1 },
});

const largeImages = (): OpCase => ({
  args: { input: seededTensor([3, 7, 1100], 1, values, 'real'), target: seededIndices([3, 1100], 2, 7) },
  options: { weight: seededTensor([7], 3, [0.25, 2]) },
});

/** What a loss sums is as large as its inputs, so their scale is that of the errors. */
const value = scaled(8);

export const lossEntries: readonly OpEntry[] = [
  {
    op: 'crossEntropy',
    call: positional(F.crossEntropy),
    value,
    cases: classCases({ smoothing: true, probabilities: true }),
    large,
  },
  {
    op: 'nllLoss',
    call: positional(F.nllLoss),
    value,
    cases: classCases({ smoothing: false, probabilities: false }),
    large: largeImages,
  },
  { op: 'mseLoss', call: positional(F.mseLoss), value, cases: pairs(values, values) },
  { op: 'l1Loss', call: positional(F.l1Loss), value, cases: pairs(values, values) },
  {
    op: 'smoothL1Loss',
    call: positional(F.smoothL1Loss),
    value,
    cases: pairs(values, values, oneOf({}, { beta: 0.25 }, { beta: 3 })),
  },
  {
    op: 'huberLoss',
    call: positional(F.huberLoss),
    value,
    cases: pairs(values, values, oneOf({}, { delta: 0.25 }, { delta: 3 })),
  },
  {
    op: 'binaryCrossEntropy',
    call: positional(F.binaryCrossEntropy),
    value,
    cases: pairs([1 / 16, 15 / 16], unit, weights('weight')),
  },
  {
    op: 'binaryCrossEntropyWithLogits',
    call: positional(F.binaryCrossEntropyWithLogits),
    value,
    cases: pairs(values, unit, weights('weight', 'posWeight')),
  },
  {
    op: 'klDiv',
    call: positional(F.klDiv),
    value,
    cases: pairs([-4, 0], unit, oneOf({}, { reduction: 'batchmean' }, { logTarget: true })),
  },
];
