// The accuracy of batch norm's statistics: whatever the mean, with outliers, in every layout; constant channels, NaN.
import { describe, expect, test } from '@jest/globals';

import { F, ones, tensor, zeros } from '../../lib';
import type { Tensor } from '../../lib';
import { ndArray } from '../support/nd-array';
import { normals } from '../support/normals';
import { valuesOf } from '../support/op-values';
import { expectBitEqual, expectClose } from '../support/tolerance';
import { onEveryIsa } from '../support/on-every-isa';

const training = { training: true } as const;

/** Mean and biased variance in double, two passes. */
function exactMoments(values: Float32Array): { mean: number; variance: number } {
  const mean = values.reduce((s, v) => s + v, 0) / values.length;
  return { mean, variance: values.reduce((s, v) => s + (v - mean) ** 2, 0) / values.length };
}

/** What batch norm sees in the values of one channel laid out as [n, c, s], as momentum 1 leaves it. */
function seenMoments(values: Float32Array, n: number, channels = 1): { mean: number; variance: number } {
  const s = values.length / n;
  const x = zeros([n, channels, s]);
  const { data } = x.storage;
  for (let i = 0, at = 0; i < n; i++) {
    for (let c = 0; c < channels; c++) for (let j = 0; j < s; j++) data[at++] = values[i * s + j];
  }
  const [mean, variance] = [zeros([channels]), ones([channels])];
  F.batchNorm(x, mean, variance, { training: true, momentum: 1 });
  const last = channels - 1;
  return {
    mean: mean.at(last).item(),
    variance: (variance.at(last).item() * (values.length - 1)) / values.length,
  };
}

describe('statistics', () => {
  const count = 100_352; // 32 images of 56 x 56
  test.each([0, 1, 100, 1e3, 1e5, 1e6])(
    'mean %p, deviation 1: as accurate as two passes in double',
    (mean) => {
      const values = normals(count, mean);
      const exact = exactMoments(values);
      onEveryIsa(() => {
        for (const n of [1, 32, 2048, 14_336, count]) {
          const seen = seenMoments(values, n, n === count ? 3 : 2);
          expect(Math.abs(seen.variance / exact.variance - 1)).toBeLessThan(1e-6);
          // float32 holds the mean to half a unit in the last place.
          expect(Math.abs(seen.mean - exact.mean)).toBeLessThanOrEqual(
            2 ** -23 * Math.max(1, Math.abs(exact.mean)),
          );
        }
      });
    },
  );

  test('an outlier that the shift may be taken from does no harm', () => {
    const base = normals(count, 1, 2);
    for (const outlier of [1e3, -1e8]) {
      for (const at of [0, 1, 4096, count - 1]) {
        const values = base.slice();
        values[at] = outlier;
        const exact = exactMoments(values);
        onEveryIsa(() => {
          for (const n of [1, 32, count]) {
            const seen = seenMoments(values, n, n === count ? 3 : 1);
            expect(Math.abs(seen.variance / exact.variance - 1)).toBeLessThan(1e-6);
          }
        });
      }
    }
  });

  test('blocks of very different level', () => {
    const values = normals(count, 0, 3).map((v, i) => v + (i % 8192 < 4096 ? 1e5 : 0));
    const exact = exactMoments(values);
    onEveryIsa(() =>
      expect(Math.abs(seenMoments(values, 1).variance / exact.variance - 1)).toBeLessThan(1e-6),
    );
  });

  test('a constant channel has variance 0 and gives the bias', () => {
    onEveryIsa(() => {
      for (const value of [0, 0.1, 1 / 3, 1e5 + 0.125, -1e30]) {
        for (const shape of [
          [4, 3, 5, 7],
          [64, 3],
          [2, 3, 9000],
        ]) {
          // prettier-ignore
          const [mean, variance, bias] = [zeros([3]), ones([3]), tensor([0.25, -3, 7])];
          const x = zeros(shape).add(value);
          const y = F.batchNorm(x, mean, variance, { ...training, bias, momentum: 1 });
          expect(Array.from(variance.toTypedArray())).toEqual([0, 0, 0]);
          expect(Array.from(mean.toTypedArray())).toEqual(new Array(3).fill(Math.fround(value)));
          const own = bias.reshape([1, 3, ...shape.slice(2).map(() => 1)]).expand(shape);
          expectBitEqual(valuesOf(y), valuesOf(own));
        }
      }
    });
  });

  test('{10000, 10001}: the variance is .25, not 0', () => {
    const variance = ones([1]);
    F.batchNorm(tensor([10_000, 10_001, 10_000, 10_001]).reshape([4, 1]), zeros([1]), variance, {
      ...training,
      momentum: 1,
    });
    expectClose(valuesOf(variance), ndArray([1], [(0.25 * 4) / 3]), { rtol: 0, atol: 1e-6 });
  });

  test('output and gradient at mean 1e5 are as at mean 0', () => {
    onEveryIsa(() => {
      // Multiples of 2^-7, so that adding 1e5 loses nothing.
      const base = normals(4 * 3 * 50, 0, 4).map((v) => Math.round(v * 128) / 128);
      const dy = tensor(normals(600, 0, 5), { shape: [4, 3, 50] });
      const run = (shift: number): { y: Tensor; dx: Tensor } => {
        const x = tensor(base.map((v) => v + shift), { shape: [4, 3, 50] }).requiresGrad_(); // prettier-ignore
        const y = F.batchNorm(x, null, null, training);
        y.backward(dy);
        return { y, dx: x.grad ?? zeros([]) };
      };
      const [near, far] = [run(0), run(1e5)];
      expectClose(valuesOf(far.y), valuesOf(near.y), { rtol: 1e-6, atol: 1e-6 });
      expectClose(valuesOf(far.dx), valuesOf(near.dx), { rtol: 1e-6, atol: 1e-6 });
    });
  });

  test('NaN and infinity stay in their channel', () => {
    for (const bad of [NaN, Infinity]) {
      const x = tensor(normals(120, 0), { shape: [2, 3, 20] });
      x.set([1, 1, 7], bad);
      const [mean, variance] = [zeros([3]), ones([3])];
      const y = F.batchNorm(x, mean, variance, training);
      expect(Array.from(y.at(':', 1).toTypedArray()).every(Number.isNaN)).toBe(true);
      expect(Array.from(y.at(':', 0).toTypedArray()).every(Number.isFinite)).toBe(true);
      expect(variance.at(1).item()).toBeNaN();
      expect(variance.at(2).item()).toBeGreaterThan(0);
    }
  });
});
