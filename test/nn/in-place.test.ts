// In a Sequential an activation takes the memory of the layer before it; nothing but the memory shows that.
import { describe, expect, test } from '@jest/globals';
import { emptyCache, nn, noGrad, pooledBytes, randn, scope, tensor, zeros, type Tensor } from '../../lib';
import { results } from '../support/results';

const makers: [string, () => nn.Module, number[]][] = [
  ['Conv1d', () => new nn.Conv1d(2, 3, 3), [2, 2, 9]],
  ['Conv2d', () => new nn.Conv2d(2, 3, 3), [2, 2, 7, 5]],
  ['Conv2d of one image', () => new nn.Conv2d(2, 3, 3), [2, 7, 5]],
  ['Conv3d', () => new nn.Conv3d(2, 3, 2), [1, 2, 4, 3, 4]],
  ['ConvTranspose1d', () => new nn.ConvTranspose1d(2, 3, 3), [2, 2, 9]],
  ['ConvTranspose2d', () => new nn.ConvTranspose2d(2, 3, 3, { stride: 2 }), [2, 2, 4, 5]],
  ['ConvTranspose3d', () => new nn.ConvTranspose3d(2, 3, 2), [1, 2, 3, 3, 2]],
  ['Linear', () => new nn.Linear(6, 4), [5, 6]],
  ['Linear of a vector', () => new nn.Linear(6, 4), [6]],
  ['Linear of a sequence', () => new nn.Linear(6, 4), [2, 3, 6]],
  ['BatchNorm1d', () => new nn.BatchNorm1d(4), [6, 4]],
  ['BatchNorm2d', () => new nn.BatchNorm2d(3), [2, 3, 4, 5]],
  ['BatchNorm2d in evaluation', () => new nn.BatchNorm2d(3).eval(), [2, 3, 4, 5]],
];
const activations: [string, () => nn.Module][] = [
  ['CELU', () => new nn.CELU({ alpha: 0.5 })],
  ['ELU', () => new nn.ELU()],
  ['GELU', () => new nn.GELU()],
  ['GELU by tanh', () => new nn.GELU({ approximate: 'tanh' })],
  ['Hardsigmoid', () => new nn.Hardsigmoid()],
  ['Hardswish', () => new nn.Hardswish()],
  ['Hardtanh', () => new nn.Hardtanh({ minVal: -0.1, maxVal: 0.2 })],
  ['LeakyReLU', () => new nn.LeakyReLU()],
  ['LogSigmoid', () => new nn.LogSigmoid()],
  ['Mish', () => new nn.Mish()],
  ['ReLU', () => new nn.ReLU()],
  ['ReLU6', () => new nn.ReLU6()],
  ['SELU', () => new nn.SELU()],
  ['SiLU', () => new nn.SiLU()],
  ['Sigmoid', () => new nn.Sigmoid()],
  ['Softplus', () => new nn.Softplus()],
  ['Softsign', () => new nn.Softsign()],
  ['Tanh', () => new nn.Tanh()],
];

describe.each(makers)('%s', (_name, make, shape) => {
  test.each(activations)('%s over its result: the same bits', (_activation, makeActivation) => {
    const layer = make();
    const activation = makeActivation();
    const x = randn(shape).requiresGrad_();
    const net = new nn.Sequential(layer, activation);
    const expected = results((t) => activation.forward(layer.forward(t)), net, x);
    expect(results((t) => net.forward(t), net, x)).toEqual(expected);
    expect(scope(() => results((t) => net.forward(t), net, x))).toEqual(expected);
    expect([...noGrad(() => net.forward(x)).toTypedArray()]).toEqual(expected[0]);
  });
});

test('the result is no view', () => {
  const net = new nn.Sequential(new nn.Linear(2, 2), new nn.Sigmoid());
  const y = net.forward(tensor([[1, -1]]));
  expect(y.isView).toBe(false);
  expect(noGrad(() => y.zero_()).toArray()).toEqual([[0, 0]]);
});

test('an edit of the result before backward is noticed', () => {
  const net = new nn.Sequential(new nn.Linear(2, 2), new nn.Sigmoid());
  const y = net.forward(tensor([[1, -1]]));
  y.add_(1);
  expect(() => {
    y.sum().backward();
  }).toThrow('saved by sigmoid');
});

test('hooks see what the layer made, not what the activation left', () => {
  const layer = new nn.Linear(1, 2);
  const net = new nn.Sequential(layer, new nn.ReLU());
  const seen: Tensor[] = [];
  const handle = layer.registerForwardHook((_m, _inputs, output) => {
    seen.push(output);
  });
  noGrad(() => layer.weight.copy_(tensor([[1], [-1]])));
  noGrad(() => layer.bias?.zero_());
  expect(net.forward(tensor([[3]])).toArray()).toEqual([[3, 0]]);
  expect(seen[0].toArray()).toEqual([[3, -3]]);
  handle.remove();
});

