// Pooling where a table of random cases does not look: golden values, NaN and -infinity at every place of a window,
// windows of more than 255 cells, ways that must agree bit for bit, and laws. Values against PyTorch and the reference
// are in op-cases.test.ts.
import { afterEach, describe, expect, test } from '@jest/globals';

import { F, arange, cat, cpuInfo, grad, gradcheck, nn, noGrad, ones, setIsa, tensor, zeros } from '../../lib';
import type { Size, Tensor } from '../../lib';
import type { AvgPoolOptions, MaxPoolOptions } from '../../lib/functional';
import type { CaseRecord } from '../support/case-values';
import type { NdArray } from '../support/nd-array';
import { mapped, ndArray } from '../support/nd-array';
import { seededTensor, valuesOf } from '../support/op-values';
import type { OracleResult } from '../support/reference';
import { gradientsOf, oracles } from '../support/reference';
import { expectBitEqual, expectClose } from '../support/tolerance';

const { isa: best, available } = cpuInfo();
afterEach(() => setIsa(best));

const image = (): Tensor => arange(16).reshape([1, 1, 4, 4]);
const same = (a: Tensor, b: Tensor, label?: string): void => expectBitEqual(valuesOf(a), valuesOf(b), label);
const planes = (t: Tensor): unknown => t.reshape(t.shape.slice(-2)).toArray();

function random(shape: readonly number[], seed = 1): Tensor {
  const { data } = seededTensor(shape, seed, [-4, 4], 'real');
  return tensor(Float32Array.from(data), { shape: [...shape] });
}

// + 0 makes 0 of -0
const integers = (shape: readonly number[], seed = 1): Tensor => random(shape, seed).round().add(0);

describe('golden values', () => {
  test('2x2 windows on 0..8: maximum, mean, minimum', () => {
    const x = arange(9).reshape([1, 1, 3, 3]);
    const options = { stride: 1 };
    expect(planes(F.maxPool2d(x, 2, options))).toEqual([[4, 5], [7, 8]]); // prettier-ignore
    expect(planes(F.avgPool2d(x, 2, options))).toEqual([[2, 3], [5, 6]]); // prettier-ignore
    expect(planes(F.maxPool2d(x.neg(), 2, options).neg())).toEqual([[0, 1], [3, 4]]); // prettier-ignore
  });

  test('maximum on 0..15', () => {
    expect(planes(F.maxPool2d(image(), 3))).toEqual([[10]]);
    expect(planes(F.maxPool2d(image(), 3, { padding: 1, stride: 2 }))).toEqual([[5, 7], [13, 15]]); // prettier-ignore
    expect(planes(F.maxPool2d(image(), [2, 3], { stride: [2, 3], padding: [0, 1] }))).toEqual([[5, 7], [13, 15]]); // prettier-ignore
    expect(planes(F.maxPool2d(image(), [2, 4], { padding: [1, 2], stride: [2, 3] }))).toEqual([[1, 3], [9, 11], [13, 15]]); // prettier-ignore
  });

  test('several channels are pooled each for itself', () => {
    const y = F.maxPool2d(cat([image(), image().add(1)], 1), 3, { padding: 1, stride: 2 });
    expect(y.shape).toEqual([1, 2, 2, 2]);
    expect(y.toArray()).toEqual([[[[5, 7], [13, 15]], [[6, 8], [14, 16]]]]); // prettier-ignore
  });

  test('padding is -infinity, never 0', () => {
    const y = F.maxPool2d(image().neg().sub(1), 3, { padding: 1, stride: 2 });
    expect(planes(y)).toEqual([[-1, -2], [-5, -6]]); // prettier-ignore
  });

  test('mean on 0..15, counting the padding or not', () => {
    const options = { padding: 1, stride: 2 };
    expect(planes(F.avgPool2d(image(), 2))).toEqual([[2.5, 4.5], [10.5, 12.5]]); // prettier-ignore
    const counted = F.avgPool2d(image(), 3, options);
    expectClose(valuesOf(counted), ndArray([1, 1, 2, 2], [1.1111, 2.6667, 5.6667, 10]), {
      rtol: 0,
      atol: 5e-5,
    });
    expect(planes(F.avgPool2d(image(), 3, { ...options, countIncludePad: false }))).toEqual([[2.5, 4], [8.5, 10]]); // prettier-ignore
  });

  test('ceilMode drops a last window that would start in the padding', () => {
    const y = F.avgPool2d(ones([1, 1, 4, 4]), 2, { stride: 3, padding: 1, ceilMode: true });
    expect(y.shape).toEqual([1, 1, 2, 2]);
    expect(F.maxPool1d(ones([1, 1, 3]), 2, { stride: 2, ceilMode: true }).shape).toEqual([1, 1, 2]);
  });
});

