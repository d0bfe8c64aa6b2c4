// Every exported op has a row in docs/layers.md, and with it an oracle, fixtures and a gradient check.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { tensor } from '../../lib';
import * as F from '../../lib/functional';
import { loadFixtures } from '../support/fixtures';
import { layersTable } from '../support/layers-table';
import { opTable } from '../support/op-table';
import { oracles } from '../support/reference';

/** Functions without a row, and where they are tested. */
const elsewhere: Readonly<Record<string, string>> = {
  alphaDropout: 'random: test/functional/dropout.test.ts',
  dropout: 'random: test/functional/dropout.test.ts',
  dropout1d: 'random: test/functional/dropout.test.ts',
  dropout2d: 'random: test/functional/dropout.test.ts',
  dropout3d: 'random: test/functional/dropout.test.ts',
  featureAlphaDropout: 'random: test/functional/dropout.test.ts',
  maxPool1dWithIndices: 'row of maxPool1d',
  maxPool2dWithIndices: 'row of maxPool2d',
  maxPool3dWithIndices: 'row of maxPool3d',
  adaptiveMaxPool1dWithIndices: 'row of adaptiveMaxPool1d',
  adaptiveMaxPool2dWithIndices: 'row of adaptiveMaxPool2d',
  adaptiveMaxPool3dWithIndices: 'row of adaptiveMaxPool3d',
  pixelUnshuffle: 'inverse of pixelShuffle: test/nn/layers.test.ts',
  clone: 'copy: test/autograd/engine.test.ts',
  logicalAnd: 'logic: test/tensor',
  trunc: 'below',
};

describe('docs/layers.md', () => {
  test('is what npm run docs makes', () => {
    const text = readFileSync(join(__dirname, '..', '..', 'docs', 'layers.md'), 'utf8');
    expect(text).toBe(layersTable());
  });

  test('has a row for every exported function', () => {
    const rows = new Set(opTable.map((entry) => entry.op));
    const lost = Object.keys(F).filter((name) => !rows.has(name) && !Object.hasOwn(elsewhere, name));
    expect(lost).toEqual([]);
  });

  test('every row has an oracle and cases from PyTorch', () => {
    for (const { op } of opTable) {
      expect(Object.hasOwn(oracles, op)).toBe(true);
      expect(loadFixtures(op).length).toBeGreaterThan(0);
    }
  });

  test('at least 60 ops', () => {
    expect(opTable.length).toBeGreaterThanOrEqual(60);
  });

  test('trunc drops the fraction', () => {
    expect(F.trunc(tensor([1.7, -1.7, 0.2])).toArray()).toEqual([1, -1, 0]);
  });
});
