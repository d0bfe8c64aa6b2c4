// Examples with results that can be followed on paper or that books print, independent of the fixtures.
import { describe, expect, test } from '@jest/globals';

import { ndArray, sizeOf } from './nd-array';
import type { NdArray } from './nd-array';
import { gradientsOf, oracles } from './reference';
import { expectClose } from './tolerance';

const exactly = { rtol: 0, atol: 0 };
const printed = { rtol: 0, atol: 5e-7 };

const arange = (...shape: number[]): NdArray =>
  ndArray(
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => i),
  );
const ones = (array: NdArray): NdArray => ndArray(array.shape, new Float64Array(array.data.length).fill(1));

describe('conv2d', () => {
  test('arange 3x3 with arange 2x2, and back', () => {
    const args = { input: arange(1, 1, 3, 3), weight: arange(1, 1, 2, 2), bias: null };
    const result = oracles.conv2d(args, {});
    expectClose(result.output, ndArray([1, 1, 2, 2], [19, 25, 37, 43]), exactly);
    const gradients = gradientsOf(result, ones(result.output));
    expectClose(gradients.weight, ndArray([1, 1, 2, 2], [8, 12, 20, 24]), exactly);
    expectClose(gradients.input, ndArray([1, 1, 3, 3], [0, 1, 1, 2, 6, 4, 2, 5, 3]), exactly);
  });

  test('stride 2, padding 1, two channels', () => {
    const weight = arange(2, 2, 3, 3);
    const args = {
      input: arange(1, 2, 4, 4),
      weight: ndArray(
        weight.shape,
        weight.data.map((i) => (i % 7) - 3),
      ),
      bias: ndArray([2], [0.5, -1]),
    };
    const result = oracles.conv2d(args, { stride: 2, padding: 1 });
    expectClose(result.output, ndArray([1, 2, 2, 2], [-42.5, -41.5, -58.5, -73.5, 26, 50, -45, 31]), exactly);
    const gradients = gradientsOf(result, ones(result.output));
    const gradWeight = [5, 10, 12, 10, 20, 24, 18, 36, 40, 21, 42, 44, 42, 84, 88, 50, 100, 104];
    expectClose(gradients.bias, ndArray([2], [4, 4]), exactly);
    expectClose(gradients.weight, ndArray([2, 2, 3, 3], [...gradWeight, ...gradWeight]), exactly);
    const gradInput = [
      [-1, -2, -1, 1, -2, 3, -2, 2, -1, -2, -1, 1, -2, 3, -2, 0],
      [3, -1, 3, -2, -1, -2, -1, -4, 3, -1, 3, -2, 2, -3, 2, -3],
    ];
    expectClose(gradients.input, ndArray([1, 2, 4, 4], gradInput.flat()), exactly);
  });

  test('the transposed convolution is its adjoint: <conv x, y> = <x, convTranspose y>', () => {
    const options = { stride: [2, 1], padding: [1, 0], dilation: [1, 2], groups: 2 };
    const [input, weight] = [arange(2, 4, 5, 6), arange(6, 2, 3, 2)];
    const { output } = oracles.conv2d({ input, weight, bias: null }, options);
    const y = arange(...output.shape);
    const { output: back } = oracles.convTranspose2d({ input: y, weight, bias: null }, options);
    const dot = (a: NdArray, b: NdArray): number =>
      a.data.reduce((sum, value, i) => sum + value * b.data[i], 0);
    expect(dot(output, y)).toBe(dot(input, back));
  });
});

describe('pooling of arange 4x4', () => {
  const input = arange(1, 1, 4, 4);

  test('3x3, stride 2, padding 1', () => {
    const args = { input, kernelSize: 3 };
    const options = { stride: 2, padding: 1 };
    expectClose(oracles.maxPool2d(args, options).output, ndArray([1, 1, 2, 2], [5, 7, 13, 15]), exactly);
    const counted = ndArray([1, 1, 2, 2], [10 / 9, 24 / 9, 51 / 9, 90 / 9]);
    expectClose(oracles.avgPool2d(args, options).output, counted, { rtol: 1e-15, atol: 0 });
    const inside = ndArray([1, 1, 2, 2], [2.5, 4, 8.5, 10]);
    const { output } = oracles.avgPool2d(args, { ...options, countIncludePad: false });
    expectClose(output, inside, { rtol: 1e-15, atol: 0 });
  });

  test('padding is below every value', () => {
    const negative = ndArray(
      input.shape,
      input.data.map((x) => -x - 1),
    );
    const { output } = oracles.maxPool2d({ input: negative, kernelSize: 3 }, { stride: 2, padding: 1 });
    expectClose(output, ndArray([1, 1, 2, 2], [-1, -2, -5, -6]), exactly);
  });
});

test('batchNorm of three rows of two features', () => {
  const args = {
    input: ndArray([3, 2], [1, 2, 3, 4, 5, 9]),
    runningMean: ndArray([2], [0, 0]),
    runningVar: ndArray([2], [1, 1]),
  };
  const affine = { weight: ndArray([2], [1, 1]), bias: ndArray([2], [0, 0]) };
  const result = oracles.batchNorm(args, { ...affine, training: true });
  const hat = [-1.224743, -1.019049, 0, -0.339683, 1.224743, 1.358732];
  expectClose(result.output, ndArray([3, 2], hat), printed);
  const { runningMean, runningVar } = result.after ?? {};
  expectClose(runningMean, ndArray([2], [0.3, 0.5]), printed);
  expectClose(runningVar, ndArray([2], [1.3, 2.2]), printed);
  const gradients = gradientsOf(result, ndArray([3, 2], [1, 0, 0, 0, 0, 0]));
  expectClose(gradients.input, ndArray([3, 2], [0.102063, 0, -0.204124, 0, 0.102061, 0]), printed);
  expectClose(gradients.weight, ndArray([2], [-1.224743, 0]), printed);
  expectClose(gradients.bias, ndArray([2], [1, 0]), printed);
});

test('crossEntropy from small and from large logits', () => {
  const args = {
    input: ndArray([2, 3], [1, 2, 3, 1000, 1001, 1002]),
    target: { ...ndArray([2], [0, 2]), dtype: 'int32' as const },
  };
  const { output } = oracles.crossEntropy(args, { reduction: 'none' });
  expectClose(output, ndArray([2], [2.407606, 0.407606]), printed);
  const mean = oracles.crossEntropy(args, {});
  expectClose(mean.output, ndArray([], [1.407606]), printed);
  // Times 2 undoes the mean over the two rows.
  const { input } = gradientsOf(mean, ndArray([], [2]));
  const firstRow = ndArray([3], input.data.slice(0, 3));
  expectClose(firstRow, ndArray([3], [-0.909969, 0.244728, 0.665241]), printed);
});