type Way = readonly [
  name: string,
  shape: readonly number[],
  kernel: Size,
  options: Omit<MaxPoolOptions, 'stride'> & { stride?: Size },
];

/** Input shape, window and options for every way through the kernels. */
// prettier-ignore
const ways: readonly Way[] = [
  ['rows, 2x2 tiles', [2, 3, 8, 38], 2, {}],
  ['rows, 2x2 tiles, last column left over', [2, 3, 8, 37], 2, {}],
  ['rows, 3x3 stride 2 padding 1', [2, 3, 9, 35], 3, { stride: 2, padding: 1 }],
  ['rows, 3x3 stride 1 padding 1', [2, 3, 7, 19], 3, { stride: 1, padding: 1 }],
  ['rows, stride 3', [1, 2, 9, 40], [3, 4], { stride: [1, 3], padding: [1, 2] }],
  ['rows, dilation', [1, 2, 9, 40], [2, 3], { stride: [1, 2], padding: 1, dilation: [3, 2] }],
  ['rows, ceilMode', [2, 2, 8, 36], 3, { stride: 2, padding: 1, ceilMode: true }],
  ['rows, stride of many rows', [2, 2, 48, 36], [2, 3], { stride: [11, 2], padding: 1 }],
  ['rows, many', [1, 2, 70, 130], 3, { stride: 2, padding: 1 }],
  ['windows, narrow result', [2, 3, 9, 7], 3, { stride: 2 }],
  ['windows, one each', [2, 3, 7, 7], 7, {}],
  ['windows, more than 255 cells', [2, 3, 40, 21], 20, { stride: [5, 1], padding: 3 }],
];

const withoutDilation = (options: Way[3]): AvgPoolOptions & { stride?: Size } =>
  Object.fromEntries(Object.entries(options).filter(([key]) => key !== 'dilation'));

