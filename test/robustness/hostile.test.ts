// Bad input that has no place in the tests of one operation: values that only JavaScript callers can pass, results that
// cannot exist, and what must be as it was after an error.
import { describe, expect, jest, test } from '@jest/globals';

import * as lib from '../../lib';
import type { Tensor } from '../../lib';
import { AllocationError, ArgumentTypeError, F, ShapeError, isLaminaeError, nn, optim } from '../../lib';
import { run } from '../../lib/native';
import { untyped } from '../support/refuses';
import { thrownBy } from '../support/thrown-by';

const { ones, randn, tensor, zeros } = lib;

describe('options that are none, as in a call with the positions of PyTorch', () => {
  const [x, w] = [ones([1, 2, 4, 4]), ones([2, 2, 3, 3])];
  const calls: Readonly<Record<string, (options: never) => unknown>> = {
    conv2d: (o) => F.conv2d(x, w, null, o),
    convTranspose2d: (o) => F.convTranspose2d(x, w, null, o),
    maxPool2d: (o) => F.maxPool2d(x, 2, o),
    avgPool2d: (o) => F.avgPool2d(x, 2, o),
    lpPool2d: (o) => F.lpPool2d(x, 2, 2, o),
    batchNorm: (o) => F.batchNorm(x, zeros([2]), ones([2]), o),
    layerNorm: (o) => F.layerNorm(x, [4], o),
    groupNorm: (o) => F.groupNorm(x, 1, o),
    instanceNorm: (o) => F.instanceNorm(x, null, null, o),
    localResponseNorm: (o) => F.localResponseNorm(x, 3, o),
    crossEntropy: (o) => F.crossEntropy(zeros([1, 2]), tensor([0], { dtype: 'int32' }), o),
    mseLoss: (o) => F.mseLoss(x, x, o),
    leakyRelu: (o) => F.leakyRelu(x, o),
    softplus: (o) => F.softplus(x, o),
    dropout: (o) => F.dropout(x, 0.5, o),
    pad: (o) => F.pad(x, [1, 1], o),
    unfold: (o) => F.unfold(x, 2, o),
    interpolate: (o) => F.interpolate(x, o),
    sum: (o) => x.sum(0, o),
    max: (o) => x.max(0, o),
    topk: (o) => x.topk(1, o),
    tensor: (o) => tensor([1], o),
    zeros: (o) => zeros([1], o),
    randn: (o) => randn([1], o),
    Conv2d: (o) => new nn.Conv2d(2, 2, 3, o),
    ConvTranspose2d: (o) => new nn.ConvTranspose2d(2, 2, 3, o),
    Linear: (o) => new nn.Linear(2, 2, o),
    BatchNorm2d: (o) => new nn.BatchNorm2d(2, o),
    MaxPool2d: (o) => new nn.MaxPool2d(2, o),
    AvgPool2d: (o) => new nn.AvgPool2d(2, o),
    LeakyReLU: (o) => new nn.LeakyReLU(o),
    CrossEntropyLoss: (o) => new nn.CrossEntropyLoss(o),
    LayerNorm: (o) => new nn.LayerNorm([2], o),
    GroupNorm: (o) => new nn.GroupNorm(1, 2, o),
    SGD: (o) => new optim.SGD([new nn.Parameter(ones([1]))], o),
    Adam: (o) => new optim.Adam([new nn.Parameter(ones([1]))], o),
  };
  test.each(Object.entries(calls))('%s', (op, call) => {
    for (const [options, text] of [
      [2, '2'],
      [true, 'true'],
      [[2, 2], '[2, 2]'],
    ]) {
      const error = thrownBy(() => call(untyped(options)), ArgumentTypeError);
      expect(error.message).toContain(`${op}: options must be an object, got ${String(text)}`);
    }
  });
});

