// Batch normalisation: golden values, the accuracy of its statistics, laws, what it does to the running statistics, and
// what it refuses. Values against PyTorch and the reference are in op-cases.test.ts.
import { afterEach, describe, expect, test } from '@jest/globals';

import {
  F,
  arange,
  cpuInfo,
  getNumThreads,
  isLaminaeError,
  noGrad,
  ones,
  setIsa,
  setNumThreads,
  stack,
  tensor,
  zeros,
} from '../../lib';
import type { Tensor } from '../../lib';
import { run } from '../../lib/native';
import { ndArray } from '../support/nd-array';
import { seededTensor, valuesOf } from '../support/op-values';
import { gradientsOf, oracles } from '../support/reference';
import { expectBitEqual, expectClose } from '../support/tolerance';

const { isa: best, available } = cpuInfo();
const threads = getNumThreads();
afterEach(() => {
  setIsa(best);
  setNumThreads(threads);
});

const onEveryIsa = (body: (isa: string) => void): void => {
  for (const isa of available) {
    setIsa(isa);
    body(isa);
  }
};

const training = { training: true } as const;
const golden = { rtol: 0, atol: 1e-6 };

const close = (t: Tensor | null, values: readonly number[], tolerance = golden): void => {
  if (t === null) throw new Error('no tensor');
  expectClose(valuesOf(t), ndArray(t.shape, values), tolerance);
};

/** Numbers of a normal distribution, the same on every machine. */
function normals(count: number, mean: number, seed = 1): Float32Array {
  const { data } = seededTensor([2 * count], seed, [0, 1], 'real');
  return Float32Array.from({ length: count }, (_, i) => {
    const radius = Math.sqrt(-2 * Math.log(1 - data[2 * i]));
    return mean + radius * Math.cos(2 * Math.PI * data[2 * i + 1]);
  });
}

/** Mean and biased variance in double, two passes. */
function exactMoments(values: Float32Array): { mean: number; variance: number } {
  const mean = values.reduce((s, v) => s + v, 0) / values.length;
  return { mean, variance: values.reduce((s, v) => s + (v - mean) ** 2, 0) / values.length };
}

/** What batch norm sees in the values of one channel laid out as [n, c, s], as momentum 1 leaves it. */
function seenMoments(values: Float32Array, n: number, channels = 1): { mean: number; variance: number } {
  const s = values.length / n;
  const x = zeros([n, channels, s]);
  const { data } = x.storage;
  for (let i = 0, at = 0; i < n; i++) {
    for (let c = 0; c < channels; c++) for (let j = 0; j < s; j++) data[at++] = values[i * s + j];
  }
  const [mean, variance] = [zeros([channels]), ones([channels])];
  F.batchNorm(x, mean, variance, { training: true, momentum: 1 });
  const last = channels - 1;
  return {
    mean: mean.at(last).item(),
    variance: (variance.at(last).item() * (values.length - 1)) / values.length,
  };
}

describe('golden values', () => {
  test('a matrix', () => {
    onEveryIsa(() => {
      const x = tensor([[1, 2], [3, 4], [5, 9]]).requiresGrad_(); // prettier-ignore
      const [weight, bias] = [ones([2]).requiresGrad_(), zeros([2]).requiresGrad_()];
      const [mean, variance] = [zeros([2]), ones([2])];
      const y = F.batchNorm(x, mean, variance, { weight, bias, ...training });
      close(y, [-1.224743, -1.019049, 0, -0.339683, 1.224743, 1.358732]);
      close(mean, [0.3, 0.5]);
      close(variance, [1.3, 2.2]); // unbiased: 4 and 13 a tenth, where the book has 8/3 and 26/3
      const dy = zeros([3, 2]);
      dy.set([0, 0], 1);
      y.backward(dy);
      close(x.grad, [0.102063, 0, -0.204124, 0, 0.102061, 0]);
      close(weight.grad, [-1.224743, 0]);
      close(bias.grad, [1, 0]);
    });
  });

  test('images', () => {
    onEveryIsa(() => {
      const [mean, variance] = [zeros([1]), ones([1])];
      const y = F.batchNorm(arange(8).reshape([2, 1, 2, 2]), mean, variance, training);
      close(
        y,
        Array.from({ length: 8 }, (_, i) => -1.527524 + 0.436436 * i),
        { rtol: 0, atol: 5e-6 },
      );
      close(mean, [0.35]);
      close(variance, [1.5]);
    });
  });

  test('layout: statistics run over the batch and the plane, not over channels', () => {
    const [mean, variance] = [zeros([2]), ones([2])];
    const y = F.batchNorm(arange(16).reshape([2, 2, 2, 2]), mean, variance, { ...training, momentum: 1 });
    close(mean, [5.5, 9.5]);
    close(variance, [(17.25 * 8) / 7, (17.25 * 8) / 7], { rtol: 1e-6, atol: 0 });
    const [first, second] = [0, 1].map((c) => Array.from(y.at(':', c).toTypedArray()));
    expect(first).toEqual(second);
    expect(Math.min(...first.map(Math.abs))).toBeCloseTo(0.601929, 5);
    expect(Math.max(...first)).toBeCloseTo(1.324244, 5);
  });
});

