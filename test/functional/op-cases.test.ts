// Every op of the table against PyTorch and against plain loops; see support/op-cases.ts for what is checked.
import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { cpuInfo } from '../../lib';
import * as clamp from '../../lib/functional/clamp';
import * as cumulative from '../../lib/functional/cumulative';
import * as extreme from '../../lib/functional/extreme';
import * as logic from '../../lib/functional/logic';
import * as rearrange from '../../lib/functional/rearrange';
import * as sort from '../../lib/functional/sort';
import { loadFixtures } from '../support/fixtures';
import { checkFixture, checkGenerated, checkLarge, counts } from '../support/op-cases';
import { opTable } from '../support/op-table';
import type { Oracle } from '../support/reference';
import { oracles } from '../support/reference';

/** Modules all of whose functions are operations for users; F is checked with docs/layers.md. */
const modules: readonly object[] = [clamp, cumulative, extreme, logic, rearrange, sort];

const table: Readonly<Record<string, Oracle>> = oracles;

const seed = 20_240;
const generatedPerOp = 50;
const leastGradchecks = 5;

describe.each(opTable.map((entry) => [entry.op, entry] as const))('%s', (op, entry) => {
  const oracle = table[op];
  const fixtures = loadFixtures(op);
  const gradients = [...new Set(fixtures.flatMap(({ grads }) => Object.keys(grads)))];

  test.each(fixtures.map((fixture) => [fixture.name, fixture] as const))('PyTorch: %s', (_, fixture) => {
    checkFixture(entry, oracle, fixture);
  });

  test('generated', () => {
    const property = fc.property(entry.cases, (generated) => checkGenerated(entry, oracle, generated));
    fc.assert(property, { seed, numRuns: generatedPerOp });
    if (gradients.length > 0) expect(counts.gradchecks.get(op)).toBeGreaterThanOrEqual(leastGradchecks);
  });

  const { large } = entry;
  if (large) test('shared among threads', () => checkLarge(entry, large(), gradients));
});

describe('the table is complete', () => {
  /** Functions of tensors without an entry, and where they are tested. */
  const elsewhere: Readonly<Record<string, string>> = {
    allClose: 'logic.test.ts',
    equal: 'logic.test.ts',
    isfinite: 'logic.test.ts',
    isinf: 'logic.test.ts',
    isnan: 'logic.test.ts',
    logicalNot: 'logic.test.ts',
    logicalOr: 'logic.test.ts',
    logicalXor: 'logic.test.ts',
    clampMax: 'elementwise.test.ts',
    clampMin: 'elementwise.test.ts',
    chunk: 'indexing.test.ts',
    split: 'indexing.test.ts',
    variance: 'entry var',
  };

  test('every tensor operation has an entry', () => {
    const entries = new Set(opTable.map(({ op }) => op));
    const lost = modules
      .flatMap((module) => Object.keys(module))
      .filter((name) => !entries.has(name) && !Object.hasOwn(elsewhere, name));
    expect(lost).toEqual([]);
  });
});

afterAll(() => {
  const gradchecks = [...counts.gradchecks.values()].reduce((sum, n) => sum + n, 0);
  process.stdout.write(
    `op cases: ${opTable.length} ops, ${counts.fixtures} from PyTorch, ${counts.generated} generated, ` +
      `${gradchecks} gradchecks, each on ${cpuInfo().available.join(', ')} with 1 to 3 threads\n`,
  );
});
