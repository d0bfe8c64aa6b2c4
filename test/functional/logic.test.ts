import { describe, expect, test } from '@jest/globals';

import {
  allClose,
  equal,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  ones,
  tensor,
  zeros,
} from '../../lib';

const special = tensor([1, NaN, Infinity, -Infinity, 0]);

test('isnan, isinf, isfinite', () => {
  expect(special.isnan().toArray()).toEqual([0, 1, 0, 0, 0]);
  expect(special.isinf().toArray()).toEqual([0, 0, 1, 1, 0]);
  expect(special.isfinite().toArray()).toEqual([1, 0, 0, 0, 1]);
  expect(
    tensor(new Int32Array([5]))
      .isfinite()
      .toArray(),
  ).toEqual([1]);
  expect(tensor(new Int32Array([5])).isnan().dtype).toBe('bool');
});

test('and, or, xor, not, with broadcasting', () => {
  const a = tensor([[0], [2]]);
  const b = tensor([0, 0.5]);
  expect(logicalAnd(a, b).toArray()).toEqual([[0, 0], [0, 1]]); // prettier-ignore
  expect(logicalOr(a, b).toArray()).toEqual([[0, 1], [1, 1]]); // prettier-ignore
  expect(logicalXor(a, b).toArray()).toEqual([[0, 1], [1, 0]]); // prettier-ignore
  expect(logicalNot(a).toArray()).toEqual([[1], [0]]);
  expect(a.logicalOr(b).dtype).toBe('bool');
});

describe('allClose', () => {
  test('tolerances count against the second', () => {
    expect(allClose(tensor([1, 2]), tensor([1, 2 + 1e-6]))).toBe(true);
    expect(allClose(tensor([1]), tensor([1.1]))).toBe(false);
    expect(allClose(tensor([1]), tensor([1.1]), { rtol: 0.095 })).toBe(true);
    expect(allClose(tensor([1.1]), tensor([1]), { rtol: 0.095 })).toBe(false);
    expect(tensor([0]).allClose(tensor([1e-9]))).toBe(true);
    expect(tensor([0]).allClose(tensor([1e-3]), { atol: 1e-2 })).toBe(true);
  });

  test('broadcasts, and takes any dtype', () => {
    expect(ones([2, 3]).allClose(tensor(1, { dtype: 'float64' }))).toBe(true);
    expect(tensor(new Int32Array([2 ** 31 - 1])).allClose(tensor(new Int32Array([-1])), { rtol: 0 })).toBe(
      false,
    );
    expect(zeros([0]).allClose(zeros([0]))).toBe(true);
  });

  test('infinities are close to themselves, NaN only if asked', () => {
    expect(allClose(tensor([Infinity]), tensor([Infinity]))).toBe(true);
    expect(allClose(tensor([1]), tensor([Infinity]))).toBe(false);
    expect(allClose(tensor([-Infinity]), tensor([Infinity]))).toBe(false);
    expect(allClose(tensor([NaN]), tensor([NaN]))).toBe(false);
    expect(allClose(tensor([NaN]), tensor([NaN]), { equalNan: true })).toBe(true);
    expect(allClose(tensor([NaN]), tensor([1]), { equalNan: true })).toBe(false);
  });
});

test('equal wants one shape and the same elements', () => {
  expect(equal(tensor([1, 2]), tensor(new Int32Array([1, 2])))).toBe(true);
  expect(equal(ones([2]), ones([2, 1]))).toBe(false);
  expect(equal(special, special)).toBe(false);
  expect(equal(zeros([0, 2]), zeros([0, 2]))).toBe(true);
  expect(equal(tensor([[1, 2], [3, 4]]).T, tensor([[1, 3], [2, 4]]))).toBe(true); // prettier-ignore
});
