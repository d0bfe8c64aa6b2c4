import { describe, expect, test } from '@jest/globals';
import {
  enableGrad,
  F,
  grad,
  GraphError,
  isGradEnabled,
  noGrad,
  ones,
  randn,
  ShapeError,
  slice,
  tensor,
  zeros,
  type Tensor,
} from '../../lib';

const leaf = (values: Parameters<typeof tensor>[0]): Tensor => tensor(values, { requiresGrad: true });

describe('backward', () => {
  test('accumulates into leaves', () => {
    const x = leaf([1, 2]);
    x.mul(x).sum().backward();
    x.mul(3).sum().backward();
    expect(x.grad?.toArray()).toEqual([5, 7]);
    x.clearGrad();
    expect(x.grad).toBeNull();
  });

  test('sums over every path', () => {
    const x = leaf([2]);
    const y = x.mul(x);
    y.add(y).add(x).mul(y).sum().backward(); // 2x^4 + x^3
    expect(x.grad?.toArray()).toEqual([8 * 8 + 3 * 4]);
  });

  test('a leaf itself', () => {
    const x = leaf(3);
    x.backward();
    expect(x.grad?.item()).toBe(1);
  });

  test('takes a seed for more than one element', () => {
    const x = leaf([1, 2]);
    x.mul(x).backward(tensor([1, 10]));
    expect(x.grad?.toArray()).toEqual([2, 40]);
    expect(() => x.mul(2).backward()).toThrow(
      'backward: gradient must be given unless the tensor has exactly one element, got shape [2]',
    );
  });

  test('row 28: a seed of another shape', () => {
    const x = leaf([1, 2]);
    expect(() => x.mul(2).backward(ones([3]))).toThrow(ShapeError);
    expect(() => x.mul(2).backward(ones([3]))).toThrow('backward: gradient must have shape [2], got [3]');
    expect(() => x.mul(2).backward(zeros([0]))).toThrow('backward: gradient must have shape [2], got [0]');
    expect(x.grad).toBeNull();
  });

  test('row 29: twice through one graph, or where nothing was recorded', () => {
    const x = leaf([1, 2]);
    const y = x.mul(x).sum();
    y.backward();
    expect(() => y.backward()).toThrow(GraphError);
    expect(() => y.backward()).toThrow('was freed by an earlier backward (pass { retainGraph: true }');
    const z = x.mul(x).sum();
    z.backward(undefined, { retainGraph: true });
    z.backward();
    expect(x.grad?.toArray()).toEqual([6, 12]);
    expect(() => ones([1]).backward()).toThrow('backward: tensor must be the result of recorded operations');
    expect(() => noGrad(() => x.mul(x).sum()).backward()).toThrow('must be the result');
  });

  test('does not touch what does not require gradients', () => {
    const x = leaf([1]);
    const c = ones([1]);
    x.mul(c).sum().backward();
    expect(c.grad).toBeNull();
    expect(c.requiresGrad).toBe(false);
  });

  test('gradients are not shared between leaves', () => {
    const a = leaf([1, 1]);
    const b = leaf([1, 1]);
    a.add(b).sum().backward();
    a.grad?.add_(5);
    expect(b.grad?.toArray()).toEqual([1, 1]);
  });

  test('a gradient looked at stays valid when later passes run', () => {
    const x = randn([5000]).requiresGrad_();
    x.mul(2).sum().backward();
    const first = x.grad;
    x.clearGrad();
    x.mul(3).sum().backward();
    expect(first?.at(4999).item()).toBe(2);
    expect(x.grad?.at(4999).item()).toBe(3);
  });

  test('a gradient that somebody else reads is not overwritten', () => {
    const x = leaf([0]);
    const z = x.mul(4); // four functions share the gradient of their sum
    const [a, b, c] = [F.sigmoid(z), F.hardsigmoid(z), F.relu(z.add(1))];
    const seed = tensor([3]);
    const sum = a.add(b).add(c).add(z);
    sum.retainGrad();
    sum.backward(seed);
    expect(seed.toArray()).toEqual([3]);
    expect(sum.grad?.toArray()).toEqual([3]);
    expect(x.grad?.item()).toBeCloseTo(3 * 4 * (1 / 4 + 1 / 6 + 1 + 1), 5);
  });

  test('intermediate gradients that are asked for or kept survive what comes after them', () => {
    const x = leaf([-1, 2]);
    const y = x.mul(3);
    const z = F.relu(y);
    z.retainGrad();
    const seen: unknown[] = [];
    y.registerHook((g) => void seen.push(g));
    z.mul(5).sum().backward(undefined, { retainGraph: true });
    expect(z.grad?.toArray()).toEqual([5, 5]);
    expect((seen[0] as Tensor).toArray()).toEqual([0, 5]);
    const [gz, gy, gx] = grad(z.mul(7).sum(), [z, y, x]);
    expect([gz, gy, gx].map((g) => g?.toArray())).toEqual([[7, 7], [0, 7], [0, 21]]); // prettier-ignore
  });

  test('long chains do not overflow the stack', () => {
    const x = leaf([1]);
    let y: Tensor = x;
    for (let i = 0; i < 20000; i++) y = y.add(0);
    y.backward();
    expect(x.grad?.item()).toBe(1);
  });
});

