import { expect, test } from '@jest/globals';
import { reportOf } from '../support/run-script';

test('eight workers and the main thread at once: equal results, bit for bit', async () => {
  const report = await reportOf('robustness/scripts/workers-equal.cjs');
  expect(report).toEqual({ runs: expect.any(Number), different: 0 });
});

test('workers terminated while they load or compute, the addon loaded nowhere else', async () => {
  const rounds = 50;
  const script = 'robustness/scripts/workers-terminated.cjs';
  const report = (await reportOf(script, { args: [String(rounds)] })) as { codes: Record<string, number> };
  // Every second round has two workers. A terminated worker ends with 1, or 0 if it had not begun.
  const { 0: before = 0, 1: terminated = 0, ...others } = report.codes;
  expect(before + terminated).toBe(75);
  expect(terminated).toBeGreaterThan(40);
  expect(others).toEqual({});
});

test('load, end, load again: twenty workers after one another', async () => {
  expect(await reportOf('robustness/scripts/workers-reload.cjs')).toEqual({ rounds: 20, hashes: 1 });
});

test('a cluster whose primary used the pool before it forked', async () => {
  const report = await reportOf('robustness/scripts/cluster.cjs');
  expect(report).toEqual({ runs: 5, hashes: 1, codes: [0, 0, 0, 0] });
});
