// In a Sequential an activation takes the memory of the layer before it; nothing but the memory shows that.
import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import {
  F,
  cpuInfo,
  emptyCache,
  getNumThreads,
  nn,
  noGrad,
  ones,
  pooledBytes,
  randn,
  scope,
  setIsa,
  setNumThreads,
  tensor,
  zeros,
  type Tensor,
} from '../../lib';

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

/** Short, and different for any other bits. */
const bits = (values: readonly number[]): string =>
  createHash('sha1').update(Float64Array.from(values)).digest('hex');

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

describe('batch norm and what follows it', () => {
  const shapes: [string, () => nn.BatchNorm, number[]][] = [
    ['[n, c]', () => new nn.BatchNorm1d(70), [40, 70]],
    ['small planes', () => new nn.BatchNorm2d(5), [6, 5, 3, 7]],
    ['large planes', () => new nn.BatchNorm2d(7), [5, 7, 20, 21]],
    ['two large channels', () => new nn.BatchNorm3d(2), [2, 2, 5, 30, 31]],
    ['not affine', () => new nn.BatchNorm2d(7, { affine: false }), [3, 7, 11, 11]],
    ['momentum null', () => new nn.BatchNorm2d(3, { momentum: null }), [3, 3, 8, 8]],
  ];

  describe.each(shapes)('%s', (_name, make, shape) => {
    test.each([
      ['training', true],
      ['evaluation', false],
    ])('%s: the bits of separate steps, for any number of threads', (_mode, training) => {
      const norm = make().train(training);
      const net = new nn.Sequential(new nn.Identity(), norm, new nn.ReLU());
      const net6 = new nn.Sequential(norm, new nn.ReLU6());
      const body = new nn.Sequential(new nn.Sequential(norm));
      const other = randn(shape);
      if (norm.weight !== null) noGrad(() => norm.weight?.copy_(randn([shape[1]]).mul(4))); // so that ReLU6 cuts
      const x = randn(shape).requiresGrad_();
      const both = (forward: (t: Tensor, z: Tensor) => Tensor): string[] => {
        const z = other.clone().requiresGrad_();
        const all = results((t) => forward(t, z), norm, x);
        return [...all, [...(z.grad?.toTypedArray() ?? [])]].map(bits);
      };
      const one = (forward: (t: Tensor) => Tensor): string[] => results(forward, norm, x).map(bits);
      const [isa, threads] = [cpuInfo().isa, getNumThreads()];
      try {
        for (const name of cpuInfo().available) {
          setIsa(name);
          setNumThreads(1);
          const relu = one((t) => F.relu(norm.forward(t)));
          const sum = both((t, z) => norm.forward(t).add(z));
          const reluOfSum = both((t, z) => F.relu(norm.forward(t).add(z)));
          const relu6 = one((t) => F.relu6(norm.forward(t)));
          const relu6OfSum = both((t, z) => F.relu6(norm.forward(t).add(z)));
          for (const n of [1, 2, 3]) {
            setNumThreads(n);
            expect(one((t) => net.forward(t))).toEqual(relu);
            expect(one((t) => norm.forwardThen(t, { relu: true }))).toEqual(relu);
            expect(both((t, z) => norm.forwardThen(t, { add: z }))).toEqual(sum);
            expect(both((t, z) => body.forwardThen(t, { add: z, relu: true }))).toEqual(reluOfSum);
            expect(one((t) => net6.forward(t))).toEqual(relu6);
            expect(both((t, z) => norm.forwardThen(t, { add: z, relu6: true }))).toEqual(relu6OfSum);
            noGrad(() => {
              const y = body.forwardThen(x, { add: other, relu: true });
              expect(bits([...net.forward(x).toTypedArray()])).toBe(relu[0]);
              expect(bits([...y.toTypedArray()])).toBe(reluOfSum[0]);
            });
          }
        }
      } finally {
        setIsa(isa);
        setNumThreads(threads);
      }
    });
  });

  test('without gradients it takes the memory of the layer before, and of nothing else', () => {
    const net = new nn.Sequential(new nn.Conv2d(1, 2, 3), new nn.BatchNorm2d(2), new nn.ReLU());
    const x = randn([2, 1, 6, 6]);
    const expected = net.forward(x).toArray();
    const norm = new nn.Sequential(new nn.BatchNorm2d(1), new nn.ReLU());
    const before = x.toArray();
    noGrad(() => {
      expect(net.forward(x).toArray()).toEqual(expected);
      expect(norm.forward(x).storage).not.toBe(x.storage);
      expect(new nn.Sequential(new nn.Identity(), norm).forward(x).storage).not.toBe(x.storage);
    });
    expect(x.toArray()).toEqual(before);
  });

  test('the running statistics move once', () => {
    const [alone, norm] = [new nn.BatchNorm1d(3), new nn.BatchNorm1d(3)];
    const x = randn([5, 3]);
    alone.forward(x);
    new nn.Sequential(norm, new nn.ReLU()).forward(x);
    expect(norm.runningMean?.toArray()).toEqual(alone.runningMean?.toArray());
    expect(norm.runningVar?.toArray()).toEqual(alone.runningVar?.toArray());
    expect(norm.numBatchesTracked?.item()).toBe(1);
  });

  test('NaN and infinities behave as before a ReLU of its own', () => {
    const norm = new nn.BatchNorm1d(2).eval();
    const values = tensor([[NaN, -1], [Infinity, -Infinity], [0, 2]]); // prettier-ignore
    const x = values.clone().requiresGrad_();
    const net = new nn.Sequential(norm, new nn.ReLU());
    const run = (forward: (t: Tensor) => Tensor): unknown => {
      x.grad = null;
      const y = forward(x);
      y.backward(tensor([[1, 2], [3, 4], [5, 6]])); // prettier-ignore
      return [y.toArray(), (x.grad as Tensor | null)?.toArray()];
    };
    expect(run((t) => net.forward(t))).toEqual(run((t) => F.relu(norm.forward(t))));
    expect(net.forward(values).toArray()).toEqual(F.relu(norm.forward(values)).toArray());
  });

  test('the gradient of the sum alone, and of what is added alone', () => {
    const norm = new nn.BatchNorm2d(3).requiresGrad_(false);
    const values = [randn([4, 3, 5, 5]), randn([4, 3, 5, 5])];
    const gradients = (wanted: readonly boolean[], forward: (x: Tensor, z: Tensor) => Tensor): unknown[] => {
      const [x, z] = values.map((t, i) => t.clone().requiresGrad_(wanted[i]));
      const y = forward(x, z);
      y.mul(y).sum().backward();
      return [y.toArray(), x.grad?.toArray(), z.grad?.toArray()];
    };
    for (const training of [true, false]) {
      norm.train(training);
      for (const wanted of [[true, false], [false, true], [true, true]]) {
        const apart = gradients(wanted, (x, z) => F.relu6(norm.forward(x).add(z)));
        expect(gradients(wanted, (x, z) => norm.forwardThen(x, { add: z, relu6: true }))).toEqual(apart);
        const twice = gradients(wanted, (x, z) => F.relu(norm.forward(x).add(z)).mul(2));
        expect(gradients(wanted, (x, z) => norm.forwardThen(x, { add: z, relu: true }).mul(2))).toEqual(twice);
      }
    } // prettier-ignore
  });

  test('the gradient of the result stays as it is for others', () => {
    const [x, z] = [randn([4, 3]).requiresGrad_(), randn([4, 3]).requiresGrad_()];
    const y = new nn.BatchNorm1d(3).forwardThen(x, { add: z, relu: true });
    y.retainGrad();
    y.backward(ones([4, 3]));
    expect(y.grad?.toArray()).toEqual(ones([4, 3]).toArray());
    expect(z.grad?.toArray()).toEqual(y.gt(0).mul(1).toArray());
  });

  test('an edit of the bias before backward is noticed', () => {
    const norm = new nn.BatchNorm1d(2);
    const y = new nn.Sequential(norm, new nn.ReLU()).forward(randn([4, 2]));
    noGrad(() => norm.bias?.add_(1));
    expect(() => {
      y.sum().backward();
    }).toThrow('saved by batchNorm');
  });

  test('an edit of the sum before backward is noticed', () => {
    const x = randn([4, 2]);
    const y = new nn.BatchNorm1d(2).forwardThen(x, { add: x, relu: true });
    noGrad(() => y.add_(1));
    expect(() => {
      y.sum().backward();
    }).toThrow('saved by batchNorm');
  });

  test('hooks of the norm, of the ReLU and of the whole see what they always saw', () => {
    const [norm, relu] = [new nn.BatchNorm1d(2).eval(), new nn.ReLU()];
    const net = new nn.Sequential(norm, relu);
    const x = tensor([[-1, 2]]);
    const seen: [string, number[][]][] = [];
    const watch = (name: string, module: nn.Module): { remove(): void } =>
      module.registerForwardHook((_m, _inputs, y) => {
        seen.push([name, noGrad(() => y.round()).toArray() as number[][]]);
      });
    for (const [name, module] of [['norm', norm], ['relu', relu], ['net', net]] as const) {
      const handle = watch(name, module);
      net.forward(x);
      net.forwardThen(x, { add: x, relu: true });
      handle.remove();
    } // prettier-ignore
    const [before, after] = [[[-1, 2]], [[0, 2]]];
    expect(seen).toEqual([
      ['norm', before], ['norm', before], ['relu', after], ['relu', after], ['net', after], ['net', after],
    ]); // prettier-ignore
    expect(net.forwardThen(x, { add: x, relu: true }).round().toArray()).toEqual([[0, 4]]);
  });

  test('a batch norm, a ReLU and a Sequential of their own kind are asked', () => {
    class Doubling extends nn.BatchNorm1d {
      override forward(x: Tensor): Tensor {
        return super.forward(x).mul(2);
      }
    }
    class Flipping extends nn.ReLU {
      override forward(x: Tensor): Tensor {
        return super.forward(x).neg();
      }
    }
    class Adding extends nn.Sequential {
      override forward(x: Tensor): Tensor {
        return super.forward(x).add(1);
      }
    }
    const x = tensor([[-1, 2]]);
    const rounded = (y: Tensor): unknown => y.add(0).round().add(0).toArray();
    const make = (): nn.BatchNorm1d => new nn.BatchNorm1d(2).eval();
    expect(rounded(new nn.Sequential(new Doubling(2).eval(), new nn.ReLU()).forward(x))).toEqual([[0, 4]]);
    expect(rounded(new Doubling(2).eval().forwardThen(x, { add: x }))).toEqual([[-3, 6]]);
    expect(rounded(new nn.Sequential(make(), new Flipping()).forward(x))).toEqual([[0, -2]]);
    expect(rounded(new Adding(make()).forwardThen(x, { add: x, relu: true }))).toEqual([[0, 5]]);
  });
});

