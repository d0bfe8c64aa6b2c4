// Padding, columns of windows, resizing, pixels from channels, rows of tables.
import fc from 'fast-check';

import * as F from '../../../lib/functional';
import type { CaseRecord } from '../case-values';
import type { OpCase, OpEntry } from '../op-cases';
import { exact, scaled, sums } from '../op-cases';
import { seededIndices, seededTensor, seeds } from '../op-values';
import { positional } from './call';

const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const pairOf = (min: number, max: number): fc.Arbitrary<[number, number]> =>
  fc.tuple(between(min, max), between(min, max));

const padCases: fc.Arbitrary<OpCase> = fc
  .record({
    seed: seeds,
    shape: fc.tuple(between(0, 2), between(1, 3), between(2, 6), between(2, 19)),
    mode: fc.constantFrom('constant', 'reflect', 'replicate', 'circular'),
    width: pairOf(0, 1),
    height: pairOf(0, 1),
    crop: between(-1, 0),
    value: fc.constantFrom(0, -1.5),
  })
  .map(({ seed, shape, mode, width, height, crop, value }) => ({
    args: {
      input: seededTensor(shape, seed),
      padding: mode === 'constant' ? [...width, ...height, crop + 1, 1] : [...width, ...height],
    },
    options: mode === 'constant' ? { value } : { mode },
  }));

interface WindowDraw {
  readonly seed: number;
  readonly lead: number[];
  readonly kernel: [number, number];
  readonly stride: [number, number];
  readonly dilation: [number, number];
  readonly padding: [number, number];
  readonly more: [number, number];
}

const windowDraws: fc.Arbitrary<WindowDraw> = fc.record({
  seed: seeds,
  lead: fc.oneof(fc.tuple(between(0, 2), between(1, 3)), fc.tuple(between(1, 3))),
  kernel: pairOf(1, 3),
  stride: pairOf(1, 3),
  dilation: pairOf(1, 2),
  padding: pairOf(0, 2),
  more: pairOf(0, 9),
});

const imageSize = (d: WindowDraw): number[] =>
  d.kernel.map((k, i) => Math.max(1, d.dilation[i] * (k - 1) + 1 - 2 * d.padding[i]) + d.more[i]);

const windowOptions = ({ stride, dilation, padding }: WindowDraw): CaseRecord => ({
  stride,
  dilation,
  padding,
});

const unfoldCases: fc.Arbitrary<OpCase> = windowDraws.map((d) => ({
  args: { input: seededTensor([...d.lead, ...imageSize(d)], d.seed), kernelSize: d.kernel },
  options: windowOptions(d),
}));

const foldCases: fc.Arbitrary<OpCase> = windowDraws.map((d) => {
  const size = imageSize(d);
  const windows = size.map(
    (s, i) => Math.floor((s + 2 * d.padding[i] - d.dilation[i] * (d.kernel[i] - 1) - 1) / d.stride[i]) + 1,
  );
  const [channels, ...batch] = [...d.lead].reverse();
  const columns = [...batch, channels * d.kernel[0] * d.kernel[1], windows[0] * windows[1]];
  return {
    args: { input: seededTensor(columns, d.seed), outputSize: size, kernelSize: d.kernel },
    options: windowOptions(d),
  };
});

const interpolateCases: fc.Arbitrary<OpCase> = fc
  .record({
    seed: seeds,
    shape: fc.tuple(between(0, 2), between(1, 2), between(1, 6), between(1, 8)),
    size: pairOf(1, 11),
    mode: fc.constantFrom('nearest', 'bilinear'),
    alignCorners: fc.boolean(),
  })
  .map(({ seed, shape, size, mode, alignCorners }) => ({
    args: { input: seededTensor(shape, seed) },
    options: mode === 'nearest' ? { size } : { size, mode, alignCorners },
  }));

const shuffleCases: fc.Arbitrary<OpCase> = fc
  .record({
    seed: seeds,
    n: between(0, 2),
    c: between(1, 3),
    h: between(1, 4),
    w: between(1, 5),
    r: between(1, 3),
  })
  .map(({ seed, n, c, h, w, r }) => ({
    args: { input: seededTensor([n, c * r * r, h, w], seed), upscaleFactor: r },
    options: {},
  }));

const embeddingCases: fc.Arbitrary<OpCase> = fc
  .record({
    seed: seeds,
    shape: fc.array(between(0, 4), { maxLength: 3 }),
    count: between(1, 9),
    features: between(1, 17),
  })
  // paddingIdx stops a gradient on purpose, so differences do not apply: fixtures cover it
  .map(({ seed, shape, count, features }) => ({
    args: { indices: seededIndices(shape, seed, count), weight: seededTensor([count, features], seed + 1) },
    options: {},
  }));

export const imageEntries: readonly OpEntry[] = [
  {
    op: 'pad',
    call: positional(F.pad),
    value: exact,
    gradient: sums(),
    cases: padCases,
    large: () => ({
      args: { input: seededTensor([4, 8, 40, 40], 1), padding: [3, 3, 2, 2] },
      options: { mode: 'reflect' },
    }),
  },
  {
    op: 'unfold',
    call: positional(F.unfold),
    value: exact,
    gradient: sums(),
    cases: unfoldCases,
    large: () => ({
      args: { input: seededTensor([4, 8, 30, 30], 1), kernelSize: 3 },
      options: { padding: 1 },
    }),
  },
  {
    op: 'fold',
    call: positional(F.fold),
    value: sums(),
    cases: foldCases,
    large: () => ({
      args: { input: seededTensor([4, 72, 900], 1), outputSize: [30, 30], kernelSize: 3 },
      options: { padding: 1 },
    }),
  },
  {
    op: 'interpolate',
    call: positional(F.interpolate),
    value: scaled(8),
    cases: interpolateCases,
    large: () => ({
      args: { input: seededTensor([2, 4, 30, 30], 1) },
      options: { scaleFactor: 3, mode: 'bilinear', alignCorners: false },
    }),
  },
  {
    op: 'pixelShuffle',
    call: positional(F.pixelShuffle),
    value: exact,
    cases: shuffleCases,
    large: () => ({ args: { input: seededTensor([4, 36, 20, 20], 1), upscaleFactor: 3 }, options: {} }),
  },
  {
    op: 'embedding',
    call: positional(F.embedding),
    value: exact,
    gradient: sums(),
    cases: embeddingCases,
    large: () => ({
      args: { indices: seededIndices([2000], 1, 300), weight: seededTensor([300, 64], 2) },
      options: {},
    }),
  },
];
