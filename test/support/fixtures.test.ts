import { describe, expect, test } from '@jest/globals';

import { numberOf, numbersOf, recordOf, tensorOf, tensorsOf } from './case-values';
import { fixtureNames, loadFixtureRecords, loadFixtures } from './fixtures';
import { mapped } from './nd-array';
import { expectClose } from './tolerance';

test.each(fixtureNames())('%s: cases have names of their own and the op of their file', (op) => {
  const records = loadFixtureRecords(op);
  expect(records.length).toBeGreaterThan(1);
  expect(new Set(records.map((record) => record.name)).size).toBe(records.length);
  expect(records.every((record) => record.op === op)).toBe(true);
});

describe('what JSON cannot say is read', () => {
  test('NaN and infinities', () => {
    const fixture = loadFixtures('maxPool2d').find(({ name }) => name === 'NaN wins over all');
    expect([...(fixture?.output.data ?? [])]).toEqual([NaN, 7, 13, Infinity]);
  });

  test('dtypes', () => {
    const [fixture] = loadFixtures('where');
    expect(tensorOf(fixture.args, 'condition').dtype).toBe('bool');
    expect(tensorOf(fixture.args, 'input').dtype).toBeUndefined();
    expect(loadFixtures('maxPool1d')[0].indices?.dtype).toBe('int32');
  });
});

describe('forms of their own', () => {
  test('an optimiser: one parameter after each step', () => {
    const record = loadFixtureRecords('SGD').find(({ name }) => name === 'lr 0.25');
    expect(record).toBeDefined();
    if (!record) return;
    let param = tensorOf(recordOf(record, 'args'), 'param');
    const lr = numberOf(recordOf(record, 'options'), 'lr');
    const trajectory = tensorsOf(record, 'trajectory');
    expect(trajectory).toHaveLength(5);
    tensorsOf(record, 'gradients').forEach((gradient, step) => {
      param = mapped(param, (value, i) => value - lr * gradient.data[i]);
      expectClose(param, trajectory[step], { rtol: 0, atol: 0 });
    });
  });

  test('a schedule: the rate at the start and after each of 20 steps', () => {
    for (const record of loadFixtureRecords('CosineAnnealingLR')) {
      const { lr, tMax } = recordOf(record, 'args');
      const etaMin = numberOf(recordOf(record, 'options'), 'etaMin', 0);
      numbersOf(record, 'rates').forEach((rate, step) => {
        const cosine = (1 + Math.cos((Math.PI * step) / Number(tMax))) / 2;
        expect(rate).toBeCloseTo(etaMin + (Number(lr) - etaMin) * cosine, 12);
      });
    }
  });
});
