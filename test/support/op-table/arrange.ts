// Indexing in all its forms, masks, joining, and ops that put elements in another order.
import fc from 'fast-check';

import * as lib from '../../../lib';
import type { Index, Tensor } from '../../../lib';
import type { CaseValue } from '../case-values';
import type { OpCall, OpCase, OpEntry } from '../op-cases';
import { exact, relative, sums } from '../op-cases';
import type { CallValue } from '../op-values';
import {
  broadcastable,
  dims,
  seededIndices,
  seededMask,
  seededTensor,
  seeds,
  shapes,
  sizes,
  tensors,
} from '../op-values';
import { positional, positionalOrOmitted } from './call';

// ---- indexing ----

/** An entry of a case as `at` takes it: a list stands for slice(start, end, step). */
function indexEntry(entry: CallValue): Index {
  if (Array.isArray(entry)) {
    const [start, end, step] = entry as readonly number[];
    return lib.slice(start, end, step);
  }
  return entry as Index;
}

const entriesOf = (value: CallValue): Index[] => (value as readonly CallValue[]).map(indexEntry);

const callIndex: OpCall = ({ input, index }) => (input as Tensor).at(...entriesOf(index));

/** Writes into a copy, so that the case's own tensors stay as they are. */
const callSet: OpCall = ({ input, index, value }) =>
  (input as Tensor).clone().set(entriesOf(index), value as Tensor);

interface IndexDraw {
  readonly shape: readonly number[];
  readonly kinds: readonly string[];
  readonly seed: number;
  readonly tail: 'none' | 'ellipsis' | 'new';
}

const indexDraws = (kinds: readonly string[]): fc.Arbitrary<IndexDraw> =>
  shapes(1, 4).chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      kinds: fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: shape.length }),
      seed: seeds,
      tail: fc.constantFrom('none' as const, 'ellipsis' as const, 'new' as const),
    }),
  );

function entriesFor({ shape, kinds, seed, tail }: IndexDraw): CaseValue[] {
  const common = [1 + (seed % 2), 3];
  let dim = 0;
  const entries = kinds.flatMap((kind, i): CaseValue[] => {
    if (dim >= shape.length) return [];
    const size = shape[dim++];
    const signed = (index: ReturnType<typeof seededIndices>): CaseValue => ({
      ...index,
      data: index.data.map((v, k) => (k % 2 === 0 ? v : v - size)),
    });
    if (kind === 'number') return [(seed + i) % size];
    if (kind === 'range') return [[seed % size, size, 1 + (seed % 3)]];
    if (kind === 'list') return [signed(seededIndices([3], seed + i, size))];
    if (kind === 'matrix') return [signed(seededIndices(common, seed + i, size))];
    if (kind === 'column') return [signed(seededIndices([common[0], 1], seed + i, size))];
    if (kind === 'all') return [':'];
    // A mask with exactly three true elements, so that it broadcasts with the lists.
    if (size < 3) return [signed(seededIndices([1], seed + i, size))];
    return [
      { shape: [size], data: Float64Array.from({ length: size }, (_, k) => Number(k < 3)), dtype: 'bool' },
    ];
  });
  if (tail === 'new') return [null, ...entries];
  return tail === 'ellipsis' ? [...entries, '...'] : entries;
}

const index: OpEntry = {
  op: 'index',
  call: callIndex,
  value: exact,
  gradient: sums(),
  cases: indexDraws(['number', 'range', 'list', 'list', 'matrix', 'column', 'all', 'mask']).map((draw) => ({
    args: { input: seededTensor(draw.shape, draw.seed), index: entriesFor(draw) },
    options: {},
  })),
};

