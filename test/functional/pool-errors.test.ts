// What pooling refuses, and what it says: kind, argument and text of every message; and that the native side refuses
// descriptors that would leave a buffer, whoever calls it.
import { describe, expect, test } from '@jest/globals';

import { F, isLaminaeError, ones, tensor, zeros } from '../../lib';
import type { Tensor } from '../../lib';
import { run } from '../../lib/native';
import { thrownBy } from '../support/thrown-by';

type Options = Record<string, unknown>;

/** Calls with values that the types would not let through. */
const maxPool = (x: unknown, kernel: unknown, options: unknown = {}): Tensor =>
  F.maxPool2d(x as Tensor, kernel as number, options as Options);
const avgPool = (x: unknown, kernel: unknown, options: unknown = {}): Tensor =>
  F.avgPool2d(x as Tensor, kernel as number, options as Options);
const adaptive = (x: unknown, size: unknown): Tensor => F.adaptiveAvgPool2d(x as Tensor, size as number);

const x = ones([1, 2, 4, 4]);
const both = (kernel: unknown, options: Options = {}): readonly (() => Tensor)[] => [
  () => maxPool(x, kernel, options),
  () => avgPool(x, kernel, options),
];
const int32 = (values: number[], shape: number[]): Tensor => tensor(values, { shape, dtype: 'int32' });

type Row = readonly [
  name: string,
  calls: readonly (() => unknown)[],
  kind: typeof RangeError | typeof TypeError,
  argument: string,
  text: string,
];

