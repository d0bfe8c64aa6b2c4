// Edits: who sees them, what they do to the graph.
import { describe, expect, test } from '@jest/globals';

import { arange, gradcheck, noGrad, ones, randn, slice, tensor, zeros, type Tensor } from '../../lib';

const f64 = (values: number[]): Tensor => tensor(values, { dtype: 'float64', requiresGrad: true });

test('views and their base share edits, contiguous or not', () => {
  const x = zeros([2, 3]);
  x.T.add_(tensor([[1, 2], [3, 4], [5, 6]])); // prettier-ignore
  x.at(0).mul_(10);
  x.at(':', 1).fill_(7);
  expect(x.toArray()).toEqual([[10, 7, 50], [2, 7, 6]]); // prettier-ignore
  x.at(':', slice(0, 3, 2)).zero_();
  expect(x.toArray()).toEqual([[0, 7, 0], [0, 7, 0]]); // prettier-ignore
});

test('overlapping parts of one memory are read before they are written', () => {
  const x = arange(6);
  x.at(slice(1)).add_(x.at(slice(0, 5)));
  expect(x.toArray()).toEqual([0, 1, 3, 5, 7, 9]);
  const y = arange(6);
  y.at(slice(1)).copy_(y.at(slice(0, 5)));
  expect(y.toArray()).toEqual([0, 0, 1, 2, 3, 4]);
  const z = tensor([[1, 2], [3, 4]]); // prettier-ignore
  z.sub_(z.T);
  expect(z.toArray()).toEqual([[0, -1], [1, 0]]); // prettier-ignore
  z.mul_(z);
  expect(z.toArray()).toEqual([[0, 1], [1, 0]]); // prettier-ignore
});

test('dtypes that may be written to', () => {
  expect(
    tensor(new Int32Array([1, 2]))
      .add_(3)
      .toArray(),
  ).toEqual([4, 5]);
  expect(ones([2]).add_(ones([2], { dtype: 'float64' })).dtype).toBe('float32');
  expect(
    ones([2])
      .mul_(tensor(new Int32Array([2, 3])))
      .toArray(),
  ).toEqual([2, 3]);
  expect(
    tensor(new Int32Array([0]))
      .copy_(tensor([2.75]))
      .toArray(),
  ).toEqual([2]);
});

test('named edits', () => {
  const x = tensor([-2, 0.5, 3]);
  expect(x.clamp_({ min: 0 })).toBe(x);
  x.maskedFill_(x.eq(0), -1);
  x.scatter_(0, tensor(new Int32Array([2])), 9);
  x.scatterAdd_(0, tensor(new Int32Array([2, 2])), ones([2]));
  expect(x.toArray()).toEqual([-1, 0.5, 11]);
  expect(x.storage.version).toBe(4);
});

describe('recorded', () => {
  test.each<[string, (y: Tensor, x: Tensor) => Tensor]>([
    ['add_', (y, x) => y.add_(x)],
    ['sub_ with broadcasting', (y, x) => y.sub_(x.sum())],
    ['div_', (y, x) => y.div_(x)],
    ['copy_', (y, x) => y.copy_(x.mul(3))],
    ['fill_ stops gradients', (y) => y.fill_(2)],
    ['clamp_', (y) => y.clamp_({ max: 1 })],
    ['maskedFill_', (y, x) => y.maskedFill_(tensor([true, false, true], { dtype: 'bool' }), x.sum())],
    ['scatter_', (y, x) => y.scatter_(0, tensor(new Int32Array([1])), x)],
    ['scatterAdd_', (y, x) => y.scatterAdd_(0, tensor(new Int32Array([1, 1])), x)],
    ['set', (y, x) => y.set([slice(0, 2)], x.at(slice(1)))],
  ])('%s', (_, edit) => {
    const fn = (x: Tensor): Tensor => edit(x.mul(x), x).mul(x);
    expect(gradcheck(fn, [f64([0.7, -1.2, 2.1])])).toBe(true);
  });

  test('a tensor without history begins one', () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const y = zeros([2]);
    y.add_(x);
    expect(y.requiresGrad).toBe(true);
    y.sum().backward();
    expect(x.grad?.toArray()).toEqual([1, 1]);
  });

  test('by the tensor itself, whose old values backward would need, is refused', () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const y = x.mul(1);
    y.mul_(y);
    expect(() => y.sum().backward()).toThrow('saved by mul must be at version 0, got version 1');
  });

  test('a view taken before is refused afterwards', () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const y = x.mul(1);
    const view = y.at(slice(0, 1));
    y.add_(1);
    expect(() => view.mul(2)).toThrow(
      'at: a view of shape [1] was taken before its base was edited in place',
    );
    expect(y.at(slice(0, 1)).mul(2).toArray()).toEqual([4]);
  });

  test('inside noGrad leaves are edited and nothing is recorded', () => {
    const w = tensor([1, 2], { requiresGrad: true });
    w.mul(w).sum().backward();
    noGrad(() => w.sub_(w.grad ?? 0));
    expect(w.toArray()).toEqual([-1, -2]);
    expect(w.isLeaf).toBe(true);
    w.data.fill_(3);
    expect(w.toArray()).toEqual([3, 3]);
  });
});

test('normal_ and uniform_ fill views with gaps', () => {
  const x = zeros([100, 2]);
  x.at(':', 0).uniform_(2, 3);
  x.at(':', 1).normal_(10, 0.01);
  expect(x.at(':', 0).ge(2).all().item()).toBe(1);
  expect(x.at(':', 0).lt(3).all().item()).toBe(1);
  expect(x.at(':', 1).sub(10).abs().max().item()).toBeLessThan(0.1);
  expect(randn([0]).normal_().numel).toBe(0);
});
