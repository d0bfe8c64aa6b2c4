// What tensor operations refuse: every message with its type, and tensors that stay as they were.
import { describe, expect, test } from '@jest/globals';

import * as lib from '../../lib';
import type { Tensor } from '../../lib';
import * as F from '../../lib/functional';

const { DTypeError, GraphError, ShapeError, ones, slice, tensor, zeros } = lib;

const ints = (...values: number[]): Tensor => tensor(new Int32Array(values));
const x23 = zeros([2, 3]);
const leaf = ones([2], { requiresGrad: true });

/** Reaches past the types, as JavaScript users do. */
const untyped = (value: unknown): never => value as never;

type Kind = new (...args: never[]) => Error;
type Row = readonly [what: string, act: () => unknown, kind: Kind, message: string];

const refuses = (rows: readonly Row[]): void => {
  test.each(rows)('%s', (_, act, kind, message) => {
    expect(act).toThrow(kind);
    expect(act).toThrow(message);
  });
};

describe('elementwise', () => {
  refuses([
    [
      'no operand',
      () => F.add(untyped('a'), x23),
      TypeError,
      'add: input must be a Tensor or a number, got "a"',
    ],
    ['other', () => x23.mul(untyped(null)), TypeError, 'mul: other must be a Tensor or a number, got null'],
    ['two numbers', () => F.sub(1, 2), TypeError, 'sub: input must be a Tensor, got 1'],
    [
      'names',
      () => F.maximum(x23, untyped([])),
      TypeError,
      'maximum: other must be a Tensor or a number, got []',
    ],
    [
      'shapes',
      () => x23.add(zeros([2, 4])),
      ShapeError,
      'add: shapes [2, 3] and [2, 4] cannot be broadcast: dimension 1, got 3 and 4',
    ],
    [
      'unary',
      () => F.exp(untyped(3)),
      TypeError,
      'exp: input must be a Tensor, got number (make one with tensor',
    ],
    ['comparison', () => x23.gt(untyped('0')), TypeError, 'gt: other must be a Tensor or a number, got "0"'],
    [
      'compared shapes',
      () => x23.eq(zeros([4])),
      ShapeError,
      'eq: shapes [2, 3] and [4] cannot be broadcast',
    ],
    [
      'condition',
      () => F.where(untyped(true), 1, 2),
      TypeError,
      'where: condition must be a Tensor, got boolean',
    ],
    [
      'where',
      () => F.where(x23.gt(0), x23, untyped(undefined)),
      TypeError,
      'where: other must be a Tensor or a number, got undefined',
    ],
    ['where shapes', () => F.where(x23.gt(0), zeros([4]), 0), ShapeError, 'where: shapes [2, 3] and [4]'],
    [
      'clamp without bounds',
      () => x23.clamp({}),
      TypeError,
      'clamp: options must have min, max or both, got Object',
    ],
    ['clamp to NaN', () => x23.clamp({ min: NaN }), RangeError, 'clamp: min must be a number, got NaN'],
    [
      'clamp to text',
      () => x23.clamp({ max: untyped('1') }),
      TypeError,
      'clamp: max must be a number, got "1"',
    ],
    ['clampMin', () => x23.clampMin(NaN), RangeError, 'clampMin: min must be a number, got NaN'],
  ]);
});

