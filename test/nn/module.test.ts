import { describe, expect, test } from '@jest/globals';
import { nn, noGrad, ones, optim, randn, scope, StateDictError, tensor, zeros, type Tensor } from '../../lib';

class Scale extends nn.Module {
  gamma = new nn.Parameter(ones([1]));
  nothing: nn.Parameter | null = null;
  inner = new nn.Linear(2, 3);
  bn1 = new nn.BatchNorm1d(3);
  owner: { model: nn.Module } | null = null;
  plain = zeros([7]);

  override forward(x: Tensor): Tensor {
    return this.bn1.forward(this.inner.forward(x)).mul(this.gamma);
  }
}

describe('registration by fields', () => {
  test('parameters, children and buffers, with PyTorch paths', () => {
    const m = new Scale();
    m.owner = { model: m }; // a cycle through a plain object is ignored
    expect([...m.namedParameters()].map(([n]) => n)).toEqual([
      'gamma',
      'inner.weight',
      'inner.bias',
      'bn1.weight',
      'bn1.bias',
    ]);
    expect([...m.namedBuffers()].map(([n]) => n)).toEqual([
      'bn1.running_mean',
      'bn1.running_var',
      'bn1.num_batches_tracked',
    ]);
    expect([...m.namedModules()].map(([n]) => n)).toEqual(['', 'inner', 'bn1']);
    expect([...m.stateDict().keys()]).toEqual([
      'gamma',
      'inner.weight',
      'inner.bias',
      'bn1.weight',
      'bn1.bias',
      'bn1.running_mean',
      'bn1.running_var',
      'bn1.num_batches_tracked',
    ]);
    expect(m.numParameters()).toBe(1 + 6 + 3 + 3 + 3);
  });

  test('fields set later are found, shared modules count once', () => {
    const m = new Scale();
    m.nothing = new nn.Parameter(zeros([4]));
    expect([...m.namedParameters()].map(([n]) => n)).toContain('nothing');
    const layer = new nn.Linear(2, 2);
    const twice = new nn.Sequential(layer, new nn.ReLU(), layer);
    expect(twice.parameters()).toHaveLength(2);
  });

  test('a module under two names: both keys, as in PyTorch, but its parameters once', () => {
    class Twice extends nn.Module {
      a = new nn.Linear(2, 2);
      b = this.a;
      self: nn.Module = this; // a cycle ends
      override forward(x: Tensor): Tensor {
        return this.b.forward(this.a.forward(x));
      }
    }
    const net = new Twice();
    expect([...net.stateDict().keys()]).toEqual(['a.weight', 'a.bias', 'b.weight', 'b.bias']);
    expect([...net.namedParameters()].map(([name]) => name)).toEqual(['a.weight', 'a.bias']);
    const other = new Twice();
    other.loadStateDict(net.stateDict());
    expect(other.b.weight.equal(net.a.weight)).toBe(true);
    const layer = new nn.Linear(1, 1);
    const chain = new nn.Sequential(layer, layer);
    expect([...chain.stateDict().keys()]).toEqual(['0.weight', '0.bias', '1.weight', '1.bias']);
    expect(chain.parameters()).toHaveLength(2);
    expect(String(chain)).toBe(
      'Sequential(\n  (0): Linear(inFeatures=1, outFeatures=1, bias=true)\n  (1): Linear(inFeatures=1, outFeatures=1, bias=true)\n)',
    );
  });

  test('train, eval and apply reach everything', () => {
    const m = new nn.Sequential(new Scale(), new nn.Dropout());
    m.eval();
    expect([...m.modules()].every((x) => !x.training)).toBe(true);
    m.train();
    expect([...m.modules()].every((x) => x.training)).toBe(true);
    const seen: string[] = [];
    m.apply((x) => seen.push(x.constructor.name));
    expect(seen).toEqual(['Linear', 'BatchNorm1d', 'Scale', 'Dropout', 'Sequential']);
  });
});

