import { describe, expect, test } from '@jest/globals';

import { absolute } from './case-values';
import { ndArray } from './nd-array';
import { oracles } from './reference';
import { dotProductError, expectBitEqual, expectClose, expectDotProductClose } from './tolerance';

const exactly = { rtol: 0, atol: 0 };

describe('expectClose', () => {
  test('allows atol + rtol |expected|', () => {
    const expected = ndArray([2], [100, 0]);
    expectClose(ndArray([2], [101, 0.5]), expected, { rtol: 0.01, atol: 0.5 });
    expect(() => expectClose(ndArray([2], [102, 0.5]), expected, { rtol: 0.01, atol: 0.5 })).toThrow();
    expect(() => expectClose(ndArray([2], [100, 0.51]), expected, { rtol: 0.01, atol: 0.5 })).toThrow();
  });

  test('names the first difference', () => {
    const [actual, expected] = [ndArray([2, 2], [1, 2, 3, 5]), ndArray([2, 2], [1, 2, 4, 4])];
    expect(() => expectClose(actual, expected, { ...exactly, label: 'output' })).toThrow(
      'output: 2 of 4 values differ, shape [2, 2], first at [1, 0]: got 3, expected 4, ' +
        'difference 1, allowed 0 (rtol 0, atol 0)',
    );
  });

  test('shapes must be the same', () => {
    expect(() => expectClose(ndArray([4], [1, 2, 3, 4]), ndArray([2, 2], [1, 2, 3, 4]), exactly)).toThrow(
      'expectClose: got shape [4] with 4 values, expected shape [2, 2] with 4 values',
    );
  });

  test('NaN and Infinity only match themselves', () => {
    const special = ndArray([3], [NaN, Infinity, -Infinity]);
    expectClose(special, special, exactly);
    const loose = { rtol: 1, atol: 1e300 };
    for (const wrong of [
      [0, Infinity, -Infinity],
      [NaN, 1, -Infinity],
      [NaN, Infinity, Infinity],
    ]) {
      expect(() => expectClose(ndArray([3], wrong), special, loose)).toThrow();
    }
    expect(() => expectClose(ndArray([1], [NaN]), ndArray([1], [0]), loose)).toThrow();
  });

  test('a scalar has the index []', () => {
    expect(() => expectClose(ndArray([], [1]), ndArray([], [2]), exactly)).toThrow('first at []: got 1');
  });
});

describe('expectBitEqual', () => {
  test('tells -0 from 0 and accepts NaN', () => {
    expectBitEqual(ndArray([2], [NaN, -0]), ndArray([2], [NaN, -0]));
    expect(() => expectBitEqual(ndArray([1], [0]), ndArray([1], [-0]))).toThrow('got 0, expected -0');
  });

  test('sees one bit', () => {
    expect(() => expectBitEqual(ndArray([1], [1 + 2 ** -52]), ndArray([1], [1]), 'weights')).toThrow(
      'weights: 1 of 1 values differ',
    );
  });
});

describe('error of a dot product', () => {
  // (2^24 + 1) - 2^24 in float32 loses the 1: a relative error of 1, but one unit of what was summed.
  const args = {
    input: ndArray([1, 3], [2 ** 24, 1, -(2 ** 24)]),
    weight: ndArray([1, 3], [1, 1, 1]),
    bias: null,
  };
  const expected = oracles.linear(args, {}).output;
  const magnitude = oracles.linear(absolute(args), {}).output;
  const rounded = ndArray([1, 1], [0]);

  test('is measured against the sum of absolute terms', () => {
    expect(magnitude.data[0]).toBe(2 ** 25 + 1);
    expect(dotProductError(rounded, expected, magnitude)).toBeCloseTo(0.5, 6);
    expectDotProductClose(rounded, expected, magnitude, 0.5);
    expect(() => expectDotProductClose(rounded, expected, magnitude, 0.4, 'linear')).toThrow(
      'linear: 1 of 1 values differ, shape [1, 1], first at [0, 0]: got 0, expected 1, error 0.4999',
    );
  });

  test('without magnitude nothing may differ', () => {
    const zero = ndArray([1], [0]);
    expect(dotProductError(zero, zero, zero)).toBe(0);
    expect(dotProductError(ndArray([1], [1e-30]), zero, zero)).toBe(Infinity);
  });
});
