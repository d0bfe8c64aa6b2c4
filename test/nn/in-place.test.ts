// In a Sequential an activation takes the memory of the layer before it; nothing but the memory shows that.
import { describe, expect, test } from '@jest/globals';
import { nn, noGrad, randn, scope, tensor, type Tensor } from '../../lib';

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
const activations = [
  ['ReLU', (): nn.Module => new nn.ReLU()],
  ['Sigmoid', (): nn.Module => new nn.Sigmoid()],
  ['Tanh', (): nn.Module => new nn.Tanh()],
] as const;

/** Output and gradients, as numbers. */
function results(forward: (x: Tensor) => Tensor, module: nn.Module, x: Tensor): number[][] {
  module.zeroGrad();
  x.grad = null;
  const y = forward(x);
  y.mul(y).sum().backward();
  const all = [y, x.grad, ...[...module.parameters()].map((p) => p.grad)];
  return all.map((t) => [...(t?.toTypedArray() ?? [])]);
}

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
