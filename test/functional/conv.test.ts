// Laws that convolution obeys whatever the numbers, and what the case table does not reach: padding per side, which
// gradients are made, batches. Values against PyTorch and the reference are in op-cases.test.ts.
import { afterEach, describe, expect, test } from '@jest/globals';

import { F, cat, cpuInfo, manualSeed, matmul, randn, setIsa, slice, tensor, zeros } from '../../lib';
import type { Tensor } from '../../lib';
import { convOutputSize, convTransposeOutputSize } from '../../lib/functional/conv-shape';
import { seededTensor, valuesOf } from '../support/op-values';
import { expectBitEqual, expectClose } from '../support/tolerance';

const { isa: best, available } = cpuInfo();
afterEach(() => setIsa(best));

/** Small integers: every sum of products is exact, so laws hold bit for bit. */
function integers(shape: readonly number[], seed: number): Tensor {
  const { data } = seededTensor(shape, seed, [-4, 4], 'real');
  return tensor(
    Float32Array.from(data, (v) => Math.round(v)),
    { shape: [...shape] },
  );
}

const same = (a: Tensor, b: Tensor, label?: string): void => expectBitEqual(valuesOf(a), valuesOf(b), label);
const dot = (a: Tensor, b: Tensor): number => a.mul(b).sum().item();

describe('output sizes', () => {
  test.each([
    [28, 5, 1, [0, 0], 1, 24],
    [28, 5, 1, [2, 2], 1, 28],
    [7, 3, 2, [1, 1], 1, 4],
    [8, 3, 2, [1, 1], 1, 4],
    [10, 3, 1, [0, 0], 3, 4],
    [4, 2, 1, [0, 1], 1, 4],
  ] as const)('%i with kernel %i, stride %i, padding %p, dilation %i: %i', (size, k, s, p, d, out) => {
    expect(convOutputSize(size, k, s, p, d)).toBe(out);
  });

  test('the transposed convolution restores what stride did not round away', () => {
    for (const [size, k, s, p, d] of [
      [28, 5, 1, 2, 1],
      [9, 3, 2, 1, 1],
      [8, 3, 2, 1, 1],
      [12, 3, 3, 0, 2],
    ] as const) {
      const out = convOutputSize(size, k, s, [p, p], d);
      const lost = (size + 2 * p - d * (k - 1) - 1) % s;
      expect(convTransposeOutputSize(out, k, s, p, lost, d)).toBe(size);
    }
  });
});

describe.each(available.map((isa) => [isa]))('on %s', (isa) => {
  const onIsa = (body: () => void) => (): void => {
    setIsa(isa);
    body();
  };

  test(
    'padding per side is padding by hand',
    onIsa(() => {
      const x = integers([2, 3, 5, 6], 1);
      const w = integers([4, 3, 3, 2], 2);
      const wide = cat([zeros([2, 3, 1, 6]), x, zeros([2, 3, 3, 6])], 2);
      const padded = cat([zeros([2, 3, 9, 2]), wide], 3);
      same(
        F.conv2d(x, w, null, {
          padding: [
            [1, 3],
            [2, 0],
          ],
          stride: 2,
        }),
        F.conv2d(padded, w, null, { stride: 2 }),
      );
    }),
  );

  test(
    'a batch is its images one by one, bit for bit',
    onIsa(() => {
      manualSeed(1);
      for (const [n, c, size, oc, k, padding] of [
        [33, 1, 12, 6, 5, 0],
        [18, 6, 8, 16, 5, 2],
        [5, 20, 7, 30, 3, 1],
      ]) {
        const [x, w, b] = [randn([n, c, size, size]), randn([oc, c, k, k]), randn([oc])];
        const y = F.conv2d(x, w, b, { padding });
        const one = Array.from({ length: n }, (_, i) => F.conv2d(x.at(slice(i, i + 1)), w, b, { padding }));
        same(y, cat(one, 0), `forward ${n}x${c}`);
        const dx = F.convTranspose2d(y, w, null, { padding });
        const dxOne = one.map((t) => F.convTranspose2d(t, w, null, { padding }));
        same(dx, cat(dxOne, 0), `transposed ${n}x${c}`);
      }
    }),
  );

  test(
    'the transposed convolution is the adjoint, and both gradients follow from it',
    onIsa(() => {
      for (const options of [
        {},
        { stride: 2, padding: 1 },
        { dilation: 2, padding: [2, 1] },
        { stride: [3, 2], groups: 2 },
      ]) {
        const groups = 'groups' in options ? 2 : 1;
        const x = integers([2, 4, 9, 11], 3).requiresGrad_();
        const w = integers([6, 4 / groups, 3, 3], 4).requiresGrad_();
        const y = F.conv2d(x, w, null, options);
        const g = integers(y.shape, 5);
        y.backward(g);
        const [dx, dw] = [x.grad, w.grad];
        if (dx === null || dw === null) throw new Error('no gradient');
        const expected = dot(y, g);
        expect(dot(dx, x)).toBe(expected);
        expect(dot(dw, w)).toBe(expected);
      }
    }),
  );

  test(
    'groups are convolutions side by side',
    onIsa(() => {
      const x = integers([3, 6, 7, 7], 6);
      const w = integers([9, 2, 3, 3], 7);
      const parts = [0, 1, 2].map((g) =>
        F.conv2d(x.at(slice(), slice(2 * g, 2 * g + 2)), w.at(slice(3 * g, 3 * g + 3)), null, { padding: 1 }),
      );
      same(F.conv2d(x, w, null, { padding: 1, groups: 3 }), cat(parts, 1));
    }),
  );

  test(
    'dilation is a kernel with holes, stride a subset of the outputs',
    onIsa(() => {
      const x = integers([2, 2, 9, 10], 8);
      const w = integers([3, 2, 2, 3], 9);
      const holes = zeros([3, 2, 3, 5]);
      for (let i = 0; i < 2; i++) {
        for (let j = 0; j < 3; j++) {
          for (let oc = 0; oc < 3; oc++) {
            for (let c = 0; c < 2; c++) holes.set([oc, c, 2 * i, 2 * j], w.at(oc, c, i, j));
          }
        }
      }
      const dilated = F.conv2d(x, w, null, { dilation: 2 });
      same(dilated, F.conv2d(x, holes));
      const every = dilated.at(slice(), slice(), slice(0, undefined, 2), slice(0, undefined, 2));
      same(F.conv2d(x, w, null, { dilation: 2, stride: 2 }), every);
    }),
  );

  test(
    'a 1x1 convolution is a matrix product',
    onIsa(() => {
      const x = integers([2, 5, 4, 3], 10);
      const w = integers([7, 5, 1, 1], 11);
      const product = matmul(w.reshape([7, 5]), x.reshape([2, 5, 12])).reshape([2, 7, 4, 3]);
      same(F.conv2d(x, w), product);
    }),
  );

  test(
    'NaN and infinity reach the outputs that read them and no other',
    onIsa(() => {
      for (const bad of [NaN, Infinity]) {
        const x = zeros([20, 2, 9, 9]);
        x.set([17, 1, 4, 5], bad);
        const y = F.conv2d(x, tensor(new Float32Array(54).fill(1), { shape: [3, 2, 3, 3] }), null, {
          padding: 1,
        });
        const spoilt = valuesOf(y).data.reduce((count, v) => count + Number(!Number.isFinite(v)), 0);
        expect(spoilt).toBe(3 * 9);
        expect(Number.isFinite(y.at(17, 0, 3, 4).item())).toBe(false);
        expect(y.at(17, 2, 6, 5).item()).toBe(0);
      }
    }),
  );
});

