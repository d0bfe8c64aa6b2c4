// What fixtures do not show of reductions: dtypes, accuracy in float32, empty and 0-d tensors, goldens of the book.
import { describe, expect, test } from '@jest/globals';

import {
  F,
  arange,
  equal,
  gradcheck,
  logsumexp,
  manualSeed,
  ones,
  randn,
  tensor,
  variance,
  zeros,
  type Tensor,
} from '../../lib';

const ints = (...values: number[]): Tensor => tensor(new Int32Array(values));
const matrix = tensor([[1, 2, 3], [4, 5, 6]]); // prettier-ignore

test('G12: sums of rows and columns, kept', () => {
  expect(matrix.sum(0, { keepdim: true }).toArray()).toEqual([[5, 7, 9]]);
  expect(matrix.sum(1, { keepdim: true }).toArray()).toEqual([[6], [15]]);
});

describe('dimensions', () => {
  test('none, null and an empty list stand for all', () => {
    expect(matrix.sum().item()).toBe(21);
    expect(matrix.sum(null, { keepdim: true }).toArray()).toEqual([[21]]);
    expect(matrix.sum([]).item()).toBe(21);
    expect(matrix.mean([]).item()).toBe(3.5);
    expect(matrix.amax(null).item()).toBe(6);
  });

  test('results of 0-d tensors have memory of their own', () => {
    const x = tensor(3);
    for (const y of [x.sum(), x.mean(), x.max(), x.amin(), x.norm(), x.max(0).values]) {
      expect(y.toArray()).toBe(3);
      expect(y.storage).not.toBe(x.storage);
    }
    const leaf = tensor(3, { requiresGrad: true });
    leaf.sum().mul(leaf.amax()).backward();
    expect(leaf.grad?.item()).toBe(6);
  });

  test('of no elements', () => {
    expect(zeros([0]).sum().item()).toBe(0);
    expect(zeros([0, 3]).sum(0).toArray()).toEqual([0, 0, 0]);
    expect(zeros([3, 0]).sum(0).shape).toEqual([0]);
    expect(zeros([0]).mean().item()).toBeNaN();
    expect(zeros([0]).prod().item()).toBe(1);
    expect(zeros([0]).norm().item()).toBe(0);
    expect(zeros([0]).var().item()).toBeNaN();
    expect(logsumexp(zeros([0]), 0).item()).toBe(-Infinity);
    expect(zeros([0]).any().item()).toBe(0);
    expect(zeros([0]).all().item()).toBe(1);
  });
});

describe('dtypes', () => {
  test('sums and products of integers and bools are int32', () => {
    expect(
      ints(2 ** 24, 1, 1)
        .sum()
        .toArray(),
    ).toBe(16777218);
    expect(ints(2, 3).sum().dtype).toBe('int32');
    expect(matrix.gt(2).sum().toArray()).toBe(4);
    expect(matrix.gt(2).sum(0).dtype).toBe('int32');
    expect(ints(3, 4).prod().toArray()).toBe(12);
    expect(ints(1, 2, 3).cumsum(0).toArray()).toEqual([1, 3, 6]);
    expect(ints(1, 2, 3).cumsum(0).dtype).toBe('int32');
  });

  test('averages of integers are float32', () => {
    expect(ints(1, 2).mean().dtype).toBe('float32');
    expect(ints(16777217, 16777219).mean().item()).toBe(16777218);
    expect(ints(1, 3).var().item()).toBe(2);
    expect(ints(3, 4).norm().item()).toBe(5);
    expect(matrix.gt(2).mean().item()).toBeCloseTo(4 / 6, 6);
  });

  test('extremes of integers are exact and keep the dtype', () => {
    const x = ints(16777216, 16777217, -16777217);
    expect(x.max().toArray()).toBe(16777217);
    expect(x.max().dtype).toBe('int32');
    expect(x.max(0).values.toArray()).toBe(16777217);
    expect(x.max(0).indices.toArray()).toBe(1);
    expect(x.argmin().toArray()).toBe(2);
    expect(x.amin().dtype).toBe('int32');
    expect(matrix.gt(2).amax(1).dtype).toBe('bool');
    expect(x.argmax().dtype).toBe('int32');
  });

  test('any and all are bool', () => {
    expect(matrix.gt(5).any().dtype).toBe('bool');
    expect(matrix.gt(0).all(0).toArray()).toEqual([1, 1, 1]);
    expect(tensor([0, NaN]).any().item()).toBe(1);
  });
});

