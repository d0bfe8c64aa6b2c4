// Blocks of small convolutions run with images in lanes inside a Sequential; nothing but the time shows that.
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  cpuInfo,
  gradcheck,
  isExactConv,
  manualSeed,
  nn,
  noGrad,
  randn,
  scope,
  setExactConv,
  setIsa,
  ShapeError,
  type Tensor,
} from '../../lib';
import { blockAt } from '../../lib/nn/lanes';
import { results } from '../support/results';
import { thrownBy } from '../support/thrown-by';

const oneByOne = (net: nn.Sequential, x: Tensor): Tensor =>
  [...net].reduce((t, layer) => layer.forward(t), x);
const usesLanes = (net: nn.Sequential, x: Tensor): boolean => blockAt([...net], 0, x, 0) !== null;

/** The result bit by bit; gradients nearly, as those of a bias are added up in another order. */
function expectSame(
  got: readonly ArrayLike<number>[],
  expected: readonly ArrayLike<number>[],
  error = 2e-6,
): void {
  expect(got.length).toBe(expected.length);
  got.forEach((values, i) => {
    const other = Array.from(expected[i]);
    const scale = other.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    const worst = Array.from(values).reduce((w, v, k) => Math.max(w, Math.abs(v - other[k])), 0);
    expect(values.length).toBe(other.length);
    expect(worst).toBeLessThanOrEqual(i === 0 && error < 1e-5 ? 0 : error * scale);
  });
}

const lenet = (between: () => nn.Module[]): nn.Sequential =>
  new nn.Sequential(
    new nn.Conv2d(1, 6, 5, { padding: 2 }),
    ...between(),
    new nn.AvgPool2d(2, { stride: 2 }),
    new nn.Conv2d(6, 16, 5),
    ...between(),
    new nn.AvgPool2d(2, { stride: 2 }),
    new nn.Flatten(),
    new nn.Linear(400, 10),
  );

describe.each<[string, () => nn.Module[]]>([
  ['sigmoid', () => [new nn.Sigmoid()]],
  ['tanh', () => [new nn.Tanh()]],
  ['ReLU', () => [new nn.ReLU()]],
  ['GELU', () => [new nn.GELU()]],
  ['two functions', () => [new nn.LeakyReLU(), new nn.Sigmoid()]],
  ['nothing', () => []],
])('LeNet with %s', (_name, between) => {
  // 160 images are enough for its algorithms on every instruction set, 33 are no whole vectors.
  test.each([160, 33, 1])('%i images as layer by layer', (n) => {
    const net = lenet(between);
    const x = randn([n, 1, 28, 28]).requiresGrad_();
    expect(usesLanes(net, x)).toBe(n === 160);
    const expected = results((t) => oneByOne(net, t), net, x);
    expectSame(
      results((t) => net.forward(t), net, x),
      expected,
    );
    expectSame(
      scope(() => results((t) => net.forward(t), net, x)),
      expected,
    );
    expectSame([noGrad(() => net.forward(x)).toTypedArray()], [expected[0]]);
  });
});

describe('LeNet with batch norm', () => {
  const make = (): nn.Sequential =>
    new nn.Sequential(
      new nn.Conv2d(1, 6, 5, { padding: 2, bias: false }),
      new nn.BatchNorm2d(6),
      new nn.Sigmoid(),
      new nn.AvgPool2d(2),
      new nn.Conv2d(6, 16, 5, { bias: false }),
      new nn.BatchNorm2d(16),
      new nn.ReLU(),
      new nn.AvgPool2d(2),
    );

  test('trains as layer by layer, running statistics too', () => {
    const [net, other] = [make(), make()];
    other.loadStateDict(net.stateDict());
    const x = randn([160, 1, 28, 28]).requiresGrad_();
    expect(usesLanes(net, x)).toBe(true);
    expectSame(
      results((t) => net.forward(t), net, x),
      results((t) => oneByOne(other, t), other, x),
      1e-4, // what batch norm leaves of a gradient is a small difference of large sums
    );
    for (const [name, value] of net.stateDict()) {
      expectSame([value.toTypedArray()], [other.stateDict().get(name)?.toTypedArray() ?? []], 2e-5);
    }
  });

  test('evaluates as layer by layer, folded and not', () => {
    const net = make().eval();
    const x = randn([160, 1, 28, 28]).requiresGrad_();
    const expected = noGrad(() => oneByOne(net, x).toTypedArray());
    expectSame([noGrad(() => net.forward(x).toTypedArray())], [expected], 2e-5);
    expectSame([net.forward(x).toTypedArray()], [expected], 2e-5);
  });
});

describe('a block of float64', () => {
  test('passes gradcheck', () => {
    const net = new nn.Sequential(
      new nn.Conv2d(2, 1, 3, { padding: 1 }),
      new nn.Sigmoid(),
      new nn.AvgPool2d(2),
      new nn.Conv2d(1, 1, 3, { padding: 1 }),
      new nn.GELU(),
      new nn.AvgPool2d(2),
    );
    net.to('float64');
    const x = randn([4, 2, 8, 12], { dtype: 'float64' }).requiresGrad_();
    expect(usesLanes(net, x)).toBe(true);
    const parameters = [...net.parameters()];
    expect(gradcheck((t: Tensor) => net.forward(t), [x, ...parameters])).toBe(true);
  });
});

const block = (...layers: nn.Module[]): nn.Sequential => new nn.Sequential(new nn.Conv2d(2, 3, 5), ...layers);
const images = (): Tensor => randn([64, 2, 16, 20]);

