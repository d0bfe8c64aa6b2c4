import { describe, expect, test } from '@jest/globals';
import { disagreement } from '../../benchmarks/agreement';
import type { NamedValues } from '../../benchmarks/types';

const values = (name: string, ...list: number[]): NamedValues => ({ name, values: Float64Array.from(list) });

describe('agreement of contenders', () => {
  const reference = [values('output', 1, -2, 3), values('gradient of input 0', 4, 5)];

  test('rounding is no disagreement', () => {
    const got = [values('gradient of input 0', 4.00001, 5), values('output', 1, -2, 3.00001)];
    expect(disagreement('layers', got, reference)).toBeNull();
  });

  test('names what is off, and by how much', () => {
    const got = [values('output', 1, 2, 3), values('gradient of input 0', 4, 5)];
    expect(disagreement('layers', got, reference)).toMatch(/^output is off by 1\.9e\+0 of its rms/);
  });

  test('NaN, missing and cut results are wrong', () => {
    expect(disagreement('layers', [values('output', 1, NaN, 3)], reference)).toMatch(/^output is off by NaN/);
    expect(disagreement('layers', [values('output', 1, -2, 3)], reference)).toBe(
      'gradient of input 0 is missing',
    );
    expect(disagreement('layers', [values('output', 1, -2)], reference)).toBe(
      'output has 2 elements instead of 3',
    );
  });

  test('gradients of a step are one vector, its loss stands alone', () => {
    const step = [values('loss', 2.3), values('gradient of 0.weight', 3, 4), values('gradient of 0.bias', 0)];
    const rounded = [
      values('loss', 2.3),
      values('gradient of 0.weight', 3, 4),
      values('gradient of 0.bias', 1e-6),
    ];
    expect(disagreement('train', rounded, step)).toBeNull();
    const wrong = [
      values('loss', 2.3),
      values('gradient of 0.weight', 3, 4),
      values('gradient of 0.bias', 1),
    ];
    expect(disagreement('train', wrong, step)).toMatch(/^the gradient is off by 2\.0e-1 of its length/);
    expect(disagreement('train', [values('loss', 2.4), ...step.slice(1)], step)).toMatch(/^loss is off/);
  });

  test('updates of the weights are held to their own length', () => {
    const step = [values('gradient of 0.weight', 300, 400), values('update of 0.weight', 3e-5, 4e-5)];
    const wrong = [values('gradient of 0.weight', 300, 400), values('update of 0.weight', 3e-5, 5e-5)];
    expect(disagreement('train', wrong, step)).toMatch(/^the update is off by 2\.0e-1/);
  });
});
