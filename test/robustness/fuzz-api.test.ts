import { expect, test } from '@jest/globals';

import { reportOf } from '../support/run-script';

interface Report {
  readonly functions: number;
  readonly finished: number;
  readonly refused: number;
  readonly untyped: readonly string[];
}

test('whatever is asked of the package, it computes or says what was wrong', async () => {
  const report = (await reportOf('robustness/scripts/fuzz-api.cjs', { args: ['20000', '1'] })) as Report;
  expect(report.untyped).toEqual([]);
  // The calls reached what they were meant for.
  expect(report.functions).toBeGreaterThan(350);
  expect(report.finished).toBeGreaterThan(report.functions / 2);
  expect(report.refused).toBeGreaterThan(report.functions / 2);
});