describe.each(available.map((isa) => [isa]))('on %s', (isa) => {
  const onIsa = (body: () => void) => (): void => {
    setIsa(isa);
    body();
  };

  test.each(ways.map((way) => [way[0], way] as const))(
    'maximum, %s: value, index and gradient',
    (_, [, shape, kernel, options]) => {
      setIsa(isa);
      const x = integers(shape); // ties everywhere
      const bare = noGrad(() => F.maxPool2d(x, kernel, options));
      const indexed = F.maxPool2dWithIndices(x, kernel, options);
      same(indexed.values, bare, 'with indices');
      const expected = oracles.maxPool2d({ input: valuesOf(x), kernelSize: kernel }, options);
      expectBitEqual(valuesOf(bare), expected.output, 'values');
      if (expected.indices) expectBitEqual(valuesOf(indexed.indices), expected.indices, 'indices');

      const leaf = x.clone().requiresGrad_();
      const y = F.maxPool2dWithIndices(leaf, kernel, options);
      same(y.values, bare, 'recorded');
      const dy = integers(y.values.shape, 2);
      y.values.backward(dy);
      expectBitEqual(valuesOf(leaf.grad ?? zeros([])), gradientsOf(expected, valuesOf(dy)).input, 'gradient');
    },
  );

  test.each(ways.map((way) => [way[0], way] as const))(
    'mean, %s: value and gradient',
    (_, [, shape, kernel, options]) => {
      setIsa(isa);
      const rest = withoutDilation(options);
      const leaf = integers(shape).requiresGrad_();
      const args = { input: valuesOf(leaf), kernelSize: kernel };
      const call = (options: Record<string, unknown>): Tensor =>
        F.avgPool2d(leaf, kernel, { ...rest, ...options });
      const oracle = (input: NdArray, options: CaseRecord): OracleResult =>
        oracles.avgPool2d({ ...args, input }, { ...(rest as CaseRecord), ...options });

      // Sums of integers are exact and there is one division: every bit is known.
      const { output: sums } = oracle(args.input, { divisorOverride: 1 });
      const { output: cells } = oracle(
        mapped(args.input, () => 1),
        { divisorOverride: 1 },
      );
      expectBitEqual(
        valuesOf(call({ countIncludePad: false })),
        mapped(sums, (v, i) => Math.fround(v / cells.data[i])),
      );
      for (const options of [{ divisorOverride: 4 }, { countIncludePad: false }, {}]) {
        leaf.grad = null;
        const y = call(options);
        const expected = oracle(args.input, options);
        const dy = integers(y.shape, 2);
        y.backward(dy);
        const rounding = 'divisorOverride' in options ? { rtol: 0, atol: 0 } : { rtol: 2e-7, atol: 1e-6 };
        expectClose(valuesOf(y), expected.output, rounding);
        expectClose(valuesOf(leaf.grad ?? zeros([])), gradientsOf(expected, valuesOf(dy)).input, rounding);
      }
    },
  );

  test.each([
    [3, { stride: 2, padding: 1 }],
    [[5, 3], { stride: [3, 1] }],
    [2, {}],
  ] as const)(
    'planes %j %j of a tensor that no cache keeps are pooled as they are alone',
    (kernel, options) => {
      setIsa(isa);
      const x = integers([12, 1, 450, 450]).requiresGrad_(); // 9.7 MB
      for (const pool of [F.maxPool2d, F.avgPool2d]) {
        const y = pool(x, kernel, options);
        const dy = integers(y.shape, 2);
        const [dx] = grad(y, [x], { gradient: dy });
        for (const plane of [0, 7, 11]) {
          const alone = x.detach().narrow(0, plane, 1).clone().requiresGrad_();
          const yAlone = pool(alone, kernel, options);
          const [dxAlone] = grad(yAlone, [alone], { gradient: dy.narrow(0, plane, 1) });
          same(y.narrow(0, plane, 1), yAlone);
          same(dx?.narrow(0, plane, 1) ?? zeros([]), dxAlone ?? zeros([]));
        }
      }
    },
  );

  test(
    'NaN wins at every place of a window and takes the gradient',
    onIsa(() => {
      for (const [kernel, stride, padding] of [
        [2, 2, 0],
        [3, 2, 1],
        [3, 1, 1],
        [3, 3, 0],
      ] as const) {
        // prettier-ignore
        for (let h = 0; h < kernel; h++) {
        for (let w = 0; w < kernel; w++) {
          // Row 1, column 9 of the windows is inside on all sides; NaN in one cell of it.
          const at = [stride - padding + h, 9 * stride - padding + w];
          const x = random([1, 1, 12, 40]);
          x.set([0, 0, ...at], NaN);
          const y = noGrad(() => F.maxPool2d(x, kernel, { stride, padding }));
          expect(y.at(0, 0, 1, 9).item()).toBeNaN();
          const { values, indices } = F.maxPool2dWithIndices(x.requiresGrad_(), kernel, { stride, padding });
          expect(values.at(0, 0, 1, 9).item()).toBeNaN();
          expect(indices.at(0, 0, 1, 9).item()).toBe(at[0] * 40 + at[1]);
          values.backward(ones(values.shape));
          const expected = oracles.maxPool2d({ input: valuesOf(x), kernelSize: kernel }, { stride, padding });
          expectBitEqual(valuesOf(values), expected.output);
          expectBitEqual(valuesOf(x.grad ?? zeros([])), gradientsOf(expected, valuesOf(ones(values.shape))).input);
        }
      }
      }
    }),
  );

  test(
    'windows of nothing but -infinity give their first valid cell',
    onIsa(() => {
      for (const [, shape, kernel, options] of ways) {
        const x = zeros(shape).add(-Infinity);
        const { values, indices } = F.maxPool2dWithIndices(x, kernel, options);
        const expected = oracles.maxPool2d({ input: valuesOf(x), kernelSize: kernel }, options);
        expectBitEqual(valuesOf(values), expected.output);
        if (expected.indices) expectBitEqual(valuesOf(indices), expected.indices);
      }
    }),
  );

  test(
    'a window that falls between the cells of a dilated one is -infinity and has an index inside',
    onIsa(() => {
      const x = ones([1, 1, 1, 1]).requiresGrad_();
      const { values, indices } = F.maxPool2dWithIndices(x, 2, { padding: 1, dilation: 2 });
      expect(values.item()).toBe(-Infinity);
      expect(indices.item()).toBe(0);
    }),
  );

  test(
    'zeros keep their sign: of 0 and -0 the first wins',
    onIsa(() => {
      const x = tensor([[[[-0, 0, 0, -0, -0, 0, -0, -0]]]]);
      expect(Array.from(F.maxPool2d(x, [1, 2]).toTypedArray())).toEqual([-0, 0, -0, -0]);
    }),
  );

  test(
    'the mean is a depthwise convolution with 1 / cells',
    onIsa(() => {
      const x = integers([2, 3, 10, 21]);
      const options = { stride: [2, 1], padding: [1, 2] } as const;
      const weight = ones([3, 1, 4, 4]).div(16);
      same(F.avgPool2d(x, 4, options), F.conv2d(x, weight, null, { ...options, groups: 3 }));
    }),
  );

  test(
    'forward and backward are adjoint',
    onIsa(() => {
      const dot = (a: Tensor, b: Tensor): number => a.mul(b).sum().item();
      for (const [, shape, kernel, options] of ways) {
        const x = integers(shape).requiresGrad_();
        const y = F.avgPool2d(x, kernel, { ...withoutDilation(options), divisorOverride: 4 });
        const dy = integers(y.shape, 2);
        y.backward(dy);
        expect(dot(x.detach(), x.grad ?? zeros([]))).toBe(dot(y.detach(), dy));
      }
    }),
  );

  test(
    'a batch is its images one by one, bit for bit',
    onIsa(() => {
      const x = random([3, 2, 11, 37]);
      const pools = [
        (t: Tensor) => F.maxPool2d(t, 3, { stride: 2, padding: 1 }),
        (t: Tensor) => F.avgPool2d(t, 3, { stride: 2, padding: 1, ceilMode: true }),
        (t: Tensor) => F.adaptiveAvgPool2d(t, [5, 6]),
      ];
      for (const pool of pools)
        same(
          pool(x),
          cat(
            [0, 1, 2].map((i) => pool(x.at(i).unsqueeze(0))),
            0,
          ),
        );
    }),
  );
});

