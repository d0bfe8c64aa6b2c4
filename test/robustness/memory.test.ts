/** Memory stays flat in loops that never yield to the event loop. scripts/soak.cjs is the long version. */
import os from 'node:os';
import { describe, expect, test } from '@jest/globals';
import { emptyCache, noGrad, ones, pooledBytes, randn, scope } from '../../lib';
import { Tensor } from '../../lib/tensor/tensor';
import { reportOf } from '../support/run-script';

interface Report {
  readonly faultsPerStep: number;
  readonly growth: number;
  readonly loss: number;
}

describe('training steps on small batches', () => {
  test.each([['without scope'], ['in a scope', '--scope']])('%s', async (_, ...options) => {
    const args = ['--steps', '300', '--warm-up', '100', '--batch-size', '64', '--limit', '1.3', ...options];
    const report = (await reportOf('../scripts/soak.cjs', { args })) as Report;
    expect(report.loss).toBeLessThan(0.1); // it did learn its batch by heart
    expect(report.growth).toBeLessThan(1.3);
    // A step writes some 4 MB, a thousand pages: few of them are new.
    expect(report.faultsPerStep).toBeLessThan(200);
  });
});

test('what is released inside a scope is used again, small arrays too', () => {
  emptyCache();
  const buffers = new Set<ArrayBufferLike>();
  for (let i = 0; i < 10; i++) {
    scope(() => {
      for (const size of [30, 200, 5000]) buffers.add(randn([size]).storage.data.buffer);
    });
  }
  expect(buffers.size).toBe(3);
  expect(pooledBytes()).toBeGreaterThan(20_000);
});

test('memory of sizes that nobody asks for any more makes room for what goes round now', () => {
  emptyCache();
  const mebi = 2 ** 20;
  const empty = (bytes: number): ArrayBufferLike => Tensor.empty([bytes / 4], 'float32').storage.data.buffer;
  const limit = Math.min(1024 * mebi, os.totalmem() / 4);
  // Never touched, so it is address space alone.
  const left = [64, 80, 96, 112].flatMap((size) => Array.from({ length: 4 }, () => size * mebi));
  scope(() => void left.map(empty));
  expect(pooledBytes()).toBeLessThanOrEqual(limit);
  expect(pooledBytes()).toBeGreaterThan(0);
  const buffers = new Set(Array.from({ length: 5 }, () => scope(() => empty(128 * mebi))));
  expect(buffers.size).toBe(1);
  expect(pooledBytes()).toBeLessThanOrEqual(limit);
  emptyCache();
  expect(pooledBytes()).toBe(0);
});

test('garbage made outside of scopes does not use up the memory that scopes released', () => {
  emptyCache();
  scope(() => {
    ones([5000]);
  });
  const released = pooledBytes();
  noGrad(() => ones([5000]).add(1));
  expect(pooledBytes()).toBe(released);
});

test('a gradient set to null gives its memory back, unless somebody has looked at it', () => {
  const x = ones([5000], { requiresGrad: true });
  const gradient = (): Tensor | null => x.grad;
  const given = (): number => {
    x.mul(2).sum().backward();
    return pooledBytes();
  };
  let before = given();
  x.grad = null;
  expect(pooledBytes() - before).toBeGreaterThanOrEqual(4 * 5000);
  before = given();
  const seen = gradient();
  x.grad = null;
  expect(pooledBytes()).toBe(before);
  x.mul(3).sum().backward();
  expect(seen?.sum().item()).toBe(2 * 5000);
});

test('one memory serves several element types in turn', () => {
  emptyCache();
  const views = (['float32', 'int32', 'float64', 'float32'] as const).map((dtype) =>
    scope(() => {
      const t = ones([dtype === 'float64' ? 600 : 1200], { dtype });
      return { type: t.storage.data.constructor.name, buffer: t.storage.data.buffer, sum: t.sum().item() };
    }),
  );
  expect(views.map((v) => v.type)).toEqual(['Float32Array', 'Int32Array', 'Float64Array', 'Float32Array']);
  expect(views.map((v) => v.sum)).toEqual([1200, 1200, 600, 1200]);
  expect(new Set(views.map((v) => v.buffer)).size).toBe(1);
});