describe('Sequential', () => {
  test('is typed by position, iterable and nestable', () => {
    const net = new nn.Sequential(new nn.Linear(4, 3), new nn.Sequential(new nn.ReLU(), new nn.Linear(3, 2)));
    expect(net.get(0).weight.shape).toEqual([3, 4]);
    expect(net.get(1).get(1).bias?.shape).toEqual([2]);
    expect(net.length).toBe(2);
    expect([...net].map((l) => l.constructor.name)).toEqual(['Linear', 'Sequential']);
    expect([...net.namedParameters()].map(([n]) => n)).toEqual([
      '0.weight',
      '0.bias',
      '1.1.weight',
      '1.1.bias',
    ]);
    expect(net.forward(randn([5, 4])).shape).toEqual([5, 2]);
    expect(() => net.get(2)).toThrow('Sequential.get: index must be in -2..1, got 2');
    expect(() => new nn.Sequential(3 as never)).toThrow('Sequential: layers[0] must be a Module, got 3');
  });

  test('prints as a tree', () => {
    const net = new nn.Sequential(
      new nn.Conv2d(1, 6, 5, { padding: 2 }),
      new nn.Sequential(new nn.Sigmoid()),
    );
    expect(String(net)).toBe(
      [
        'Sequential(',
        '  (0): Conv2d(1, 6, kernelSize=[5, 5], stride=1, padding=2)',
        '  (1): Sequential(',
        '    (0): Sigmoid()',
        '  )',
        ')',
      ].join('\n'),
    );
  });
});

describe('state', () => {
  test('round trip through a dictionary', () => {
    const a = new Scale();
    noGrad(() => a.forward(randn([8, 2])));
    const b = new Scale();
    b.loadStateDict(a.stateDict());
    for (const [key, value] of a.stateDict())
      expect(b.stateDict().get(key)?.toArray()).toEqual(value.toArray());
    expect(b.bn1.numBatchesTracked?.item()).toBe(1);
  });

  test('lists missing, unexpected and wrong-shaped keys, and changes nothing', () => {
    const m = new nn.Linear(2, 3);
    const before = m.weight.toArray();
    const state = new Map([
      ['weight', zeros([3, 3])],
      ['extra', zeros([1])],
    ]);
    expect(() => m.loadStateDict(state)).toThrow(StateDictError);
    expect(() => m.loadStateDict(state)).toThrow(
      'loadStateDict: state must fit Linear, got missing ["bias"]; unexpected ["extra"]; wrong shape ["weight: [3, 3] instead of [3, 2]"]',
    );
    try {
      m.loadStateDict(state);
    } catch (error) {
      expect(error).toMatchObject({ missing: ['bias'], unexpected: ['extra'] });
    }
    expect(m.weight.toArray()).toEqual(before);
  });

  test('loadStateDict refuses a variance that has no root, and changes nothing', () => {
    const m = new nn.Sequential(new nn.BatchNorm2d(2));
    const state = new Map(new nn.Sequential(new nn.BatchNorm2d(2)).stateDict());
    state.set('0.weight', tensor([5, 5]));
    state.set('0.running_var', tensor([1, -0.5]));
    expect(() => m.loadStateDict(state)).toThrow(StateDictError);
    expect(() => m.loadStateDict(state)).toThrow(
      'loadStateDict: state must fit Sequential, got invalid ["0.running_var holds -0.5, but variance + eps must be > 0"]',
    );
    expect(m.stateDict().get('0.weight')?.toArray()).toEqual([1, 1]);
    state.set('0.running_var', tensor([1, 0]));
    m.loadStateDict(state);
    expect(m.stateDict().get('0.weight')?.toArray()).toEqual([5, 5]);
  });

  test('non-strict loading reports what did not match', () => {
    const m = new nn.Linear(2, 3);
    const report = m.loadStateDict(new Map([['weight', ones([3, 2])]]), { strict: false });
    expect(report).toEqual({ missingKeys: ['bias'], unexpectedKeys: [] });
    expect(m.weight.sum().item()).toBe(6);
  });

  test('to(dtype) converts parameters and float buffers', () => {
    const m = new Scale().to('float64');
    expect(m.inner.weight.dtype).toBe('float64');
    expect(m.inner.weight.requiresGrad).toBe(true);
    expect(m.bn1.runningMean?.dtype).toBe('float64');
    expect(m.bn1.numBatchesTracked?.dtype).toBe('int32');
    expect(m.forward(randn([4, 2], { dtype: 'float64' })).dtype).toBe('float64');
  });

  test('parameters and buffers made inside a scope survive it', () => {
    const m = scope(() => new nn.Sequential(new Scale()));
    expect(m.forward(randn([4, 2])).shape).toEqual([4, 3]);
  });
});