describe('statistics', () => {
  const count = 100_352; // 32 images of 56 x 56
  test.each([0, 1, 100, 1e3, 1e5, 1e6])(
    'mean %p, deviation 1: as accurate as two passes in double',
    (mean) => {
      const values = normals(count, mean);
      const exact = exactMoments(values);
      onEveryIsa(() => {
        for (const n of [1, 32, 2048, 14_336, count]) {
          const seen = seenMoments(values, n, n === count ? 3 : 2);
          expect(Math.abs(seen.variance / exact.variance - 1)).toBeLessThan(1e-6);
          // float32 holds the mean to half a unit in the last place.
          expect(Math.abs(seen.mean - exact.mean)).toBeLessThanOrEqual(
            2 ** -23 * Math.max(1, Math.abs(exact.mean)),
          );
        }
      });
    },
  );

  test('an outlier that the shift may be taken from does no harm', () => {
    const base = normals(count, 1, 2);
    for (const outlier of [1e3, -1e8]) {
      for (const at of [0, 1, 4096, count - 1]) {
        const values = base.slice();
        values[at] = outlier;
        const exact = exactMoments(values);
        onEveryIsa(() => {
          for (const n of [1, 32, count]) {
            const seen = seenMoments(values, n, n === count ? 3 : 1);
            expect(Math.abs(seen.variance / exact.variance - 1)).toBeLessThan(1e-6);
          }
        });
      }
    }
  });

  test('blocks of very different level', () => {
    const values = normals(count, 0, 3).map((v, i) => v + (i % 8192 < 4096 ? 1e5 : 0));
    const exact = exactMoments(values);
    onEveryIsa(() =>
      expect(Math.abs(seenMoments(values, 1).variance / exact.variance - 1)).toBeLessThan(1e-6),
    );
  });

  test('a constant channel has variance 0 and gives the bias', () => {
    onEveryIsa(() => {
      for (const value of [0, 0.1, 1 / 3, 1e5 + 0.125, -1e30]) {
        for (const shape of [
          [4, 3, 5, 7],
          [64, 3],
          [2, 3, 9000],
        ]) {
          // prettier-ignore
          const [mean, variance, bias] = [zeros([3]), ones([3]), tensor([0.25, -3, 7])];
          const x = zeros(shape).add(value);
          const y = F.batchNorm(x, mean, variance, { ...training, bias, momentum: 1 });
          expect(Array.from(variance.toTypedArray())).toEqual([0, 0, 0]);
          expect(Array.from(mean.toTypedArray())).toEqual(new Array(3).fill(Math.fround(value)));
          const own = bias.reshape([1, 3, ...shape.slice(2).map(() => 1)]).expand(shape);
          expectBitEqual(valuesOf(y), valuesOf(own));
        }
      }
    });
  });

  test('{10000, 10001}: the variance is .25, not 0', () => {
    const variance = ones([1]);
    F.batchNorm(tensor([10_000, 10_001, 10_000, 10_001]).reshape([4, 1]), zeros([1]), variance, {
      ...training,
      momentum: 1,
    });
    close(variance, [(0.25 * 4) / 3]);
  });

  test('output and gradient at mean 1e5 are as at mean 0', () => {
    onEveryIsa(() => {
      // Multiples of 2^-7, so that adding 1e5 loses nothing.
      const base = normals(4 * 3 * 50, 0, 4).map((v) => Math.round(v * 128) / 128);
      const dy = tensor(normals(600, 0, 5), { shape: [4, 3, 50] });
      const run = (shift: number): { y: Tensor; dx: Tensor } => {
        const x = tensor(base.map((v) => v + shift), { shape: [4, 3, 50] }).requiresGrad_(); // prettier-ignore
        const y = F.batchNorm(x, null, null, training);
        y.backward(dy);
        return { y, dx: x.grad ?? zeros([]) };
      };
      const [near, far] = [run(0), run(1e5)];
      expectClose(valuesOf(far.y), valuesOf(near.y), { rtol: 1e-6, atol: 1e-6 });
      expectClose(valuesOf(far.dx), valuesOf(near.dx), { rtol: 1e-6, atol: 1e-6 });
    });
  });

  test('NaN and infinity stay in their channel', () => {
    for (const bad of [NaN, Infinity]) {
      const x = tensor(normals(120, 0), { shape: [2, 3, 20] });
      x.set([1, 1, 7], bad);
      const [mean, variance] = [zeros([3]), ones([3])];
      const y = F.batchNorm(x, mean, variance, training);
      expect(Array.from(y.at(':', 1).toTypedArray()).every(Number.isNaN)).toBe(true);
      expect(Array.from(y.at(':', 0).toTypedArray()).every(Number.isFinite)).toBe(true);
      expect(variance.at(1).item()).toBeNaN();
      expect(variance.at(2).item()).toBeGreaterThan(0);
    }
  });
});

