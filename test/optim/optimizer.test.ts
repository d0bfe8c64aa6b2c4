// What all optimizers share: groups, gradients to forget, refusals.
import { describe, expect, test } from '@jest/globals';
import {
  ArgumentTypeError,
  add,
  getNumThreads,
  mul,
  noGrad,
  ones,
  optim,
  pooledBytes,
  randn,
  scope,
  setNumThreads,
  tensor,
  zeros,
} from '../../lib';
import { runList } from '../../lib/native';
import type { Tensor } from '../../lib';
import { param } from '../support/param';
import { thrownBy } from '../support/thrown-by';

const numbers = (t: Tensor): number[] => Array.from(t.toTypedArray());

describe('a step', () => {
  test('of SGD with weight decay: w = 1, g = 0.5, lr 0.1, decay 3 gives 0.65', () => {
    const w = param([1], [0.5]);
    new optim.SGD([w], { lr: 0.1, weightDecay: 3 }).step();
    expect(w.item()).toBeCloseTo(0.65, 7);
  });

  test('leaves parameters without a gradient alone, also all of them', () => {
    const [a, b] = [param([1], [1]), param([2])];
    const optimizer = new optim.Adam([a, b], { lr: 0.5 });
    optimizer.step();
    expect(a.item()).toBeCloseTo(0.5, 6);
    expect(b.item()).toBe(2);
    new optim.SGD([b], { lr: 1 }).step();
    expect(b.item()).toBe(2);
  });

  test('updates a parameter once that is named twice', () => {
    const w = param([1], [1]);
    const optimizer = new optim.SGD([w, w], { lr: 0.25 });
    expect(optimizer.paramGroups[0].params).toHaveLength(1);
    optimizer.step();
    expect(w.item()).toBe(0.75);
  });

  test('edits the memory itself and counts as an edit in place', () => {
    const w = param([1, 2], [1, 1]);
    const { data } = w.storage;
    const before = w.storage.version;
    new optim.SGD([w], { lr: 1 }).step();
    expect(w.storage.data).toBe(data);
    expect(w.storage.version).toBeGreaterThan(before);
    expect(w.requiresGrad && w.isLeaf).toBe(true);
  });

  test('between forward and backward is noticed by backward', () => {
    const w = param([1, 2], [1, 1]);
    const y = mul(w, w).sum();
    new optim.SGD([w], { lr: 1 }).step();
    expect(() => y.backward()).toThrow('edited in place');
  });

  test('reaches a parameter whose memory is not row-major', () => {
    const base = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const w = base.transpose(0, 1).detach().requiresGrad_();
    w.grad = tensor([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    new optim.SGD([w], { lr: 1 }).step();
    expect(w.toArray()).toEqual([
      [0, 3],
      [0, 3],
      [0, 3],
    ]);
    expect(base.toArray()).toEqual([
      [0, 0, 0],
      [3, 3, 3],
    ]);
  });

  test('runs a closure with gradients on and returns its loss', () => {
    const w = param([3]);
    const optimizer = new optim.SGD([w], { lr: 0.5 });
    const loss = noGrad(() =>
      optimizer.step(() => {
        optimizer.zeroGrad();
        const l = mul(w, w).sum();
        l.backward();
        return l;
      }),
    );
    expect(loss.item()).toBe(9);
    expect(w.item()).toBe(0);
  });

  test('keeps its state when it was made inside a scope', () => {
    const w = param([1]);
    const optimizer = new optim.SGD([w], { lr: 1, momentum: 0.5 });
    for (let i = 0; i < 3; i++) {
      scope(() => {
        optimizer.zeroGrad();
        mul(w, 1).sum().backward();
        optimizer.step();
      });
    }
    // buffers 1, 1.5, 1.75
    expect(w.item()).toBe(1 - 1 - 1.5 - 1.75);
  });

  test('minimises a quadratic with every optimizer', () => {
    for (const make of [
      (p: Tensor) => new optim.SGD([p], { lr: 0.1, momentum: 0.5, nesterov: true }),
      (p: Tensor) => new optim.Adam([p], { lr: 0.1 }),
      (p: Tensor) => new optim.AdamW([p], { lr: 0.1, weightDecay: 0 }),
      (p: Tensor) => new optim.RMSprop([p], { lr: 0.01 }),
      (p: Tensor) => new optim.Adagrad([p], { lr: 0.5 }),
    ]) {
      const w = param([2, -1]);
      const optimizer = make(w);
      const target = tensor([0.5, 0.25]);
      for (let i = 0; i < 400; i++) {
        optimizer.zeroGrad();
        w.sub(target).pow(2).sum().backward();
        optimizer.step();
      }
      const [a, b] = numbers(w);
      expect(Math.abs(a - 0.5)).toBeLessThan(0.02);
      expect(Math.abs(b - 0.25)).toBeLessThan(0.02);
    }
  });
});

describe('many parameters', () => {
  const makers: [string, (p: Tensor[]) => optim.Optimizer][] = [
    ['SGD', (p) => new optim.SGD(p, { lr: 0.1, weightDecay: 0.01 })],
    [
      'SGD with momentum',
      (p) => new optim.SGD(p, { lr: 0.1, momentum: 0.9, dampening: 0.5, maximize: true }),
    ],
    ['Adam', (p) => new optim.Adam(p, { lr: 0.1, amsgrad: true })],
    ['AdamW', (p) => new optim.AdamW(p, { lr: 0.1 })],
    ['RMSprop', (p) => new optim.RMSprop(p, { lr: 0.1, momentum: 0.5, centered: true })],
    ['RMSprop without momentum', (p) => new optim.RMSprop(p, { lr: 0.1 })],
    ['Adagrad', (p) => new optim.Adagrad(p, { lr: 0.1, lrDecay: 0.1 })],
  ];
  const sizes = [1, 70_000, 3, 0, 64, 65, 33_000, 16, 17, 1000, 2];

  test.each(makers)('%s: the bits that each gets alone, whoever lacks a gradient', (_name, make) => {
    const starts = sizes.map((n, i) => randn([n], { dtype: i % 4 === 2 ? 'float64' : 'float32' }));
    const grads = [0, 1, 2, 3].map(() => starts.map((p) => randn(p.shape, { dtype: p.dtype })));
    const lacks = (step: number, i: number): boolean => step > 0 && (i + step) % 3 === 0;
    const trained = (optimizersOf: (p: Tensor[]) => optim.Optimizer[]): number[][] => {
      const params = starts.map((p) => p.clone().requiresGrad_());
      const optimizers = optimizersOf(params);
      grads.forEach((list, step) => {
        params.forEach((p, i) => (p.grad = lacks(step, i) ? null : list[i]));
        for (const o of optimizers) o.step();
      });
      return params.map(numbers);
    };
    const threads = getNumThreads();
    try {
      setNumThreads(1);
      const expected = trained((params) => params.map((p) => make([p])));
      for (const n of [1, 2, 3]) {
        setNumThreads(n);
        expect(trained((params) => [make(params)])).toEqual(expected);
      }
    } finally {
      setNumThreads(threads);
    }
  });

  test('more than one native call takes', () => {
    const params = Array.from({ length: 1500 }, (_, i) => param([i], [1]));
    new optim.SGD(params, { lr: 1 }).step();
    expect(params.map((p) => p.item())).toEqual(Array.from({ length: 1500 }, (_, i) => i - 1));
  });

  test('that share memory are updated in their order', () => {
    const base = ones([4]);
    const [all, part] = [base.detach().requiresGrad_(), base.narrow(0, 1, 2).detach().requiresGrad_()];
    all.grad = all.detach(); // its own gradient, too
    part.grad = tensor([10, 20]);
    new optim.SGD([all, part], { lr: 0.5 }).step();
    expect(numbers(base)).toEqual([0.5, -4.5, -9.5, 0.5]);
  });

  test('one whose memory was transferred: nothing is updated', () => {
    const [a, b] = [param([1], [1]), param([2], [1])];
    const { buffer } = b.storage.data;
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    const error = thrownBy(() => new optim.SGD([a, b], { lr: 1 }).step(), ArgumentTypeError);
    expect(error.code).toBe('ERR_DETACHED');
    expect(a.item()).toBe(1);
  });

  test('the native list refuses what does not fit', () => {
    const fields = { lr: 1, eps: 0, weightDecay: 0, maximize: 0 };
    const list = (items: (Tensor | null)[]) => () => runList('adagradStep', fields, items);
    expect(list([ones([2]), ones([3]), ones([2])])).toThrow('grad must be like param');
    expect(list([ones([2]), ones([2], { dtype: 'float64' }), ones([2])])).toThrow('grad must be like param');
    expect(list([null, ones([2]), ones([2])])).toThrow('the first buffer of an item is required');
    expect(list([ones([2]), null, ones([2])])).toThrow('adagrad_step: buffer 1 of item 0 is required');
  });
});

describe('zeroGrad', () => {
  test('drops gradients, or fills them with zeros', () => {
    const w = param([1, 2], [3, 4]);
    const optimizer = new optim.SGD([w], { lr: 1 });
    const seen = w.grad;
    optimizer.zeroGrad({ setToNone: false });
    expect(w.grad).toBe(seen);
    expect(w.grad?.toArray()).toEqual([0, 0]);
    optimizer.zeroGrad();
    expect(w.grad).toBeNull();
  });

  test('gives the memory of gradients nobody has looked at to the next pass', () => {
    const w = zeros([4096], { requiresGrad: true });
    const optimizer = new optim.SGD([w], { lr: 1 });
    mul(w, 2).sum().backward();
    const before = pooledBytes();
    optimizer.zeroGrad();
    expect(pooledBytes() - before).toBeGreaterThanOrEqual(4 * 4096);
  });
});

describe('groups', () => {
  test('have options of their own and take the rest from the optimizer', () => {
    const [a, b] = [param([1], [1]), param([1], [1])];
    const optimizer = new optim.SGD([{ params: [a] }, { params: b, lr: 0.5, weightDecay: 1 }], { lr: 0.25 });
    expect(optimizer.paramGroups.map((g) => [g.lr, g.weightDecay, g.momentum])).toEqual([
      [0.25, 0, 0],
      [0.5, 1, 0],
    ]);
    optimizer.step();
    expect([a.item(), b.item()]).toEqual([0.75, 0]);
  });

  test('can be added, and changed between steps', () => {
    const [a, b] = [param([1], [1]), param([1], [1])];
    const optimizer = new optim.SGD([a], { lr: 0.25 });
    optimizer.addParamGroup({ params: [b], lr: 0.5 });
    optimizer.paramGroups[0].lr = 1;
    optimizer.step();
    expect([a.item(), b.item()]).toEqual([0, 0.5]);
  });

  test('take any iterable, as module.parameters() gives', () => {
    const list = [param([1], [1]), param([2], [1])];
    function* parameters(): Generator<Tensor> {
      yield* list;
    }
    new optim.SGD(parameters(), { lr: 1 }).step();
    expect(list.map((p) => p.item())).toEqual([0, 1]);
  });
});

describe('refusals', () => {
  const w = (): Tensor => param([1]);

  test.each([
    ['SGD', 'lr', NaN, () => new optim.SGD([w()], { lr: NaN })],
    ['SGD', 'lr', -1, () => new optim.SGD([w()], { lr: -1 })],
    ['SGD', 'lr', Infinity, () => new optim.SGD([w()], { lr: Infinity })],
    ['SGD', 'momentum', -0.5, () => new optim.SGD([w()], { momentum: -0.5 })],
    ['SGD', 'weightDecay', -1, () => new optim.SGD([w()], { weightDecay: -1 })],
    ['Adam', 'lr', NaN, () => new optim.Adam([w()], { lr: NaN })],
    ['Adam', 'eps', -1, () => new optim.Adam([w()], { eps: -1 })],
    ['AdamW', 'weightDecay', -1, () => new optim.AdamW([w()], { weightDecay: -1 })],
    ['RMSprop', 'alpha', -1, () => new optim.RMSprop([w()], { alpha: -1 })],
    ['Adagrad', 'lrDecay', NaN, () => new optim.Adagrad([w()], { lrDecay: NaN })],
  ] as const)('%s: %s %d', (name, option, value, make) => {
    const error = thrownBy(make, RangeError);
    expect(error.message).toBe(`${name}: ${option} must be a finite number >= 0, got ${value}`);
  });

  test('a bad option of a later group, or of one that is added', () => {
    expect(() => new optim.SGD([{ params: [w()], lr: -2 }])).toThrow(
      'SGD: lr must be a finite number >= 0, got -2',
    );
    const optimizer = new optim.SGD([w()]);
    expect(() => optimizer.addParamGroup({ params: [w()], lr: NaN })).toThrow('SGD: lr must be');
    expect(optimizer.paramGroups).toHaveLength(1);
  });

  test('options of the wrong type', () => {
    const text = JSON.parse('{"lr": "0.1"}') as { lr: number };
    expect(() => new optim.SGD([w()], text)).toThrow(new TypeError('SGD: lr must be a number, got "0.1"'));
    expect(() => new optim.Adam([w()], { betas: [0.9, 1] })).toThrow(
      'Adam: betas[1] must be in 0..1 without 1, got 1',
    );
    const pair = JSON.parse('[0.9]') as [number, number];
    expect(() => new optim.Adam([w()], { betas: pair })).toThrow(
      'Adam: betas must be a pair [beta1, beta2], got [0.9]',
    );
  });

  test('nesterov without momentum, or with dampening', () => {
    expect(() => new optim.SGD([w()], { nesterov: true })).toThrow(
      'SGD: nesterov needs momentum > 0 and dampening 0, got momentum 0, dampening 0',
    );
    expect(() => new optim.SGD([w()], { nesterov: true, momentum: 0.9, dampening: 0.1 })).toThrow(RangeError);
  });

  test('no parameters, or what is none', () => {
    expect(() => new optim.SGD([])).toThrow('SGD: params must not be empty, got no parameters');
    expect(() => new optim.SGD(w())).toThrow(
      'SGD: params must be a list of tensors, or of groups { params, ...options }, got Tensor (put it into an array)',
    );
    const mixed = [w(), JSON.parse('3') as Tensor];
    expect(() => new optim.SGD(mixed)).toThrow(new TypeError('SGD: params[1] must be a Tensor, got 3'));
    expect(() => new optim.SGD([add(w(), 1)])).toThrow(
      'SGD: params[0] must be a leaf, got the result of add (optimize the tensor it was computed from, or detach() it)',
    );
    expect(() => new optim.SGD([ones([2], { dtype: 'int32' })])).toThrow(
      'SGD: params[0] must be float32 or float64, got int32',
    );
  });

  test('a parameter in two groups', () => {
    const shared = w();
    expect(() => new optim.SGD([{ params: [shared] }, { params: [w(), shared] }])).toThrow(
      'SGD: params[1].params[1] must not be in another group, got a parameter that is',
    );
  });
});