describe('initial values', () => {
  test('book G19: Xavier bounds of LeNet', () => {
    const bound = (shape: number[]): number => {
      const values = nn.init.xavierUniform_(zeros(shape)).toTypedArray();
      return Math.max(...Array.from(values, Math.abs));
    };
    for (const [shape, expected] of [
      [[6, 1, 5, 5], 0.185164],
      [[16, 6, 5, 5], 0.104447],
      [[120, 400], 0.107417],
      [[84, 120], 0.171499],
      [[10, 84], 0.252646],
    ] as const) {
      const largest = bound([...shape]);
      expect(largest).toBeLessThanOrEqual(expected + 1e-6);
      expect(largest).toBeGreaterThan(expected * 0.9);
    }
  });

  test('layers start within 1/sqrt(fan in)', () => {
    const m = new nn.Linear(100, 50);
    const largest = Math.max(...Array.from(m.weight.toTypedArray(), Math.abs));
    expect(largest).toBeLessThanOrEqual(0.1);
    expect(largest).toBeGreaterThan(0.09);
    expect(() => nn.init.xavierUniform_(zeros([3]))).toThrow(
      'xavierUniform_: tensor must have at least two dimensions to have fans, got [3]',
    );
  });
});

describe('bad arguments', () => {
  test.each<[string, () => unknown, string]>([
    ['inFeatures', () => new nn.Linear(0, 1), 'Linear: inFeatures must be an integer >= 1, got 0'],
    ['p', () => new nn.Dropout(1.5), 'Dropout: p must be in 0..1, got 1.5'],
    ['eps', () => new nn.BatchNorm2d(3, { eps: -1 }), 'BatchNorm2d: eps must be finite and >= 0, got -1'],
    [
      'momentum',
      () => new nn.BatchNorm2d(3, { momentum: 1.1 }),
      'BatchNorm2d: momentum must be in 0..1 or null, got 1.1',
    ],
    [
      'rank',
      () => new nn.BatchNorm2d(3).forward(ones([2, 3])),
      'BatchNorm2d: input must be 4-D, got 2-D [2, 3]',
    ],
    [
      'channels',
      () => new nn.BatchNorm1d(3).forward(ones([2, 4])),
      'BatchNorm1d: input must have 3 channels, got [2, 4]',
    ],
    ['kernel', () => new nn.Conv2d(1, 1, [3]), 'Conv2d: kernelSize must be a number or [number, number]'],
    [
      'groups',
      () => new nn.Conv2d(4, 6, 3, { groups: 3 }),
      'Conv2d: inChannels must be divisible by groups 3, got 4',
    ],
    ['features', () => new nn.Linear(3, 2).forward(tensor([[1, 2]])), 'linear: input must have 3 features'],
  ])('%s', (_, act, message) => {
    expect(act).toThrow(message);
  });
});

