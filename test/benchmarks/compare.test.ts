import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { changes, compareText, readReport, regressions } from '../../benchmarks/compare';
import { temporaryDirectory } from '../support/temporary-directory';
import { row } from './rows';

describe('comparison with an earlier run', () => {
  test('ratios to the peer count before times', () => {
    // The machine was twice as slow, and so was the peer: nothing happened.
    const before = [row({ msMin: 1, ratioToBestPeer: 2, percentOfPeak: 80 })];
    const after = [row({ msMin: 2, ratioToBestPeer: 1.98, percentOfPeak: 40 })];
    const list = changes(before, after);
    expect(list).toHaveLength(1);
    expect(list[0]).toMatchObject({ by: 'ratio to the best peer', before: 2, after: 1.98 });
    expect(regressions(list)).toEqual([]);
  });

  test('per cent of peak without a peer, and time without both', () => {
    const byPeak = changes([row({ msMin: 1, percentOfPeak: 90 })], [row({ msMin: 1, percentOfPeak: 60 })]);
    expect(byPeak[0]).toMatchObject({ by: 'per cent of peak', factor: 1.5 });
    const byTime = changes(
      [row({ msMin: 1, percentOfPeak: null })],
      [row({ msMin: 3, percentOfPeak: null })],
    );
    expect(byTime[0]).toMatchObject({ by: 'time', factor: 3 });
    expect(regressions([...byPeak, ...byTime])).toHaveLength(2);
  });

  test('only rows of laminae that both runs have', () => {
    const before = [row({ msMin: 1, threads: 1 }), row({ msMin: 1, contender: 'torch-nchw' })];
    const after = [row({ msMin: 9, threads: 2 }), row({ msMin: 9, contender: 'torch-nchw' })];
    expect(changes(before, after)).toEqual([]);
    expect(compareText([], 'old.json')).toEqual(['compared with old.json: no row in common']);
  });

  test('text: worst first, with place and figures', () => {
    const before = [
      row({ msMin: 1, case: 'a', percentOfPeak: 90 }),
      row({ msMin: 1, case: 'b', percentOfPeak: 90 }),
    ];
    const after = [
      row({ msMin: 1, case: 'a', percentOfPeak: 60 }),
      row({ msMin: 1, case: 'b', percentOfPeak: 30 }),
    ];
    expect(compareText(changes(before, after), 'old.json')).toEqual([
      'compared with old.json: 2 of 2 rows slower by more than 10 %, 0 faster',
      '  3.00x slower: b · forward · 1 thread (per cent of peak 90.0, now 30.0)',
      '  1.50x slower: a · forward · 1 thread (per cent of peak 90.0, now 60.0)',
    ]);
  });
});

describe('reading the earlier file', () => {
  const directory = temporaryDirectory();

  test('missing, no JSON, no report', () => {
    const file = path.join(directory(), 'old.json');
    expect(() => readReport(file)).toThrow(/^--compare .*old\.json: .*ENOENT/);
    fs.writeFileSync(file, 'rows');
    expect(() => readReport(file)).toThrow(/^--compare .*old\.json: .*Unexpected token/);
    fs.writeFileSync(file, '{"row": []}');
    expect(() => readReport(file)).toThrow(/^--compare .*old\.json: not a file that --json wrote$/);
  });
});