describe('laws', () => {
  const shapes = [[8, 3, 6, 7], [40, 5], [3, 2, 5000]]; // prettier-ignore

  test.each(shapes.map((shape) => [shape]))(
    '%p: gradients are orthogonal to 1 and to the normalised input',
    (shape) => {
      onEveryIsa(() => {
        const c = shape[1];
        const x = tensor(normals(ones(shape).numel, 3), { shape }).requiresGrad_();
        const y = F.batchNorm(x, null, null, training);
        const dy = tensor(normals(x.numel, 1, 7), { shape });
        y.backward(dy);
        const dims = shape.map((_, d) => d).filter((d) => d !== 1);
        const dx = x.grad ?? zeros([]);
        const scale = dx.abs().sum(dims).toTypedArray();
        const [sum, projected] = [dx.sum(dims), dx.mul(y.detach()).sum(dims)].map((t) => t.toTypedArray());
        for (let j = 0; j < c; j++) {
          expect(Math.abs(sum[j])).toBeLessThan(1e-6 * scale[j]);
          expect(Math.abs(projected[j])).toBeLessThan(5e-5 * scale[j]); // eps keeps it from being exactly 0
        }
      });
    },
  );

  test.each(shapes.map((shape) => [shape]))('%p: mean is the bias, deviation |weight|', (shape) => {
    const c = shape[1];
    const weight = tensor(Float32Array.from({ length: c }, (_, j) => (j % 2 === 0 ? 1.5 : -2)));
    const bias = tensor(Float32Array.from({ length: c }, (_, j) => j - 1));
    const y = F.batchNorm(tensor(normals(ones(shape).numel, 3), { shape }), null, null, {
      ...training,
      weight,
      bias,
    });
    const dims = shape.map((_, d) => d).filter((d) => d !== 1);
    expectClose(valuesOf(y.mean(dims)), valuesOf(bias), { rtol: 0, atol: 1e-6 });
    expectClose(valuesOf(y.std(dims, { correction: 0 })), valuesOf(weight.abs()), { rtol: 2e-5, atol: 0 });
  });

  test('shifting and scaling the input changes nothing', () => {
    const x = tensor(normals(480, 0), { shape: [4, 3, 40] });
    const y = F.batchNorm(x, null, null, { ...training, eps: 0 });
    expectClose(valuesOf(F.batchNorm(x.add(32), null, null, { ...training, eps: 0 })), valuesOf(y), {
      rtol: 1e-5,
      atol: 1e-5,
    });
    expectClose(valuesOf(F.batchNorm(x.mul(8), null, null, { ...training, eps: 0 })), valuesOf(y), {
      rtol: 1e-6,
      atol: 1e-6,
    });
  });

  test('the bias of a convolution before it has no gradient', () => {
    const [w, b] = [tensor(normals(4 * 2 * 9, 0), { shape: [4, 2, 3, 3] }), zeros([4]).requiresGrad_()];
    const y = F.batchNorm(
      F.conv2d(tensor(normals(2 * 2 * 64, 0, 2), { shape: [2, 2, 8, 8] }), w, b),
      null,
      null,
      training,
    );
    y.backward(tensor(normals(y.numel, 0, 3), { shape: y.shape }));
    for (const g of b.grad?.toTypedArray() ?? [1]) expect(Math.abs(g)).toBeLessThan(1e-5);
  });

  test('permuting channels permutes everything, bit for bit', () => {
    const x = tensor(normals(4 * 3 * 37, 2), { shape: [4, 3, 37] });
    const flipped = (t: Tensor): Tensor => stack([2, 1, 0].map((c) => t.at(':', c)), 1); // prettier-ignore
    const y = F.batchNorm(x, null, null, training);
    expectBitEqual(valuesOf(F.batchNorm(flipped(x), null, null, training)), valuesOf(flipped(y)));
  });

  test('evaluation is an affine map', () => {
    const x = tensor(normals(4 * 3 * 40, 2), { shape: [4, 3, 40], dtype: 'float64' });
    const [mean, variance] = [[1, 2, 3], [4, 0.25, 9]].map((v) => tensor(v, { dtype: 'float64' })); // prettier-ignore
    const y = F.batchNorm(x, mean, variance, { eps: 0 });
    const by = (v: Tensor): Tensor => v.reshape([1, 3, 1]);
    expectClose(valuesOf(y), valuesOf(x.sub(by(mean)).div(by(variance.sqrt()))), {
      rtol: 1e-14,
      atol: 1e-14,
    });
  });
});

