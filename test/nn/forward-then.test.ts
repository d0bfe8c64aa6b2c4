// What follows a layer in the same step, `forwardThen`: the bits of separate steps.
import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import {
  F,
  emptyCache,
  nn,
  noGrad,
  ones,
  pooledBytes,
  randn,
  scope,
  setNumThreads,
  tensor,
  zeros,
  type Tensor,
} from '../../lib';
import { results } from '../support/results';
import { onEveryIsa } from '../support/on-every-isa';

/** Short, and different for any other bits. */
const bits = (values: ArrayLike<number>): string =>
  createHash('sha1').update(Float64Array.from(values)).digest('hex');

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
      onEveryIsa(() => {
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
      });
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

describe('linear layers and what follows them', () => {
  test.each([
    ['a row', [300], 70],
    ['few rows', [8, 300], 70],
    ['many rows', [3, 50, 40], 33],
    ['deep rows of an odd size', [20, 1031], 1030],
  ])('%s: the bits of separate steps in one call', (_name, shape, outFeatures) => {
    const layer = new nn.Linear(shape[shape.length - 1], outFeatures);
    const x = randn(shape);
    const add = randn([...shape.slice(0, -1), outFeatures]);
    const endings: [nn.Ending, (t: Tensor) => Tensor][] = [
      [{ add }, (t) => t.add(add)],
      [{ relu: true }, (t) => F.relu(t)],
      [{ add, relu: true }, (t) => F.relu(t.add(add))],
      [{ add: add.transpose(0, -1).clone().transpose(0, -1), relu6: true }, (t) => F.relu6(t.add(add))],
    ];
    onEveryIsa(() => {
      for (const [ending, fn] of endings) {
        for (const count of [1, 2, 3]) {
          setNumThreads(count);
          noGrad(() => {
            const wanted = bits([...fn(layer.forward(x)).toTypedArray()]);
            expect(bits([...layer.forwardThen(x, ending).toTypedArray()])).toEqual(wanted);
          });
        }
      }
      // Memory is all that tells: in calls of their own the sum would be a second result.
      emptyCache();
      noGrad(() => scope(() => layer.forwardThen(x, { add, relu: true })));
      expect(pooledBytes()).toBeLessThan(add.numel * 4);
    });
  });

  test('gradients of all operands, by steps of their own', () => {
    const layer = new nn.Linear(5, 4);
    const [x, z] = [randn([3, 5]), randn([3, 4])];
    const gradients = (forward: (t: Tensor, add: Tensor) => Tensor, isTraining: boolean): unknown[] => {
      layer.zeroGrad();
      layer.requiresGrad_(isTraining);
      const [input, add] = [x.clone().requiresGrad_(isTraining), z.clone().requiresGrad_()];
      forward(input, add).square().sum().backward();
      return [input, add, ...layer.parameters()].map((t) => t.grad?.toArray());
    };
    for (const isTraining of [true, false]) {
      expect(gradients((t, add) => layer.forwardThen(t, { add, relu6: true }), isTraining)).toEqual(
        gradients((t, add) => F.relu6(layer.forward(t).add(add)), isTraining),
      );
    }
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
    ['of a layer with an ending', new nn.Linear(3, 3), 'linear'],
    ['of another', new nn.Tanh(), 'forwardThen'],
  ])('an ending that is none: %s', (_name, layer, op) => {
    const x = randn([4, 3]);
    const given = (ending: unknown): unknown => layer.forwardThen(x, ending as nn.Ending);
    for (const ending of [null, undefined, true, []]) {
      expect(() => given(ending)).toThrow('forwardThen: options must be an object');
    }
    expect(() => given({ add: 1 })).toThrow(`${op}: add must be a Tensor, got number`);
    expect(() => given({ add: zeros([4]) })).toThrow(`${op}: add must have shape [4, 3]`);
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
