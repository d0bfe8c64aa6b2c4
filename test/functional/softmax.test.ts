// Softmax and log-softmax: known values, extremes, refusals. Numbers in general: op-cases.test.ts.
import { describe, expect, test } from '@jest/globals';
import { F, tensor, zeros } from '../../lib';
import type { Tensor } from '../../lib';
import { onEveryIsa } from '../support/on-every-isa';

const values = (t: Tensor): number[] => Array.from(t.toTypedArray());

describe('softmax', () => {
  test('of 1, 2, 3', () => {
    onEveryIsa(() => {
      const [a, b, c] = values(F.softmax(tensor([1, 2, 3]), 0));
      expect(a).toBeCloseTo(0.0900306, 6);
      expect(b).toBeCloseTo(0.2447285, 6);
      expect(c).toBeCloseTo(0.6652409, 6);
    });
  });

  test('does not overflow, and -Infinity has probability 0', () => {
    onEveryIsa(() => {
      expect(values(F.softmax(tensor([1e38, 1e38]), 0))).toEqual([0.5, 0.5]);
      expect(values(F.softmax(tensor([-1e38, 0, -Infinity]), 0))).toEqual([0, 1, 0]);
      expect(values(F.logSoftmax(tensor([1000, 0, -Infinity]), 0))).toEqual([0, -1000, -Infinity]);
    });
  });

  test.each([
    ['a row', [1, 40], 1],
    ['a column', [40, 1], 0],
    ['a column beside others', [40, 3], 0],
  ] as const)(
    'a NaN, an Infinity or nothing but -Infinity spoils %s, but none beside it',
    (_, shape, dim) => {
      onEveryIsa(() => {
        for (const special of [[NaN], [Infinity], new Array<number>(40).fill(-Infinity)]) {
          const x = zeros(shape);
          special.forEach((v, i) => (x.storage.data[i * (shape[1] === 40 ? 1 : shape[1])] = v));
          for (const fn of [F.softmax, F.logSoftmax]) {
            const y = fn(x, dim);
            const own = (i: number): boolean => shape[1] !== 3 || i % 3 === 0;
            values(y).forEach((v, i) => expect(Number.isNaN(v)).toBe(own(i)));
          }
        }
      });
    },
  );

  test('adds up to 1 for any number of classes, and any neighbours', () => {
    onEveryIsa(() => {
      for (const n of [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 1000, 5000]) {
        for (const inner of [1, 3]) {
          const x = zeros([2, n, inner]);
          for (let i = 0; i < x.numel; i++) x.storage.data[i] = Math.sin(i * 12.9898) * 6;
          const y = F.softmax(x, 1);
          for (const s of values(y.sum(1))) expect(Math.abs(s - 1)).toBeLessThan(4e-7);
          expect(Math.min(...values(y))).toBeGreaterThan(0);
        }
      }
    });
  });

  test('of a 0-d tensor is 1, of an empty one is empty', () => {
    expect(F.softmax(tensor(3), 0).item()).toBe(1);
    expect(F.logSoftmax(tensor(3), -1).item()).toBe(0);
    expect(F.softmax(zeros([0, 3]), 1).shape).toEqual([0, 3]);
    expect(F.softmax(zeros([3, 0]), 1).shape).toEqual([3, 0]);
  });

  test('refuses integers and dimensions that are not there', () => {
    expect(() => F.softmax(zeros([2], { dtype: 'int32' }), 0)).toThrow(
      new TypeError(
        "softmax: input must be float32 or float64, got int32 (convert with input.to('float32'))",
      ),
    );
    expect(() => F.softmax(zeros([2, 3]), 2)).toThrow(
      new RangeError('softmax: dim must be an integer in -2..1, got 2'),
    );
    expect(() => F.logSoftmax(zeros([2, 3]), NaN)).toThrow(
      new RangeError('logSoftmax: dim must be an integer in -2..1, got NaN'),
    );
  });
});