describe('running statistics', () => {
  test('training moves them, also without gradients; evaluation does not', () => {
    const x = tensor(normals(60, 5), { shape: [20, 3] });
    const [mean, variance] = [zeros([3]), ones([3])];
    noGrad(() => F.batchNorm(x, mean, variance, training));
    const moved = valuesOf(mean);
    expect(moved.data.every((v) => v > 0.4)).toBe(true);
    F.batchNorm(x, mean, variance);
    expectBitEqual(valuesOf(mean), moved);
  });

  test('they are constants to the gradient, and their edits are noticed', () => {
    const x = tensor(normals(60, 5), { shape: [20, 3] }).requiresGrad_();
    const [mean, variance] = [zeros([3]), ones([3])];
    const before = mean.storage.version;
    const y = F.batchNorm(x, mean, variance, training);
    expect(mean.requiresGrad).toBe(false);
    expect(mean.gradFn).toBeNull();
    expect(mean.storage.version).toBe(before + 1);
    expect(variance.storage.version).toBe(1);
    y.sum().backward();
  });

  test('the gradient of evaluation uses the statistics of its forward pass', () => {
    const x = tensor(normals(60, 5), { shape: [20, 3] }).requiresGrad_();
    const [mean, variance] = [zeros([3]), ones([3]).mul(4)];
    const y = F.batchNorm(x, mean, variance, { eps: 0 });
    variance.fill_(100);
    y.backward(ones([20, 3]));
    expectBitEqual(valuesOf(x.grad ?? zeros([])), valuesOf(ones([20, 3]).div(2)));
  });

  test('views are updated in place', () => {
    const all = zeros([3, 2]);
    F.batchNorm(tensor(normals(60, 5), { shape: [20, 3] }), all.at(':', 1), ones([3]), training);
    expect(all.at(':', 0).toArray()).toEqual([0, 0, 0]);
    expect(Array.from(all.at(':', 1).toTypedArray()).every((v) => v > 0.4)).toBe(true);
  });

  test('without one of them the other is updated', () => {
    const mean = zeros([3]);
    F.batchNorm(tensor(normals(60, 5), { shape: [20, 3] }), mean, null, training);
    expect(mean.at(0).item()).toBeGreaterThan(0.4);
  });
});

test('an edit of the input before backward is refused; an edit of the output is not', () => {
  const leaf = tensor(normals(60, 5), { shape: [20, 3] }).requiresGrad_();
  const x = leaf.mul(2);
  const y = F.batchNorm(x, null, null, training);
  y.add_(1);
  y.sum().backward();
  const again = leaf.mul(2);
  const z = F.batchNorm(again, null, null, training);
  again.add_(1);
  expect(() => z.sum().backward()).toThrow(/edited in place/);
});

test('empty batches: evaluation gives an empty result and gradients of 0', () => {
  const x = zeros([0, 3, 4, 4]).requiresGrad_();
  const weight = ones([3]).requiresGrad_();
  const y = F.batchNorm(x, zeros([3]), ones([3]), { weight });
  expect(y.shape).toEqual([0, 3, 4, 4]);
  y.sum().backward();
  expect(x.grad?.shape).toEqual([0, 3, 4, 4]);
  expect(weight.grad?.toArray()).toEqual([0, 0, 0]);
});

