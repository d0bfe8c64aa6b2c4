// Losses: known values, edges, refusals. Numbers in general: op-cases.test.ts.
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { F, ones, setNumThreads, tensor, zeros } from '../../lib';
import type { Tensor } from '../../lib';
import { DTypeError, ShapeError } from '../../lib/errors';
import { seededIndices, seededTensor, built, valuesOf } from '../support/op-values';
import { thrownBy } from '../support/thrown-by';
import { expectBitEqual } from '../support/tolerance';
import { onEveryIsa } from '../support/on-every-isa';

const values = (t: Tensor): number[] => Array.from(t.toTypedArray());
const labels = (...indices: number[]): Tensor => tensor(new Int32Array(indices));

function expectNear(t: Tensor, expected: readonly number[], digits: number): void {
  const actual = values(t);
  expect(actual).toHaveLength(expected.length);
  actual.forEach((v, i) => expect(v).toBeCloseTo(expected[i], digits));
}

describe('crossEntropy', () => {
  const logits = [
    [1, 2, 3],
    [1000, 1001, 1002],
  ];

  test('of the probabilities [.1 .3 .6] and [.3 .2 .5] with labels 0 and 2 is 2.3026 and 0.6931', () => {
    const p = tensor([
      [0.1, 0.3, 0.6],
      [0.3, 0.2, 0.5],
    ]);
    expectNear(F.nllLoss(p.log(), labels(0, 2), { reduction: 'none' }), [2.3026, 0.6931], 4);
    expect(p.argmax(1).eq(labels(0, 2)).to('float32').mean().item()).toBe(0.5); // the accuracy
    // the logits log p have the same softmax
    expectNear(F.crossEntropy(p.log(), labels(0, 2), { reduction: 'none' }), [2.3026, 0.6931], 4);
  });

  test('of the logits [1 2 3] and [1000 1001 1002] with labels 0 and 2, with its gradient', () => {
    const x = tensor(logits, { requiresGrad: true });
    expectNear(F.crossEntropy(x, labels(0, 2), { reduction: 'none' }), [2.407606, 0.407606], 6);
    const loss = F.crossEntropy(x, labels(0, 2));
    expectNear(loss, [1.407606], 6);
    loss.backward();
    const row = values(x.grad ?? zeros([0])).slice(0, 3);
    [-0.90997, 0.244728, 0.665241].forEach((g, i) => expect(2 * row[i]).toBeCloseTo(g, 5));
  });

  test('takes labels of other dtypes if they are integers', () => {
    const expected = F.crossEntropy(tensor(logits), labels(0, 2)).item();
    expect(F.crossEntropy(tensor(logits), tensor([0, 2])).item()).toBe(expected);
    expect(F.crossEntropy(tensor(logits), tensor(new Uint8Array([0, 2]))).item()).toBe(expected);
  });

  test('works under a scope of memory and after the labels were edited', () => {
    const x = tensor(logits, { requiresGrad: true });
    const y = labels(0, 2);
    const loss = F.crossEntropy(x, y);
    y.fill_(1);
    expect(() => loss.backward()).toThrow('edited in place');
  });

  test('of a batch of 0 is NaN, 0 or empty', () => {
    const [x, y] = [zeros([0, 3], { requiresGrad: true }), zeros([0], { dtype: 'int32' })];
    expect(F.crossEntropy(x, y).item()).toBeNaN();
    expect(F.crossEntropy(x, y, { reduction: 'sum' }).item()).toBe(0);
    expect(F.crossEntropy(x, y, { reduction: 'none' }).shape).toEqual([0]);
    F.crossEntropy(x, y, { reduction: 'sum' }).backward();
    expect(x.grad?.shape).toEqual([0, 3]);
  });

  test('of ignored labels alone is NaN with a gradient of zeros', () => {
    const x = tensor(logits, { requiresGrad: true });
    const loss = F.crossEntropy(x, labels(-100, -100));
    expect(loss.item()).toBeNaN();
    loss.backward();
    expect(x.grad?.toArray()).toEqual(zeros([2, 3]).toArray());
  });

  test.each([
    ['rows', [3000, 10], [3000]],
    ['images', [3, 10, 40, 41], [3, 40, 41]],
  ] as const)('of %s gives the same bits with 1, 2 and 3 threads', (_, shape, targetShape) => {
    const target = built(seededIndices(targetShape, 1, 10), 'float32', 'contiguous');
    const once = (reduction: 'none' | 'mean'): Tensor[] => {
      const x = built(seededTensor(shape, 2, [-4, 4], 'real'), 'float32', 'contiguous').requiresGrad_();
      const loss = F.crossEntropy(x, target, { reduction, labelSmoothing: 0.1, ignoreIndex: 3 });
      loss.backward(ones(loss.shape));
      return [loss, x.grad ?? zeros([0])];
    };
    onEveryIsa((isa) => {
      for (const reduction of ['none', 'mean'] as const) {
        setNumThreads(1);
        const single = once(reduction);
        for (const count of [2, 3]) {
          setNumThreads(count);
          once(reduction).forEach((t, i) => {
            expectBitEqual(valuesOf(t), valuesOf(single[i]), `${reduction} on ${isa}, ${count} threads`);
          });
        }
      }
    });
  });

  describe('refuses', () => {
    test('labels that are no class, with their place', () => {
      const x = zeros([6, 10]);
      const error = thrownBy(() => F.crossEntropy(x, labels(0, 1, 2, 3, 4, 10)), RangeError);
      expect(error.message).toBe('crossEntropy: target[5] = 10 must be in 0..9');
      expect(() => F.crossEntropy(x, labels(0, 1, -1, 3, 4, 5))).toThrow('target[2] = -1 must be in 0..9');
      expect(() => F.nllLoss(x, labels(0, 1, 2, 3, 99, 5))).toThrow(
        new RangeError('nllLoss: target[4] = 99 must be in 0..9'),
      );
      const image = zeros([1, 2, 2, 2]);
      expect(() =>
        F.crossEntropy(
          image,
          tensor(
            [
              [
                [0, 1],
                [2, 0],
              ],
            ],
            { dtype: 'int32' },
          ),
        ),
      ).toThrow('crossEntropy: target[0, 1, 0] = 2 must be in 0..1');
      expect(() => F.crossEntropy(zeros([3]), tensor(3, { dtype: 'int32' }))).toThrow(
        'crossEntropy: target = 3 must be in 0..2',
      );
    });

    test('labels that are no numbers, or no integers', () => {
      const x = zeros([2, 10]);
      expect(() => F.crossEntropy(x, tensor([0, NaN]))).toThrow(
        new RangeError('crossEntropy: target[1] = NaN must be an integer in 0..9'),
      );
      expect(() => F.crossEntropy(x, tensor([0.5, 1]))).toThrow('target[0] = 0.5 must be an integer in 0..9');
    });

    test('targets of another shape', () => {
      const error = thrownBy(() => F.crossEntropy(zeros([5, 4]), labels(1, 2)), ShapeError);
      expect(error.message).toBe(
        'crossEntropy: target must have shape [5] (class indices) or [5, 4] (floating: class probabilities) ' +
          'for input [5, 4], got int32 [2]',
      );
      expect(() => F.crossEntropy(zeros([5, 4]), zeros([5, 4], { dtype: 'int32' }))).toThrow(ShapeError);
      expect(() => F.nllLoss(zeros([5, 4]), zeros([5, 4]))).toThrow(
        'nllLoss: target must have shape [5] (class indices) for input [5, 4], got float32 [5, 4]',
      );
    });

    test('inputs without classes, and integers', () => {
      expect(() => F.crossEntropy(tensor(1), labels(0))).toThrow(
        new ShapeError({
          op: 'crossEntropy',
          argument: 'input',
          expected: 'must be [c], [n, c] or [n, c, ...]',
          received: '[]',
        }),
      );
      expect(() => F.crossEntropy(zeros([2, 0]), labels(0, 0))).toThrow(
        'crossEntropy: input must have at least one class in dimension 1, got [2, 0]',
      );
      const integers = zeros([2, 3], { dtype: 'int32' });
      expect(thrownBy(() => F.crossEntropy(integers, labels(0, 0)), DTypeError).message).toBe(
        "crossEntropy: input must be float32 or float64, got int32 (convert with input.to('float32'))",
      );
    });

    test('options out of range', () => {
      const [x, y] = [zeros([2, 3]), labels(0, 1)];
      expect(() => F.crossEntropy(x, y, { weight: ones([2]) })).toThrow(
        'crossEntropy: weight must have shape [3] (one factor per class of input [2, 3]), got [2]',
      );
      expect(() => F.crossEntropy(x, y, { weight: ones([3], { dtype: 'float64' }) })).toThrow(
        'crossEntropy: weight must have the dtype of input, float32, got float64',
      );
      expect(() => F.crossEntropy(x, y, { labelSmoothing: 1.5 })).toThrow(
        'crossEntropy: labelSmoothing must be in 0..1, got 1.5',
      );
      expect(() => F.crossEntropy(x, y, { labelSmoothing: NaN })).toThrow(RangeError);
      expect(() => F.crossEntropy(x, y, { ignoreIndex: 0.5 })).toThrow('ignoreIndex must be an integer');
      const word = JSON.parse('{"reduction":"average"}') as { reduction: 'mean' };
      expect(() => F.crossEntropy(x, y, word)).toThrow(
        new TypeError('crossEntropy: reduction must be one of none, mean, sum, got "average"'),
      );
    });
  });
});

