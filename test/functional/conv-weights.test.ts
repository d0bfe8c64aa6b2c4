// Weights that come again keep the form that the kernels read: nothing of that may ever show in a result.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { afterEach, describe, expect, test } from '@jest/globals';

import {
  F,
  cpuInfo,
  isExactConv,
  manualSeed,
  nn,
  noGrad,
  optim,
  randn,
  setExactConv,
  setIsa,
} from '../../lib';
import { slice, zeros } from '../../lib';
import type { Tensor } from '../../lib';
import { valuesOf } from '../support/op-values';
import { expectBitEqual } from '../support/tolerance';

const { isa: best, available } = cpuInfo();
afterEach(() => {
  setIsa(best);
  setExactConv(false);
});

const same = (a: Tensor, b: Tensor, label: string): void => expectBitEqual(valuesOf(a), valuesOf(b), label);

interface Case {
  readonly name: string;
  /** Of one image. */
  readonly input: readonly number[];
  /** 2048 elements or more: smaller weights are not kept. */
  readonly weight: readonly number[];
  readonly run: (x: Tensor, w: Tensor) => Tensor;
}

const plain =
  (options: { stride?: number; padding?: number; groups?: number }) =>
  (x: Tensor, w: Tensor): Tensor =>
    F.conv2d(x, w, null, options);

const cases: readonly Case[] = [
  { name: '3x3, many channels', input: [32, 14, 14], weight: [48, 32, 3, 3], run: plain({ padding: 1 }) },
  { name: '3x3 with stride', input: [32, 15, 15], weight: [33, 32, 3, 3], run: plain({ stride: 2 }) },
  { name: '1x1', input: [64, 7, 7], weight: [48, 64, 1, 1], run: plain({}) },
  { name: '5x5 in groups', input: [24, 9, 9], weight: [30, 12, 5, 5], run: plain({ padding: 2, groups: 2 }) },
  { name: 'depthwise', input: [256, 9, 9], weight: [256, 1, 3, 3], run: plain({ padding: 1, groups: 256 }) },
  {
    name: 'transposed',
    input: [32, 6, 6],
    weight: [32, 24, 4, 4],
    run: (x, w) => F.convTranspose2d(x, w, null, { stride: 2, padding: 1 }),
  },
  { name: '1d', input: [40, 33], weight: [36, 40, 5], run: (x, w) => F.conv1d(x, w, null, { padding: 2 }) },
  { name: '3d', input: [8, 5, 6, 7], weight: [16, 8, 3, 3, 3], run: (x, w) => F.conv3d(x, w) },
];

/** Output, and the gradient of the input. */
function both(c: Case, x: Tensor, w: Tensor): [Tensor, Tensor] {
  const leaf = x.detach().requiresGrad_();
  const y = c.run(leaf, w);
  manualSeed(7);
  y.backward(randn(y.shape));
  if (leaf.grad === null) throw new Error('no gradient');
  return [y.detach(), leaf.grad];
}

function expectAsFresh(c: Case, x: Tensor, w: Tensor, label: string): void {
  const [y, dx] = both(c, x, w);
  const [freshY, freshDx] = both(c, x, w.detach().clone());
  same(y, freshY, `${label}: output`);
  same(dx, freshDx, `${label}: input gradient`);
}

function operands(c: Case, batch = 2): [Tensor, Tensor] {
  manualSeed(3);
  return [randn([batch, ...c.input]), randn(c.weight)];
}

const useOften = (c: Case, x: Tensor, w: Tensor): void => {
  for (let i = 0; i < 3; i++) both(c, x, w);
};

describe.each(cases.map((c) => [c.name, c] as const))('%s', (_, c) => {
  test.each(available)('unchanged weights give the same bits at every call (%s)', (isa) => {
    setIsa(isa);
    const [x, w] = operands(c);
    const [y, dx] = both(c, x, w);
    for (let call = 2; call <= 4; call++) {
      const again = both(c, x, w);
      same(again[0], y, `output of call ${call}`);
      same(again[1], dx, `input gradient of call ${call}`);
    }
    expectAsFresh(c, x, w, 'call 5');
  });

  const edits: Readonly<Record<string, (w: Tensor) => unknown>> = {
    mul_: (w) => w.mul_(1.5),
    'set of one element': (w) => w.set(new Array<number>(w.ndim).fill(0), 9),
    'copy_ through a slice': (w) => w.at(slice(1, 3)).copy_(zeros([2, ...w.shape.slice(1)])),
    'fill_ through a view of a view': (w) =>
      w
        .reshape([-1])
        .at(slice(5, 90, 5))
        .fill_(3),
    'add_ through another tensor of the memory': (w) => w.detach().add_(1),
    'an edit through a transposed view': (w) => w.transpose(0, 1).mul_(-1),
  };
  test.each(Object.entries(edits))('follow an edit: %s', (_name, edit) => {
    const [x, w] = operands(c);
    useOften(c, x, w);
    const [before] = both(c, x, w);
    edit(w);
    expectAsFresh(c, x, w, 'after the edit');
    useOften(c, x, w);
    expectAsFresh(c, x, w, 'the edited weights, used often');
    expect(valuesOf(both(c, x, w)[0])).not.toEqual(valuesOf(before));
  });

  test('other batch sizes, other instruction sets and another rounding in between', () => {
    const [x, w] = operands(c, 3);
    for (let round = 0; round < 2; round++) {
      for (const isa of available) {
        setIsa(isa);
        for (const exact of [false, true]) {
          setExactConv(exact);
          for (const n of [1, 3, 2]) {
            const part = x.at(slice(0, n));
            useOften(c, part, w);
            expectAsFresh(c, part, w, `batch ${n} on ${isa}${exact ? ', exact' : ''}`);
          }
        }
      }
    }
  });

  test('several weights in one memory, at different offsets', () => {
    const [x] = operands(c);
    manualSeed(5);
    const all = randn([3, ...c.weight]);
    for (let round = 0; round < 4; round++) {
      for (const i of [0, 2, 1, 1, 2, 0]) expectAsFresh(c, x, all.at(i), `weights ${i}, round ${round}`);
    }
    all.at(1).mul_(2);
    for (const i of [1, 0, 1]) expectAsFresh(c, x, all.at(i), `weights ${i} after an edit of 1`);
  });
});