describe('shapes', () => {
  const eight = zeros([1, 1, 1, 1, 1, 1, 1, 1]);
  const one = tensor([[0]], { dtype: 'int32' });

  test.each<[string, () => Tensor]>([
    ['at with a new dimension', () => eight.at(null)],
    ['at with a matrix of positions', () => eight.at(one)],
    ['unsqueeze', () => eight.unsqueeze(0)],
    ['stack', () => lib.stack([eight, eight])],
    ['expand', () => eight.expand([1, 1, 1, 1, 1, 1, 1, 1, 1])],
    ['reshape', () => eight.reshape([1, 1, 1, 1, 1, 1, 1, 1, 1])],
    ['Unflatten', () => new nn.Unflatten(0, [1, 1]).forward(eight)],
    ['nested arrays', () => tensor([[[[[[[[[1]]]]]]]]])],
  ])('row 58: a ninth dimension by %s', (_, act) => {
    expect(thrownBy(act, ShapeError).message).toContain('rank 9 exceeds 8');
  });

  test('an array that holds itself ends like any other that is too deep', () => {
    const values: unknown[] = [];
    values.push(values);
    expect(thrownBy(() => tensor(untyped(values)), ShapeError).message).toContain('rank 9 exceeds 8');
    expect(() => zeros(untyped(values))).toThrow('zeros: shape[0] must be a number, got [[...]]');
  });

  test('row 27: also where no memory is asked for', () => {
    for (const act of [
      () => ones([1]).expand([2 ** 59 + 1]),
      () => ones([1]).reshape([2 ** 32, 2 ** 32]),
      () => zeros([2 ** 59 + 1]),
    ]) {
      expect(act).toThrow('shape element count exceeds 2^38');
    }
  });

  const point = ones([1, 1, 1, 1]);
  test.each<[string, () => unknown]>([
    ['zeros', () => zeros([2 ** 38])],
    ['arange', () => lib.arange(2 ** 37)],
    ['randn', () => randn([2 ** 37])],
    [
      'mul of an expanded tensor',
      () =>
        ones([1])
          .expand([2 ** 37])
          .mul(2),
    ],
    ['cat', () => lib.cat([ones([1]).expand([2 ** 37]), ones([1])])],
    ['repeat', () => ones([2 ** 10]).repeat([2 ** 27])],
    ['matmul', () => lib.matmul(ones([1]).expand([2 ** 19, 1]), ones([1]).expand([1, 2 ** 18]))],
    ['conv2d', () => F.conv2d(point, point, null, { padding: 2 ** 17 })],
    ['pad', () => F.pad(point, [2 ** 18, 2 ** 18, 2 ** 17, 2 ** 17])],
    ['interpolate', () => F.interpolate(point, { scaleFactor: 2 ** 18 })],
    ['unfold', () => F.unfold(point, 1, { padding: 2 ** 17 })],
    ['Embedding', () => new nn.Embedding(2 ** 20, 2 ** 17)],
    ['rows 25 and 64: Conv2d', () => new nn.Conv2d(3, 6, 65536)],
    ['row 26: Conv2d', () => new nn.Conv2d(2 ** 40, 2 ** 40, 1, { groups: 2 ** 40 })],
  ])('row 64: %s that cannot be held', (_, act) => {
    expect(thrownBy(act, AllocationError).message).toMatch(/cannot allocate [\d.]+ (GB|TB|PB)/);
    expect(ones([3]).sum().item()).toBe(3);
  });

  test('row 26: products that leave 64 bits, past all checks above the native side', () => {
    const huge = 2 ** 40;
    const fields = {
      n: 1, groups: huge, cIn: huge, cOut: huge, in: [1, 1, 1], kernel: [1, 1, 1], out: [1, 1, 1],
      stride: [1, 1, 1], padding: [0, 0, 0], dilation: [1, 1, 1], algorithm: 0, exact: 0, lanes: 0,
      packedReady: 0,
    }; // prettier-ignore
    const buffers = { x: ones([4]), weight: ones([4]), bias: null, y: zeros([4]), packed: null };
    expect(() => run('conv', fields, buffers)).toThrow(
      'conv: buffer x must hold 1099511627776 elements, got 4',
    );
    const product = { ...fields, groups: 1, n: 2 ** 52, cIn: 2 ** 52, cOut: 2 ** 52 };
    expect(() => run('conv', product, buffers)).toThrow('conv: size overflow');
  });

  test('a copy of 2^50 elements onto one, which would take a day', () => {
    const fields = { rank: 2, shape: [2 ** 25, 2 ** 25], xStrides: [0, 0], yStrides: [0, 0] };
    expect(() => run('copy', fields, { x: ones([1]), y: zeros([1]) })).toThrow(
      'copy: must write every element once',
    );
  });
});

describe('row 61: what only looks like a tensor', () => {
  const names = [
    'add',
    'sum',
    'relu',
    'at',
    'reshape',
    'clone',
    'add_',
    'matmul',
    'registerHook',
    'allClose',
  ];
  test.each(names)('%s of another receiver', (name) => {
    const method: unknown = Reflect.get(lib.Tensor.prototype, name);
    if (typeof method !== 'function') throw new Error(`no method ${name}`);
    for (const receiver of [{}, [], null, undefined, Object.create(null), new Float32Array(2)]) {
      const call = (): unknown => Reflect.apply(method, receiver, [1, 1]) as unknown;
      const error = thrownBy(call, TypeError);
      expect(isLaminaeError(error)).toBe(true);
    }
  });

  test('a tensor of another copy of the package', () => {
    jest.isolateModules(() => {
      const other = jest.requireActual<typeof lib>('../../lib');
      expect(other.Tensor).not.toBe(lib.Tensor);
      expect(() => F.relu(untyped(other.ones([2])))).toThrow(
        'relu: input must be a Tensor, got Tensor (of this copy of laminae: two copies are loaded, see npm ls',
      );
      expect(other.ones([2]).add(1).toArray()).toEqual([2, 2]); // and both work, over one addon
      expect(ones([2]).add(2).toArray()).toEqual([3, 3]);
      expect(other.randn([3, 4]).matmul(other.ones([4, 2])).shape).toEqual([3, 2]);
    });
  });

  test('a proxy of a tensor computes or is refused', () => {
    expect(F.add(new Proxy(ones([2]), {}), 1).toArray()).toEqual([2, 2]);
  });
});