describe('forwardThen of other layers', () => {
  test.each([
    ['Linear', new nn.Linear(3, 3)],
    ['ConvTranspose1d', new nn.ConvTranspose1d(4, 4, 3, { padding: 1 })],
    ['Tanh', new nn.Tanh()],
    ['an empty Sequential', new nn.Sequential()],
    ['a Sequential that ends in a linear layer', new nn.Sequential(new nn.ReLU(), new nn.Linear(3, 3))],
    ['a Sequential that ends in an activation', new nn.Sequential(new nn.Linear(3, 3), new nn.ReLU())],
    ['batch norm and ReLU', new nn.Sequential(new nn.BatchNorm1d(3), new nn.ReLU())],
  ])('%s', (_name, layer) => {
    const [x, z] = [randn([4, 3]).requiresGrad_(), randn([4, 3])];
    expect(results((t) => layer.forwardThen(t, {}), layer, x)).toEqual(
      results((t) => layer.forward(t), layer, x),
    );
    for (const relu of [false, true]) {
      const one = results((t) => layer.forwardThen(t, { add: z, relu }), layer, x);
      const apart = (t: Tensor): Tensor => layer.forward(t).add(z);
      expect(one).toEqual(results((t) => (relu ? F.relu(apart(t)) : apart(t)), layer, x));
    }
  });

  test.each([
    ['of a layer with an ending', new nn.Linear(3, 3)],
    ['of another', new nn.Tanh()],
  ])('an ending that is none: %s', (_name, layer) => {
    const x = randn([4, 3]);
    const given = (ending: unknown): unknown => layer.forwardThen(x, ending as nn.Ending);
    for (const ending of [null, undefined, true, []]) {
      expect(() => given(ending)).toThrow('forwardThen: options must be an object');
    }
    expect(() => given({ add: 1 })).toThrow('forwardThen: add must be a Tensor, got number');
    expect(() => given({ add: zeros([4]) })).toThrow('forwardThen: add must have shape [4, 3]');
    expect(() => given({ add: zeros([4, 3], { dtype: 'int32' }) })).toThrow('dtype of the result');
  });

  test('what is added must have the shape and dtype of the result of a batch norm', () => {
    const norm = new nn.BatchNorm1d(3);
    const x = randn([4, 3]);
    expect(() => norm.forwardThen(x, { add: randn([3]) })).toThrow(
      'batchNorm: add must have shape [4, 3] (that of input), got [3]',
    );
    expect(() => norm.forwardThen(x, { add: randn([4, 3], { dtype: 'float64' }) })).toThrow('dtype of input');
    expect(norm.numBatchesTracked?.item()).toBe(0);
  });
});
