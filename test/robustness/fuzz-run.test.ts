import { expect, test } from '@jest/globals';
import { reportOf } from '../support/run-script';

interface Report {
  readonly calls: number;
  readonly outcome: Readonly<Record<string, number>>;
  readonly never: readonly string[];
}

test('whatever the addon is asked to run, it only throws', async () => {
  const report = (await reportOf('robustness/scripts/fuzz-run.cjs', { args: ['100000', '1'] })) as Report;
  const total = Object.values(report.outcome).reduce((a, b) => a + b, 0);
  expect(total).toBe(report.calls);
  // The calls were not all refused at the door: every op computed something at least once.
  expect(report.never).toEqual([]);
  expect(report.outcome.ok).toBeGreaterThan(report.calls / 10);
});