describe('numbers that an integer dtype cannot hold', () => {
  test.each([
    [NaN, 'int32'],
    [2 ** 31, 'int32'],
    [2 ** 40, 'int32'],
    [-Infinity, 'int32'],
    [256, 'uint8'],
    [-1, 'uint8'],
  ] as const)('%d as %s', (value, dtype) => {
    expect(() => tensor([0, value], { dtype })).toThrow(`tensor: values[1] must be in`);
    expect(() => tensor(value, { dtype })).toThrow(`for ${dtype}, got ${value}`);
  });

  test('fractions are cut off, as in PyTorch', () => {
    expect(tensor([1.7, -1.7, 2 ** 31 - 1], { dtype: 'int32' }).toArray()).toEqual([1, -1, 2 ** 31 - 1]);
  });
});

describe('an edit of expanded elements, several of which lie in one place', () => {
  test.each<[string, (t: Tensor) => unknown]>([
    ['add_', (t) => t.add_(tensor([1, 2, 3]))],
    ['mul_ by a number', (t) => t.mul_(2)],
    ['copy_', (t) => t.copy_(tensor([1, 2, 3]))],
    ['fill_', (t) => t.fill_(1)],
    ['set', (t) => t.set([0], 5)],
  ])('%s is refused and changes nothing', (op, act) => {
    const base = zeros([1]);
    expect(() => act(base.expand([3]))).toThrow(/tensor was expanded: several elements lie in one place/);
    expect(() => act(base.expand([3]))).toThrow(op.split(' ')[0]);
    expect(base.item()).toBe(0);
    expect(base.storage.version).toBe(0);
  });
});

describe('after an error everything is as it was', () => {
  test('batch norm does not count a batch that it refused', () => {
    for (const momentum of [0.1, null]) {
      const layer = new nn.BatchNorm2d(3, { momentum });
      layer.forward(randn([4, 3, 2, 2]));
      const before = [...layer.stateDict()].map(([, t]) => t.toArray());
      expect(() => layer.forward(randn([1, 3, 1, 1]))).toThrow('needs more than 1 value per channel');
      expect(() => layer.forward(randn([4, 2, 2, 2]))).toThrow('must have 3 channels');
      expect([...layer.stateDict()].map(([, t]) => t.toArray())).toEqual(before);
    }
  });

  test('a backward pass that fails leaves gradients alone', () => {
    const x = ones([2], { requiresGrad: true });
    const y = x.mul(2);
    expect(() => y.backward(untyped([1, 1]))).toThrow('backward: gradient must be a Tensor, got Array');
    expect(() => y.backward(ones([3]))).toThrow(ShapeError);
    expect(x.grad).toBeNull();
    y.backward(ones([2]));
    expect(x.grad?.toArray()).toEqual([2, 2]);
  });
});

describe('no samples', () => {
  test.each<[string, (x: Tensor) => Tensor]>([
    ['layerNorm', (x) => F.layerNorm(x, [2, 2])],
    ['groupNorm', (x) => F.groupNorm(x, 2, { weight: ones([4]), bias: ones([4]) })],
    ['instanceNorm', (x) => F.instanceNorm(x)],
    ['instanceNorm with running statistics', (x) => F.instanceNorm(x, zeros([4]), ones([4]))],
    ['localResponseNorm', (x) => F.localResponseNorm(x, 3)],
    ['interpolate', (x) => F.interpolate(x, { size: 2 })],
    ['softmax', (x) => F.softmax(x, 1)],
    ['dropout', (x) => F.dropout(x, 0.5)],
    ['pad', (x) => F.pad(x, [0, 0, 0, 0], { mode: 'reflect' })],
    ['avgPool2d', (x) => F.avgPool2d(x, 1)],
  ])('%s gives none', (_, fn) => {
    const x = zeros([0, 4, 2, 2], { requiresGrad: true });
    const y = fn(x);
    expect(y.shape).toEqual([0, 4, 2, 2]);
    if (y !== x) y.sum().backward();
    if (y !== x) expect(x.grad?.shape).toEqual([0, 4, 2, 2]);
  });

  test('row 52: linear gives none, but refuses to have no features', () => {
    expect(F.linear(zeros([0, 3]), ones([2, 3])).shape).toEqual([0, 2]);
    for (const [input, weight] of [
      [
        [2, 0],
        [3, 0],
      ],
      [
        [2, 3],
        [0, 3],
      ],
    ]) {
      // prettier-ignore
      expect(() => F.linear(zeros(input), zeros(weight))).toThrow('at least one feature on both sides');
    }
    expect(() => F.linear(tensor(1), ones([2, 3]))).toThrow(ShapeError);
  });
});
