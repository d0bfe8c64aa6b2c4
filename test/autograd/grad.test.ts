// grad(): gradients returned instead of accumulated.
import { describe, expect, test } from '@jest/globals';

import { F, grad, noGrad, ones, randn, scope, tensor, zeros, type Tensor } from '../../lib';

const leaf = (...values: number[]): Tensor => tensor(values, { requiresGrad: true });
const arrays = (list: readonly (Tensor | null)[]): unknown[] => list.map((t) => t?.toArray() ?? null);

describe('grad', () => {
  test('of leaves, leaving their grad alone', () => {
    const [x, w] = [leaf(1, 2), leaf(3, 4)];
    expect(arrays(grad(x.mul(w).mul(x).sum(), [x, w]))).toEqual([[6, 16], [1, 4]]); // prettier-ignore
    expect([x.grad, w.grad]).toEqual([null, null]);
  });

  test('of intermediates, and of an input that is named twice', () => {
    const x = leaf(1, 2);
    const y = x.mul(3);
    const z = y.mul(y).add(y);
    expect(arrays(grad(z, [y, x, y], { gradient: ones([2]) }))).toEqual([[7, 13], [21, 39], [7, 13]]); // prettier-ignore
    expect(arrays(grad(leaf(5), [leaf(1)]))).toEqual([null]);
    const own = leaf(5);
    expect(arrays(grad(own, [own]))).toEqual([[1]]);
  });

  test('null where the output does not depend on the input', () => {
    const [x, other] = [leaf(1, 2), leaf(1, 2)];
    expect(arrays(grad(x.mul(2).sum(), [other, x]))).toEqual([null, [2, 2]]);
  });

  test('equals what backward accumulates', () => {
    const x = randn([2, 3, 6, 6]).requiresGrad_();
    const w = randn([4, 3, 3, 3]).requiresGrad_();
    const net = (): Tensor =>
      F.maxPool2d(F.relu(F.conv2d(x, w)), 2)
        .square()
        .sum();
    const [gx, gw] = grad(net(), [x, w]);
    net().backward();
    expect(gx?.equal(x.grad ?? zeros([0]))).toBe(true);
    expect(gw?.equal(w.grad ?? zeros([0]))).toBe(true);
  });

  test('computes only what the inputs need', () => {
    const [x, w] = [leaf(1, 2), leaf(3, 4)];
    const seen: string[] = [];
    const [a, b] = [x.mul(2), w.mul(2)];
    a.registerHook(() => void seen.push('a'));
    b.registerHook(() => void seen.push('b'));
    const y = a.mul(b).sum();
    grad(y, [w], { retainGraph: true });
    expect(seen).toEqual(['b']);
    expect(arrays(grad(y, [a]))).toEqual([[6, 8]]); // below a nothing is walked through
    expect(seen).toEqual(['b', 'a']);
    expect(() => grad(y, [x])).toThrow('was freed by an earlier backward');
  });

  test('hooks of leaves replace what is returned', () => {
    const x = leaf(1, 2);
    x.registerHook((g) => g.mul(10));
    expect(arrays(grad(x.mul(2).add(x).sum(), [x]))).toEqual([[30, 30]]);
    expect(x.grad).toBeNull();
  });

  test('gives the incoming gradient on without a copy where nothing changes it', () => {
    const [a, b, dy] = [leaf(1, 2), leaf(3, 4), tensor([5, 6])];
    const [ga, gb] = grad(a.add(b), [a, b], { gradient: dy });
    expect([ga?.storage, gb?.storage]).toEqual([dy.storage, dy.storage]);
    a.add(b).backward(dy); // backward copies: the leaves own their gradients
    a.grad?.add_(1);
    expect([b.grad?.toArray(), dy.toArray()]).toEqual([[5, 6], [5, 6]]); // prettier-ignore
  });

  test('results outlive later passes, and belong to the scope around the call', () => {
    const x = randn([5000]).requiresGrad_();
    const [first] = grad(x.mul(2).sum(), [x]);
    for (let i = 0; i < 5; i++) grad(x.mul(3).sum(), [x]);
    expect(first?.at(4999).item()).toBe(2);
    const lost: (Tensor | null)[] = [];
    const kept = scope(() => {
      const [g, more] = [grad(x.mul(x).sum(), [x])[0], grad(x.square().sum(), [x])[0]];
      lost.push(more);
      return g;
    });
    expect(kept?.equal(x.detach().mul(2))).toBe(true);
    expect(() => lost[0]?.toArray()).toThrow('used after its scope ended');
  });

  test('refuses what has no gradient', () => {
    const x = leaf(1, 2);
    const call = (...args: unknown[]): unknown => Reflect.apply(grad, undefined, args);
    expect(() => grad(ones([1]), [x])).toThrow('grad: tensor must be the result of recorded operations');
    expect(() => grad(x.sum(), [ones([2])])).toThrow(
      'grad: inputs[0] must require gradients, got a tensor of shape [2] that does not',
    );
    expect(() => grad(x.mul(2), [x])).toThrow('grad: gradient must be given unless the tensor has');
    expect(() => grad(x.mul(2), [x], { gradient: ones([3]) })).toThrow('grad: gradient must have shape [2]');
    expect(() =>
      grad(
        noGrad(() => x.sum()),
        [x],
      ),
    ).toThrow('grad: tensor must be the result');
    expect(() => call(x.sum(), x)).toThrow('grad: inputs must be an array of tensors');
    expect(() => call(x.sum(), [x], 1)).toThrow('grad: options must be an object');
    expect(() => call([1], [x])).toThrow('grad: output must be a Tensor, got Array');
  });
});
