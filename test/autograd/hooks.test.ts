import { describe, expect, test } from '@jest/globals';

import { isGradEnabled, ones, scope, tensor, zeros, type Tensor } from '../../lib';

const leaf = (...values: number[]): Tensor => tensor(values, { requiresGrad: true });

describe('registerHook', () => {
  test('sees the whole gradient of an intermediate, once a pass', () => {
    const x = leaf(1, 2);
    const y = x.mul(3);
    const seen: unknown[] = [];
    y.registerHook((grad) => {
      seen.push(grad.toArray());
    });
    y.mul(2).add(y.mul(y)).sum().backward();
    expect(seen).toEqual([[8, 14]]);
    expect(x.grad?.toArray()).toEqual([24, 42]);
  });

  test('replaces the gradient; several hooks run in order', () => {
    const x = leaf(1, 2);
    const y = x.mul(3);
    y.registerHook((grad) => grad.mul(10));
    y.registerHook((grad) => grad.add(1));
    y.sum().backward();
    expect(x.grad?.toArray()).toEqual([33, 33]);
  });

  test('on a leaf: the sum over all uses, before it is accumulated', () => {
    const x = leaf(1, 2);
    const seen: unknown[] = [];
    x.registerHook((grad) => {
      seen.push(grad.toArray());
      return grad.mul(2);
    });
    x.mul(2).add(x.mul(x)).add(x).sum().backward();
    expect(seen).toEqual([[5, 7]]);
    expect(x.grad?.toArray()).toEqual([10, 14]);
    x.sum().backward();
    expect(x.grad?.toArray()).toEqual([12, 16]);
    x.backward(tensor([1, 1]));
    expect(x.grad?.toArray()).toEqual([14, 18]);
  });

  test('can be taken away', () => {
    const x = leaf(1);
    const handle = x.registerHook((grad) => grad.mul(5));
    handle.remove();
    handle.remove();
    x.mul(2).backward();
    expect(x.grad?.item()).toBe(2);
  });

  test('what a hook keeps stays valid, also when it was made inside', () => {
    const x = leaf(1, 2);
    const kept: Tensor[] = [];
    const y = x.mul(2);
    y.registerHook((grad) => {
      kept.push(grad, grad.mul(7));
    });
    y.mul(y).sum().backward();
    zeros([2]).add(1);
    expect(kept.map((t) => t.toArray())).toEqual([
      [4, 8],
      [28, 56],
    ]);
  });

  test('runs without recording, and its error leaves the graph usable', () => {
    const x = leaf(1);
    const y = x.mul(2);
    let fails = true;
    y.registerHook((grad) => {
      expect(isGradEnabled()).toBe(false);
      if (fails) throw new Error('hook');
      return grad;
    });
    expect(() => y.backward(undefined, { retainGraph: true })).toThrow('hook');
    expect(isGradEnabled()).toBe(true);
    expect(x.grad).toBeNull();
    fails = false;
    y.backward();
    expect(x.grad?.item()).toBe(2);
  });

  test('refuses a gradient of another shape or dtype', () => {
    const x = leaf(1, 2);
    const y = x.mul(2);
    const handle = y.registerHook(() => ones([3]));
    expect(() => y.sum().backward()).toThrow(
      'backward: the result of a hook must be a float32 tensor of shape [2], got float32 [3]',
    );
    handle.remove();
    x.registerHook(() => ones([2], { dtype: 'float64' }));
    expect(() => x.mul(2).sum().backward()).toThrow('must be a float32 tensor of shape [2], got float64 [2]');
    expect(x.grad).toBeNull();
  });
});

describe('retainGrad', () => {
  test('keeps the gradient of an intermediate, adding up over passes', () => {
    const x = leaf(1, 2);
    const y = x.mul(3);
    y.retainGrad();
    y.mul(y).sum().backward(undefined, { retainGraph: true });
    expect(y.grad?.toArray()).toEqual([6, 12]);
    y.sum().backward();
    expect(y.grad?.toArray()).toEqual([7, 13]);
    expect(x.grad?.toArray()).toEqual([21, 39]);
  });

  test('keeps what the hooks made of it, in memory of its own', () => {
    const x = leaf(1, 2);
    const y = x.mul(3);
    y.retainGrad();
    y.registerHook((grad) => grad.mul(2));
    const seed = tensor([1, 1]);
    y.backward(seed);
    expect(y.grad?.toArray()).toEqual([2, 2]);
    y.grad?.add_(1);
    expect(x.grad?.toArray()).toEqual([6, 6]);
    expect(seed.toArray()).toEqual([1, 1]);
  });

  test('survives a scope; does nothing on leaves', () => {
    const x = leaf(1, 2);
    x.retainGrad();
    const y = scope(() => {
      const h = x.mul(2);
      h.retainGrad();
      h.mul(h).sum().backward();
      return h;
    });
    expect(y.grad?.toArray()).toEqual([4, 8]);
    expect(x.grad?.toArray()).toEqual([8, 16]);
  });
});

test('a gradient that was set, even one with gaps, is added to', () => {
  const x = tensor([[1, 2], [3, 4]], { requiresGrad: true }); // prettier-ignore
  x.grad = tensor([[1, 2], [3, 4]]).T; // prettier-ignore
  x.mul(2).sum().backward();
  expect(x.grad.toArray()).toEqual([[3, 5], [4, 6]]); // prettier-ignore
});