// prettier-ignore
const rows: readonly Row[] = [
  ['kernel 0', both(0), RangeError, 'kernelSize[0]', 'kernelSize[0] must be an integer >= 1, got 0'],
  ['kernel -1', both([2, -1]), RangeError, 'kernelSize[1]', 'kernelSize[1] must be an integer >= 1, got -1'],
  ['kernel 1.5', both(1.5), RangeError, 'kernelSize[0]', 'must be an integer >= 1, got 1.5'],
  ['kernel NaN', both(NaN), RangeError, 'kernelSize[0]', 'must be an integer >= 1, got NaN'],
  ['kernel [] ', both([]), RangeError, 'kernelSize', 'must have 2 entries, got 0 in []'],
  ['kernel of three', both([1, 2, 3]), RangeError, 'kernelSize', 'must have 2 entries, got 3 in [1, 2, 3]'],
  ['kernel "2"', both('2'), TypeError, 'kernelSize', 'must be a number or [number, number], got "2"'],
  ['kernel undefined', both(undefined), TypeError, 'kernelSize', 'must be a number or [number, number], got undefined'],
  ['stride 0', both(2, { stride: 0 }), RangeError, 'stride[0]', 'stride[0] must be an integer >= 1, got 0'],
  ['stride [1, 0]', both(2, { stride: [1, 0] }), RangeError, 'stride[1]', 'stride[1] must be an integer >= 1, got 0'],
  ['stride 2n', both(2, { stride: 2n }), TypeError, 'stride', 'got 2n'],
  ['padding more than half the kernel', both(3, { padding: 2 }), RangeError, 'padding[0]', 'padding must be <= half the effective kernel, 1, got 2'],
  ['padding more than half, one side', both([3, 2], { padding: [1, 2] }), RangeError, 'padding[1]', 'padding must be <= half the effective kernel, 1, got 2'],
  ['padding -1', both(2, { padding: -1 }), RangeError, 'padding[0]', 'padding[0] must be an integer >= 0, got -1'],
  ['dilation 0', [() => maxPool(x, 2, { dilation: 0 })], RangeError, 'dilation[0]', 'dilation[0] must be an integer >= 1, got 0'],
  ['dilation larger than the input', [() => maxPool(x, 2, { dilation: 4 })], RangeError, 'effective kernel 5x5', 'effective kernel 5x5 is larger than the padded input 4x4'],
  ['kernel larger than the input', both([5, 2]), RangeError, 'effective kernel 5x2', 'output size 0x2 is too small'],
  ['output size 0x3', [() => maxPool(ones([1, 1, 2, 6]), [3, 2])], RangeError, 'effective kernel 3x2', 'output size 0x3 is too small'],
  ['kernel and stride that wrap around', both(2 ** 62 + 2 ** 60, { stride: 2 ** 62 + 2 ** 60 }), RangeError, 'kernelSize[0]', 'must be an integer >= 1'],
  ['kernel beyond 32 bits', both(2 ** 32 + 2), RangeError, 'kernelSize[0]', 'must be an integer in 1..2147483647, got 4294967298'],
  ['stride beyond 32 bits', both(2, { stride: 2 ** 32 + 1 }), RangeError, 'stride[0]', 'must be an integer in 1..2147483647'],
  ['dilation beyond 32 bits', [() => maxPool(x, 2, { dilation: 2 ** 40 })], RangeError, 'dilation[0]', 'must be an integer in 1..2147483647'],
  ['ceilMode 1', both(2, { ceilMode: 1 }), TypeError, 'ceilMode', 'ceilMode must be true or false, got 1'],
  ['countIncludePad "no"', [() => avgPool(x, 2, { countIncludePad: 'no' })], TypeError, 'countIncludePad', 'must be true or false, got "no"'],
  ['divisorOverride 0', [() => avgPool(x, 2, { divisorOverride: 0 })], RangeError, 'divisorOverride', 'divisor must be finite and non-zero, got 0'],
  ['divisorOverride NaN', [() => avgPool(x, 2, { divisorOverride: NaN })], RangeError, 'divisorOverride', 'divisor must be finite and non-zero, got NaN'],
  ['divisorOverride "2"', [() => avgPool(x, 2, { divisorOverride: '2' })], TypeError, 'divisorOverride', 'must be a number, got "2"'],
  ['rank 2', [() => maxPool(ones([4, 4]), 2), () => avgPool(ones([4, 4]), 2), () => adaptive(ones([4, 4]), 2)], RangeError, 'input', 'expects [C,H,W] or [N,C,H,W], got [4, 4]'],
  ['rank 5', [() => maxPool(ones([1, 1, 1, 4, 4]), 2)], RangeError, 'input', 'expects [C,H,W] or [N,C,H,W], got [1, 1, 1, 4, 4]'],
  ['no channels', [() => F.maxPool1d(ones([1, 0, 10]), 2), () => F.avgPool1d(ones([1, 0, 10]), 2)], RangeError, 'input', 'channel/spatial size must be >= 1, got [1, 0, 10]'],
  ['width 0', [() => maxPool(ones([2, 1, 10, 0]), 2), () => adaptive(ones([2, 1, 10, 0]), 2)], RangeError, 'input', 'channel/spatial size must be >= 1, got [2, 1, 10, 0]'],
  ['int32 input', [() => maxPool(int32([1, 2, 3, 4], [1, 1, 2, 2]), 2), () => adaptive(int32([1], [1, 1, 1]), 1)], TypeError, 'input', 'input must be float32 or float64, got int32'],
  ['no tensor', [() => maxPool([[1]], 2), () => avgPool(null, 2)], TypeError, 'input', 'input must be a Tensor'],
  ['adaptive size 0', [() => adaptive(x, 0)], RangeError, 'outputSize[0]', 'outputSize[0] must be an integer >= 1'],
  ['adaptive size -1', [() => adaptive(x, [2, -1])], RangeError, 'outputSize[1]', 'got -1'],
  ['adaptive size 1.5', [() => adaptive(x, 1.5)], RangeError, 'outputSize[0]', 'got 1.5'],
  ['adaptive size of three', [() => adaptive(x, [1, 2, 3])], TypeError, 'outputSize', 'must be a number or have 2 entries'],
  ['adaptive size null', [() => adaptive(x, null)], TypeError, 'outputSize[0]', 'must be a number, got null'],
  ['unpool index -1', [() => F.maxUnpool1d(ones([1, 1, 2]), int32([0, -1], [1, 1, 2]), 2)], RangeError, 'index -1 at [0,0,1]', 'maxUnpool1d: index -1 at [0,0,1] outside 0..3'],
  ['unpool index h w', [() => F.maxUnpool2d(ones([1, 1, 1, 1]), int32([4], [1, 1, 1, 1]), 2)], RangeError, 'index 4 at [0,0,0,0]', 'outside 0..3'],
  ['unpool indices of another shape', [() => F.maxUnpool1d(ones([1, 1, 2]), int32([0], [1, 1, 1]), 2), () => F.maxUnpool1d(ones([1, 1, 2]), int32([], [1, 1, 0]), 2)], RangeError, 'indices', 'must have the shape of input [1, 1, 2]'],
  ['unpool indices that are fractions', [() => F.maxUnpool1d(ones([1, 1, 1]), tensor([[[0.5]]]), 2)], TypeError, 'indices', 'indices must be int32, got float32'],
  ['unpool to an impossible size', [() => F.maxUnpool1d(ones([1, 1, 2]), int32([0, 1], [1, 1, 2]), 2, { outputSize: [9] })], RangeError, 'outputSize', 'must lie between [3] and [5], got [9]'],
];

describe.each(rows.map((row) => [row[0], row] as const))('%s', (_, [, calls, kind, argument, text]) => {
  test.each(calls.map((call, i) => [i, call] as const))('call %i', (_i, call) => {
    const error: unknown = thrownBy(call, kind);
    if (!isLaminaeError(error)) throw error;
    expect(error.argument).toBe(argument);
    expect(error.message).toContain(text);
    expect(error.message.startsWith(`${error.op}: `)).toBe(true);
  });
});

