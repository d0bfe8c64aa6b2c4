// Activations: extremes and refusals. Numbers in general: op-cases.test.ts.
import { describe, expect, test } from '@jest/globals';
import { F, ones, tensor, zeros } from '../../lib';
import type { Tensor } from '../../lib';
import { ShapeError } from '../../lib/errors';
import { onEveryIsa } from '../support/on-every-isa';

const values = (t: Tensor): number[] => Array.from(t.toTypedArray());

/** Value and derivative at each of the points. */
function at(fn: (x: Tensor) => Tensor, points: readonly number[]): { value: number[]; derivative: number[] } {
  const x = tensor([...points], { requiresGrad: true });
  const y = fn(x);
  y.backward(ones(y.shape));
  return { value: values(y), derivative: values(x.grad ?? zeros([0])) };
}

/** Limits of value and derivative at -3e38, Infinity; NaN for what cannot be told. */
const far: readonly (readonly [string, (x: Tensor) => Tensor, number, number, number, number])[] = [
  ['relu6', F.relu6, 0, 0, 6, 0],
  ['elu', F.elu, -1, 0, Infinity, 1],
  ['softplus', F.softplus, 0, 0, Infinity, 1],
  ['softsign', F.softsign, -1, 0, NaN, 0],
  ['logSigmoid', F.logSigmoid, -3e38, 1, 0, 0],
  ['hardsigmoid', F.hardsigmoid, 0, 0, 1, 0],
  ['hardtanh', F.hardtanh, -1, 0, 1, 0],
  ['mish', F.mish, 0, 0, Infinity, 1],
  ['gelu by tanh', (x) => F.gelu(x, { approximate: 'tanh' }), 0, 0, Infinity, 1],
];

describe('far out', () => {
  test.each(far)('%s has its limits', (_, fn, low, lowSlope, high, highSlope) => {
    onEveryIsa(() => {
      const { value, derivative } = at(fn, [-3e38, Infinity]);
      expect(Math.abs(value[0] - Math.fround(low))).toBe(0);
      expect(Math.abs(derivative[0] - lowSlope)).toBe(0);
      if (Number.isNaN(high)) expect(value[1]).toBeNaN();
      else expect(value[1]).toBe(high);
      expect(Math.abs(derivative[1] - highSlope)).toBe(0);
    });
  });

  test('NaN stays NaN', () => {
    const all: ((x: Tensor) => Tensor)[] = [
      F.relu6, F.leakyRelu, F.elu, F.selu, F.celu, F.gelu, F.silu, F.mish, F.hardswish, F.hardsigmoid, F.hardtanh,
      F.softplus, F.softsign, F.logSigmoid, (x) => F.gelu(x, { approximate: 'tanh' }), (x) => F.prelu(x, ones([1])),
    ]; // prettier-ignore
    onEveryIsa(() => {
      for (const fn of all) expect(values(fn(tensor([NaN, 1])))[0]).toBeNaN();
    });
  });

  test('elu and celu are accurate next to 0', () => {
    onEveryIsa(() => {
      for (const x of [-1e-7, -1e-4, -0.01, -0.5]) {
        const [y] = values(F.elu(tensor([x])));
        expect(Math.abs(y / Math.expm1(Math.fround(x)) - 1)).toBeLessThan(4e-7);
      }
    });
  });

  test('softplus and logSigmoid keep their digits where e^x is small', () => {
    onEveryIsa(() => {
      for (const x of [-20, -50, -80]) {
        expect(Math.abs(values(F.softplus(tensor([x])))[0] / Math.exp(x) - 1)).toBeLessThan(4e-7);
        expect(Math.abs(values(F.logSigmoid(tensor([-x])))[0] / -Math.exp(x) - 1)).toBeLessThan(4e-7);
      }
    });
  });
});

describe('where the pieces of a function meet', () => {
  test("the derivatives are PyTorch's", () => {
    expect(at(F.relu6, [0, 6]).derivative).toEqual([0, 0]);
    expect(at(F.hardtanh, [-1, 1]).derivative).toEqual([0, 0]);
    expect(at((x) => F.leakyRelu(x, { negativeSlope: 0.5 }), [0]).derivative).toEqual([0.5]);
    expect(at((x) => F.elu(x, { alpha: 0.5 }), [0]).derivative).toEqual([0.5]);
    expect(at((x) => F.prelu(x, tensor([0.25])), [0]).derivative).toEqual([0.25]);
  });
});

describe('refusals', () => {
  test('integers', () => {
    for (const fn of [F.relu6, F.gelu, F.silu, F.softsign, F.glu]) {
      expect(() => fn(zeros([2], { dtype: 'int32' }))).toThrow('input must be float32 or float64, got int32');
    }
  });

  test('options out of range', () => {
    const x = zeros([2]);
    expect(() => F.celu(x, { alpha: 0 })).toThrow(
      new RangeError('celu: alpha must be finite and not 0, got 0'),
    );
    expect(() => F.elu(x, { alpha: NaN })).toThrow(new RangeError('elu: alpha must be finite, got NaN'));
    expect(() => F.softplus(x, { beta: 0 })).toThrow(
      new RangeError('softplus: beta must be finite and not 0, got 0'),
    );
    expect(() => F.leakyRelu(x, { negativeSlope: Infinity })).toThrow(
      new RangeError('leakyRelu: negativeSlope must be finite, got Infinity'),
    );
    expect(() => F.hardtanh(x, { minVal: 2 })).toThrow(
      new RangeError('hardtanh: minVal must not exceed maxVal 1, got 2'),
    );
    const word = JSON.parse('{"approximate":"erf"}') as { approximate: 'none' };
    expect(() => F.gelu(x, word)).toThrow(
      new TypeError('gelu: approximate must be one of none, tanh, got "erf"'),
    );
  });

  test('prelu: neither one weight nor one per channel', () => {
    expect(() => F.prelu(zeros([2, 3]), ones([2]))).toThrow(
      new ShapeError({
        op: 'prelu',
        argument: 'weight',
        expected: 'must have shape [1] or [3] for input [2, 3]',
        received: '[2]',
      }),
    );
    expect(() => F.prelu(zeros([2]), ones([2]))).toThrow(
      'prelu: weight must have shape [1] for input [2], got [2]',
    );
    expect(() => F.prelu(zeros([2]), ones([1], { dtype: 'float64' }))).toThrow(
      'prelu: weight must have the dtype of input, float32, got float64',
    );
  });

  test('glu: an odd size', () => {
    expect(() => F.glu(zeros([2, 3]))).toThrow(
      'glu: input must have an even size in dimension 1, got [2, 3]',
    );
    expect(() => F.glu(tensor(1))).toThrow(ShapeError);
    expect(() => F.glu(zeros([2, 4]), 2)).toThrow('glu: dim must be an integer in -2..1, got 2');
  });
});
