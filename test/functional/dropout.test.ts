// Dropout: exact at 0 and 1, the right share in between, the same mask in both directions.
import { describe, expect, test } from '@jest/globals';
import {
  F,
  arange,
  getNumThreads,
  manualSeed,
  ones,
  randn,
  scope,
  setNumThreads,
  tensor,
  zeros,
} from '../../lib';
import type { Tensor } from '../../lib';

const values = (t: Tensor): number[] => Array.from(t.toTypedArray());

describe('dropout', () => {
  const x = arange(16).reshape(2, 8);

  test('of arange(16): p 0 keeps, p 1 gives zeros, p 0.5 zeroes or doubles each', () => {
    expect(F.dropout(x, 0).toArray()).toEqual(x.toArray());
    expect(F.dropout(x, 1).toArray()).toEqual(zeros([2, 8]).toArray());
    values(F.dropout(x, 0.5)).forEach((v, i) => expect([0, 2 * i]).toContain(v));
  });

  test('p 1 gives zeros for infinities too, and a gradient of zeros', () => {
    const special = tensor([Infinity, NaN, -1], { requiresGrad: true });
    const y = F.dropout(special, 1);
    expect(y.toArray()).toEqual([0, 0, 0]);
    y.sum().backward();
    expect(special.grad?.toArray()).toEqual([0, 0, 0]);
  });

  test('is the identity in evaluation', () => {
    expect(F.dropout(x, 0.9, { training: false })).toBe(x);
    expect(F.alphaDropout(x, 0.9, { training: false })).toBe(x);
  });

  test('keeps a share of 1 - p, scaled to keep the mean', () => {
    manualSeed(7);
    for (const p of [0.1, 0.5, 0.8]) {
      const y = F.dropout(ones([100_000]), p);
      const kept = values(y).filter((v) => v !== 0);
      // five standard deviations of a share of 100,000
      expect(Math.abs(kept.length / 100_000 - (1 - p))).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / 100_000));
      expect(new Set(kept)).toEqual(new Set([Math.fround(1 / (1 - p))]));
    }
  });

  test('passes the gradient through what was kept', () => {
    const input = randn([50], { requiresGrad: true });
    const y = F.dropout(input, 0.4);
    y.backward(ones([50]));
    const [mask, out] = [values(input.grad ?? zeros([0])), values(y)];
    values(input).forEach((v, i) => expect(out[i]).toBe(Math.fround(v * mask[i])));
    expect(new Set(mask).size).toBe(2);
  });

  test('depends on the seed, not on the number of threads or on other calls in between', () => {
    const threads = getNumThreads();
    const draw = (): number[] => {
      manualSeed(3);
      return values(F.dropout(ones([40_001]), 0.5));
    };
    try {
      setNumThreads(1);
      const single = draw();
      expect(draw()).toEqual(single);
      setNumThreads(3);
      expect(draw()).toEqual(single);
    } finally {
      setNumThreads(threads);
    }
    manualSeed(3);
    const first = values(F.dropout(ones([100]), 0.5));
    expect(values(F.dropout(ones([100]), 0.5))).not.toEqual(first);
  });

  test('works on views, in float64 and within a scope', () => {
    const view = arange(6, { dtype: 'float64' }).reshape(2, 3).transpose(0, 1);
    const y = F.dropout(view, 0.5);
    expect(y.dtype).toBe('float64');
    values(y).forEach((v, i) => expect([0, 2 * values(view)[i]]).toContain(v));
    const w = ones([2000], { requiresGrad: true });
    scope(() => F.dropout(w, 0.5).sum().backward());
    expect(new Set(values(w.grad ?? zeros([0])))).toEqual(new Set([0, 2]));
  });

  test('refuses probabilities out of range and integers', () => {
    for (const p of [-0.1, 1.1, NaN]) {
      expect(() => F.dropout(x, p)).toThrow(new RangeError(`dropout: p must be in 0..1, got ${p}`));
    }
    expect(() => F.dropout(zeros([2], { dtype: 'int32' }))).toThrow(
      new TypeError(
        "dropout: input must be float32 or float64, got int32 (convert with input.to('float32'))",
      ),
    );
  });
});

