// Ops that pick and place elements.
import fc from 'fast-check';

import * as lib from '../../../lib';
import type { OpCase, OpEntry } from '../op-cases';
import { exact, sums } from '../op-cases';
import { dims, seededIndices, seededTensor, seeds, shapes, sizes } from '../op-values';
import { positional } from './call';

interface Indexed {
  readonly shape: readonly number[];
  readonly dim: number;
  /** Shape of the index: any size along dim, at most the input's elsewhere. */
  readonly picked: readonly number[];
  readonly seed: number;
}

const indexed: fc.Arbitrary<Indexed> = shapes(1, 4).chain((shape) =>
  dims(shape.length).chain((dim) =>
    fc
      .tuple(seeds, ...shape.map((size) => sizes(0, size)))
      .map(([seed, ...picked]) => ({ shape, dim, picked, seed })),
  ),
);

const sizeOfDim = ({ shape, dim }: Indexed): number => shape.at(dim) ?? 1;

const gather: OpEntry = {
  op: 'gather',
  call: positional(lib.gather),
  value: exact,
  gradient: sums(),
  cases: indexed.map((draw) => ({
    args: {
      input: seededTensor(draw.shape, draw.seed),
      dim: draw.dim,
      index: seededIndices(draw.picked, draw.seed + 1, sizeOfDim(draw)),
    },
    options: {},
  })),
  large: () => ({
    args: { input: seededTensor([20, 30, 40], 1), dim: 1, index: seededIndices([20, 200, 30], 2, 30) },
    options: {},
  }),
};

/** Positions without repeats along dim: PyTorch leaves open which of several values stays. */
function distinctIndices({ picked, seed, dim, shape }: Indexed): ReturnType<typeof seededIndices> {
  const d = dim < 0 ? dim + shape.length : dim;
  const size = shape[d];
  const index = seededIndices(picked, seed, size);
  const inner = picked.slice(d + 1).reduce((p, n) => p * n, 1);
  return {
    ...index,
    data: index.data.map(
      (_, flat) => ((Math.floor(flat / inner) % picked[d]) * (size % 2 === 1 ? 2 : 1)) % size,
    ),
  };
}

const scatterCases = (withNumbers: boolean): fc.Arbitrary<OpCase> =>
  fc.tuple(indexed, fc.boolean()).map(([draw, isNumber]) => ({
    args: {
      input: seededTensor(draw.shape, draw.seed),
      dim: draw.dim,
      index: withNumbers ? distinctIndices(draw) : seededIndices(draw.picked, draw.seed + 1, sizeOfDim(draw)),
      src: isNumber && withNumbers ? 2.5 : seededTensor(draw.picked, draw.seed + 2),
    },
    options: {},
  }));

const scatterLarge = (): OpCase => ({
  args: {
    input: seededTensor([20, 50, 40], 1),
    dim: 1,
    index: seededIndices([20, 200, 30], 2, 50),
    src: seededTensor([20, 200, 30], 3, [-1, 1], 'real'),
  },
  options: {},
});

const indexSelect: OpEntry = {
  op: 'indexSelect',
  call: positional(lib.indexSelect),
  value: exact,
  gradient: sums(),
  cases: fc.tuple(indexed, sizes(0, 9)).map(([draw, count]) => ({
    args: {
      input: seededTensor(draw.shape, draw.seed),
      dim: draw.dim,
      index: seededIndices([count], draw.seed + 1, sizeOfDim(draw)),
    },
    options: {},
  })),
  large: () => ({
    args: { input: seededTensor([500, 70], 1), dim: 0, index: seededIndices([3000], 2, 500) },
    options: {},
  }),
};

const indexPairs: OpEntry = {
  op: 'indexPairs',
  call: positional((input: lib.Tensor, rows: lib.Tensor, columns: lib.Tensor) => input.at(rows, columns)),
  value: exact,
  gradient: sums(),
  cases: fc.tuple(shapes(2, 4), sizes(0, 9), seeds).map(([shape, count, seed]) => ({
    args: {
      input: seededTensor(shape, seed),
      rows: seededIndices([count], seed + 1, shape[0]),
      columns: seededIndices([count], seed + 2, shape[1]),
    },
    options: {},
  })),
  large: () => ({
    args: {
      input: seededTensor([50, 7, 70], 1),
      rows: seededIndices([3000], 2, 50),
      columns: seededIndices([3000], 3, 7),
    },
    options: {},
  }),
};

export const rearrangeEntries: readonly OpEntry[] = [
  gather,
  { op: 'scatter', call: positional(lib.scatter), value: exact, cases: scatterCases(true) },
  {
    op: 'scatterAdd',
    call: positional(lib.scatterAdd),
    value: sums(),
    cases: scatterCases(false),
    large: scatterLarge,
  },
  indexSelect,
  indexPairs,
];
