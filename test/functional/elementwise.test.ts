// What fixtures do not show of elementwise arithmetic: dtypes, numbers as operands, integers, special values.
import { describe, expect, test } from '@jest/globals';

import {
  enableGrad,
  gradcheck,
  noGrad,
  ones,
  pow,
  sub,
  tensor,
  where,
  zeros,
  type DType,
  type Tensor,
} from '../../lib';
import * as F from '../../lib/functional';

const ints = (...values: number[]): Tensor => tensor(new Int32Array(values));
const bytes = (...values: number[]): Tensor => tensor(new Uint8Array(values));
const bools = (...values: boolean[]): Tensor => tensor(values, { dtype: 'bool' });

describe('dtypes', () => {
  const of = (dtype: DType): Tensor => ones([2], { dtype });

  test.each<[DType, DType, DType]>([
    ['float32', 'float64', 'float64'],
    ['int32', 'float32', 'float32'],
    ['uint8', 'int32', 'int32'],
    ['bool', 'uint8', 'uint8'],
    ['bool', 'bool', 'int32'],
    ['int32', 'int32', 'int32'],
  ])('%s + %s gives %s', (a, b, result) => {
    expect(of(a).add(of(b)).dtype).toBe(result);
    expect(of(b).add(of(a)).dtype).toBe(result);
    expect(of(a).add(of(b)).toArray()).toEqual([2, 2]);
  });

  test('a number takes the dtype of the tensor; a fraction turns integers into float32', () => {
    expect(of('float64').mul(0.1).dtype).toBe('float64');
    expect(of('float64').mul(0.1).toArray()).toEqual([0.1, 0.1]);
    expect(ints(3).mul(2).dtype).toBe('int32');
    expect(ints(3).mul(0.5).toArray()).toEqual([1.5]);
    expect(bools(true).add(1).dtype).toBe('int32');
    expect(sub(1, ints(3)).toArray()).toEqual([-2]);
  });

  test('division always gives floats', () => {
    expect(ints(7, -7).div(2).toArray()).toEqual([3.5, -3.5]);
    expect(ints(7).div(ints(2)).dtype).toBe('float32');
  });

  test('gradients come back in the dtype of each operand', () => {
    const a = ones([2], { requiresGrad: true });
    const b = ones([2], { dtype: 'float64', requiresGrad: true });
    a.mul(b).sum().backward();
    expect(a.grad?.dtype).toBe('float32');
    expect(b.grad?.dtype).toBe('float64');
  });
});

describe('integers', () => {
  test('functions that keep them whole are exact where float32 is not', () => {
    expect(ints(16777217).neg().toArray()).toEqual([-16777217]);
    expect(ints(-16777217).abs().toArray()).toEqual([16777217]);
    expect(ints(4097).square().toArray()).toEqual([16785409]);
    expect(ints(-3, 0, 5).relu().toArray()).toEqual([0, 0, 5]);
    expect(ints(-3).floor().dtype).toBe('int32');
    expect(ints(4).sqrt().dtype).toBe('float32');
  });

  test('powers', () => {
    expect(ints(2, 3, -2).pow(3).toArray()).toEqual([8, 27, -8]);
    expect(
      ints(2, 1, -1, -1, 0)
        .pow(ints(-1, -3, -3, -2, 0))
        .toArray(),
    ).toEqual([0, 1, -1, 1, 1]);
    expect(ints(1).pow(1_000_000_000).toArray()).toEqual([1]);
    expect(ints(-1).pow(999_999_999).toArray()).toEqual([-1]);
    expect(ints(3).pow(40).toArray()).toEqual([Number(BigInt.asIntN(32, 3n ** 40n))]);
    expect(pow(2, ints(5)).toArray()).toEqual([32]);
  });

  test('arithmetic wraps around', () => {
    expect(
      ints(2 ** 31 - 1)
        .add(1)
        .toArray(),
    ).toEqual([-(2 ** 31)]);
    expect(bytes(200).add(bytes(100)).toArray()).toEqual([44]);
  });

  test('comparisons see numbers that the dtype cannot hold', () => {
    expect(bytes(44, 255).eq(300).toArray()).toEqual([0, 0]);
    expect(bytes(0, 255).gt(-1).toArray()).toEqual([1, 1]);
    expect(
      ints(5)
        .lt(2 ** 40)
        .toArray(),
    ).toEqual([1]);
    expect(ints(5).lt(Infinity).toArray()).toEqual([1]);
    expect(ints(5).ne(NaN).toArray()).toEqual([1]);
    expect(bools(true, false).eq(1).toArray()).toEqual([1, 0]);
  });

  test('maximum and minimum', () => {
    expect(ints(1, 5).maximum(3).toArray()).toEqual([3, 5]);
    expect(ints(1, 5).minimum(ints(4, 4)).toArray()).toEqual([1, 4]);
  });
});

