// Batch normalisation of the book: its goldens, and the traps between the two conventions.
import { describe, expect, test } from '@jest/globals';
import { BatchNorm } from '../../examples/book/batch-norm-scratch';
import { scratchBatchNormLeNet } from '../../examples/book/batch-norm-lenet';
import { batchNormLeNet, startWithXavier } from '../../examples/common/models';
import {
  arange,
  enableGrad,
  F,
  gradcheck,
  isGradEnabled,
  nn,
  noGrad,
  optim,
  randn,
  scope,
  ShapeError,
  tensor,
  zeros,
  type Tensor,
} from '../../lib';
import { expectValues } from '../support/expect-values';
import { valuesOf } from '../support/op-values';
import { expectClose } from '../support/tolerance';

const features = (): Tensor =>
  tensor([
    [1, 2],
    [3, 4],
    [5, 9],
  ]);
const normalized = [
  [-1.224743, -1.019049],
  [0, -0.339683],
  [1.224743, 1.358732],
];

describe('values', () => {
  test('2-D: output, moving statistics of both conventions, gradients', () => {
    const scratch = new BatchNorm(2, 2);
    const concise = new nn.BatchNorm1d(2);
    for (const layer of [scratch, concise]) {
      const X = features().requiresGrad_();
      const Y = layer.forward(X);
      expectValues(Y.data, normalized);
      Y.at(0, 0).backward();
      expectValues(X.grad, [
        [0.102063, 0],
        [-0.204124, 0],
        [0.102061, 0],
      ]);
      const [gamma, beta] = layer.parameters();
      expectValues(gamma.grad?.reshape(-1), [-1.224743, 0]);
      expectValues(beta.grad?.reshape(-1), [1, 0]);
    }
    expectValues(scratch.movingMean, [[0.3, 0.5]]);
    expectValues(concise.runningMean, [0.3, 0.5]);
    // Trap 2: the biased variance 8/3 and 26/3 here, the unbiased 4 and 13 there.
    expectValues(scratch.movingVar, [[1.166667, 1.766667]]);
    expectValues(concise.runningVar, [1.3, 2.2]);
  });

  test('4-D: arange(8), one channel', () => {
    const X = arange(8).reshape(2, 1, 2, 2);
    const expected = Array.from({ length: 8 }, (_, i) => -1.527524 + i * 0.436436);
    const scratch = new BatchNorm(1, 4);
    const concise = new nn.BatchNorm2d(1);
    for (const layer of [scratch, concise]) expectValues(layer.forward(X).data.reshape(-1), expected, 4e-6);
    expectValues(scratch.movingMean.reshape(-1), [0.35]);
    expectValues(scratch.movingVar.reshape(-1), [1.425]);
    expectValues(concise.runningMean, [0.35]);
    expectValues(concise.runningVar, [1.5]);
  });

  test('4-D: arange(16), two channels normalised alike', () => {
    const X = arange(16).reshape(2, 2, 2, 2);
    const low = [
      [-1.324244, -1.083473],
      [-0.842701, -0.601929],
    ];
    const high = [
      [0.601929, 0.842701],
      [1.083473, 1.324244],
    ];
    const scratch = new BatchNorm(2, 4);
    for (const layer of [scratch, new nn.BatchNorm2d(2)]) {
      expectValues(layer.forward(X).data, [
        [low, low],
        [high, high],
      ]);
    }
    expectValues(scratch.movingMean.reshape(-1), [0.55, 0.95]);
    expectValues(scratch.movingVar.reshape(-1), [0.9 + 1.725, 0.9 + 1.725]);
  });

  test('gradients of the scratch layer agree with differences and with the library', () => {
    const scratch = new BatchNorm(3, 4);
    const concise = new nn.BatchNorm2d(3);
    const x = randn([4, 3, 2, 2], { dtype: 'float64', requiresGrad: true });
    scratch.gamma = new nn.Parameter(randn([1, 3, 1, 1], { dtype: 'float64' }));
    scratch.beta = new nn.Parameter(randn([1, 3, 1, 1], { dtype: 'float64' }));
    scratch.movingMean = scratch.movingMean.to('float64');
    scratch.movingVar = scratch.movingVar.to('float64');
    // The differences are taken without gradients, where the layer would predict.
    expect(gradcheck((t) => enableGrad(() => scratch.forward(t)), [x])).toBe(true);
    concise.to('float64');
    concise.weight = new nn.Parameter(scratch.gamma.data.reshape(3));
    concise.bias = new nn.Parameter(scratch.beta.data.reshape(3));
    const seed = randn([4, 3, 2, 2], { dtype: 'float64' });
    const gradients = [scratch, concise].map((layer) => {
      x.clearGrad();
      layer.zeroGrad();
      layer.forward(x).backward(seed);
      return [x.grad, ...layer.parameters().map((p) => p.grad)].map((g) => g?.reshape(-1) ?? zeros([0]));
    });
    gradients[0].forEach((g, i) =>
      expectClose(valuesOf(g), valuesOf(gradients[1][i]), { rtol: 1e-11, atol: 1e-11 }),
    );
  });
});

