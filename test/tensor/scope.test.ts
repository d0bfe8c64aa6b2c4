import { inspect } from 'node:util';

import { describe, expect, test } from '@jest/globals';
import { DisposedError, emptyCache, keep, pooledBytes, randn, scope, type Tensor } from '../../lib';

describe('scope', () => {
  test('gives back what is neither returned nor kept', () => {
    const made: Tensor[] = [];
    const returned = scope(() => {
      made.push(randn([3000]), keep(randn([3000])));
      return { list: [randn([3000])], map: new Map([['x', randn([3000])]]) };
    });
    const [lost, kept] = made;
    expect(() => lost.add(1)).toThrow(DisposedError);
    expect(() => lost.add(1)).toThrow('was used after its scope ended (return it from the scope');
    expect(kept.add(1).shape).toEqual([3000]);
    expect(returned.list[0].add(1).shape).toEqual([3000]);
    expect(returned.map.get('x')?.add(1).shape).toEqual([3000]);
    expect(inspect(lost)).toBe('tensor(<disposed>, shape=[3000])');
  });

  test('what an inner scope returns belongs to the outer one', () => {
    const escaped: Tensor[] = [];
    scope(() => {
      escaped.push(scope(() => randn([3000])));
      expect(escaped[0].add(1).shape).toEqual([3000]);
    });
    expect(() => escaped[0].add(1)).toThrow(DisposedError);
  });

  test('memory is reused, and gradients of leaves survive', () => {
    emptyCache();
    const w = randn([4096]).requiresGrad_();
    const step = (): void =>
      scope(() => {
        w.clearGrad();
        w.mul(2).mul(w).sum().backward();
      });
    step();
    step();
    const before = pooledBytes();
    for (let i = 0; i < 20; i++) step();
    expect(pooledBytes()).toBe(before);
    expect(before).toBeGreaterThan(0);
    expect(w.grad?.shape).toEqual([4096]);
  });

  test('refuses async functions', () => {
    expect(() => scope(() => Promise.resolve(1))).toThrow('scope: fn must be synchronous');
  });

  test('ends after a throw', () => {
    expect(() =>
      scope(() => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    const after = randn([3000]);
    expect(after.add(1).shape).toEqual([3000]);
  });
});
