import { describe, expect, test } from '@jest/globals';
import { arange, cat, gradcheck, ones, slice, stack, tensor, zeros, type Tensor } from '../../lib';

const f64 = (values: Parameters<typeof tensor>[0]): Tensor =>
  tensor(values, { dtype: 'float64', requiresGrad: true });

describe('basic indexing', () => {
  test('returns views that share memory', () => {
    const x = arange(12).reshape(3, 4);
    const row = x.at(1);
    expect(row.toArray()).toEqual([4, 5, 6, 7]);
    row.set([0], 100);
    expect(x.at(1, 0).item()).toBe(100);
    expect(row.storage).toBe(x.storage);
  });

  test('numbers, negative numbers, ranges, steps, all, ellipsis and new dimensions', () => {
    const x = arange(24).reshape(2, 3, 4);
    expect(x.at(-1, -1, -1).item()).toBe(23);
    expect(x.at(0, slice(1, 3), slice(0, 4, 2)).toArray()).toEqual([
      [4, 6],
      [8, 10],
    ]);
    expect(x.at('...', 0).toArray()).toEqual([
      [0, 4, 8],
      [12, 16, 20],
    ]);
    expect(x.at(':', 1, ':').toArray()).toEqual([
      [4, 5, 6, 7],
      [16, 17, 18, 19],
    ]);
    expect(x.at(0, null, 0).shape).toEqual([1, 4]);
    expect(x.at(0, 0, slice(-2)).toArray()).toEqual([2, 3]);
    expect(x.at(0, 0, slice(3, 1)).shape).toEqual([0]);
  });

  test.each<[string, () => unknown, string]>([
    ['out of range', () => zeros([2, 3]).at(2), 'at: index[0] must be an integer in -2..1, got 2'],
    ['fraction', () => zeros([2, 3]).at(0, 1.5), 'at: index[1] must be an integer in -3..2, got 1.5'],
    [
      'too many',
      () => zeros([2]).at(0, 0),
      "at: index must have at most 1 entries for shape [2] and at most one '...', got [0, 0]",
    ],
    ['step', () => slice(0, 4, 0), 'slice: step must be an integer >= 1, got 0'],
  ])('refuses %s', (_, act, message) => {
    expect(act).toThrow(new RangeError(message));
  });

  test('gradients of a view go to the part it shows', () => {
    const x = f64([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    x.at(':', slice(1, 3)).sum().backward();
    expect(x.grad?.toArray()).toEqual([
      [0, 1, 1],
      [0, 1, 1],
    ]);
    expect(gradcheck((t) => t.at(':', slice(0, 3, 2)).mul(t.at(1, null, 1)), [x])).toBe(true);
  });
});

describe('set', () => {
  test('writes numbers and broadcast tensors', () => {
    const x = ones([6, 8]);
    x.set([':', slice(2, 6)], 0);
    expect(x.sum().item()).toBe(24);
    x.set([0], tensor([1, 2, 3, 4, 5, 6, 7, 8]));
    expect(x.at(0).toArray()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    x.set([':', 0], tensor(9));
    expect(x.at(':', 0).toArray()).toEqual([9, 9, 9, 9, 9, 9]);
  });

  test('is differentiable in the written value and in what remains', () => {
    const a = f64([0.5, -1, 2]);
    const b = f64([3, 4]);
    const written = (x: Tensor, v: Tensor): Tensor => {
      const y = x.mul(x);
      y.set([slice(0, 2)], v.mul(v));
      y.set([2], y.at(0).mul(2));
      return y.mul(y);
    };
    expect(gradcheck(written, [a, b])).toBe(true);
  });

  test('refuses a leaf that requires gradients, and a view when it would be recorded', () => {
    const x = zeros([3], { requiresGrad: true });
    expect(() => x.set([0], 1)).toThrow('set: tensor is a leaf that requires gradients');
    const base = zeros([2, 2]);
    expect(() => base.at(0).set([0], f64([1]).sum().to('float32'))).toThrow('set: tensor is a view');
  });

  test('refuses a value that does not fit, and leaves the tensor as it was', () => {
    const x = zeros([2, 3]);
    expect(() => x.set([0], tensor([1, 2]))).toThrow(
      'set: value must broadcast to the selected part [3], got [2]',
    );
    expect(x.sum().item()).toBe(0);
  });
});

describe('views', () => {
  test('reshape shares memory and resolves -1', () => {
    const x = arange(6);
    const y = x.reshape(2, -1);
    expect(y.shape).toEqual([2, 3]);
    y.set([1, 2], 50);
    expect(x.at(5).item()).toBe(50);
    expect(() => x.reshape(4, -1)).toThrow('reshape: shape [4, -1] must hold the 6 elements of the tensor');
    expect(() => x.reshape(5)).toThrow('reshape: shape [5] must hold the 6 elements of the tensor');
  });

  test('transposed elements are read in order after a copy', () => {
    const x = arange(6).reshape(2, 3);
    expect(x.T.isContiguous).toBe(false);
    expect(x.T.reshape(6).toArray()).toEqual([0, 3, 1, 4, 2, 5]);
    expect([...x.T.toTypedArray()]).toEqual([0, 3, 1, 4, 2, 5]);
    expect(x.permute(1, 0).contiguous().isContiguous).toBe(true);
  });

  test('squeeze, unsqueeze, flatten, expand', () => {
    const x = arange(3).reshape(1, 3, 1);
    expect(x.squeeze().shape).toEqual([3]);
    expect(x.squeeze(0).shape).toEqual([3, 1]);
    expect(x.squeeze(1).shape).toEqual([1, 3, 1]);
    expect(x.unsqueeze(-1).shape).toEqual([1, 3, 1, 1]);
    expect(zeros([2, 3, 4]).flatten(1).shape).toEqual([2, 12]);
    expect(x.expand(2, 3, 2).sum().item()).toBe(12);
    expect(() => x.expand(2, 4, 2)).toThrow('expand: shape must extend [1, 3, 1]');
  });

  test('iterates over dimension 0', () => {
    expect([...arange(4).reshape(2, 2)].map((r) => r.toArray())).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(() => [...tensor(3)]).toThrow('unbind: input must have a dimension');
  });

  test('all views pass gradients', () => {
    const x = f64([
      [0.1, -0.2, 0.3],
      [0.4, 0.5, -0.6],
    ]);
    const fns: ((t: Tensor) => Tensor)[] = [
      (t) => t.reshape(3, 2).mul(t.reshape(3, 2)),
      (t) => t.T.mul(t.permute(1, 0)),
      (t) => t.unsqueeze(0).expand(4, 2, 3).mul(t),
      (t) => t.flatten().mul(2),
      (t) => cat([t, t.mul(t)], 1),
      (t) => stack([t, t.mul(3)], 1).mul(t.unsqueeze(1)),
      (t) => cat(t.unbind(0).map((r) => r.mul(r))),
    ];
    for (const fn of fns) expect(gradcheck(fn, [x])).toBe(true);
  });
});

describe('cat and stack', () => {
  test('join along a dimension', () => {
    const x = arange(4).reshape(1, 1, 2, 2);
    const y = cat([x, x.add(1)], 1);
    expect(y.toArray()).toEqual([
      [
        [
          [0, 1],
          [2, 3],
        ],
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ]);
    expect(stack([arange(2), arange(2)], 1).toArray()).toEqual([
      [0, 0],
      [1, 1],
    ]);
  });

  test('refuse shapes that differ', () => {
    expect(() => cat([zeros([2, 3]), zeros([2, 4])])).toThrow(
      'cat: tensors[1] must match [2, 3] in every dimension but 0, got [2, 4]',
    );
    expect(() => stack([zeros([2]), zeros([3])])).toThrow('stack: tensors[1] must have shape [2], got [3]');
    expect(() => cat([])).toThrow('cat: tensors must be a non-empty array of tensors');
  });
});