describe('reductions', () => {
  refuses([
    ['dimension', () => x23.sum(2), RangeError, 'sum: dim must be an integer in -2..1, got 2'],
    ['fraction', () => x23.mean(0.5), RangeError, 'mean: dim must be an integer in -2..1, got 0.5'],
    ['text', () => x23.sum(untyped('0')), TypeError, 'sum: dim must be a number, got "0"'],
    ['twice', () => x23.amax([1, -1]), RangeError, 'amax: dim must not repeat, got [1, -1]'],
    ['no tensor', () => F.softmax(untyped([1]), 0), TypeError, 'softmax: input must be a Tensor'],
    [
      'correction',
      () => x23.var(0, { correction: NaN }),
      RangeError,
      'var: correction must be finite, got NaN',
    ],
    ['exponent', () => x23.norm(0, { p: NaN }), RangeError, 'norm: p must be a number, got NaN'],
    [
      'max of nothing',
      () => zeros([0]).max(),
      ShapeError,
      'max: input must not be empty along the reduced dimension, got [0]',
    ],
    [
      'norm of nothing',
      () => zeros([0]).norm(0, { p: Infinity }),
      ShapeError,
      'norm: input must not be empty',
    ],
    ['amin of nothing', () => zeros([2, 0]).amin(1), ShapeError, 'amin: input must not be empty'],
    ['argmax of nothing', () => zeros([0]).argmax(), ShapeError, 'argmax: input must not be empty'],
    ['min along nothing', () => zeros([2, 0]).min(1), ShapeError, 'min: input must not be empty'],
    ['cumsum', () => x23.cumsum(3), RangeError, 'cumsum: dim must be an integer in -2..1, got 3'],
    ['sort', () => x23.sort(-3), RangeError, 'sort: dim must be an integer in -2..1, got -3'],
    ['argsort', () => x23.argsort(2), RangeError, 'argsort: dim must be an integer in -2..1, got 2'],
    ['topk', () => x23.topk(4), RangeError, 'topk: k must be an integer in 0..3, got 4'],
    ['topk dim', () => x23.topk(1, { dim: 2 }), RangeError, 'topk: dim must be an integer in -2..1, got 2'],
  ]);
});

describe('gather and scatter', () => {
  refuses([
    [
      'rank',
      () => x23.gather(0, ints(0)),
      ShapeError,
      'gather: index must have the rank of input [2, 3] and be no larger except in dimension 0, got [1]',
    ],
    [
      'size',
      () => x23.gather(0, ints(0, 0, 0, 0).reshape(1, 4)),
      ShapeError,
      'gather: index must have the rank of input [2, 3]',
    ],
    [
      'dtype',
      () => x23.gather(1, zeros([2, 1])),
      DTypeError,
      "gather: index must be int32, got float32 (convert with index.to('int32'))",
    ],
    [
      'position',
      () => x23.gather(1, ints(0, 3).reshape(2, 1)),
      RangeError,
      'gather: index at [1, 0] must be in 0..2, got 3',
    ],
    [
      'negative',
      () => x23.gather(1, ints(0, -1).reshape(2, 1)),
      RangeError,
      'gather: index at [1, 0] must be in 0..2, got -1',
    ],
    [
      'of nothing',
      () => zeros([0]).gather(0, ints(0)),
      RangeError,
      'gather: index at [0] has nothing to choose from, got 0',
    ],
    [
      'scatter position',
      () => x23.scatter(0, ints(2).reshape(1, 1), 1),
      RangeError,
      'scatter: index at [0, 0] must be in 0..1, got 2',
    ],
    [
      'source dtype',
      () => x23.scatter(0, ints(1).reshape(1, 1), zeros([1, 1], { dtype: 'float64' })),
      DTypeError,
      'scatter: src must have the dtype of input, float32, got float64',
    ],
    [
      'source size',
      () => x23.scatterAdd(0, ints(1, 1).reshape(1, 2), zeros([1, 1])),
      ShapeError,
      'scatterAdd: src must be at least as large as index [1, 2], got [1, 1]',
    ],
    [
      'source',
      () => x23.scatter(0, ints(1).reshape(1, 1), untyped('1')),
      TypeError,
      'scatter: src must be a Tensor or a number, got "1"',
    ],
    [
      'scatterAdd source',
      () => x23.scatterAdd(0, ints(1).reshape(1, 1), untyped(1)),
      TypeError,
      'scatterAdd: src must be a Tensor, got number',
    ],
    [
      'indexSelect rank',
      () => x23.indexSelect(0, ints(0).reshape(1, 1)),
      ShapeError,
      'indexSelect: index must be 1-D, got [1, 1]',
    ],
    [
      'indexSelect position',
      () => x23.indexSelect(1, ints(0, 3)),
      RangeError,
      'indexSelect: index at [1] must be in 0..2, got 3',
    ],
    [
      'mask dtype',
      () => x23.maskedSelect(ones([2, 3])),
      DTypeError,
      'maskedSelect: mask must be bool, got float32 (make it with a comparison',
    ],
    [
      'mask shape',
      () => x23.maskedSelect(zeros([4]).gt(0)),
      ShapeError,
      'maskedSelect: shapes [2, 3] and [4] cannot be broadcast',
    ],
    [
      'fill mask',
      () => x23.maskedFill(ones([3]), 0),
      DTypeError,
      'maskedFill: mask must be bool, got float32',
    ],
    [
      'fill value',
      () => x23.maskedFill(x23.gt(0), untyped('0')),
      TypeError,
      'maskedFill: value must be a Tensor, got string',
    ],
  ]);
});

