// In evaluation without gradients a Sequential computes a convolution and its batch norm as one convolution.
import { beforeEach, describe, expect, test } from '@jest/globals';
import {
  F,
  emptyCache,
  manualSeed,
  nn,
  noGrad,
  optim,
  pooledBytes,
  rand,
  randn,
  scope,
  setExactConv,
  tensor,
  zeros,
  type DType,
  type Tensor,
} from '../../lib';
import { onEveryIsa } from '../support/on-every-isa';
import { foldedInto } from '../../lib/nn/fold';

beforeEach(() => {
  manualSeed(7);
});

type Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d;

/** Statistics and parameters that are not the ones of a fresh layer. */
function lived<N extends nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d>(norm: N): N {
  noGrad(() => {
    norm.weight?.copy_(rand(norm.weight.shape).add(0.5));
    norm.bias?.copy_(randn(norm.bias.shape));
    norm.runningMean?.copy_(randn(norm.runningMean.shape));
    norm.runningVar?.copy_(rand(norm.runningVar.shape).add(0.1));
  });
  norm.eval();
  return norm;
}

const oneByOne = (layers: readonly nn.Module[], x: Tensor): Tensor =>
  layers.reduce((t, layer) => layer.forward(t), x);

function expectClose(actual: Tensor, expected: Tensor, tolerance: number): void {
  expect(actual.shape).toEqual(expected.shape);
  const [a, b] = [actual.toTypedArray(), expected.toTypedArray()];
  const rms = Math.hypot(...b) / Math.sqrt(b.length);
  expect(rms).toBeGreaterThan(0);
  expect(Math.max(...a.map((v, i) => Math.abs(v - b[i]))) / rms).toBeLessThan(tolerance);
}

/** Whether `net`, whose first two layers these are, computes them as one convolution: to the bit. */
function isFolded(net: nn.Sequential, conv: Conv, norm: nn.BatchNorm2d, x: Tensor): boolean {
  const folded = foldedInto(conv, norm, x.ndim);
  if (folded === null) return false;
  const one = conv.convolve(x, folded.weight, folded.bias).toTypedArray();
  return net.forward(x).toTypedArray().every((v, i) => v === one[i]); // prettier-ignore
}

const pairs: [string, () => [Conv, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d], number[]][] = [
  ['1-D', () => [new nn.Conv1d(2, 3, 3), new nn.BatchNorm1d(3)], [2, 2, 9]],
  ['2-D', () => [new nn.Conv2d(2, 3, 3, { padding: 1 }), new nn.BatchNorm2d(3)], [2, 2, 7, 5]],
  ['3-D', () => [new nn.Conv3d(2, 3, 2), new nn.BatchNorm3d(3)], [1, 2, 4, 3, 4]],
  ['1x1', () => [new nn.Conv2d(16, 24, 1, { bias: false }), new nn.BatchNorm2d(24)], [2, 16, 7, 5]],
  ['depthwise', () => [new nn.Conv2d(6, 6, 3, { groups: 6, stride: 2 }), new nn.BatchNorm2d(6)], [2, 6, 9, 9]],
  ['another border', () => [new nn.Conv2d(2, 3, 3, { padding: 1, paddingMode: 'reflect' }), new nn.BatchNorm2d(3)], [1, 2, 5, 5]],
  ['without weight and bias', () => [new nn.Conv2d(2, 3, 3), new nn.BatchNorm2d(3, { affine: false })], [1, 2, 5, 5]],
  ['of a large eps', () => [new nn.Conv2d(2, 3, 3), new nn.BatchNorm2d(3, { eps: 0.5 })], [1, 2, 5, 5]],
]; // prettier-ignore

describe.each(pairs)('%s', (_name, make, shape) => {
  test.each([['float32', 2e-6], ['float64', 1e-14]] as [DType, number][])('%s: the same numbers', (dtype, tolerance) => {
    const [conv, norm] = make();
    const net = new nn.Sequential(conv, lived(norm)).to(dtype);
    const withRelu = new nn.Sequential(conv, norm, new nn.ReLU());
    const x = randn(shape, { dtype });
    noGrad(() => {
      expectClose(net.forward(x), oneByOne([...net], x), tolerance);
      expectClose(net.forward(x), oneByOne([...net], x), tolerance); // what was folded is kept
      expect(withRelu.forward(x).toTypedArray()).toEqual(net.forward(x).relu().toTypedArray());
    });
  }); // prettier-ignore
});