describe('accuracy in float32', () => {
  test.each([0, 1e2, 1e3, 1e5, 1e6])('variance of 100,352 values around %d', (mean) => {
    manualSeed(3);
    const x = randn([100_352]).add(mean);
    const values = Float64Array.from(x.toTypedArray());
    const m = values.reduce((s, v) => s + v, 0) / values.length;
    const exact = values.reduce((s, v) => s + (v - m) ** 2, 0) / values.length;
    expect(Math.abs(x.var(null, { correction: 0 }).item() / exact - 1)).toBeLessThan(1e-6);
    expect(Math.abs(x.std(0, { correction: 0 }).item() / Math.sqrt(exact) - 1)).toBeLessThan(1e-6);
  });

  test('the variance of a constant is 0, of two neighbours 1/4', () => {
    expect(ones([1000]).mul(12345.678).var().item()).toBe(0);
    expect(ones([1000]).mul(-0.1).std([0]).item()).toBe(0);
    expect(tensor([10000, 10001]).var(0, { correction: 0 }).item()).toBe(0.25);
    expect(variance(tensor([[1e4, 1e4 + 1], [2e5, 2e5]]), 1, { correction: 0 }).toArray()).toEqual([0.25, 0]); // prettier-ignore
  });

  test('one element more than float32 can count', () => {
    const n = 2 ** 24 + 1;
    expect(ones([n]).sum().item()).toBe(2 ** 24); // rounded once, from 2^24 + 1
    expect(ones([n]).mean().item()).toBe(1);
    expect(ones([n], { dtype: 'uint8' }).sum().toArray()).toBe(n);
  });

  test('logsumexp neither overflows nor loses infinities', () => {
    expect(logsumexp(tensor([1000, 1000]), 0).item()).toBeCloseTo(1000.6931, 3);
    expect(logsumexp(tensor([-1000, -1000]), 0).item()).toBeCloseTo(-999.3069, 3);
    expect(logsumexp(tensor([-Infinity, 0]), 0).item()).toBe(0);
    expect(logsumexp(tensor([-Infinity, -Infinity]), 0).item()).toBe(-Infinity);
    expect(logsumexp(tensor([Infinity, 0]), 0).item()).toBe(Infinity);
    expect(logsumexp(tensor([NaN, 0]), 0).item()).toBeNaN();
  });
});

describe('gradients where a formula divides by zero', () => {
  test('std of equal values and norm of zeros send back 0', () => {
    const x = ones([3], { requiresGrad: true });
    x.std().backward();
    expect(x.grad?.toArray()).toEqual([0, 0, 0]);
    for (const p of [0.5, 1, 1.5, 2, 3, Infinity]) {
      const z = zeros([3], { requiresGrad: true });
      z.norm(null, { p }).backward();
      expect(Array.from(z.grad?.toTypedArray() ?? [], Math.abs)).toEqual([0, 0, 0]);
    }
  });

  test('products with one and with two zeros', () => {
    const x = tensor([[0, 2, 3], [0, 0, 3]], { requiresGrad: true }); // prettier-ignore
    x.prod(1).sum().backward();
    expect(x.grad?.toArray()).toEqual([[6, 0, 0], [0, 0, 0]]); // prettier-ignore
  });
});

test('argmax and argmin without a dimension count in row-major order', () => {
  const x = tensor([[1, 9, 3], [9, 0, 0]]); // prettier-ignore
  expect(x.argmax().item()).toBe(1);
  expect(x.argmin().item()).toBe(4);
  expect(x.T.argmax().item()).toBe(1);
  expect(x.argmax(null, { keepdim: true }).shape).toEqual([1, 1]);
});

test('a chain of reductions', () => {
  const x = arange(24, { dtype: 'float64' }).reshape(2, 3, 4).div(7).detach().requiresGrad_();
  const y = (t: Tensor): Tensor =>
    t
      .std(2)
      .logsumexp(1)
      .prod(0)
      .add(t.norm([0, 2]).mean());
  expect(gradcheck(y, [x])).toBe(true);
});

test('softmax and logSoftmax as methods', () => {
  expect(equal(matrix.softmax(1), F.softmax(matrix, 1))).toBe(true);
  expect(equal(matrix.logSoftmax(-1), F.logSoftmax(matrix, 1))).toBe(true);
});