describe('indexing', () => {
  refuses([
    [
      'kind',
      () => x23.at(untyped({})),
      TypeError,
      "at: index[0] must be a number, slice(...), ':', '...', null, a list of numbers or a tensor of int32 or bool, got Object",
    ],
    [
      'word',
      () => x23.at(untyped('::')),
      TypeError,
      `at: index[0] must be a number, slice(...), ':', '...' or null, got "::"`,
    ],
    [
      'dtype',
      () => x23.at(zeros([2])),
      DTypeError,
      "at: index[0] must be int32, got float32 (convert with index[0].to('int32'))",
    ],
    ['0-d dtype', () => x23.at(tensor(1)), DTypeError, 'at: index[0] must be int32 or bool, got float32'],
    ['position', () => x23.at(':', ints(0, 3)), RangeError, 'at: index[1] at [1] must be in -3..2, got 3'],
    ['list', () => x23.at([0, 2]), RangeError, 'at: index[0][1] must be an integer in -2..1, got 2'],
    [
      'list of fractions',
      () => x23.at([0.5]),
      RangeError,
      'at: index[0][0] must be an integer in -2..1, got 0.5',
    ],
    [
      'mask',
      () => x23.at(zeros([3]).gt(0)),
      ShapeError,
      'at: index[0] must have the shape of the dimensions it selects from, [2], got [3]',
    ],
    [
      'too many',
      () => x23.at(0, ints(0), 0),
      RangeError,
      "at: index must have at most 2 entries for shape [2, 3] and at most one '...'",
    ],
    [
      'positions that do not meet',
      () => x23.at(ints(0, 1), ints(0, 1, 2)),
      ShapeError,
      'at: shapes [2] and [3] cannot be broadcast',
    ],
    [
      'of nothing',
      () => zeros([0, 3]).at(ints(0)),
      RangeError,
      'at: index[0] at [0] has nothing to choose from, got 0',
    ],
    [
      'set value',
      () => zeros([2, 3]).set([ints(0, 1)], zeros([2, 2])),
      ShapeError,
      'set: value must broadcast to the selected part [2, 3], got [2, 2]',
    ],
    [
      'set kind',
      () => zeros([2]).set([0], untyped('1')),
      TypeError,
      'set: value must be a Tensor, got string',
    ],
    ['slice', () => slice(0.5), RangeError, 'slice: start must be an integer'],
  ]);
});