/** Basic indices and at most one list without repeats, where it is clear what is written. */
const set: OpEntry = {
  op: 'set',
  call: callSet,
  value: exact,
  gradient: sums(),
  cases: indexDraws(['number', 'range', 'all'])
    .chain((draw) =>
      fc.tuple(fc.constant(draw), fc.boolean(), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 })),
    )
    .map(([draw, withList, ones]): OpCase => {
      const entries = entriesFor({ ...draw, tail: draw.tail === 'new' ? 'none' : draw.tail });
      const [size] = draw.shape;
      if (withList) {
        entries[0] = {
          shape: [size],
          data: Float64Array.from({ length: size }, (_, i) => size - 1 - i),
          dtype: 'int32',
        };
      }
      const selected = selectedShape(draw.shape, entries).map((n, d) => (ones[d] ? 1 : n));
      return {
        args: {
          input: seededTensor(draw.shape, draw.seed),
          index: entries,
          value: seededTensor(selected, draw.seed + 9),
        },
        options: {},
      };
    }),
};

function selectedShape(shape: readonly number[], entries: readonly CaseValue[]): number[] {
  const given = entries.filter((entry) => entry !== '...');
  const selected = given.flatMap((entry, d) => {
    if (typeof entry === 'number') return [];
    if (!Array.isArray(entry)) return [shape[d]];
    const [start, end, step] = entry as readonly number[];
    return [Math.ceil((end - start) / step)];
  });
  return [...selected, ...shape.slice(given.length)];
}

const maskedCases = (fill: boolean): fc.Arbitrary<OpCase> =>
  shapes(1, 3).chain((shape) =>
    fc
      .tuple(broadcastable(shape), broadcastable(shape), seeds, fc.boolean())
      .map(([input, mask, seed, isNumber]) => ({
        args: {
          input: seededTensor(input, seed),
          mask: seededMask(mask, seed + 1),
          ...(fill ? { value: isNumber ? 1.25 : seededTensor([], seed + 2) } : {}),
        },
        options: {},
      })),
  );

// ---- order ----

const flip: OpEntry = {
  op: 'flip',
  call: positional(lib.flip),
  value: exact,
  cases: shapes(1, 4, 0).chain((shape) =>
    fc
      .tuple(tensors(shape), fc.subarray([...shape.keys()]))
      .map(([input, list]) => ({ args: { input, dims: list.map((d) => d - shape.length) }, options: {} })),
  ),
};

const roll: OpEntry = {
  op: 'roll',
  call: positionalOrOmitted(lib.roll),
  value: exact,
  cases: shapes(1, 4, 0).chain((shape) =>
    fc
      .tuple(
        tensors(shape),
        fc.array(dims(shape.length), { maxLength: 3 }),
        fc.array(sizes(-9, 9), { minLength: 3, maxLength: 3 }),
      )
      .map(([input, list, shifts]) => ({
        args:
          list.length === 0
            ? { input, shifts: [shifts[0]], dims: null }
            : { input, shifts: shifts.slice(0, list.length), dims: list },
        options: {},
      })),
  ),
};

const repeatCases = (name: 'repeats' | 'dims'): fc.Arbitrary<OpCase> =>
  shapes(0, 3, 0).chain((shape) =>
    fc
      .tuple(
        tensors(shape),
        fc.array(sizes(0, 3), { minLength: name === 'dims' ? 0 : shape.length, maxLength: shape.length + 1 }),
      )
      .map(([input, counts]) => ({ args: { input, [name]: counts }, options: {} })),
  );

const movedim: OpEntry = {
  op: 'movedim',
  call: positional(lib.movedim),
  value: exact,
  cases: shapes(1, 4).chain((shape) => {
    const all = [...shape.keys()];
    return fc
      .tuple(tensors(shape), fc.shuffledSubarray(all), fc.shuffledSubarray(all, { minLength: shape.length }))
      .map(([input, source, places]) => ({
        args: { input, source, destination: places.slice(0, source.length).map((d) => d - shape.length) },
        options: {},
      }));
  }),
};

const argsort: OpEntry = {
  op: 'argsort',
  call: positional(lib.argsort),
  value: exact,
  cases: shapes(1, 4, 0).chain((shape) =>
    fc
      .tuple(tensors(shape), dims(shape.length), fc.boolean())
      .map(([input, dim, descending]) => ({ args: { input, dim }, options: { descending } })),
  ),
};