describe('bools', () => {
  test('every number but 0 is true', () => {
    const values = [0, 0.5, -1, 2, NaN, Infinity];
    const expected = [0, 1, 1, 1, 1, 1];
    expect(tensor(values).to('bool').toArray()).toEqual(expected);
    expect(tensor(values, { dtype: 'bool' }).toArray()).toEqual(expected);
    expect(tensor(Float64Array.from(values), { dtype: 'bool' }).toArray()).toEqual(expected);
    expect(tensor(tensor(values), { dtype: 'bool' }).toArray()).toEqual(expected);
    expect(tensor(0.25, { dtype: 'bool' }).toArray()).toBe(1);
    expect(zeros([2], { dtype: 'bool' }).fill_(7).toArray()).toEqual([1, 1]);
    expect(zeros([6], { dtype: 'bool' }).copy_(tensor(values)).toArray()).toEqual(expected);
    expect(tensor([[0, 0.5], [2, 0]]).T.to('bool').toArray()).toEqual([[0, 1], [1, 0]]); // prettier-ignore
  });

  test('conversion to integers cuts off and saturates', () => {
    expect(tensor([1.9, -1.9, NaN, 1e20]).to('int32').toArray()).toEqual([1, -1, 0, 2 ** 31 - 1]);
    expect(tensor([-5, 300]).to('uint8').toArray()).toEqual([0, 255]);
  });
});

describe('special values', () => {
  test('a NaN on either side wins, and both sides get its gradient', () => {
    const a = tensor([NaN, 1, 2], { requiresGrad: true });
    const b = tensor([0, NaN, 3], { requiresGrad: true });
    const y = a.maximum(b);
    expect(y.toArray()).toEqual([NaN, NaN, 3]);
    y.sum().backward();
    expect(a.grad?.toArray()).toEqual([1, 1, 0]);
    expect(b.grad?.toArray()).toEqual([1, 1, 1]);
  });

  test('powers of zero', () => {
    const x = tensor([0, 0, 0, 2], { requiresGrad: true });
    x.pow(tensor([0, 1, 2, 3]))
      .sum()
      .backward();
    expect(x.grad?.toArray()).toEqual([0, 1, 0, 12]);
    const e = tensor([0, 1, 2], { requiresGrad: true });
    pow(0, e).sum().backward();
    expect(e.grad?.toArray()).toEqual([0, 0, 0]);
    const two = tensor([3], { requiresGrad: true });
    pow(2, two).backward();
    expect(two.grad?.item()).toBeCloseTo(8 * Math.LN2, 5);
  });

  test('limits of exp, log and division are those of IEEE 754', () => {
    expect(tensor([1000, -1000]).exp().toArray()).toEqual([Infinity, 0]);
    expect(tensor([0, -1]).log().toArray()).toEqual([-Infinity, NaN]);
    expect(tensor([1, -1, 0]).div(0).toArray()).toEqual([Infinity, -Infinity, NaN]);
  });
});

describe('numbers as operands', () => {
  const x = tensor([0.5, 1.25, -2], { dtype: 'float64', requiresGrad: true });
  const p = tensor([0.5, 1.25, 2], { dtype: 'float64', requiresGrad: true });

  test.each<[string, (t: Tensor) => Tensor, Tensor]>([
    ['x + 2', (t) => t.add(2), x],
    ['2 - x', (t) => sub(2, t), x],
    ['x * 3', (t) => t.mul(3), x],
    ['x / 3', (t) => t.div(3), x],
    ['3 / x', (t) => F.div(3, t), x],
    ['x ^ 3', (t) => t.pow(3), x],
    ['x ^ -0.5', (t) => t.pow(-0.5), p],
    ['2 ^ x', (t) => pow(2, t), x],
    ['max(x, 0.75)', (t) => t.maximum(0.75), x],
    ['min(0.75, x)', (t) => F.minimum(0.75, t), x],
    ['where', (t) => where(t.gt(0), t, 1).mul(where(t.lt(1), 2, t)), x],
  ])('%s', (_, fn, input) => {
    expect(gradcheck(fn, [input])).toBe(true);
  });
});

describe('where', () => {
  test('conditions of any dtype, choices of two dtypes', () => {
    expect(where(ints(0, 3), ints(1, 2), 0.5).toArray()).toEqual([0.5, 2]);
    expect(where(tensor([0, 0.5]), 1, 2).dtype).toBe('float32');
    expect(where(bools(true, false), tensor(1), tensor(2, { dtype: 'float64' })).dtype).toBe('float64');
  });
});

test('clamp takes its bounds one at a time, and borders pass the gradient', () => {
  const x = tensor([-2, -1, 0.5, 1, 3, NaN], { requiresGrad: true });
  expect(x.clamp({ min: -1, max: 1 }).toArray()).toEqual([-1, -1, 0.5, 1, 1, NaN]);
  expect(x.clampMin(0).toArray()).toEqual([0, 0, 0.5, 1, 3, NaN]);
  expect(x.clampMax(0).toArray()).toEqual([-2, -1, 0, 0, 0, NaN]);
  expect(x.clamp({ min: 1, max: -1 }).toArray()).toEqual([-1, -1, -1, -1, -1, NaN]);
  x.clamp({ min: -1, max: 1 }).sum().backward();
  expect(x.grad?.toArray()).toEqual([0, 1, 1, 1, 0, 0]);
  expect(ints(-5, 5).clamp({ min: 0 }).dtype).toBe('int32');
});

test('nothing is recorded where no operand requires a gradient, or inside noGrad', () => {
  const x = ones([2], { requiresGrad: true });
  expect(ones([2]).add(1).gradFn).toBeNull();
  expect(x.gt(0).gradFn).toBeNull();
  expect(noGrad(() => x.add(1)).gradFn).toBeNull();
  expect(noGrad(() => enableGrad(() => x.add(1))).gradFn?.op).toBe('add');
});
