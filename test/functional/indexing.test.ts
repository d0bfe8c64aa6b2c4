// Indexing by tensors, gather and scatter, order and pieces beyond what fixtures show.
import { describe, expect, test } from '@jest/globals';

import {
  argsort,
  arange,
  chunk,
  equal,
  gather,
  gradcheck,
  manualSeed,
  nonzero,
  ones,
  randn,
  scatterAdd,
  slice,
  sort,
  split,
  tensor,
  topk,
  zeros,
  type Tensor,
} from '../../lib';

const ints = (...values: number[]): Tensor => tensor(new Int32Array(values));
const f64 = (shape: number[], seed = 1): Tensor => {
  manualSeed(seed);
  return randn(shape, { dtype: 'float64', requiresGrad: true });
};

describe('indexing by tensors', () => {
  test('G13: picking the probability of each label', () => {
    const p = tensor([[0.1, 0.3, 0.6], [0.3, 0.2, 0.5]], { requiresGrad: true }); // prettier-ignore
    const picked = p.at([0, 1], ints(0, 2));
    expect(picked.toTypedArray()).toEqual(new Float32Array([0.1, 0.5]));
    picked.log().neg().sum().backward();
    expect(p.grad?.at(0, 0).item()).toBeCloseTo(-10, 5);
    expect(p.grad?.at(1, 2).item()).toBeCloseTo(-2, 5);
    expect(p.grad?.ne(0).sum().item()).toBe(2);
  });

  test('gradients of elements picked several times add up, in float32 and without loss', () => {
    const x = ones([3], { requiresGrad: true });
    x.at(ints(0, 2, 2, 0, 2))
      .mul(tensor([1, 10, 100, 1000, 10000]))
      .sum()
      .backward();
    expect(x.grad?.toArray()).toEqual([1001, 0, 10110]);
  });

  test('a copy, while basic indices give a view', () => {
    const x = arange(6).reshape(2, 3);
    const picked = x.at(ints(0));
    picked.fill_(9);
    expect(x.at(0, 0).item()).toBe(0);
    expect(x.at(1).storage).toBe(x.storage);
    expect(x.at().storage).toBe(x.storage);
  });

  test('a 0-d tensor counts as a number', () => {
    const x = arange(6).reshape(2, 3);
    const y = x.at(tensor(1, { dtype: 'int32' }));
    expect(y.toArray()).toEqual([3, 4, 5]);
    expect(y.storage).toBe(x.storage);
  });

  test('on views with gaps', () => {
    const base = f64([5, 6, 4]);
    const fn = (t: Tensor): Tensor => {
      const view = t.permute(2, 0, 1).at(slice(1, 4, 2), ':', slice(1));
      return view.at(':', ints(4, 0, 4), [0, 2, 1]).mul(view.at(1, ints(2), [3]));
    };
    expect(gradcheck(fn, [base.at(slice(0, 5), slice(0, 6)).detach().requiresGrad_()])).toBe(true);
  });

  test('integers and bools', () => {
    expect(ints(5, 6, 7).at(ints(-1, 0)).toArray()).toEqual([7, 5]);
    const mask = tensor([true, false, true], { dtype: 'bool' });
    expect(mask.at(ints(0, 1)).dtype).toBe('bool');
    expect(ints(5, 6, 7).at(mask).toArray()).toEqual([5, 7]);
  });

  test('indices of any shape and memory layout', () => {
    const index = arange(6, { dtype: 'int32' }).reshape(2, 3).T;
    expect(arange(12).mul(2).at(index).toArray()).toEqual([[0, 6], [2, 8], [4, 10]]); // prettier-ignore
  });
});

describe('set', () => {
  test('by lists, masks and both', () => {
    const x = zeros([3, 3]);
    x.set(
      [
        [0, 2],
        [1, 1],
      ],
      tensor([5, 6]),
    );
    x.set([ints(1)], 3);
    x.set([x.eq(0)], -1);
    expect(x.toArray()).toEqual([[-1, 5, -1], [3, 3, 3], [-1, 6, -1]]); // prettier-ignore
  });

  test('of several values for one place the last stays', () => {
    const x = zeros([2]);
    x.set([ints(1, 0, 1, 1)], tensor([1, 2, 3, 4]));
    expect(x.toArray()).toEqual([2, 4]);
  });

  test('into part of a view', () => {
    const x = zeros([3, 4]);
    x.T.at(slice(1, 3)).set([ints(1, 0), ints(2, 0)], tensor([7, 8]));
    expect(x.toArray()).toEqual([[0, 8, 0, 0], [0, 0, 0, 0], [0, 0, 7, 0]]); // prettier-ignore
  });

  test('a tensor that records nothing begins to when a recorded value is written', () => {
    const x = f64([2, 2]);
    const fn = (t: Tensor): Tensor => {
      const y = zeros([3, 2], { dtype: 'float64' });
      y.set([ints(2, 0)], t.mul(t));
      y.set([y.detach().gt(1e9)], 0);
      y.set([1], y.at(0).add(t.at(1)));
      return y.mul(y);
    };
    expect(gradcheck(fn, [x])).toBe(true);
  });

  test('saved tensors notice it', () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const y = x.mul(1);
    const z = y.mul(y);
    y.set([ints(0)], 5);
    expect(() => z.sum().backward()).toThrow('saved by mul must be at version 0, got version 1');
  });
});

