// Convolution and transposed convolution of every rank.
import fc from 'fast-check';

import * as F from '../../../lib/functional';
import type { CaseRecord, CaseTensor } from '../case-values';
import type { OpCase, OpEntry } from '../op-cases';
import { sums } from '../op-cases';
import type { ValueKind } from '../op-values';
import { seededTensor, seeds } from '../op-values';
import { positional } from './call';

type Rank = 1 | 2 | 3;

/** Sizes, strides and so on of one call, one entry per spatial dimension. */
interface Draw {
  readonly seed: number;
  readonly n: number;
  readonly batched: boolean;
  readonly groups: number;
  readonly channels: readonly [number, number];
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: readonly number[];
  readonly outputPadding: readonly number[];
  readonly more: readonly number[];
  readonly form: 'list' | 'number' | 'same' | 'valid' | 'default';
  readonly bias: boolean;
  readonly kind: ValueKind;
}

const draws = (rank: Rank): fc.Arbitrary<Draw> => {
  const each = (min: number, max: number): fc.Arbitrary<number[]> =>
    fc.array(fc.integer({ min, max }), { minLength: rank, maxLength: rank });
  return fc.record({
    seed: seeds,
    n: fc.integer({ min: 0, max: rank === 3 ? 2 : 3 }),
    batched: fc.boolean(),
    groups: fc.constantFrom(1, 1, 2, 3),
    channels: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
    kernel: each(1, rank === 1 ? 6 : 3),
    stride: each(1, 3),
    dilation: each(1, rank === 3 ? 2 : 3),
    padding: each(0, 2),
    outputPadding: each(0, 2),
    more: each(0, [0, 30, 8, 3][rank]),
    form: fc.constantFrom(
      'list' as const,
      'number' as const,
      'same' as const,
      'valid' as const,
      'default' as const,
    ),
    bias: fc.boolean(),
    kind: fc.constantFrom<ValueKind>('grid', 'real'),
  });
};

/** Values whose products and sums are exact in float32, or any. */
const values = (shape: readonly number[], seed: number, kind: ValueKind): CaseTensor => {
  if (kind === 'real') return seededTensor(shape, seed, [-2, 2], 'real');
  const { data } = seededTensor(shape, seed, [-2, 2], 'real');
  return { shape, data: data.map((v) => Math.round(4 * v)) };
};

const leading = (draw: Draw, channels: number): number[] => (draw.batched ? [draw.n, channels] : [channels]);

/** The options of a draw as this form writes them; leaves out what the form does not set. */
function optionsOf(
  draw: Draw,
  keys: readonly ('stride' | 'dilation' | 'padding' | 'outputPadding')[],
): CaseRecord {
  const groups = draw.groups === 1 ? {} : { groups: draw.groups };
  if (draw.form === 'default') return groups;
  const written = keys.map((key) => [key, draw.form === 'number' ? draw[key][0] : draw[key]] as const);
  return { ...Object.fromEntries(written), ...groups };
}

const perDimension = (
  draw: Draw,
  key: 'stride' | 'dilation' | 'padding' | 'outputPadding',
  d: number,
): number => {
  if (draw.form === 'default') return key === 'stride' || key === 'dilation' ? 1 : 0;
  return draw.form === 'number' ? draw[key][0] : draw[key][d];
};

function convCase(draw: Draw): OpCase {
  const { seed, kind, groups } = draw;
  const [cIn, cOut] = draw.channels.map((c) => c * groups);
  const named = draw.form === 'same' || draw.form === 'valid';
  const size = draw.kernel.map((k, d) => {
    const reach = perDimension(draw, 'dilation', d) * (k - 1) + 1;
    const padding =
      draw.form === 'same' ? reach - 1 : draw.form === 'valid' ? 0 : 2 * perDimension(draw, 'padding', d);
    return Math.max(1, reach - padding) + draw.more[d];
  });
  const options = named
    ? { padding: draw.form, ...optionsOf(draw, draw.form === 'same' ? ['dilation'] : ['dilation', 'stride']) }
    : optionsOf(draw, ['stride', 'padding', 'dilation']);
  return {
    args: {
      input: values([...leading(draw, cIn), ...size], seed, kind),
      weight: values([cOut, cIn / groups, ...draw.kernel], seed + 1, kind),
      bias: draw.bias ? values([cOut], seed + 2, kind) : null,
    },
    options,
    exact: kind === 'grid',
  };
}

function convTransposeCase(draw: Draw): OpCase | null {
  const { seed, kind, groups } = draw;
  const [cIn, cOut] = draw.channels.map((c) => c * groups);
  const size = draw.more.map((m) => 1 + m);
  const fits = draw.kernel.every((k, d) => {
    const at = (key: Parameters<typeof perDimension>[1]): number => perDimension(draw, key, d);
    const full = (size[d] - 1) * at('stride') + at('dilation') * (k - 1) + 1 + at('outputPadding');
    return full > 2 * at('padding') && at('outputPadding') < Math.max(at('stride'), at('dilation'));
  });
  if (!fits || draw.form === 'same' || draw.form === 'valid') return null;
  return {
    args: {
      input: values([...leading(draw, cIn), ...size], seed, kind),
      weight: values([cIn, cOut / groups, ...draw.kernel], seed + 1, kind),
      bias: draw.bias ? values([cOut], seed + 2, kind) : null,
    },
    options: optionsOf(draw, ['stride', 'padding', 'outputPadding', 'dilation']),
    exact: kind === 'grid',
  };
}

const present = (c: OpCase | null): c is OpCase => c !== null;

/** Enough work for several threads. */
function largeCase(rank: Rank, transposed: boolean): OpCase {
  const [cIn, cOut] = [12, 20];
  const kernel = new Array<number>(rank).fill(3);
  return {
    args: {
      input: seededTensor([9, cIn, ...[[], [500], [28, 23], [9, 8, 9]][rank]], 1, [-1, 1], 'real'),
      weight: seededTensor([...(transposed ? [cIn, cOut] : [cOut, cIn]), ...kernel], 2, [-1, 1], 'real'),
      bias: seededTensor([cOut], 3, [-1, 1], 'real'),
    },
    options: { padding: 1 },
  };
}

export const convEntries: readonly OpEntry[] = ([1, 2, 3] as const).flatMap((rank) => [
  {
    op: `conv${rank}d`,
    call: positional(F[`conv${rank}d`]),
    value: sums(),
    cases: draws(rank).map(convCase),
    large: () => largeCase(rank, false),
  },
  {
    op: `convTranspose${rank}d`,
    call: positional(F[`convTranspose${rank}d`]),
    value: sums(),
    cases: draws(rank).map(convTransposeCase).filter(present),
    large: () => largeCase(rank, true),
  },
]);
