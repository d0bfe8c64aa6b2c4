// Laws that tie ops to one another and need no reference. Values are small integers wherever sums are formed, so that
// the laws hold exactly, on every instruction set and with any number of threads.
import { afterEach, describe, expect, test } from '@jest/globals';

import {
  F,
  arange,
  cat,
  cpuInfo,
  getNumThreads,
  logsumexp,
  manualSeed,
  matmul,
  ones,
  randn,
  setIsa,
  setNumThreads,
  slice,
  stack,
  tensor,
  type Tensor,
} from '../../lib';
import { seededTensor, valuesOf } from '../support/op-values';
import { expectClose } from '../support/tolerance';

const { isa: best, available } = cpuInfo();
const threads = getNumThreads();
afterEach(() => {
  setIsa(best);
  setNumThreads(threads);
});

function integers(shape: readonly number[], seed: number): Tensor {
  const { data } = seededTensor(shape, seed, [-3, 3], 'real');
  return tensor(Float32Array.from(data, Math.round), { shape });
}

function reals(shape: readonly number[], seed: number): Tensor {
  manualSeed(seed);
  return randn(shape);
}

/** Equal numbers; only a zero may have either sign, which follows the order of a sum. */
const same = (a: Tensor, b: Tensor): void => expectClose(valuesOf(a), valuesOf(b), { rtol: 0, atol: 0 });
const near = (a: Tensor, b: Tensor, units: number): void => {
  const scale = b.abs().max().item();
  expectClose(valuesOf(a), valuesOf(b), { rtol: 0, atol: units * 2 ** -24 * scale });
};

const machines = available.flatMap((isa) => [1, 2].map((count) => [isa, count] as const));

