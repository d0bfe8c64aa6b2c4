// Batch normalisation: golden values, laws, and what it does to the running statistics. Values against PyTorch and the reference are in op-cases.test.ts.
import { afterEach, describe, expect, test } from '@jest/globals';

import {
  F,
  arange,
  cpuInfo,
  getNumThreads,
  gradcheck,
  noGrad,
  ones,
  setIsa,
  setNumThreads,
  stack,
  tensor,
  zeros,
} from '../../lib';
import type { Tensor } from '../../lib';
import { ndArray } from '../support/nd-array';
import { normals } from '../support/normals';
import { seededTensor, valuesOf } from '../support/op-values';
import { gradientsOf, oracles } from '../support/reference';
import { expectBitEqual, expectClose } from '../support/tolerance';
import { onEveryIsa } from '../support/on-every-isa';

const { isa: best } = cpuInfo();
const threads = getNumThreads();
afterEach(() => {
  setIsa(best);
  setNumThreads(threads);
});

const training = { training: true } as const;
const golden = { rtol: 0, atol: 1e-6 };

const close = (t: Tensor | null, values: readonly number[], tolerance = golden): void => {
  if (t === null) throw new Error('no tensor');
  expectClose(valuesOf(t), ndArray(t.shape, values), tolerance);
};

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

test.each([3, 1])('empty batches of %i channels: evaluation gives an empty result, gradients of 0', (c) => {
  const x = zeros([0, c, 4, 4]).requiresGrad_();
  const weight = ones([c]).requiresGrad_();
  const y = F.batchNorm(x, zeros([c]), ones([c]), { weight });
  expect(y.shape).toEqual([0, c, 4, 4]);
  y.sum().backward();
  expect(x.grad?.shape).toEqual([0, c, 4, 4]);
  expect(weight.grad?.toArray()).toEqual(new Array(c).fill(0));
});

test('any number of threads, any number of channels: the same bits', () => {
  for (const shape of [
    [7, 1, 70, 71],
    [5, 2, 99, 50],
    [16, 6, 28, 28],
    [3, 17, 33, 33],
    [6, 57, 56, 56],
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

describe('gradients through an ending agree with central differences', () => {
  // Deviations of 4 around 3, so that ReLU6 cuts on both sides.
  const leaf = (shape: readonly number[], mean: number, scale: number, seed: number): Tensor => {
    const values = normals(
      shape.reduce((n, d) => n * d, 1),
      0,
      seed,
    ).map((v) => mean + scale * v);
    return tensor(values, { shape: [...shape], dtype: 'float64' }).requiresGrad_();
  };

  test.each<[string, number[]]>([
    ['[n, c]', [9, 3]],
    ['small planes', [2, 3, 3, 3]],
    ['large planes', [1, 2, 10, 11]],
  ])('%s', (_name, shape) => {
    const c = shape[1];
    const [x, add] = [leaf(shape, 1, 2, 1), leaf(shape, 0, 2, 2)];
    const [weight, bias] = [leaf([c], 4, 0.5, 3), leaf([c], 3, 0.5, 4)];
    const statistics = [leaf([c], 1, 0.1, 5), leaf([c], 4, 0.1, 6)].map((t) => t.detach());
    onEveryIsa(() => {
      for (const range of [{ relu: true }, { relu6: true }, {}]) {
        const fn = (isTraining: boolean) => {
          const [mean, variance] = isTraining ? [null, null] : statistics;
          return (t: Tensor, w: Tensor, b: Tensor, z?: Tensor): Tensor =>
            F.batchNorm(t, mean, variance, { weight: w, bias: b, training: isTraining, add: z, ...range });
        };
        for (const isTraining of [true, false]) {
          expect(gradcheck(fn(isTraining), [x, weight, bias], { atol: 1e-6 })).toBe(true);
          expect(gradcheck(fn(isTraining), [x, weight, bias, add], { atol: 1e-6 })).toBe(true);
        }
      }
    });
    const y = F.batchNorm(x, null, null, { weight, bias, ...training });
    expect([y.lt(0).any().item(), y.gt(6).any().item()]).toEqual([true, true].map(Number));
  });
});