describe('gather and scatter', () => {
  test('one-hot rows', () => {
    const labels = ints(2, 0);
    expect(zeros([2, 3]).scatter_(1, labels.unsqueeze(1), 1).toArray()).toEqual([[0, 0, 1], [1, 0, 0]]); // prettier-ignore
  });

  test('0-d', () => {
    expect(gather(tensor(5), 0, tensor(0, { dtype: 'int32' })).item()).toBe(5);
    expect(scatterAdd(tensor(5), 0, tensor(0, { dtype: 'int32' }), tensor(2)).item()).toBe(7);
  });

  test('a histogram in integers', () => {
    const counts = zeros([4], { dtype: 'int32' }).scatterAdd_(
      0,
      ints(3, 1, 3, 3),
      ones([4], { dtype: 'int32' }),
    );
    expect(counts.toArray()).toEqual([0, 1, 0, 3]);
  });

  test('a source larger than the index gets zeros where it was not used', () => {
    const src = f64([3, 4]);
    const input = f64([2, 5], 2);
    const index = ints(1, 0, 3, 4).reshape(2, 2);
    expect(gradcheck((x, s) => x.scatter(1, index, s.mul(s)).mul(x), [input, src])).toBe(true);
    expect(gradcheck((x, s) => x.scatterAdd(1, index, s.mul(s)).mul(x), [input, src])).toBe(true);
  });

  test('the index may not change before backward', () => {
    const x = f64([3]);
    const index = ints(0, 1);
    const y = x.gather(0, index);
    index.fill_(2);
    expect(() => y.sum().backward()).toThrow('saved by gather must be at version 0, got version 1');
  });
});

describe('order', () => {
  test('sort, argsort and topk agree, and undo each other', () => {
    manualSeed(5);
    const x = randn([4, 50]);
    const { values, indices } = sort(x, 1);
    expect(equal(x.gather(1, indices), values)).toBe(true);
    expect(equal(argsort(x, 1), indices)).toBe(true);
    expect(equal(topk(x, 7).values, values.at(':', slice(43)).flip(1))).toBe(true);
    expect(equal(values.gather(1, argsort(indices, 1)), x)).toBe(true);
  });

  test('integers, 0-d and empty tensors', () => {
    expect(ints(3, -1, 2).sort(0, { descending: true }).values.toArray()).toEqual([3, 2, -1]);
    expect(tensor(3).sort().values.item()).toBe(3);
    expect(tensor(3).topk(1).indices.item()).toBe(0);
    expect(zeros([2, 0]).sort().values.shape).toEqual([2, 0]);
    expect(zeros([2, 3]).topk(0).values.shape).toEqual([2, 0]);
  });

  test('NaN counts as the largest, equal values keep their order', () => {
    const x = tensor([1, NaN, 0, NaN, 1]);
    expect(x.argsort().toArray()).toEqual([2, 0, 4, 1, 3]);
    expect(x.argsort(0, { descending: true }).toArray()).toEqual([1, 3, 0, 4, 2]);
  });
});

describe('pieces', () => {
  test('split and chunk give views, the last one smaller', () => {
    const x = arange(10).reshape(5, 2);
    expect(split(x, 2).map((t) => t.shape[0])).toEqual([2, 2, 1]);
    expect(split(x, [1, 0, 4]).map((t) => t.shape[0])).toEqual([1, 0, 4]);
    expect(chunk(x, 3).map((t) => t.shape[0])).toEqual([2, 2, 1]);
    expect(chunk(x, 9).length).toBe(5);
    expect(x.split(1, 1)[1].toArray()).toEqual([[1], [3], [5], [7], [9]]);
    x.chunk(2)[1].set([0, 0], 60);
    expect(x.at(3, 0).item()).toBe(60);
    expect(zeros([0, 2]).split(3).length).toBe(1);
  });

  test('gradients of pieces come together', () => {
    const fn = (t: Tensor): Tensor => {
      const [a, b, c] = t.split([1, 2, 2], 1);
      return a.mul(b).sub(c.square()).flip(0).roll(1, 1).tile(2).movedim(0, 1);
    };
    expect(gradcheck(fn, [f64([3, 5])])).toBe(true);
  });

  test('what is no view has memory of its own', () => {
    const x = ones([2]);
    for (const y of [x.flip([]), x.repeat(1), x.roll([], []), x.tile(1)]) {
      expect(y.toArray()).toEqual([1, 1]);
      expect(y.storage).not.toBe(x.storage);
    }
    expect(tensor(2).repeat().item()).toBe(2);
  });
});

test('nonzero lists positions row by row', () => {
  expect(nonzero(tensor([[0, 2], [3, 0], [0, -1]])).toArray()).toEqual([[0, 1], [1, 0], [2, 1]]); // prettier-ignore
  expect(nonzero(zeros([3])).shape).toEqual([0, 1]);
  expect(nonzero(tensor(5)).shape).toEqual([1, 0]);
  expect(nonzero(tensor(0)).shape).toEqual([0, 0]);
  expect(nonzero(tensor([NaN, 0])).dtype).toBe('int32');
});
