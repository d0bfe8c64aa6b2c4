// What indexing, gathering and views refuse: every message with its type, and tensors that stay as they were.
import { describe } from '@jest/globals';

import * as lib from '../../lib';
import type { Tensor } from '../../lib';
import { refuses, untyped } from '../support/refuses';

const { DTypeError, ShapeError, ones, slice, tensor, zeros } = lib;

const ints = (...values: number[]): Tensor => tensor(new Int32Array(values));
const x23 = zeros([2, 3]);

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