describe('losses of two tensors', () => {
  const warn = jest.spyOn(process, 'emitWarning');
  beforeEach(() => {
    warn.mockImplementation(() => undefined);
  });
  afterEach(() => {
    warn.mockReset();
  });

  test('broadcast a target of another shape, with a warning', () => {
    expect(F.mseLoss(zeros([2, 1]), tensor([1, 3]), { reduction: 'none' }).shape).toEqual([2, 2]);
    expect(warn.mock.calls).toEqual([
      [
        'mseLoss: target [2] is broadcast against input [2, 1]: make the shapes equal unless that is meant',
        'LaminaeWarning',
      ],
    ]);
    expect(() => F.l1Loss(zeros([2, 3]), zeros([2]))).toThrow(ShapeError);
  });

  test('do not warn about equal shapes, and take integer targets', () => {
    expect(F.mseLoss(tensor([1, 2]), labels(0, 4)).item()).toBe(2.5);
    expect(F.l1Loss(tensor([1, 2]), labels(0, 4)).item()).toBe(1.5);
    expect(warn).not.toHaveBeenCalled();
  });

  test('of nothing are NaN, 0 or empty', () => {
    for (const fn of [F.mseLoss, F.l1Loss, F.smoothL1Loss, F.huberLoss, F.binaryCrossEntropy, F.klDiv]) {
      const [x, y] = [zeros([0, 2]), zeros([0, 2])];
      expect(fn(x, y).item()).toBeNaN();
      expect(fn(x, y, { reduction: 'sum' }).item()).toBe(0);
      expect(fn(x, y, { reduction: 'none' }).shape).toEqual([0, 2]);
    }
  });

  test('refuse what is out of range', () => {
    const [x, y] = [zeros([2]), zeros([2])];
    expect(() => F.smoothL1Loss(x, y, { beta: -1 })).toThrow(
      new RangeError('smoothL1Loss: beta must be finite and >= 0, got -1'),
    );
    expect(() => F.huberLoss(x, y, { delta: 0 })).toThrow(
      new RangeError('huberLoss: delta must be finite and > 0, got 0'),
    );
    expect(() => F.mseLoss(labels(1, 2), y)).toThrow(
      new TypeError(
        "mseLoss: input must be float32 or float64, got int32 (convert with input.to('float32'))",
      ),
    );
    expect(() => F.mseLoss(x, JSON.parse('[1,2]') as Tensor)).toThrow(
      new TypeError('mseLoss: target must be a Tensor, got Array (make one with tensor(values))'),
    );
    const word = JSON.parse('{"reduction":"batch"}') as { reduction: 'mean' };
    expect(() => F.klDiv(x, y, word)).toThrow(
      new TypeError('klDiv: reduction must be one of none, mean, sum, batchmean, got "batch"'),
    );
  });
});