describe('which pairs', () => {
  const make = (): [nn.Conv2d, nn.BatchNorm2d, nn.Sequential, Tensor] => {
    const conv = new nn.Conv2d(3, 8, 3);
    const norm = lived(new nn.BatchNorm2d(8));
    return [conv, norm, new nn.Sequential(conv, norm), randn([2, 3, 6, 6])];
  };

  test('in evaluation without gradients', () => {
    const [conv, norm, net, x] = make();
    noGrad(() => {
      expect(isFolded(net, conv, norm, x)).toBe(true);
    });
    net.requiresGrad_(false); // as good as noGrad
    expect(isFolded(net, conv, norm, x)).toBe(true);
  });

  test('not while gradients are recorded', () => {
    const [conv, norm, net, x] = make();
    expect(isFolded(net, conv, norm, x)).toBe(false);
    net.forward(x).sum().backward();
    for (const p of net.parameters()) expect(p.grad).not.toBeNull();
  });

  test('not with setExactConv', () => {
    const [, , net, x] = make();
    setExactConv(true);
    try {
      const y = noGrad(() => net.forward(x)).toTypedArray();
      expect(y).toEqual(noGrad(() => oneByOne([...net], x)).toTypedArray());
    } finally {
      setExactConv(false);
    }
  });

  test('not in training, whose statistics are those of the batch', () => {
    const [conv, norm, net, x] = make();
    net.train();
    expect(foldedInto(conv, norm, 4)).toBeNull();
    const tracked = norm.numBatchesTracked?.item() ?? NaN;
    const y = noGrad(() => net.forward(x));
    expect(norm.numBatchesTracked?.item()).toBe(tracked + 1);
    expectClose(y.mean([0, 2, 3]), norm.bias ?? x, 1e-4);
  });

  test('not without running statistics', () => {
    const norm = new nn.BatchNorm2d(8, { trackRunningStats: false }).eval();
    expect(foldedInto(new nn.Conv2d(3, 8, 3), norm, 4)).toBeNull();
  });

  test('not with hooks: they see what each layer makes', () => {
    const [conv, norm, net, x] = make();
    const seen: Tensor[] = [];
    const handles = [conv, norm].map((layer) =>
      layer.registerForwardHook((_module, _inputs, output) => void seen.push(output.clone())),
    );
    const y = noGrad(() => net.forward(x));
    expect(seen[0].toTypedArray()).toEqual(conv.convolve(x, conv.weight, conv.bias).toTypedArray());
    expect(seen[1].toTypedArray()).toEqual(y.toTypedArray());
    for (const handle of handles) handle.remove();
  });

  test('not for one image, which batch norm refuses', () => {
    const [, , net] = make();
    expect(() => noGrad(() => net.forward(randn([3, 6, 6])))).toThrow(/BatchNorm2d: input .*4-D/);
  });

  test('a batch norm that does not fit complains as by itself', () => {
    const net = new nn.Sequential(new nn.Conv2d(3, 8, 3), new nn.BatchNorm2d(7)).eval();
    expect(() => noGrad(() => net.forward(randn([1, 3, 5, 5])))).toThrow(/BatchNorm2d: input .*7 channels/);
    const ranks = new nn.Sequential(new nn.Conv2d(3, 8, 3), new nn.BatchNorm1d(8)).eval();
    expect(() => noGrad(() => ranks.forward(randn([1, 3, 5, 5])))).toThrow(/BatchNorm1d: input .*2-D or 3-D/);
  });
});

describe('what was folded follows', () => {
  let x: Tensor;
  beforeEach(() => {
    x = randn([4, 3, 6, 6]);
  });
  const setUp = (): { conv: nn.Conv2d; norm: nn.BatchNorm2d; net: nn.Sequential } => {
    const conv = new nn.Conv2d(3, 8, 3);
    const norm = lived(new nn.BatchNorm2d(8));
    const net = new nn.Sequential(conv, norm);
    noGrad(() => net.forward(x));
    return { conv, norm, net };
  };

  test.each<[string, (layers: ReturnType<typeof setUp>) => void]>([
    ['an edit of the weight', ({ conv }) => void noGrad(() => conv.weight.mul_(2))],
    ['an edit of the bias', ({ conv }) => void noGrad(() => conv.bias?.add_(1))],
    ['an edit of the gain', ({ norm }) => void noGrad(() => norm.weight?.mul_(3))],
    ['an edit of the shift', ({ norm }) => void noGrad(() => norm.bias?.add_(3))],
    ['another mean', ({ norm }) => void norm.runningMean?.add_(1)],
    ['another variance', ({ norm }) => void norm.runningVar?.mul_(4)],
    ['a new parameter', ({ conv }) => void (conv.weight = new nn.Parameter(randn([8, 3, 3, 3])))],
    ['no bias any more', ({ conv }) => void (conv.bias = null)],
    [
      'a step of training',
      ({ net }) => {
        const optimizer = new optim.SGD(net.parameters(), { lr: 0.5 });
        net.train().forward(x).square().sum().backward();
        optimizer.step();
        net.eval();
      },
    ],
    [
      'loaded state',
      ({ net }) => {
        const state = new Map(
          [...net.stateDict()].map(([name, t]) => [name, t.dtype === 'int32' ? t : t.mul(2)]),
        );
        net.loadStateDict(state);
      },
    ],
    ['another type', ({ net }) => void net.to('float64').to('float32')],
  ])('%s', (_what, change) => {
    const layers = setUp();
    const before = noGrad(() => layers.net.forward(x)).toTypedArray();
    change(layers);
    noGrad(() => {
      const expected = oneByOne([...layers.net], x);
      expectClose(layers.net.forward(x), expected, 2e-6);
      if (_what !== 'another type') expect(expected.toTypedArray()).not.toEqual(before);
    });
  });

  test('in a clone as well, and the original stays', () => {
    const { net } = setUp();
    const copy = net.clone();
    noGrad(() => {
      copy.get(0); // typed by position
      for (const p of copy.parameters()) p.mul_(2);
      expectClose(copy.forward(x), oneByOne([...copy], x), 2e-6);
      expectClose(net.forward(x), oneByOne([...net], x), 2e-6);
    });
  });
});