test('one tensor as the weights of two layers of different form', () => {
  manualSeed(1);
  const w = randn([32, 32, 3, 3]);
  const [large, small] = [randn([1, 32, 20, 20]), randn([1, 32, 6, 6])];
  const forms: ((w: Tensor) => Tensor)[] = [
    (v) => F.conv2d(large, v, null, { padding: 1 }),
    (v) => F.conv2d(small, v, null, { dilation: 2 }),
    (v) => F.convTranspose2d(small, v),
    (v) => F.conv2d(small, v.reshape([64, 16, 3, 3]), null, { groups: 2 }),
  ];
  for (let round = 0; round < 3; round++) {
    for (const [i, form] of forms.entries()) {
      for (let k = 0; k < 3; k++) same(form(w), form(w.clone()), `form ${i}, use ${k}, round ${round}`);
    }
  }
});

describe('a layer', () => {
  const layer = (): nn.Conv2d => new nn.Conv2d(32, 32, 3, { padding: 1 });
  const x = randn([1, 32, 10, 10]);
  const infer = (net: nn.Conv2d): Tensor => noGrad(() => net.forward(x));
  const fresh = (net: nn.Conv2d): Tensor => infer(net.clone());

  test('follows optimizer steps', () => {
    const net = layer();
    const step = new optim.SGD(net.parameters(), { lr: 0.1, momentum: 0.9 });
    for (let i = 0; i < 4; i++) {
      for (let k = 0; k < 3; k++) same(infer(net), fresh(net), `inference ${k} after ${i} steps`);
      step.zeroGrad();
      net.forward(x).square().sum().backward();
      step.step();
    }
  });

  test('follows loadStateDict, and a weight put in its place', () => {
    const net = layer();
    for (let k = 0; k < 3; k++) infer(net);
    net.loadStateDict(layer().stateDict());
    for (let k = 0; k < 3; k++) same(infer(net), fresh(net), `use ${k} after loading`);
    net.weight = new nn.Parameter(randn([32, 32, 3, 3]));
    for (let k = 0; k < 3; k++) same(infer(net), fresh(net), `use ${k} of the new weight`);
  });
});

test('the kept form goes with the weights', () => {
  setFlagsFromString('--expose_gc');
  const collect = runInNewContext('gc') as () => void;
  const x = randn([1, 128, 8, 8]);
  const useAndForget = (): void => {
    const w = randn([128, 128, 3, 3]); // 0.6 MB, and up to four times that when laid out for Winograd
    for (let i = 0; i < 3; i++) noGrad(() => F.conv2d(x, w, null, { padding: 1 }));
  };
  const held = (): number => {
    collect();
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  useAndForget();
  const before = held();
  for (let i = 0; i < 60; i++) useAndForget();
  expect(held() - before).toBeLessThan(12e6); // 60 of them would be 35 MB of weights alone
});

describe('setExactConv', () => {
  test('rounds like a sum of products: integers are exact', () => {
    manualSeed(2);
    const x = randn([2, 64, 14, 14]).mul(4).round();
    const w = randn([64, 64, 3, 3]).mul(4).round();
    setExactConv(true);
    expect(isExactConv()).toBe(true);
    const exact = F.conv2d(x, w, null, { padding: 1 });
    const double = F.conv2d(x.to('float64'), w.to('float64'), null, { padding: 1 });
    same(exact.to('float64'), double, 'exact');
    setExactConv(false);
    const fast = F.conv2d(x, w, null, { padding: 1 });
    const rms = Math.sqrt(double.square().mean().item());
    expect(fast.to('float64').sub(double).abs().max().item()).toBeLessThan(3e-5 * rms);
  });

  test('takes a boolean', () => {
    const wrong: unknown[] = [1, 'true', null, undefined];
    for (const value of wrong) {
      expect(() => setExactConv(value as boolean)).toThrow('setExactConv: value must be a boolean, got');
    }
    expect(isExactConv()).toBe(false);
  });
});