test('any number of threads, any number of channels: the same bits', () => {
  for (const shape of [
    [7, 1, 70, 71],
    [5, 2, 99, 50],
    [16, 6, 28, 28],
    [3, 17, 33, 33],
    [700, 130],
    [900, 1],
  ]) {
    // prettier-ignore
    const values = normals(ones(shape).numel, 10);
    onEveryIsa(() => {
      const results = [1, 2, 3].map((n) => {
        setNumThreads(n);
        const x = tensor(values, { shape }).requiresGrad_();
        const weight = ones([shape[1]]).requiresGrad_();
        const [mean, variance] = [zeros([shape[1]]), ones([shape[1]])];
        const y = F.batchNorm(x, mean, variance, { ...training, weight });
        y.backward(y.detach().add(0.5));
        return [y, x.grad, weight.grad, mean, variance].map((t) => valuesOf(t ?? zeros([])));
      });
      for (const other of results.slice(1)) other.forEach((t, i) => expectBitEqual(t, results[0][i]));
    });
  }
});

test('only the gradients that are wanted are made', () => {
  const values = seededTensor([4, 3, 5], 1, [-4, 4], 'real');
  const args = { input: values, runningMean: null, runningVar: null };
  const parameters = { weight: seededTensor([3], 2), bias: seededTensor([3], 3) };
  const dy = seededTensor([4, 3, 5], 4, [-2, 2], 'real');
  const expected = gradientsOf(oracles.batchNorm(args, { ...parameters, ...training }), dy);
  for (const wanted of [['input'], ['weight'], ['bias'], ['input', 'bias']]) {
    const build = (name: string, t: typeof values): Tensor =>
      tensor(t.data, { shape: [...t.shape], dtype: 'float64' }).requiresGrad_(wanted.includes(name));
    const x = build('input', values);
    const [weight, bias] = [build('weight', parameters.weight), build('bias', parameters.bias)];
    F.batchNorm(x, null, null, { weight, bias, ...training }).backward(
      tensor(dy.data, { shape: [4, 3, 5], dtype: 'float64' }),
    );
    for (const [name, t] of Object.entries({ input: x, weight, bias })) {
      if (wanted.includes(name))
        expectClose(valuesOf(t.grad ?? zeros([])), expected[name], { rtol: 1e-12, atol: 1e-12 });
      else expect(t.grad).toBeNull();
    }
  }
});

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
    let error: unknown;
    try {
      call();
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(kind);
    if (!isLaminaeError(error)) throw error;
    expect(error.argument).toBe(argument);
    expect(error.message).toContain(text);
    expect(error.message.startsWith('batchNorm: ')).toBe(true);
    expectBitEqual(valuesOf(mean), before, 'the running mean is as it was');
  });

  test('the native side refuses statistics and parameters of another length', () => {
    const fields = { n: 2, c: 3, s: 4, training: 1 };
    const [dy, dx] = [ones([24]), zeros([24])];
    const doubles = (n: number): Tensor => ones([n], { dtype: 'float64' });
    const backward = (m: Tensor, k: Tensor, dweight: Tensor | null): void =>
      run('batchNormBackward', fields, {
        x: dy,
        dy,
        weight: null,
        mean: m,
        invstd: k,
        dx,
        dweight,
        dbias: null,
      });
    expect(() => backward(doubles(2), doubles(3), null)).toThrow('buffer mean must hold 3 elements, got 2');
    expect(() => backward(doubles(3), doubles(0), null)).toThrow('buffer invstd must hold 3');
    expect(() => backward(doubles(3), doubles(3), zeros([2]))).toThrow('buffer dweight must hold 3');
    const buffers = {
      x: dy,
      weight: null,
      bias: null,
      runningMean: null,
      runningVar: null,
      y: dx,
      mean: doubles(3),
      invstd: doubles(3),
    };
    expect(() => run('batchNormTrain', { n: 0, c: 3, s: 4, momentum: 0, eps: 0 }, buffers)).toThrow(
      'at least one value',
    );
    expect(() => run('batchNormTrain', { n: -1, c: 3, s: 4, momentum: 0, eps: 0 }, buffers)).toThrow(
      'negative size',
    );
    expect(() => run('batchNormEval', { n: 2, c: 3, s: 4, eps: 0 }, buffers)).toThrow(
      'buffer running_mean is required',
    );
  });
});