// ---- joining ----

const cat: OpEntry = {
  op: 'cat',
  call: positional((first: Tensor, second: Tensor, dim: number) => lib.cat([first, second], dim)),
  value: exact,
  cases: shapes(1, 4, 0).chain((shape) =>
    fc.tuple(dims(shape.length), sizes(0, 5), seeds).map(([dim, size, seed]) => ({
      args: {
        first: seededTensor(shape, seed),
        second: seededTensor(
          shape.map((n, d) => (d === dim || d === dim + shape.length ? size : n)),
          seed + 1,
        ),
        dim,
      },
      options: {},
    })),
  ),
};

const stack: OpEntry = {
  op: 'stack',
  call: positional((first: Tensor, second: Tensor, dim: number) => lib.stack([first, second], dim)),
  value: exact,
  cases: shapes(0, 4, 0).chain((shape) =>
    fc.tuple(dims(shape.length + 1), seeds).map(([dim, seed]) => ({
      args: { first: seededTensor(shape, seed), second: seededTensor(shape, seed + 1), dim },
      options: {},
    })),
  ),
};

// ---- products and questions ----

const vectorCases = (sameLength: boolean): fc.Arbitrary<OpCase> =>
  fc.tuple(sizes(sameLength ? 1 : 0, 35), sizes(0, 9), seeds).map(([n, m, seed]) => ({
    args: { input: seededTensor([n], seed), other: seededTensor([sameLength ? n : m], seed + 1) },
    options: {},
  }));

const dimCases = (
  input: (shape: number[]) => fc.Arbitrary<ReturnType<typeof seededTensor>>,
): fc.Arbitrary<OpCase> =>
  shapes(1, 4, 0).chain((shape) =>
    fc
      .tuple(
        input(shape),
        fc.oneof(fc.constant(null), dims(shape.length), fc.subarray([...shape.keys()], { minLength: 1 })),
        fc.constantFrom({}, { keepdim: true }),
      )
      .map(([tensor, dim, options]) => ({ args: { input: tensor, dim }, options })),
  );

/** Mostly zeros or mostly ones, so that both answers occur. */
const bits = (shape: number[]): fc.Arbitrary<ReturnType<typeof seededTensor>> =>
  fc.tuple(seeds, fc.boolean()).map(([seed, mostly]) => {
    const { data } = seededTensor(shape, seed, [0, 1], 'real');
    return { shape, data: data.map((v) => Number(v < (mostly ? 0.9 : 0.1))) };
  });

const prod: OpEntry = {
  op: 'prod',
  call: positionalOrOmitted(lib.prod),
  value: relative(4),
  gradient: relative(8),
  cases: dimCases((shape) => tensors(shape, [-1.5, 1.5])),
};

export const arrangeEntries: readonly OpEntry[] = [
  index,
  set,
  {
    op: 'maskedFill',
    call: positional(lib.maskedFill),
    value: exact,
    gradient: sums(),
    cases: maskedCases(true),
  },
  {
    op: 'maskedSelect',
    call: positional(lib.maskedSelect),
    value: exact,
    gradient: sums(),
    cases: maskedCases(false),
  },
  flip,
  roll,
  {
    op: 'repeat',
    call: positional(lib.repeat),
    value: exact,
    gradient: sums(),
    cases: repeatCases('repeats'),
  },
  { op: 'tile', call: positional(lib.tile), value: exact, gradient: sums(), cases: repeatCases('dims') },
  movedim,
  argsort,
  cat,
  stack,
  { op: 'outer', call: positional(lib.outer), value: exact, gradient: sums(), cases: vectorCases(false) },
  { op: 'dot', call: positional(lib.dot), value: sums(), cases: vectorCases(true) },
  prod,
  { op: 'any', call: positionalOrOmitted(lib.any), value: exact, cases: dimCases(bits) },
  { op: 'all', call: positionalOrOmitted(lib.all), value: exact, cases: dimCases(bits) },
];