test('a layer of its own kind may keep its result', () => {
  class Keeping extends nn.Linear {
    kept: Tensor | null = null;
    override forward(x: Tensor): Tensor {
      this.kept = super.forward(x);
      return this.kept;
    }
  }
  const layer = new Keeping(3, 50);
  const y = new nn.Sequential(layer, new nn.ReLU()).forward(randn([4, 3]));
  expect(layer.kept?.min().item()).toBeLessThan(0);
  expect(y.min().item()).toBe(0);
});

describe('without gradients memory goes round', () => {
  const x = randn([2, 3, 24, 24]);
  const oneByOne = (net: nn.Sequential, input: Tensor): Tensor =>
    [...net].reduce((t, layer) => layer.forward(t), input);

  test('what a layer has read is there for the next: ten convolutions live on two blocks', () => {
    const layers = Array.from({ length: 10 }, () => [new nn.Conv2d(3, 3, 3, { padding: 1 }), new nn.ReLU6()]);
    const net = new nn.Sequential(...layers.flat());
    const bytesPooledBy = (forward: () => void): number => {
      emptyCache();
      scope(forward);
      return pooledBytes();
    };
    const one = bytesPooledBy(() => void zeros(x.shape));
    expect(noGrad(() => bytesPooledBy(() => void net.forward(x)))).toBeLessThan(3 * one);
    expect(bytesPooledBy(() => void net.forward(x))).toBeGreaterThanOrEqual(10 * one); // backward will read them
  });

  test('through pools, views and dropout', () => {
    const net = new nn.Sequential(
      new nn.Conv2d(3, 8, 3),
      new nn.Hardswish(),
      new nn.MaxPool2d(2),
      new nn.Dropout(0.5),
      new nn.ReLU6(),
      new nn.AvgPool2d(2),
      new nn.Flatten(),
      new nn.Tanh(),
      new nn.Linear(200, 10),
      new nn.Dropout(0.5),
      new nn.ReLU(),
    ).eval();
    const expected = oneByOne(net, x).toTypedArray();
    noGrad(() => {
      for (let i = 0; i < 3; i++) expect(net.forward(x).toTypedArray()).toEqual(expected);
      expect(scope(() => net.forward(x)).toTypedArray()).toEqual(expected);
    });
    net.get(0).requiresGrad_(false);
    const linear = net.get(8);
    const gradients = [(t: Tensor) => oneByOne(net, t), (t: Tensor) => net.forward(t)].map((forward) => {
      linear.zeroGrad();
      forward(x).sum().backward(); // recorded from the linear layer on
      return linear.weight.grad?.toTypedArray();
    });
    expect(gradients[1]).toEqual(gradients[0]);
  });

  test.each<[string, () => nn.Module[]]>([
    ['an activation', () => [new nn.ReLU()]],
    ['a view', () => [new nn.Flatten(), new nn.ReLU6()]],
    ['dropout at rest', () => [new nn.Dropout(0.5).eval(), new nn.Sigmoid()]],
    ['a pool', () => [new nn.MaxPool2d(1), new nn.Tanh()]],
  ])('the input stays as it is: %s first', (_first, layers) => {
    const before = x.toTypedArray();
    noGrad(() => new nn.Sequential(...layers()).forward(x));
    expect(x.toTypedArray()).toEqual(before);
  });

  test('what a layer of its own kind has seen or made stays as it is', () => {
    class Keeping extends nn.Module {
      kept: Tensor[] = [];
      override forward(input: Tensor): Tensor {
        const y = input.mul(2);
        this.kept.push(input, y, y.reshape([-1]));
        return y;
      }
    }
    const keeping = new Keeping();
    const net = new nn.Sequential(
      new nn.Conv2d(3, 3, 1),
      keeping,
      new nn.ReLU6(),
      new nn.Conv2d(3, 3, 1),
      new nn.ReLU(),
    );
    noGrad(() => {
      net.forward(x);
      const seen = net.get(0).forward(x).toTypedArray();
      expect(keeping.kept[0].toTypedArray()).toEqual(seen);
      for (const t of keeping.kept.slice(1)) expect(t.toTypedArray()).toEqual(seen.map((v) => 2 * v));
    });
  });

  test('what forwardThen adds stays as it is', () => {
    const add = randn([2, 3, 24, 24]);
    const before = add.toTypedArray();
    const net = new nn.Sequential(new nn.ReLU(), new nn.Conv2d(3, 3, 1), new nn.BatchNorm2d(3)).eval();
    noGrad(() => {
      const expected = oneByOne(net, x).add(add).relu().toTypedArray();
      const y = net.forwardThen(x, { add, relu: true }).toTypedArray();
      y.forEach((v, i) => {
        expect(v).toBeCloseTo(expected[i], 5);
      });
    });
    expect(add.toTypedArray()).toEqual(before);
  });
});