describe('adaptive', () => {
  test('5 into 3 and 3 into 5', () => {
    const x = arange(5).reshape([1, 1, 5]);
    expect(F.adaptiveAvgPool1d(x, 3).toArray()).toEqual([[[0.5, 2, 3.5]]]);
    expect(F.adaptiveMaxPool1d(x, 3).toArray()).toEqual([[[1, 3, 4]]]);
    expect(F.adaptiveAvgPool1d(arange(3).reshape([1, 1, 3]), 5).toArray()).toEqual([[[0, 0.5, 1, 1.5, 2]]]);
  });

  test('a divisor of the input is the plain pool', () => {
    const x = random([2, 3, 12, 8]);
    same(F.adaptiveAvgPool2d(x, [3, 4]), F.avgPool2d(x, [4, 2]));
    same(F.adaptiveMaxPool2d(x, [3, 4]), F.maxPool2d(x, [4, 2]));
  });

  test('null keeps the size, one number is for all dimensions', () => {
    const x = random([2, 3, 5, 7]);
    expect(F.adaptiveAvgPool2d(x, [null, 2]).shape).toEqual([2, 3, 5, 2]);
    expect(F.adaptiveMaxPool2d(x, 4).shape).toEqual([2, 3, 4, 4]);
    expect(F.adaptiveAvgPool3d(random([2, 5, 4, 3]), [2, null, 1]).shape).toEqual([2, 2, 4, 1]);
  });

  test('a global mean of many values stays exact', () => {
    const x = ones([1, 2, 300, 300]).mul(16_777_215);
    expect(F.adaptiveAvgPool2d(x, 1).toArray()).toEqual([[[[16_777_215]], [[16_777_215]]]]);
  });
});