describe('gradients', () => {
  test('only what requires one', () => {
    const fresh = (): [Tensor, Tensor, Tensor] => [
      integers([2, 3, 6, 6], 12),
      integers([4, 3, 3, 3], 13),
      integers([4], 14),
    ];
    const all = fresh().map((t) => t.requiresGrad_());
    const full = F.conv2d(all[0], all[1], all[2]);
    full.backward(integers(full.shape, 15));
    for (let mask = 1; mask < 7; mask++) {
      const some = fresh();
      some.forEach((t, i) => t.requiresGrad_((mask & (1 << i)) !== 0));
      const y = F.conv2d(some[0], some[1], some[2]);
      y.backward(integers(y.shape, 15));
      some.forEach((t, i) => {
        const [got, wanted] = [t.grad, all[i].grad];
        if ((mask & (1 << i)) === 0) expect(got).toBeNull();
        else if (got === null || wanted === null) throw new Error(`no gradient of operand ${i}`);
        else same(got, wanted);
      });
    }
  });

  test('of a batch of no images are zero', () => {
    for (const transposed of [false, true]) {
      const x = zeros([0, 3, 6, 6]).requiresGrad_();
      const w = integers([3, 3, 3, 3], 16).requiresGrad_();
      const b = integers([3], 17).requiresGrad_();
      const y = transposed ? F.convTranspose2d(x, w, b) : F.conv2d(x, w, b);
      expect(y.shape).toEqual(transposed ? [0, 3, 8, 8] : [0, 3, 4, 4]);
      y.sum().backward();
      expect(x.grad?.shape).toEqual([0, 3, 6, 6]);
      for (const t of [w, b]) expect(t.grad?.abs().sum().item()).toBe(0);
    }
  });

  test('accumulate over uses of one weight', () => {
    const x = integers([1, 2, 6, 6], 18);
    const w = integers([2, 2, 3, 3], 19).requiresGrad_();
    F.conv2d(F.conv2d(x, w), w).sum().backward();
    const twice = w.grad?.clone();
    w.clearGrad();
    const inner = F.conv2d(x, w);
    F.conv2d(inner, w.detach()).sum().backward();
    F.conv2d(inner.detach(), w).sum().backward();
    if (twice === undefined || w.grad === null) throw new Error('no gradient');
    same(twice, w.grad);
  });

  test('weight gradients stay accurate over many pixels', () => {
    manualSeed(2);
    const x = randn([64, 1, 40, 40]).add(3);
    const w = randn([2, 1, 3, 3]).requiresGrad_();
    const g = randn([64, 2, 38, 38]).add(1);
    F.conv2d(x, w).backward(g);
    const precise = w.detach().to('float64').requiresGrad_();
    F.conv2d(x.to('float64'), precise).backward(g.to('float64'));
    if (w.grad === null || precise.grad === null) throw new Error('no gradient');
    expectClose(valuesOf(w.grad), valuesOf(precise.grad), { rtol: 1e-6, atol: 0 });
  });
});