describe('hooks, copies, lazy layers, summary', () => {
  test('forward hooks see inputs and outputs, may replace the output, and can be removed', () => {
    const layer = new nn.Linear(2, 3);
    const seen: string[] = [];
    const before = layer.registerForwardPreHook((_, [x]) => void seen.push(`in ${String(x.shape)}`));
    const after = layer.registerForwardHook((_, __, y) => {
      seen.push(`out ${String(y.shape)}`);
      return y.mul(0);
    });
    const net = new nn.Sequential(layer);
    expect(
      net
        .forward(ones([4, 2]))
        .sum()
        .item(),
    ).toBe(0);
    expect(seen).toEqual(['in 4,2', 'out 4,3']);
    before.remove();
    after.remove();
    expect(
      net
        .forward(ones([4, 2]))
        .sum()
        .item(),
    ).not.toBe(0);
    expect(seen).toHaveLength(2);
    expect(Object.keys(layer)).not.toContain('forward');
  });

  test('clone copies parameters, buffers and children', () => {
    const shared = new nn.Linear(2, 2);
    const a = new nn.Sequential(shared, new nn.BatchNorm1d(2), shared);
    const b = a.clone();
    expect(b).toBeInstanceOf(nn.Sequential);
    expect(b.get(0)).toBe(b.get(2));
    expect(b.get(0)).not.toBe(shared);
    noGrad(() => b.get(0).weight.fill_(7));
    expect(shared.weight.toArray()).not.toEqual(b.get(0).weight.toArray());
    b.forward(randn([4, 2]));
    expect(a.get(1).numBatchesTracked?.item()).toBe(0);
    expect(b.get(1).numBatchesTracked?.item()).toBe(1);
    expect([...b.stateDict().keys()]).toEqual([...a.stateDict().keys()]);
  });

  test('lazy layers: transposed convolutions, and batch norm without parameters', () => {
    const x = ones([2, 5, 4, 4]);
    const up = new nn.LazyConvTranspose2d(3, 2, { stride: 2 });
    expect(up.forward(x).shape).toEqual([2, 3, 8, 8]);
    expect(up.weight.shape).toEqual([5, 3, 2, 2]);
    const norm = new nn.LazyBatchNorm2d({ affine: false });
    expect(norm.forward(x).shape).toEqual(x.shape);
    expect([norm.numFeatures, norm.parameters().length]).toEqual([5, 0]);
    expect(norm.numBatchesTracked?.item()).toBe(1);
  });

  test('lazy layers take their size from the first input', () => {
    const net = new nn.Sequential(
      new nn.LazyConv2d(4, 3),
      new nn.LazyBatchNorm2d(),
      new nn.Flatten(),
      new nn.LazyLinear(5),
    );
    expect(() => new optim.SGD(net.parameters(), { lr: 0.1 })).toThrow(
      'belongs to a lazy layer that has not seen an input',
    );
    expect(net.forward(randn([2, 3, 6, 6])).shape).toEqual([2, 5]);
    expect(net.get(0)).toBeInstanceOf(nn.Conv2d);
    expect(net.get(0).weight.shape).toEqual([4, 3, 3, 3]);
    expect(net.get(0).inChannels).toBe(3);
    expect(net.get(3).weight.shape).toEqual([5, 64]);
    expect(new optim.SGD(net.parameters(), { lr: 0.1 }).paramGroups).toHaveLength(1);
  });

  test('lazy layers keep what they were told before they saw an input', () => {
    expect(() => new nn.UninitializedParameter('float' as 'float32')).toThrow('dtype must be one of');
    const net = new nn.Sequential(
      new nn.LazyConv2d(4, 3),
      new nn.LazyBatchNorm2d(),
      new nn.Flatten(),
      new nn.LazyLinear(5),
    );
    net.get(3).requiresGrad_(false);
    const copy = net.to('float64').clone();
    const x = randn([2, 3, 6, 6], { dtype: 'float64' });
    for (const one of [copy, net]) {
      expect(() => new optim.SGD(one.parameters())).toThrow('belongs to a lazy layer');
      expect(one.forward(x).shape).toEqual([2, 5]);
      const floats = [...one.parameters(), ...one.buffers()].filter((t) => t.dtype === 'float64');
      expect(floats).toHaveLength(8); // all but the number of batches
      expect(one.parameters().map((p) => p.requiresGrad)).toEqual([true, true, true, true, false, false]);
    }
    expect(net.get(0).weight.toArray()).not.toEqual(copy.get(0).weight.toArray());
  });

  test.each<[nn.Module, number[], number[]]>([
    [new nn.LazyLinear(2), [1, 3], []],
    [new nn.LazyConv1d(2, 1), [3, 4], [4]],
    [new nn.LazyConv2d(2, 1), [1, 3, 4, 4], [4, 4]],
    [new nn.LazyConv3d(2, 1), [1, 3, 4, 4, 4], [4, 4, 4]],
    [new nn.LazyConvTranspose1d(2, 1), [1, 3, 4], [5, 3, 3, 4]],
    [new nn.LazyConvTranspose3d(2, 1), [3, 4, 4, 4], [4, 4]],
    [new nn.LazyBatchNorm1d(), [2, 3], [2]],
    [new nn.LazyBatchNorm2d(), [2, 3, 4, 4], [2, 5, 4]],
    [new nn.LazyBatchNorm3d({ affine: false }), [2, 3, 4, 4, 4], [2, 5, 4, 4]],
  ])('%s waits on when it has refused an input', (layer, shape, refused) => {
    expect(() => layer.forward(zeros(refused))).toThrow();
    expect(layer.forward(zeros(shape)).ndim).toBe(shape.length);
  });

  test("summary counts the book's LeNet", () => {
    const net = new nn.Sequential(
      new nn.Conv2d(1, 6, 5, { padding: 2 }),
      new nn.Sigmoid(),
      new nn.AvgPool2d(2),
      new nn.Conv2d(6, 16, 5),
      new nn.Sigmoid(),
      new nn.AvgPool2d(2),
      new nn.Flatten(),
      new nn.Linear(400, 120),
      new nn.Sigmoid(),
      new nn.Linear(120, 84),
      new nn.Sigmoid(),
      new nn.Linear(84, 10),
    );
    const report = nn.summary(net, [1, 1, 28, 28]);
    expect(report.parameters).toBe(61706);
    expect(report.multiplyAdds).toBe(416520);
    expect(report.layers.map((l) => l.outputShape)).toEqual([
      [1, 6, 28, 28],
      [1, 6, 28, 28],
      [1, 6, 14, 14],
      [1, 16, 10, 10],
      [1, 16, 10, 10],
      [1, 16, 5, 5],
      [1, 400],
      [1, 120],
      [1, 120],
      [1, 84],
      [1, 84],
      [1, 10],
    ]);
    expect(String(report)).toContain('61,706 parameters, 416,520 multiply-adds');
    expect(net.training).toBe(true);
    expect(Object.keys(net.get(0))).not.toContain('forward');
  });

  test('ModuleList and ModuleDict register what they hold', () => {
    const list = new nn.ModuleList([new nn.Linear(1, 1)]).push(new nn.Linear(2, 2));
    expect([...list.namedParameters()].map(([n]) => n)).toEqual(['0.weight', '0.bias', '1.weight', '1.bias']);
    expect(list.get(-1).inFeatures).toBe(2);
    const dict = new nn.ModuleDict({ a: new nn.Linear(1, 1) }).set('b', new nn.Linear(1, 1));
    expect([...dict.namedParameters()].map(([n]) => n)).toEqual(['a.weight', 'a.bias', 'b.weight', 'b.bias']);
    expect(() => dict.get('c')).toThrow('ModuleDict.get: name must be one of a, b, got "c"');
    expect(() => list.forward()).toThrow('ModuleList: forward is not defined');
  });
});