describe('binary cross entropy', () => {
  test('of a certain and wrong probability is 100, and its gradient finite', () => {
    const x = tensor([0, 1], { requiresGrad: true });
    const loss = F.binaryCrossEntropy(x, tensor([1, 0]), { reduction: 'sum' });
    expect(loss.item()).toBe(200);
    loss.backward();
    expect(values(x.grad ?? zeros([0])).every(Number.isFinite)).toBe(true);
  });

  test('passes gradients on to the target', () => {
    const t = tensor([0.25], { requiresGrad: true, dtype: 'float64' });
    F.binaryCrossEntropy(tensor([0.2], { dtype: 'float64' }), t).backward();
    expect(t.grad?.item()).toBeCloseTo(Math.log(0.8) - Math.log(0.2), 12);
  });

  test('from logits does not overflow', () => {
    const x = tensor([-1000, 1000], { requiresGrad: true });
    expect(values(F.binaryCrossEntropyWithLogits(x, tensor([1, 0]), { reduction: 'none' }))).toEqual([
      1000, 1000,
    ]);
    expect(values(F.binaryCrossEntropyWithLogits(x, tensor([0, 1]), { reduction: 'none' }))).toEqual([0, 0]);
  });

  test('refuses numbers that are no probabilities, and targets of another shape', () => {
    expect(() => F.binaryCrossEntropy(tensor([0.5, 1.5]), zeros([2]))).toThrow(
      new RangeError(
        'binaryCrossEntropy: input must hold probabilities in 0..1, got 1.5 (for logits use binaryCrossEntropyWithLogits)',
      ),
    );
    expect(() => F.binaryCrossEntropy(tensor([-0.5, 0.5]), zeros([2]))).toThrow('got -0.5');
    expect(() => F.binaryCrossEntropy(tensor([NaN]), zeros([1]))).toThrow('got NaN');
    expect(() => F.binaryCrossEntropyWithLogits(zeros([2, 1]), zeros([2]))).toThrow(
      new ShapeError({
        op: 'binaryCrossEntropyWithLogits',
        argument: 'target',
        expected: 'must have shape [2, 1] (as the input)',
        received: '[2]',
      }),
    );
    expect(() =>
      F.binaryCrossEntropy(ones([2]), ones([2]), { weight: ones([2], { dtype: 'float64' }) }),
    ).toThrow('binaryCrossEntropy: weight must have the dtype of input, float32, got float64');
  });
});