test.each<[string, () => nn.Sequential]>([
  ['a pool of other windows', () => block(new nn.Sigmoid(), new nn.AvgPool2d(3))],
  ['a pool with a stride of its own', () => block(new nn.Sigmoid(), new nn.AvgPool2d(2, { stride: 1 }))],
  ['a pool with padding', () => block(new nn.Sigmoid(), new nn.AvgPool2d(2, { padding: 1 }))],
  ['a pool with a divisor', () => block(new nn.Sigmoid(), new nn.AvgPool2d(2, { divisorOverride: 3 }))],
  ['a max pool', () => block(new nn.ReLU(), new nn.MaxPool2d(2))],
  ['dropout', () => block(new nn.Dropout(0.5), new nn.AvgPool2d(2))],
  ['no pool', () => block(new nn.Sigmoid())],
  ['padding that is no zeros', () => new nn.Sequential(
    new nn.Conv2d(2, 4, 5, { padding: 2, paddingMode: 'reflect' }), new nn.Sigmoid(), new nn.AvgPool2d(2),
  )], // prettier-ignore
  ['groups', () => new nn.Sequential(new nn.Conv2d(2, 4, 5, { groups: 2 }), new nn.AvgPool2d(2))],
  ['an odd height', () => new nn.Sequential(new nn.Conv2d(2, 4, [4, 5]), new nn.Tanh(), new nn.AvgPool2d(2))],
])('%s: not in lanes, the same numbers', (_name, make) => {
  const net = make();
  const x = images().requiresGrad_();
  expect(usesLanes(net, x)).toBe(false);
  manualSeed(5);
  const expected = results((t) => oneByOne(net, t), net, x);
  manualSeed(5);
  expectSame(
    results((t) => net.forward(t), net, x),
    expected,
  );
});

test('[2, 2], ceilMode and countIncludePad make no difference to tiles', () => {
  const options = { stride: [2, 2], padding: 0, ceilMode: true, countIncludePad: false } as const;
  const net = block(new nn.Tanh(), new nn.AvgPool2d([2, 2], options));
  const x = images().requiresGrad_();
  expect(usesLanes(net, x)).toBe(true);
  expectSame(
    results((t) => net.forward(t), net, x),
    results((t) => oneByOne(net, t), net, x),
  );
});

test('an input that needs no gradient, frozen weights', () => {
  const net = lenet(() => [new nn.Sigmoid()]);
  net.get(0).requiresGrad_(false);
  const x = randn([160, 1, 28, 28]);
  expectSame(
    results((t) => net.forward(t), net, x),
    results((t) => oneByOne(net, t), net, x),
  );
});

test('hooks and layers of their own kind see images', () => {
  const net = block(new nn.Sigmoid(), new nn.AvgPool2d(2));
  const x = images();
  for (const layer of net) {
    const seen: (readonly number[])[] = [];
    const handle = layer.registerForwardHook((_m, [input], output) => {
      seen.push(input.shape, output.shape);
    });
    net.forward(x);
    handle.remove();
    expect(seen.flat().filter((_, i) => i % 4 === 0)).toEqual([64, 64]);
  }
  class Doubled extends nn.Sigmoid {
    protected override activate(input: Tensor): Tensor {
      expect(input.shape[0]).toBe(64);
      return super.activate(input).mul(2);
    }
  }
  const own = block(new Doubled(), new nn.AvgPool2d(2));
  expect(usesLanes(own, x)).toBe(false);
  expect(own.forward(x).toTypedArray()).toEqual(oneByOne(own, x).toTypedArray());
});

test('an ending behind a block', () => {
  const net = block(new nn.Tanh(), new nn.AvgPool2d(2));
  const x = images();
  const add = randn([64, 3, 6, 8]);
  const expected = oneByOne(net, x).add(add).relu();
  expect(net.forwardThen(x, { add, relu: true }).toTypedArray()).toEqual(expected.toTypedArray());
});

test('an edit of what backward reads is noticed', () => {
  const net = block(new nn.Tanh(), new nn.AvgPool2d(2));
  const y = net.forward(images());
  noGrad(() => net.parameters()[0].add_(1));
  expect(() => {
    y.sum().backward();
  }).toThrow('saved by conv2d');
});

test('errors name the shape of the images', () => {
  const net = new nn.Sequential(
    new nn.Conv2d(2, 3, 5),
    new nn.Sigmoid(),
    new nn.AvgPool2d(2),
    new nn.Conv2d(5, 4, 3),
    new nn.AvgPool2d(2),
  );
  const error = thrownBy(() => net.forward(images()), ShapeError);
  expect(error.message).toContain('conv2d: weight must have weight.shape[1] = C/groups = 3');
  expect(error.message).toContain('input [64, 3, 6, 8]');
});

describe('exact convolutions', () => {
  const before = isExactConv();
  afterEach(() => {
    setExactConv(before);
  });

  test('as layer by layer', () => {
    setExactConv(true);
    const net = lenet(() => [new nn.Sigmoid()]);
    const x = randn([160, 1, 28, 28]).requiresGrad_();
    expectSame(
      results((t) => net.forward(t), net, x),
      results((t) => oneByOne(net, t), net, x),
    );
  });
});

describe('another instruction set', () => {
  const { isa, available } = cpuInfo();
  afterEach(() => {
    setIsa(isa);
  });

  test('between forward and backward is refused where images lie in its lanes', () => {
    const net = block(new nn.Tanh(), new nn.AvgPool2d(2));
    const loss = net.forward(images()).sum();
    const other = available.find((name) => name !== isa && (name === 'avx2') !== (isa === 'avx2'));
    if (other === undefined) return;
    setIsa(other);
    expect(() => {
      loss.backward();
    }).toThrow('lanes must be those of a vector');
  });
});