describe('returnIndices', () => {
  test('gives values and positions, of functions and layers', () => {
    const x = arange(32).reshape([1, 2, 4, 4]);
    const [y, indices] = F.maxPool2d(x, 2, { returnIndices: true });
    expect(indices.toArray()).toEqual([[[[5, 7], [13, 15]], [[5, 7], [13, 15]]]]); // prettier-ignore
    expect(y.equal(F.maxPool2d(x, 2))).toBe(true);
    expect(F.maxPool2d(x, 2, { returnIndices: false } as object).shape).toEqual([1, 2, 2, 2]);
    const [line, at] = F.maxPool1d(x.reshape([2, 16]), 8, { returnIndices: true });
    expect([line.shape, at.toArray()]).toEqual([[2, 2], [[7, 15], [7, 15]]]); // prettier-ignore
    expect(F.maxPool3d(x, [1, 2, 2], { returnIndices: true })[1].toArray()).toEqual([
      [[[5, 7], [13, 15]], [[21, 23], [29, 31]]],
    ]); // prettier-ignore
    const [values, places] = new nn.MaxPool2d(2).forwardWithIndices(x);
    expect(new nn.MaxUnpool2d(2).forward(values, places).sum().item()).toBe(y.sum().item());
  });

  test('is a boolean, and no option of a layer', () => {
    const wrong = JSON.parse('{"returnIndices":1}') as { returnIndices: true };
    expect(() => F.maxPool2d(ones([1, 2, 2]), 2, wrong)).toThrow(
      'returnIndices must be true or false, got 1',
    );
    const asked: object = { returnIndices: true };
    expect(() => new nn.MaxPool2d(2, asked)).toThrow('(use forwardWithIndices(x), or F.maxPool2d(x, k,');
  });
});

describe('unpooling', () => {
  test('puts the maxima back', () => {
    const { values, indices } = F.maxPool2dWithIndices(image(), 2);
    // prettier-ignore
    expect(planes(F.maxUnpool2d(values, indices, 2))).toEqual([[0, 0, 0, 0], [0, 5, 0, 7], [0, 0, 0, 0], [0, 13, 0, 15]]);
  });

  test('outputSize chooses among the sizes that pool alike', () => {
    const { values, indices } = F.maxPool2dWithIndices(arange(25).reshape([1, 1, 5, 5]), 2);
    expect(F.maxUnpool2d(values, indices, 2, { outputSize: [5, 5] }).shape).toEqual([1, 1, 5, 5]);
    expect(F.maxUnpool2d(values, indices, 2, { outputSize: [1, 1, 5, 5] }).shape).toEqual([1, 1, 5, 5]);
  });

  test('positions that repeat: the last value stays', () => {
    const indices = tensor([[[2, 2]]], { dtype: 'int32' });
    expect(F.maxUnpool1d(tensor([[[1, 3]]]), indices, 2).toArray()).toEqual([[[0, 0, 3, 0]]]);
  });
});

test('gradients of positions that are handed out survive their edit being noticed', () => {
  const x = random([1, 1, 20, 40]).requiresGrad_();
  const { values, indices } = F.maxPool2dWithIndices(x, 20, { stride: 1 }); // more than 255 cells: saved as positions
  indices.fill_(0);
  expect(() => values.sum().backward()).toThrow(/edited in place/);
});

test('empty batches and missing batch dimensions', () => {
  const empty = zeros([0, 3, 8, 8]).requiresGrad_();
  for (const y of [
    F.maxPool2d(empty, 2),
    F.avgPool2d(empty, 2),
    F.adaptiveAvgPool2d(empty, 4),
    F.adaptiveMaxPool2d(empty, 4),
  ]) {
    expect(y.shape).toEqual([0, 3, 4, 4]);
    y.sum().backward();
    expect(empty.grad?.shape).toEqual([0, 3, 8, 8]);
  }
  expect(F.maxPool2d(random([3, 8, 8]), 2).shape).toEqual([3, 4, 4]);
  expect(F.avgPool1d(random([3, 8]), 2).shape).toEqual([3, 4]);
  expect(F.maxPool3d(random([3, 4, 8, 8]), 2).shape).toEqual([3, 2, 4, 4]);
});

test('gradcheck through overlapping windows and views', () => {
  const { data } = seededTensor([3, 2, 8, 6], 3);
  const x = tensor(data, { shape: [3, 2, 8, 6], dtype: 'float64' }).requiresGrad_();
  const view = (t: Tensor): Tensor => t.permute([1, 0, 3, 2]);
  gradcheck((t) => F.maxPool2d(view(t), 3, { stride: 2, padding: 1 }), [x]);
  gradcheck((t) => F.avgPool2d(view(t), 3, { stride: 2, padding: 1, countIncludePad: false }), [x]);
  gradcheck((t) => F.adaptiveMaxPool2d(view(t), [4, 5]), [x]);
});
