// What computations and edits refuse: every message with its type, and tensors that stay as they were.
import { describe, expect, test } from '@jest/globals';

import * as lib from '../../lib';
import type { Tensor } from '../../lib';
import * as F from '../../lib/functional';
import { refuses, untyped } from '../support/refuses';

const { DTypeError, GraphError, ShapeError, ones, tensor, zeros } = lib;

const ints = (...values: number[]): Tensor => tensor(new Int32Array(values));
const x23 = zeros([2, 3]);
const leaf = ones([2], { requiresGrad: true });

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