describe('views and pieces', () => {
  refuses([
    [
      'permute',
      () => x23.permute(0, 0),
      RangeError,
      'permute: dims must name each of the 2 dimensions once, got [0, 0]',
    ],
    [
      'transpose',
      () => x23.transpose(0, 2),
      RangeError,
      'transpose: dim1 must be an integer in -2..1, got 2',
    ],
    ['flatten', () => x23.flatten(1, 0), RangeError, 'flatten: startDim must not come after endDim 0, got 1'],
    ['squeeze', () => x23.squeeze(2), RangeError, 'squeeze: dim must be an integer in -2..1, got 2'],
    ['unsqueeze', () => x23.unsqueeze(4), RangeError, 'unsqueeze: dim must be an integer in -3..2, got 4'],
    [
      'expand',
      () => x23.expand(4, 3),
      ShapeError,
      'expand: shape must extend [2, 3] along dimensions of size 1, got [4, 3]',
    ],
    [
      'reshape',
      () => x23.reshape(-1, 4),
      ShapeError,
      'reshape: shape [-1, 4] must hold the 6 elements of the tensor',
    ],
    ['narrow', () => x23.narrow(1, 2, 2), RangeError, 'narrow: length must be an integer in 0..1, got 2'],
    ['split', () => x23.split(0), RangeError, 'split: splitSize must be an integer >= 1, got 0'],
    [
      'split sizes',
      () => x23.split([1, 1], 1),
      RangeError,
      'split: splitSize must add up to 3, the size of dimension 1, got [1, 1]',
    ],
    [
      'split of a scalar',
      () => tensor(1).split(1),
      ShapeError,
      'split: input must have a dimension, got a 0-d tensor',
    ],
    ['chunk', () => x23.chunk(0), RangeError, 'chunk: chunks must be an integer >= 1, got 0'],
    ['flip', () => x23.flip([2]), RangeError, 'flip: dim must be an integer in -2..1, got 2'],
    ['flip twice', () => x23.flip([1, -1]), RangeError, 'flip: dim must not repeat, got [1, -1]'],
    [
      'roll',
      () => x23.roll([1, 2], [0]),
      RangeError,
      'roll: shifts must have as many entries as dims, 1, got 2',
    ],
    [
      'roll without dims',
      () => x23.roll([1, 2]),
      RangeError,
      'roll: shifts must have as many entries as dims, 1, got 2',
    ],
    ['roll by half', () => x23.roll(0.5, 0), RangeError, 'roll: shifts[0] must be an integer'],
    ['roll along', () => x23.roll(1, 2), RangeError, 'roll: dims[0] must be an integer in -2..1, got 2'],
    [
      'repeat',
      () => x23.repeat(2),
      ShapeError,
      'repeat: repeats must have at least 2 entries, one per dimension of [2, 3], got [2]',
    ],
    [
      'repeat too often',
      () => x23.repeat(2 ** 19, 2 ** 18),
      ShapeError,
      'repeat: the result element count exceeds 2^38',
    ],
    ['tile', () => x23.tile(-1), RangeError, 'tile: dims[0] must be an integer >= 0, got -1'],
    ['movedim', () => x23.movedim([0, 0], [0, 1]), RangeError, 'movedim: source must not repeat, got [0, 0]'],
    [
      'movedim lists',
      () => x23.movedim(0, [0, 1]),
      RangeError,
      'movedim: destination must have as many entries as source, 1, got 2',
    ],
    [
      'cat',
      () => lib.cat([x23, zeros([2])]),
      ShapeError,
      'cat: tensors[1] must match [2, 3] in every dimension but 0, got [2]',
    ],
    [
      'stack',
      () => lib.stack([x23, zeros([3, 2])]),
      ShapeError,
      'stack: tensors[1] must have shape [2, 3], got [3, 2]',
    ],
    [
      'stack of no tensors',
      () => lib.stack([untyped(1)]),
      TypeError,
      'stack: tensors[0] must be a Tensor, got number',
    ],
  ]);
});

describe('products', () => {
  refuses([
    [
      'inner sizes',
      () => x23.matmul(zeros([2, 3])),
      ShapeError,
      'matmul: input and other must have equal inner sizes, got [2, 3] and [2, 3]',
    ],
    [
      'scalars',
      () => x23.matmul(tensor(1)),
      ShapeError,
      'matmul: input and other must have at least one dimension, got [2, 3] and []',
    ],
    [
      'integers',
      () => ints(1).matmul(ints(1)),
      DTypeError,
      "matmul: input must be float32 or float64, got int32 (convert with input.to('float32'))",
    ],
    [
      'dtypes',
      () => x23.matmul(zeros([3, 2], { dtype: 'float64' })),
      DTypeError,
      'matmul: other must have the dtype of input, float32, got float64',
    ],
    ['dot rank', () => x23.dot(zeros([3])), ShapeError, 'dot: input must be 1-D, got [2, 3]'],
    [
      'dot lengths',
      () => zeros([2]).dot(zeros([3])),
      ShapeError,
      'dot: other must have 2 elements, as input has, got 3',
    ],
    ['outer', () => zeros([2]).outer(x23), ShapeError, 'outer: other must be 1-D, got [2, 3]'],
    [
      'linear features',
      () => F.linear(x23, zeros([4, 2])),
      ShapeError,
      'linear: input must have 2 features in its last dimension (weight [4, 2]), got [2, 3]',
    ],
    [
      'linear weight',
      () => F.linear(x23, zeros([3])),
      ShapeError,
      'linear: weight must be 2-D [outFeatures, inFeatures], got [3]',
    ],
    [
      'linear bias',
      () => F.linear(x23, zeros([4, 3]), zeros([3])),
      ShapeError,
      'linear: bias must have shape [4], got [3]',
    ],
    [
      'linear scalar',
      () => F.linear(tensor(1), zeros([1, 1])),
      ShapeError,
      'linear: input must have at least one dimension, got []',
    ],
  ]);
});