describe.each(machines)('on %s with %d threads', (isa, count) => {
  const law = (name: string, body: () => void): void => {
    test(name, () => {
      setIsa(isa);
      setNumThreads(count);
      body();
    });
  };

  law('convolutions are linear in the input and in the kernel', () => {
    for (const conv of [
      (x: Tensor, w: Tensor) => F.conv2d(x, w, null, { padding: 1, stride: 2 }),
      (x: Tensor, w: Tensor) => F.convTranspose2d(x, w.transpose(0, 1), null, { stride: 2 }),
    ]) {
      const [x, y] = [integers([2, 3, 7, 6], 1), integers([2, 3, 7, 6], 2)];
      const [w, v] = [integers([4, 3, 3, 3], 3), integers([4, 3, 3, 3], 4)];
      same(conv(x.mul(2).add(y), w), conv(x, w).mul(2).add(conv(y, w)));
      same(conv(x, w.mul(3).sub(v)), conv(x, w).mul(3).sub(conv(x, v)));
    }
  });

  law('permuted channels and images give permuted results', () => {
    const x = integers([3, 4, 6, 5], 5);
    const w = integers([5, 4, 3, 2], 6);
    const y = F.conv2d(x, w);
    same(F.conv2d(x.at(':', [2, 0, 3, 1]), w.at(':', [2, 0, 3, 1])), y);
    same(F.conv2d(x, w.at([4, 2, 0, 1, 3])), y.at(':', [4, 2, 0, 1, 3]));
    same(F.conv2d(x.at([2, 0, 1]), w), y.at([2, 0, 1]));
  });

  law('a convolution is a matrix product with the unfolded input', () => {
    const x = integers([2, 3, 8, 7], 7);
    const w = integers([4, 3, 3, 2], 8);
    const options = { stride: [2, 1], padding: [1, 0], dilation: [1, 2] };
    const y = F.conv2d(x, w, null, options);
    const columns = F.unfold(x, [3, 2], options);
    same(matmul(w.reshape(4, -1), columns).reshape(y.shape), y);
  });

  law('folding what was unfolded counts how often each element was read', () => {
    const x = integers([2, 2, 6, 5], 9);
    const options = { stride: 1, padding: 1 };
    const counted = F.fold(F.unfold(ones([2, 2, 6, 5]), 3, options), [6, 5], 3, options);
    same(F.fold(F.unfold(x, 3, options), [6, 5], 3, options), x.mul(counted));
  });

  law('average pooling is a depthwise convolution with equal weights', () => {
    const x = integers([2, 3, 8, 8], 10);
    const w = ones([3, 1, 2, 2]).mul(0.25);
    same(F.avgPool2d(x, 2), F.conv2d(x, w, null, { stride: 2, groups: 3 }));
    same(F.avgPool2d(x, 2, { stride: 1, padding: 1 }), F.conv2d(x, w, null, { padding: 1, groups: 3 }));
  });

  law('max pooling commutes with adding, and with what keeps order', () => {
    const x = integers([2, 3, 7, 9], 11);
    const pool = (t: Tensor): Tensor => F.maxPool2d(t, 3, { stride: 2, padding: 1 });
    same(pool(x.add(5)), pool(x).add(5));
    same(pool(x.mul(2)), pool(x).mul(2));
    same(pool(x.relu()), pool(x).relu());
    same(F.maxPool2d(x, [1, 3]), F.maxPool2d(x.transpose(2, 3), [3, 1]).transpose(2, 3));
  });

  law('global pools are reductions', () => {
    const x = integers([2, 3, 4, 8], 12);
    same(F.adaptiveAvgPool2d(x, 1).squeeze(), x.mean([2, 3]));
    same(F.maxPool2d(x, [4, 8]).squeeze(), x.amax([2, 3]));
  });

  law('batch normalisation in evaluation is an affine map per channel', () => {
    const x = integers([3, 2, 4, 4], 13);
    const mean = tensor([1, -2]);
    const weight = tensor([2, -3]);
    const bias = tensor([0.5, 7]);
    // Variances for which 1 / sqrt is exact.
    const variance = tensor([0.25, 16]);
    const y = F.batchNorm(x, mean, variance, { weight, bias, eps: 0 });
    const scale = tensor([4, -0.75]).reshape(1, 2, 1, 1);
    same(
      y,
      x
        .sub(mean.reshape(1, 2, 1, 1))
        .mul(scale)
        .add(bias.reshape(1, 2, 1, 1)),
    );
  });

  law('batch normalisation in training forgets shift and scale of its input', () => {
    const x = reals([16, 3, 5, 5], 14);
    const norm = (t: Tensor): Tensor => F.batchNorm(t, null, null, { training: true, eps: 1e-12 });
    near(norm(x.mul(8).add(3)), norm(x), 16);
    near(norm(x.neg()), norm(x).neg(), 4);
  });

  law('a batch is its items one by one', () => {
    const x = integers([4, 12], 15);
    const w = integers([5, 12], 16);
    const b = integers([5], 17);
    const rows = (fn: (t: Tensor) => Tensor, t: Tensor): Tensor => stack(t.unbind(0).map((row) => fn(row)));
    same(
      F.linear(x, w, b),
      rows((t) => F.linear(t, w, b), x),
    );
    const y = reals([4, 37], 18);
    same(
      F.softmax(y, 1),
      rows((t) => F.softmax(t, 0), y),
    );
    same(
      F.layerNorm(y, [37]),
      rows((t) => F.layerNorm(t, [37]), y),
    );
    same(
      y.sum(1),
      rows((t) => t.sum(), y),
    );
    same(
      y.cumsum(1),
      rows((t) => t.cumsum(0), y),
    );
    same(
      y.exp().sigmoid().mul(y),
      rows((t) => t.exp().sigmoid().mul(t), y),
    );
  });

  law('matrix products: transposes, pieces, associativity', () => {
    const a = integers([7, 19], 19);
    const b = integers([19, 33], 20);
    const c = integers([33, 5], 21);
    same(matmul(a, b).T, matmul(b.T, a.T));
    same(matmul(matmul(a, b), c), matmul(a, matmul(b, c)));
    same(
      matmul(a, b),
      matmul(a.at(':', slice(0, 8)), b.at(slice(0, 8))).add(matmul(a.at(':', slice(8)), b.at(slice(8)))),
    );
    same(matmul(cat([a, a.neg()]), b), cat([matmul(a, b), matmul(a, b).neg()]));
  });

  law('softmax does not see a shift; log-softmax is its logarithm', () => {
    const x = integers([5, 40], 22);
    same(F.softmax(x.add(7), 1), F.softmax(x, 1));
    near(F.logSoftmax(x, 1), x.sub(logsumexp(x, 1, { keepdim: true })), 4);
    near(F.softmax(x, 1).sum(1), ones([5]), 4);
  });

  law('reductions of parts are the reduction of the whole', () => {
    const x = integers([6, 10], 23);
    const halves = x.chunk(2, 1);
    same(halves[0].sum().add(halves[1].sum()), x.sum());
    same(stack(halves.map((t) => t.amax(1))).amax(0), x.amax(1));
    same(x.sum(0).sum(), x.sum());
    same(x.T.sum(1), x.sum(0));
    same(x.at(':', [3, 1, 0, 2, 4, 9, 8, 7, 6, 5]).sum(1), x.sum(1));
  });

  law('running sums end in the sum, and their differences are the elements', () => {
    const x = integers([4, 33], 24);
    const running = x.cumsum(1);
    same(running.at(':', -1), x.sum(1));
    same(running.at(':', slice(1)).sub(running.at(':', slice(0, 32))), x.at(':', slice(1)));
    same(x.flip(1).cumsum(1).flip(1).add(running).sub(x), x.sum(1, { keepdim: true }).expand(4, 33));
  });

  law('sorting does not depend on the order before', () => {
    const x = reals([3, 64], 25);
    const shuffled = x.roll(17, 1).flip(1);
    same(shuffled.sort(1).values, x.sort(1).values);
    same(x.neg().sort(1, { descending: true }).values.neg(), x.sort(1).values);
  });

  law('scattering what was gathered puts it back', () => {
    const x = integers([5, 8], 26);
    const order = reals([5, 8], 27).argsort(1);
    same(x.mul(0).scatter(1, order, x.gather(1, order)), x);
    same(x.mul(0).scatterAdd(1, order, x.gather(1, order)), x);
    const rows = tensor(new Int32Array([4, 0, 2]));
    same(x.indexSelect(0, rows), x.at(rows));
    same(x.at(rows), matmul(rows.unsqueeze(1).eq(arange(5)).to('float32'), x));
  });

  law('cross entropy is the negative log-likelihood of log-softmax', () => {
    const x = integers([6, 5], 28);
    const target = tensor(new Int32Array([0, 4, 2, 2, 1, 3]));
    near(F.crossEntropy(x, target), F.nllLoss(F.logSoftmax(x, 1), target), 4);
    near(
      F.crossEntropy(x, target),
      x
        .logsumexp(1)
        .sub(x.gather(1, target.unsqueeze(1)).squeeze(1))
        .mean(),
      4,
    );
  });
});

test('all of this ran on every instruction set', () => {
  expect(available).toContain(best);
});