describe('grad mode', () => {
  test('noGrad records nothing and is restored after a throw', () => {
    const x = leaf([1]);
    expect(noGrad(() => x.mul(2)).requiresGrad).toBe(false);
    expect(() =>
      noGrad(() => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(isGradEnabled()).toBe(true);
    expect(noGrad(() => enableGrad(() => x.mul(2).requiresGrad))).toBe(true);
  });

  test('noGrad refuses async functions', () => {
    expect(() => noGrad(() => Promise.resolve(1))).toThrow('noGrad: fn must be synchronous');
    expect(isGradEnabled()).toBe(true);
  });
});

describe('in-place edits', () => {
  test('a saved tensor that was edited is noticed', () => {
    const x = leaf([1, 2]);
    const y = x.mul(1);
    const z = y.mul(y);
    y.detach().add_(1);
    expect(() => z.sum().backward()).toThrow(
      'backward: a tensor of shape [2] saved by mul must be at version 0, got version 1',
    );
  });

  test('leaves that require gradients may only be edited inside noGrad', () => {
    const x = leaf([1, 2]);
    expect(() => x.add_(1)).toThrow('add_: tensor is a leaf that requires gradients');
    noGrad(() => x.add_(1));
    expect(x.toArray()).toEqual([2, 3]);
  });

  test('recorded edits keep the history', () => {
    const x = leaf([1, 2]);
    const y = x.mul(2);
    y.add_(x).mul_(x);
    y.sum().backward();
    expect(x.grad?.toArray()).toEqual([6, 12]); // 3x^2
    expect(y.toArray()).toEqual([3, 12]);
  });

  test('a view taken before an edit of its base is refused', () => {
    const x = leaf([1, 2]);
    const y = x.mul(2);
    const view = y.at(slice(0, 1));
    y.set([0], 5);
    expect(() => view.mul(2)).toThrow('was taken before its base was edited in place');
  });

  test('arithmetic twins', () => {
    const x = tensor([6, 8]);
    expect(
      x
        .add_(2)
        .sub_(tensor([1, 1]))
        .mul_(2)
        .div_(tensor([2]))
        .toArray(),
    ).toEqual([7, 9]);
    expect(x.fill_(3).toArray()).toEqual([3, 3]);
    expect(x.copy_(tensor([1])).toArray()).toEqual([1, 1]);
    expect(x.zero_().toArray()).toEqual([0, 0]);
    expect(tensor([4, 5], { dtype: 'int32' }).add_(1).toArray()).toEqual([5, 6]);
    expect(() => x.add_(zeros([3, 2]))).toThrow(
      "add_: other must broadcast to the tensor's shape [2], got [3, 2]",
    );
  });
});