describe('channel dropout', () => {
  test.each([
    ['dropout1d', F.dropout1d, [4, 8, 5], 2],
    ['dropout1d without batch', F.dropout1d, [16, 5], 1],
    ['dropout2d', F.dropout2d, [4, 8, 3, 3], 2],
    ['dropout2d of three dimensions', F.dropout2d, [4, 8, 3], 2],
    ['dropout3d', F.dropout3d, [4, 8, 2, 2, 2], 2],
    ['dropout3d without batch', F.dropout3d, [16, 2, 2, 2], 1],
  ] as const)('%s drops channels as a whole', (_, fn, shape, kept) => {
    manualSeed(1);
    const input = ones(shape, { requiresGrad: true });
    const y = fn(input, 0.5);
    y.sum().backward();
    expect(input.grad?.toArray()).toEqual(y.toArray());
    const inner = shape.slice(kept).reduce((a, b) => a * b, 1);
    const flat = values(y);
    const channels = new Set<number>();
    for (let c = 0; c < flat.length; c += inner) {
      const own = new Set(flat.slice(c, c + inner));
      expect(own.size).toBe(1);
      channels.add(flat[c]);
    }
    expect(channels).toEqual(new Set([0, 2]));
  });

  test('refuses other ranks', () => {
    expect(() => F.dropout1d(zeros([2]))).toThrow(
      new RangeError('dropout1d: input must have 2 or 3 dimensions, got [2]'),
    );
    expect(() => F.dropout2d(zeros([2, 2]))).toThrow(
      'dropout2d: input must have 3 or 4 dimensions, got [2, 2]',
    );
    expect(() => F.dropout3d(zeros([2, 2]))).toThrow(
      'dropout3d: input must have 4 or 5 dimensions, got [2, 2]',
    );
  });
});

describe('alphaDropout', () => {
  test('keeps mean 0 and variance 1', () => {
    manualSeed(5);
    const y = F.alphaDropout(randn([200_000]), 0.3);
    expect(Math.abs(y.mean().item())).toBeLessThan(0.015);
    expect(Math.abs(y.var().item() - 1)).toBeLessThan(0.03);
  });

  test('sets what is dropped to one value and is linear in the rest', () => {
    manualSeed(5);
    const x = tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], { dtype: 'float64', requiresGrad: true });
    const y = F.alphaDropout(x, 0.5);
    y.sum().backward();
    const floor = -1.0507009873554805 * 1.6732632423543772;
    const a = 1 / Math.sqrt(0.5 * (1 + 0.5 * floor ** 2));
    const grad = values(x.grad ?? zeros([0]));
    values(y).forEach((v, i) => {
      expect([0, a]).toContain(grad[i]);
      expect(v).toBeCloseTo(a * (grad[i] === 0 ? floor : i) - a * 0.5 * floor, 12);
    });
  });

  test('featureAlphaDropout gives whole channels one fate', () => {
    manualSeed(5);
    const x = ones([50, 20, 3, 3], { requiresGrad: true });
    const y = F.featureAlphaDropout(x, 0.5);
    y.sum().backward();
    const [low, high] = [y.amin([2, 3]), y.amax([2, 3])];
    expect(low.equal(high)).toBe(true); // PyTorch 1.13 gives these two values for ones
    const dropped = low.lt(0);
    expect(low.at(dropped).sub(-0.7792).abs().max().item()).toBeLessThan(5e-5);
    expect(low.at(dropped.logicalNot()).sub(1.6656).abs().max().item()).toBeLessThan(5e-5);
    expect(Math.abs(dropped.to('float32').mean().item() - 0.5)).toBeLessThan(0.05);
    expect(x.grad?.gt(0).equal(y.gt(0))).toBe(true);
    expect(F.featureAlphaDropout(x, 0.5, { training: false })).toBe(x);
    expect(() => F.featureAlphaDropout(zeros([2]))).toThrow(
      'featureAlphaDropout: input must have at least 2 dimensions, got [2]',
    );
  });

  test('is exact at 0 and 1', () => {
    const x = arange(4);
    expect(F.alphaDropout(x, 0)).toBe(x);
    expect(F.alphaDropout(x, 1).toArray()).toEqual([0, 0, 0, 0]);
    expect(() => F.alphaDropout(x, 2)).toThrow(new RangeError('alphaDropout: p must be in 0..1, got 2'));
  });
});