describe('traps', () => {
  test('1: momentum 0.9 of the scratch layer is momentum 0.1 of the library', () => {
    const scratch = new BatchNorm(2, 2);
    const tenth = new nn.BatchNorm1d(2);
    const ninth = new nn.BatchNorm1d(2, { momentum: 0.9 });
    for (const layer of [scratch, tenth, ninth]) layer.forward(features());
    expectValues(tenth.runningMean, scratch.movingMean.reshape(-1).toArray());
    expectValues(ninth.runningMean, [2.7, 4.5]);
  });

  test('3: the library looks at training alone, the scratch layer at the gradient mode alone', () => {
    const concise = new nn.BatchNorm1d(2);
    noGrad(() => expectValues(concise.forward(features()), normalized));
    expectValues(concise.runningMean, [0.3, 0.5]);
    const before = concise.runningMean?.toArray();
    concise.eval();
    expect(isGradEnabled()).toBe(true);
    expectValues(
      concise.forward(features()).data,
      [
        [(1 - 0.3) / Math.sqrt(1.3), (2 - 0.5) / Math.sqrt(2.2)],
        [(3 - 0.3) / Math.sqrt(1.3), (4 - 0.5) / Math.sqrt(2.2)],
        [(5 - 0.3) / Math.sqrt(1.3), (9 - 0.5) / Math.sqrt(2.2)],
      ],
      1e-4,
    );
    expect(concise.runningMean?.toArray()).toEqual(before);

    const scratch = new BatchNorm(2, 2).eval();
    expectValues(scratch.forward(features()).data, normalized);
    const moved = scratch.movingMean.toArray();
    noGrad(() => scratch.forward(features().mul(100)));
    expect(scratch.movingMean.toArray()).toEqual(moved);
  });

  test('4: every forward in training counts', () => {
    const concise = new nn.BatchNorm1d(2);
    for (let i = 0; i < 3; i++) concise.forward(features());
    expect(concise.numBatchesTracked?.item()).toBe(3);
    expectValues(concise.runningMean, [3 * (1 - 0.9 ** 3), 5 * (1 - 0.9 ** 3)]);
  });

  test('5: moving statistics carry no graph and survive a scope', () => {
    const scratch = new BatchNorm(2, 2);
    for (let i = 0; i < 3; i++) {
      scope(() => {
        scratch.forward(features().requiresGrad_()).sum().backward();
      });
    }
    expect(scratch.movingMean.requiresGrad).toBe(false);
    expect(scratch.movingVar.requiresGrad).toBe(false);
    expectValues(scratch.movingMean, [[3 * (1 - 0.9 ** 3), 5 * (1 - 0.9 ** 3)]]);
  });

  test('6: one value per channel', () => {
    const one = tensor([[1, 2]]);
    const concise = new nn.BatchNorm1d(2);
    expect(() => concise.forward(one)).toThrow(ShapeError);
    expect(() => concise.forward(one)).toThrow('[1, 2]');
    expect(() => batchNormLeNet().forward(zeros([1, 1, 28, 28]))).toThrow(ShapeError);
    expect(concise.eval().forward(one).shape).toEqual([1, 2]);
    // Images have more than one value each.
    expect(new nn.BatchNorm2d(1).forward(arange(4).reshape(1, 1, 2, 2)).shape).toEqual([1, 1, 2, 2]);
    // From scratch nothing can be learnt but beta: the input is its own mean.
    const scratch = new BatchNorm(2, 2);
    scratch.beta.data.copy_(tensor([[7, 8]]));
    const x = one.requiresGrad_();
    const y = scratch.forward(x);
    expect(y.toArray()).toEqual([[7, 8]]);
    y.mul(tensor([[2, 3]]))
      .sum()
      .backward();
    expect(x.grad?.toArray()).toEqual([[0, 0]]);
    expect(scratch.gamma.grad?.toArray()).toEqual([[0, 0]]);
    expect(scratch.beta.grad?.toArray()).toEqual([[2, 3]]);
  });

  test('7: the variance of large, close values', () => {
    const concise = new nn.BatchNorm1d(1, { momentum: 1 });
    expectValues(concise.forward(tensor([[10000], [10001]])).data, [[-0.99998], [0.99998]], 1e-5);
    expectValues(concise.runningVar, [0.5]);
  });

  test('8: ranks', () => {
    expect(new nn.BatchNorm1d(2).forward(randn([3, 2, 4])).shape).toEqual([3, 2, 4]);
    expect(() => new nn.BatchNorm1d(2).forward(randn([3, 2, 4, 4]))).toThrow('must be 2-D or 3-D, got 4-D');
    expect(() => new nn.BatchNorm2d(2).forward(randn([3, 2]))).toThrow('must be 4-D, got 2-D');
  });

  test('9: editing the output in place neither harms the gradient nor passes unseen', () => {
    const gradient = (inPlace: boolean): Tensor => {
      const x = features().requiresGrad_();
      const y = new nn.BatchNorm1d(2).forward(x);
      const shifted = inPlace ? y.add_(features()) : y.add(features());
      shifted.mul(features()).sum().backward();
      return x.grad ?? zeros([0]);
    };
    expect(gradient(true).toArray()).toEqual(gradient(false).toArray());
    const x = features().requiresGrad_();
    const y = new nn.BatchNorm1d(2).forward(x);
    x.data.add_(1);
    expect(() => y.sum().backward()).toThrow('batchNorm');
  });

  test.each([
    ['from scratch', () => new BatchNorm(3, 4)],
    ['concise', () => new nn.BatchNorm2d(3)],
  ] as const)('10: what always holds, %s', (_, make) => {
    const x = randn([5, 3, 4, 4]).requiresGrad_();
    const seed = randn([5, 3, 4, 4]);
    const y = make().forward(x);
    y.backward(seed);
    const dims = [0, 2, 3];
    expectValues(x.grad?.sum(dims), [0, 0, 0], 1e-4);
    expectValues(x.grad?.mul(y.data).sum(dims), [0, 0, 0], 1e-3);
    expectValues(y.data.mean(dims), [0, 0, 0], 1e-6);
    expectValues(y.data.std(dims, { correction: 0 }), [1, 1, 1], 1e-4);
    const moved = make().forward(x.data.mul(3).add(2)).data;
    expectClose(valuesOf(moved), valuesOf(y.data), { rtol: 0, atol: 1e-4 });
  });

  test('10: a bias before batch normalisation gets no gradient', () => {
    const conv = new nn.Conv2d(2, 3, 3);
    const net = new nn.Sequential(conv, new nn.BatchNorm2d(3));
    net
      .forward(randn([4, 2, 6, 6]))
      .mul(randn([4, 3, 4, 4]))
      .sum()
      .backward();
    expectValues(conv.bias?.grad, [0, 0, 0], 1e-4);
    expect(conv.weight.grad?.abs().sum().item()).toBeGreaterThan(1);
  });

  test('11: the start of the weights leaves gamma alone', () => {
    const concise = startWithXavier(batchNormLeNet());
    const scratch = startWithXavier(scratchBatchNormLeNet());
    expect(concise.get(1).weight?.toArray()).toEqual([1, 1, 1, 1, 1, 1]);
    expect(scratch.get(10).gamma.data.sum().item()).toBe(120);
    // Weight decay reaches gamma unless it is in a group of its own.
    const bn = new nn.BatchNorm1d(2);
    for (const p of bn.parameters()) p.grad = zeros([2]);
    new optim.SGD(bn.parameters(), { lr: 0.1, weightDecay: 1 }).step();
    expectValues(bn.weight?.data, [0.9, 0.9]);
    new optim.SGD([{ params: bn.parameters(), weightDecay: 0 }], { lr: 0.1, weightDecay: 1 }).step();
    expectValues(bn.weight?.data, [0.9, 0.9]);
  });

  test('12: after ten steps 35 % of the first statistics remain', () => {
    const concise = new nn.BatchNorm1d(2);
    for (let i = 0; i < 10; i++) concise.forward(features());
    expectValues(concise.runningMean, [3 * (1 - 0.9 ** 10), 5 * (1 - 0.9 ** 10)], 1e-5);
    expectValues(
      concise.runningVar,
      [0.9 ** 10 + 4 * (1 - 0.9 ** 10), 0.9 ** 10 + 13 * (1 - 0.9 ** 10)],
      1e-5,
    );
  });

  test('14: five tensors of state per layer, none but gamma and beta from scratch', () => {
    const net = batchNormLeNet();
    net.forward(randn([2, 1, 28, 28]));
    const state = net.stateDict();
    const keys = ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'];
    for (const layer of [1, 5, 10, 13]) for (const k of keys) expect(state.has(`${layer}.${k}`)).toBe(true);
    const copy = batchNormLeNet();
    copy.loadStateDict(state);
    expect(copy.get(1).numBatchesTracked?.dtype).toBe('int32');
    expect(copy.get(1).numBatchesTracked?.item()).toBe(1);
    const x = randn([2, 1, 28, 28]);
    expect(copy.eval().forward(x).toArray()).toEqual(net.eval().forward(x).toArray());
    expect([...new BatchNorm(2, 2).stateDict().keys()]).toEqual(['gamma', 'beta']);
  });

  test('evaluation has a gradient of its own', () => {
    const x = features().requiresGrad_();
    const rv = tensor([4, 9]);
    F.batchNorm(x, zeros([2]), rv, { eps: 0 })
      .sum()
      .backward();
    expectValues(x.grad, [
      [1 / 2, 1 / 3],
      [1 / 2, 1 / 3],
      [1 / 2, 1 / 3],
    ]);
  });
});
