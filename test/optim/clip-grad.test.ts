// Gradient clipping against PyTorch, in both dtypes.
import { describe, expect, test } from '@jest/globals';
import { optim, tensor, zeros } from '../../lib';
import type { DType, Tensor } from '../../lib';
import type { CaseRecord } from '../support/case-values';
import { numberOf, tensorOf } from '../support/case-values';
import { loadFixtureRecords, type FixtureRecord } from '../support/fixtures';
import { built, valuesOf } from '../support/op-values';
import { expectClose } from '../support/tolerance';

const { clipGradNorm_, clipGradValue_ } = optim;

function paramsOf(record: FixtureRecord, dtype: DType): Tensor[] {
  const args = record.args as CaseRecord;
  return Object.keys(args).map((name) => {
    const grad = tensorOf(args, name);
    const p = zeros(grad.shape, { dtype, requiresGrad: true });
    p.grad = built(grad, dtype, 'contiguous');
    return p;
  });
}

function expectAfter(params: readonly Tensor[], record: FixtureRecord, dtype: DType): void {
  const tolerance = dtype === 'float64' ? 1e-15 : 2e-7;
  params.forEach((p, i) => {
    const { grad } = p;
    if (grad === null) throw new Error('the gradient is gone');
    const label = `${record.name}, ${dtype}, grad${i}`;
    expectClose(valuesOf(grad), tensorOf(record.after as CaseRecord, `grad${i}`), {
      rtol: tolerance,
      atol: tolerance,
      label,
    });
  });
}

describe.each(['float64', 'float32'] as const)('%s', (dtype) => {
  test.each(loadFixtureRecords('clipGradNorm_').map((r) => [r.name, r] as const))(
    'clipGradNorm_: %s',
    (_, record) => {
      const params = paramsOf(record, dtype);
      const options = record.options as CaseRecord;
      const total = clipGradNorm_(
        [...params, zeros([2], { requiresGrad: true })],
        numberOf(options, 'maxNorm'),
        {
          normType: numberOf(options, 'normType', 2),
        },
      );
      expectAfter(params, record, dtype);
      const expected = numberOf(record.expected as CaseRecord, 'totalNorm');
      expect(total.shape).toEqual([]);
      expect(Math.abs(total.item() - expected)).toBeLessThan(dtype === 'float64' ? 1e-14 : 1e-6);
    },
  );

  test.each(loadFixtureRecords('clipGradValue_').map((r) => [r.name, r] as const))(
    'clipGradValue_: %s',
    (_, record) => {
      const params = paramsOf(record, dtype);
      clipGradValue_(params, numberOf(record.options as CaseRecord, 'clipValue'));
      expectAfter(params, record, dtype);
    },
  );
});

describe('edges', () => {
  test('no gradients: the norm is 0', () => {
    expect(clipGradNorm_([zeros([2], { requiresGrad: true })], 1).item()).toBe(0);
    expect(clipGradNorm_([], 1).item()).toBe(0);
  });

  test('a gradient within the limit keeps its bits', () => {
    const p = zeros([2], { requiresGrad: true });
    p.grad = tensor([0.1, 0.2]);
    clipGradNorm_(p, 1);
    expect(p.grad.toArray()).toEqual([Math.fround(0.1), Math.fround(0.2)]);
  });

  test('a NaN spreads, or is refused on request before anything changes', () => {
    const p = zeros([2], { requiresGrad: true });
    p.grad = tensor([NaN, 2]);
    expect(() => clipGradNorm_(p, 1, { errorIfNonfinite: true })).toThrow(
      'clipGradNorm_: norm of 1 gradients must be finite, got NaN',
    );
    expect(p.grad.toArray()).toEqual([NaN, 2]);
    expect(clipGradNorm_(p, 1).item()).toBeNaN();
    expect(p.grad.toArray()).toEqual([NaN, NaN]);
  });

  test('limits must not be negative, and parameters must be tensors', () => {
    expect(() => clipGradNorm_([], -1)).toThrow(
      new RangeError('clipGradNorm_: maxNorm must be >= 0, got -1'),
    );
    expect(() => clipGradNorm_([], NaN)).toThrow(RangeError);
    expect(() => clipGradNorm_([], 1, { normType: 0 })).toThrow('clipGradNorm_: normType must be > 0, got 0');
    expect(() => clipGradValue_([], -1)).toThrow(
      new RangeError('clipGradValue_: clipValue must be >= 0, got -1'),
    );
    const list = JSON.parse('[1]') as Tensor[];
    expect(() => clipGradNorm_(list, 1)).toThrow(
      new TypeError('clipGradNorm_: params[0] must be a Tensor, got 1'),
    );
  });
});