describe('whole tensors', () => {
  refuses([
    ['rtol', () => x23.allClose(x23, { rtol: -1 }), RangeError, 'allClose: rtol must be >= 0, got -1'],
    ['atol', () => x23.allClose(x23, { atol: NaN }), RangeError, 'allClose: atol must be >= 0, got NaN'],
    ['allClose', () => x23.allClose(untyped([1])), TypeError, 'allClose: other must be a Tensor, got Array'],
    ['equal', () => x23.equal(untyped(0)), TypeError, 'equal: other must be a Tensor, got number'],
  ]);
});

describe('edits', () => {
  refuses([
    [
      'a leaf',
      () => leaf.mul_(2),
      GraphError,
      'mul_: tensor is a leaf that requires gradients (edit it inside noGrad, or edit a clone())',
    ],
    ['a leaf with zeros', () => leaf.zero_(), GraphError, 'fill_: tensor is a leaf that requires gradients'],
    [
      'a view',
      () => zeros([2, 2]).at(0).add_(leaf),
      GraphError,
      'add_: tensor is a view: a recorded edit would not reach its base',
    ],
    [
      'shapes',
      () => zeros([3]).add_(x23),
      ShapeError,
      "add_: other must broadcast to the tensor's shape [3], got [2, 3]",
    ],
    [
      'integers by a fraction',
      () => ints(1).add_(0.5),
      DTypeError,
      "add_: the result must fit the tensor's dtype int32, got float32",
    ],
    [
      'integers divided',
      () => ints(4).div_(ints(2)),
      DTypeError,
      "div_: the result must fit the tensor's dtype int32, got float32",
    ],
    [
      'bools counted',
      () => x23.gt(0).add_(1),
      DTypeError,
      "add_: the result must fit the tensor's dtype bool, got int32",
    ],
    ['fill', () => zeros([2]).fill_(untyped('0')), TypeError, 'fill_: value must be a number, got "0"'],
    ['normal', () => zeros([2]).normal_(0, -1), RangeError, 'normal_: std must be finite and >= 0, got -1'],
    [
      'uniform',
      () => zeros([2]).uniform_(1, 0),
      RangeError,
      'uniform_: to must be finite and >= from, got 0',
    ],
    ['copy', () => zeros([2]).copy_(untyped([1, 2])), TypeError, 'copy_: source must be a Tensor, got Array'],
  ]);

  test('a refused edit leaves the tensor and its version as they were', () => {
    const t = tensor([1, 2, 3]);
    for (const act of [
      () => t.add_(x23),
      () => t.set([ints(0, 5)], 1),
      () => t.scatter_(0, ints(7), 1),
      () => t.maskedFill_(ones([3]), 0),
      () => t.clamp_({ min: NaN }),
    ]) {
      expect(act).toThrow();
    }
    expect(t.toArray()).toEqual([1, 2, 3]);
    expect(t.storage.version).toBe(0);
  });
});

describe('hooks', () => {
  refuses([
    [
      'no gradient',
      () => x23.registerHook(() => null),
      GraphError,
      'registerHook: tensor must require gradients, got a tensor of shape [2, 3] that does not',
    ],
    [
      'no function',
      () => leaf.registerHook(untyped(1)),
      TypeError,
      'registerHook: hook must be a function, got 1',
    ],
    [
      'retainGrad',
      () => x23.retainGrad(),
      GraphError,
      'retainGrad: tensor must require gradients, got a tensor of shape [2, 3] that does not',
    ],
    [
      'grad dtype',
      () => {
        ones([1]).grad = zeros([1], { dtype: 'float64' });
      },
      DTypeError,
      'grad: value must be float32, got float64',
    ],
  ]);
});
