// What batch norm refuses, and what it says; and that the native side refuses what would leave a buffer.
import { describe, expect, test } from '@jest/globals';

import { F, isLaminaeError, ones, zeros } from '../../lib';
import type { Tensor } from '../../lib';
import { run } from '../../lib/native';
import { valuesOf } from '../support/op-values';
import { expectBitEqual } from '../support/tolerance';
import { thrownBy } from '../support/thrown-by';

const training = { training: true } as const;

describe('errors', () => {
  const x = ones([2, 3, 4, 4]);
  const [mean, variance] = [zeros([3]), ones([3])];
  type Options = Record<string, unknown>;
  const norm = (input: unknown, m: unknown = mean, v: unknown = variance, options: Options = {}): Tensor =>
    F.batchNorm(input as Tensor, m as Tensor, v as Tensor, options);

  // prettier-ignore
  const rows: readonly (readonly [string, () => unknown, typeof RangeError | typeof TypeError, string, string])[] = [
    ['one value per channel', () => norm(ones([1, 3, 1, 1]), mean, variance, training), RangeError, 'input', 'needs more than 1 value per channel in training, got [1, 3, 1, 1] (call eval()'],
    ['one row', () => norm(ones([1, 3]), mean, variance, training), RangeError, 'input', 'needs more than 1 value per channel in training, got [1, 3]'],
    ['an empty batch in training', () => norm(zeros([0, 3, 4, 4]), mean, variance, training), RangeError, 'input', 'needs more than 1 value per channel in training, got [0, 3, 4, 4]'],
    ['weight of another length', () => norm(x, mean, variance, { weight: ones([4]) }), RangeError, 'weight', 'weight must have shape [3], one entry per channel of input [2, 3, 4, 4], got [4]'],
    ['bias that is empty', () => norm(x, mean, variance, { bias: ones([0]) }), RangeError, 'bias', 'bias must have shape [3]'],
    ['bias of two dimensions', () => norm(x, mean, variance, { bias: ones([1, 3]) }), RangeError, 'bias', 'got [1, 3]'],
    ['runningMean of another length', () => norm(x, zeros([2])), RangeError, 'runningMean', 'runningMean must have shape [3]'],
    ['runningVar that is empty', () => norm(x, mean, zeros([0]), training), RangeError, 'runningVar', 'runningVar must have shape [3]'],
    ['no runningMean in evaluation', () => norm(x, null), RangeError, 'runningMean', 'must have shape [3] in evaluation, got null'],
    ['no runningVar in evaluation', () => norm(x, mean, null), RangeError, 'runningVar', 'must have shape [3] in evaluation, got null'],
    ['eps negative', () => norm(x, mean, variance, { eps: -1e-5 }), RangeError, 'eps', 'eps must be finite and >= 0, got -0.00001'],
    ['eps NaN', () => norm(x, mean, variance, { eps: NaN }), RangeError, 'eps', 'eps must be finite and >= 0, got NaN'],
    ['eps "1"', () => norm(x, mean, variance, { eps: '1' }), TypeError, 'eps', 'eps must be a number'],
    ['momentum -0.1', () => norm(x, mean, variance, { momentum: -0.1 }), RangeError, 'momentum', 'momentum must be in 0..1, got -0.1'],
    ['momentum 1.1', () => norm(x, mean, variance, { momentum: 1.1 }), RangeError, 'momentum', 'momentum must be in 0..1, got 1.1'],
    ['momentum NaN', () => norm(x, mean, variance, { momentum: NaN }), RangeError, 'momentum', 'momentum must be in 0..1, got NaN'],
    ['input of rank 1', () => norm(ones([3])), RangeError, 'input', 'must be [n, c] or [n, c, ...] with at least one channel, got [3]'],
    ['no channels', () => norm(ones([3, 0])), RangeError, 'input', 'with at least one channel, got [3, 0]'],
    ['int32 input', () => norm(zeros([2, 3], { dtype: 'int32' })), TypeError, 'input', 'input must be float32 or float64, got int32'],
    ['float64 statistics for float32', () => norm(x, zeros([3], { dtype: 'float64' })), TypeError, 'runningMean', 'runningMean must have the dtype of input, float32, got float64'],
    ['a weight that is no tensor', () => norm(x, mean, variance, { weight: [1, 1, 1] }), TypeError, 'weight', 'weight must be a Tensor'],
  ];

  test.each(rows)('%s', (_, call, kind, argument, text) => {
    const before = valuesOf(mean);
    const error: unknown = thrownBy(call, kind);
    if (!isLaminaeError(error)) throw error;
    expect(error.argument).toBe(argument);
    expect(error.message).toContain(text);
    expect(error.message.startsWith('batchNorm: ')).toBe(true);
    expectBitEqual(valuesOf(mean), before, 'the running mean is as it was');
  });

  test('the native side refuses statistics and parameters of another length', () => {
    const all = { low: -Infinity, high: Infinity };
    const fields = { n: 2, c: 3, s: 4, training: 1, ...all };
    const [dy, dx] = [ones([24]), zeros([24])];
    const doubles = (n: number): Tensor => ones([n], { dtype: 'float64' });
    const backward = (m: Tensor, k: Tensor, dweight: Tensor | null, y: Tensor | null = null): void =>
      run('batchNormBackward', fields, {
        x: dy,
        dy,
        weight: null,
        bias: null,
        mean: m,
        invstd: k,
        y,
        passed: null,
        dx,
        dweight,
        dbias: null,
      });
    expect(() => backward(doubles(2), doubles(3), null)).toThrow('buffer mean must hold 3 elements, got 2');
    expect(() => backward(doubles(3), doubles(0), null)).toThrow('buffer invstd must hold 3');
    expect(() => backward(doubles(3), doubles(3), zeros([2]))).toThrow('buffer dweight must hold 3');
    expect(() => backward(doubles(3), doubles(3), null, dy)).toThrow('y and passed go together');
    const buffers = {
      x: dy,
      weight: null,
      bias: null,
      runningMean: null,
      runningVar: null,
      add: null,
      y: dx,
      mean: doubles(3),
      invstd: doubles(3),
    };
    expect(() => run('batchNormTrain', { n: 0, c: 3, s: 4, momentum: 0, eps: 0, ...all }, buffers)).toThrow(
      'at least one value',
    );
    expect(() => run('batchNormTrain', { n: -1, c: 3, s: 4, momentum: 0, eps: 0, ...all }, buffers)).toThrow(
      'negative size',
    );
    expect(() => run('batchNormEval', { n: 2, c: 3, s: 4, eps: 0, ...all }, buffers)).toThrow(
      'buffer running_mean is required',
    );
    expect(() => run('batchNormEval', { n: 2, c: 3, s: 4, eps: 0, low: 1, high: 0 }, buffers)).toThrow(
      'low must not be above high',
    );
  });
});