test('lazy layers are folded like others, once they have seen an input', () => {
  const x = randn([2, 3, 6, 6]);
  for (const norm of [new nn.LazyBatchNorm2d(), new nn.BatchNorm2d(8)]) {
    const conv = new nn.LazyConv2d(8, 3);
    const net = new nn.Sequential(conv, norm).eval();
    noGrad(() => {
      expect(net.forward(x).shape).toEqual([2, 8, 4, 4]);
      lived(norm);
      expect(isFolded(net, conv, norm, x)).toBe(true);
      expectClose(net.forward(x), oneByOne([...net], x), 2e-6);
      const y = new nn.LazyConv2d(8, 3).forwardThen(x, { relu: true });
      expect(y.min().item()).toBe(0);
    });
  }
});

test('one convolution before two batch norms', () => {
  const conv = new nn.Conv2d(1, 2, 1);
  const nets = [1, 2].map(() => new nn.Sequential(conv, lived(new nn.BatchNorm2d(2))));
  const x = tensor([[[[1, 2]]]]);
  noGrad(() => {
    for (const net of [...nets, ...nets]) expectClose(net.forward(x), oneByOne([...net], x), 2e-6);
  });
});

describe('what follows is done in the same pass', () => {
  const x = randn([2, 3, 9, 9]);
  const convs: [string, () => nn.Conv2d][] = [
    ['3x3', () => new nn.Conv2d(3, 6, 3, { padding: 1 })],
    ['1x1', () => new nn.Conv2d(3, 6, 1)],
    ['depthwise', () => new nn.Conv2d(3, 6, 3, { padding: 1, groups: 3 })],
  ];

  test.each(convs)('%s: the same bits', (_name, make) => {
    const conv = make();
    const norm = lived(new nn.BatchNorm2d(6));
    const relu = (t: Tensor): Tensor => t.relu();
    const relu6 = (t: Tensor): Tensor => t.clamp({ min: 0, max: 6 });
    noGrad(() => {
      const plain = conv.forward(x);
      const normed = new nn.Sequential(conv, norm).forward(x);
      const add = randn(plain.shape);
      for (const [layer, fn] of [[new nn.ReLU(), relu], [new nn.ReLU6(), relu6]] as const) {
        expect(new nn.Sequential(conv, layer).forward(x).toArray()).toEqual(fn(plain).toArray());
        expect(new nn.Sequential(conv, norm, layer).forward(x).toArray()).toEqual(fn(normed).toArray());
        const body = new nn.Sequential(conv, layer, new nn.Identity());
        expect(body.forwardThen(x, { add }).toArray()).toEqual(fn(plain).add(add).toArray());
      }
      const then = (layers: nn.Module[], end: nn.Ending): unknown =>
        new nn.Sequential(...layers).forwardThen(x, end).toArray();
      expect(then([conv], { add })).toEqual(plain.add(add).toArray());
      expect(then([conv], { relu: true })).toEqual(plain.relu().toArray());
      expect(then([conv, norm], { add })).toEqual(normed.add(add).toArray());
      expect(then([conv, norm], { relu: true })).toEqual(normed.relu().toArray());
      expect(then([conv, norm], { add, relu: true })).toEqual(normed.add(add).relu().toArray());
      expect(then([conv, norm], { add, relu6: true })).toEqual(relu6(normed.add(add)).toArray());
      expect(then([new nn.Sequential(conv, norm)], { add })).toEqual(normed.add(add).toArray());
      const nested = new nn.Sequential(new nn.Sequential(conv, norm), new nn.ReLU6());
      expect(nested.forward(x).toArray()).toEqual(relu6(normed).toArray());
    });
    const add = randn([2, 6, 9, 9]).requiresGrad_();
    const net = new nn.Sequential(conv, norm).requiresGrad_(false);
    net.forwardThen(x, { add, relu: true }).sum().backward(); // what is added may have a gradient
    expect(add.grad?.shape).toEqual(add.shape);
  }); // prettier-ignore

  test.each(convs)('%s outside a Sequential: the same bits, in one pass', (_name, make) => {
    const conv = make();
    const add = randn([2, 6, 9, 9]);
    const endings: [nn.Ending, (t: Tensor) => Tensor][] = [
      [{}, (t) => t],
      [{ add }, (t) => t.add(add)],
      [{ relu: true }, (t) => t.relu()],
      [{ relu6: true }, (t) => F.relu6(t)],
      [{ add, relu: true }, (t) => t.add(add).relu()],
      [{ add, relu6: true }, (t) => F.relu6(t.add(add))],
    ];
    onEveryIsa(() => {
      for (const [ending, fn] of endings) {
        noGrad(() => {
          expect(conv.forwardThen(x, ending).toArray()).toEqual(fn(conv.forward(x)).toArray());
        });
      }
      // Memory is all that tells: in passes of their own the sum would be a second result.
      noGrad(() => {
        emptyCache();
        const y = scope(() => conv.forwardThen(x, { add, relu: true }));
        expect(pooledBytes()).toBeLessThan(y.numel * 4);
      });
    });
  });

  test('gradients of all operands, by passes of their own', () => {
    const conv = new nn.Conv2d(3, 6, 3, { padding: 1 });
    const gradients = (forward: (t: Tensor, add: Tensor) => Tensor, isTraining: boolean): unknown[] => {
      conv.zeroGrad();
      conv.requiresGrad_(isTraining);
      const input = x.clone().requiresGrad_(isTraining);
      const add = seeded.clone().requiresGrad_();
      forward(input, add).square().sum().backward();
      return [input, add, ...conv.parameters()].map((t) => t.grad?.toArray());
    };
    const seeded = randn([2, 6, 9, 9]);
    for (const isTraining of [true, false]) {
      expect(gradients((t, add) => conv.forwardThen(t, { add, relu6: true }), isTraining)).toEqual(
        gradients((t, add) => F.relu6(conv.forward(t).add(add)), isTraining),
      );
    }
  });

  test('hooks and a forward of its own are asked', () => {
    const conv = new nn.Conv2d(3, 6, 1);
    const seen: Tensor[] = [];
    const handle = conv.registerForwardHook((_module, _inputs, y) => void seen.push(y.clone()));
    noGrad(() => {
      const y = conv.forwardThen(x, { relu: true });
      handle.remove();
      expect(seen[0].toArray()).toEqual(conv.forward(x).toArray());
      expect(y.toArray()).toEqual(seen[0].relu().toArray());
    });
    class Negative extends nn.Conv2d {
      override forward(input: Tensor): Tensor {
        return super.forward(input).neg();
      }
    }
    const negative = new Negative(3, 6, 1);
    noGrad(() => {
      expect(negative.forwardThen(x, { relu: true }).toArray()).toEqual(negative.forward(x).relu().toArray());
    });
  });

  test('NaN stays NaN', () => {
    const conv = new nn.Conv2d(1, 1, 1);
    const y = noGrad(() => new nn.Sequential(conv, new nn.ReLU()).forward(tensor([[[[NaN, 1]]]])));
    expect(y.toTypedArray()[0]).toBeNaN();
  });

  test('what is added must fit the result', () => {
    const net = new nn.Sequential(new nn.Conv2d(3, 6, 3), new nn.BatchNorm2d(6)).eval();
    const add = (shape: number[], dtype: DType = 'float32'): unknown =>
      noGrad(() => net.forwardThen(x, { add: zeros(shape, { dtype }) }));
    expect(() => add([2, 6, 7, 1])).toThrow(/conv2d: add .*\[2, 6, 7, 7\].*\[2, 6, 7, 1\]/);
    expect(() => add([2, 6, 7, 7], 'float64')).toThrow(/conv2d: add .*float32.*float64/);
    const refused = (layer: nn.Module, t: Tensor, other: Tensor): unknown =>
      layer.forwardThen(t, { add: other });
    expect(() => refused(new nn.Conv2d(3, 6, 3), x, zeros([1]))).toThrow(
      /conv2d: add .*\[2, 6, 7, 7\].*\[1\]/,
    );
    expect(() => refused(new nn.Linear(9, 4), x, zeros([4]))).toThrow(
      'linear: add must have shape [2, 3, 9, 4] (that of the result), got [4]',
    );
  });
});