test('a gradient of another shape is refused', () => {
  const y = F.maxPool2d(ones([1, 2, 4, 4]).requiresGrad_(), 2);
  expect(() => y.backward(ones([1, 2, 2, 3]))).toThrow(RangeError);
  expect(() => y.backward(ones([0]))).toThrow(RangeError);
});

describe('the native side refuses', () => {
  const pool = {
    planes: 1,
    in: [1, 4, 4],
    out: [1, 2, 2],
    kernel: [1, 2, 2],
    stride: [1, 2, 2],
    padding: [0, 0, 0],
  };
  const fields = { ...pool, dilation: [1, 1, 1] };
  const average = { ...pool, countPadding: 1, divisor: 0 };
  const [input, y, dy] = [ones([16]), zeros([4]), ones([4])];
  const chosen = zeros([4], { dtype: 'uint8' });

  const refuses = (call: () => void, text: string): void => expect(call).toThrow(text);

  test('buffers that are too short', () => {
    refuses(
      () => run('maxPool', fields, { x: ones([15]), y, chosen: null }),
      'buffer x must hold 16 elements, got 15',
    );
    refuses(() => run('maxPool', fields, { x: input, y: zeros([3]), chosen: null }), 'buffer y must hold 4');
    refuses(
      () => run('maxPool', fields, { x: input, y, chosen: zeros([3], { dtype: 'uint8' }) }),
      'buffer chosen',
    );
    refuses(() => run('maxPoolBackward', fields, { dy: ones([3]), chosen, dx: zeros([16]) }), 'buffer dy');
    refuses(
      () => run('maxPoolBackward', fields, { dy, chosen: zeros([0], { dtype: 'uint8' }), dx: zeros([16]) }),
      'chosen',
    );
    refuses(() => run('avgPoolBackward', average, { dy, dx: zeros([15]) }), 'buffer dx must hold 16');
  });

  test('buffers of another type', () => {
    refuses(
      () => run('maxPool', fields, { x: input, y, chosen: zeros([4], { dtype: 'int32' }) }),
      'must be uint8',
    );
    refuses(() => run('maxPool', fields, { x: chosen, y, chosen: null }), 'needs float32 or float64');
  });

  test('sizes that are zero, negative or overflow', () => {
    for (const bad of [0, -536_870_912, 2 ** 31, 2 ** 52]) {
      refuses(
        () => run('maxPool', { ...fields, in: [1, bad, 4] }, { x: input, y, chosen: null }),
        'sizes must lie in',
      );
      refuses(
        () => run('avgPoolBackward', { ...average, in: [1, bad, 4] }, { dy, dx: zeros([16]) }),
        'sizes must lie in',
      );
      refuses(
        () => run('avgPool', { ...average, stride: [1, bad, 2] }, { x: input, y }),
        'sizes must lie in',
      );
      refuses(
        () => run('adaptiveAvgPool', { planes: 1, in: [1, 4, 4], out: [1, bad, 2] }, { x: input, y }),
        'sizes must lie in',
      );
    }
    refuses(() => run('avgPool', { ...average, padding: [0, -1, 0] }, { x: input, y }), 'sizes must lie in');
    refuses(() => run('avgPool', { ...average, planes: -1 }, { x: input, y }), 'negative size');
  });

  test('output sizes that do not follow from the input stay within the buffers', () => {
    const wide = { ...fields, out: [1, 9, 70] };
    const big = zeros([630]);
    run('maxPool', wide, { x: input, y: big, chosen: null });
    expect(big.at(0).item()).toBe(1);
    expect(big.at(629).item()).toBe(-Infinity);
    run('avgPool', { ...average, out: [1, 9, 70] }, { x: input, y: big });
    run('avgPoolBackward', { ...average, out: [1, 9, 70] }, { dy: ones([630]), dx: zeros([16]) });
  });

  test('positions outside a plane, before anything is written', () => {
    const plane = { planes: 2, n: 2, size: 3, accumulate: 0 };
    const target = ones([6]);
    for (const bad of [-1, 3, 2 ** 31 - 1]) {
      const index = int32([0, 1, 2, bad], [4]);
      refuses(() => run('scatterPlanes', plane, { x: ones([4]), index, y: target }), 'is outside 0..2');
      refuses(() => run('gatherPlanes', plane, { x: ones([6]), index, y: zeros([4]) }), 'is outside 0..2');
    }
    expect(target.toArray()).toEqual([1, 1, 1, 1, 1, 1]);
  });
});
