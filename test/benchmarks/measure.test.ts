import { describe, expect, test } from '@jest/globals';
import { rank, turnsOf } from '../../benchmarks/measure';
import { geometricMean, median, minimum } from '../../benchmarks/statistics';
import { rowText, summaryText } from '../../benchmarks/text';
import { row } from './rows';

describe('ranking', () => {
  test('the best setting of a contender counts, ratios are to the best other library', () => {
    const ranked = rank([
      row({ msMin: 1 }),
      row({ msMin: 4, contender: 'torch-nchw', setting: 'tuned' }),
      row({ msMin: 3, contender: 'torch-nchw', setting: 'plain' }),
      row({ msMin: 2, contender: 'torch-channels_last', setting: 'tuned' }),
    ]);
    expect(ranked.map((r) => [r.contender, r.setting, r.ratioToBestPeer])).toEqual([
      ['laminae', '', 2],
      ['torch-nchw', 'plain', 2 / 3],
      ['torch-channels_last', 'tuned', 1],
    ]);
  });

  test('without others there is no ratio', () => {
    expect(rank([row({ msMin: 1 })])[0].ratioToBestPeer).toBeNull();
  });
});

describe('turns', () => {
  const entrant = (library: string, name: string) => ({ contender: { library, name } });
  const names = (turns: readonly { contender: { name: string } }[]): string =>
    turns.map(({ contender }) => contender.name).join(' ');

  test('libraries alternate, and each has as many turns as the one with most entrants', () => {
    const all = [
      entrant('l', 'l'),
      entrant('t', 't1'),
      entrant('t', 't2'),
      entrant('t', 't3'),
      entrant('o', 'o'),
    ];
    expect(names(turnsOf(all, 0))).toBe('l t1 o l t2 o l t3 o');
    expect(names(turnsOf(all, 1))).toBe('t2 o l t3 o l t1 o l');
  });

  test('a single contender has one', () => {
    expect(names(turnsOf([entrant('l', 'l')], 3))).toBe('l');
    expect(turnsOf([], 0)).toEqual([]);
  });
});

describe('statistics', () => {
  test('median, minimum and geometric mean', () => {
    expect(median(Float64Array.of(9, 1, 5))).toBe(5);
    expect(median(Float64Array.of(9, 1, 5, 6))).toBe(5.5);
    expect(minimum(Float64Array.of(9, 1, 5))).toBe(1);
    expect(geometricMean([1, 4, 16])).toBeCloseTo(4, 12);
  });
});

describe('text', () => {
  test('a row: times, rate, per cent and ratio', () => {
    const text = rowText(row({ msMin: 0.1234, ratioToBestPeer: 2.5 }));
    expect(text).toMatch(/^ {2}laminae +0\.123 ms {2}median 0\.136 ms +12\.0 GB\/s +50 % of peak +2\.50x$/);
  });

  test('a training step: samples and page faults', () => {
    const step = row({ suite: 'train', msMin: 10, samplesPerSecond: 25_600, pageFaultsPerStep: 0 });
    expect(rowText(step)).toMatch(/25600 samples\/s .*0 faults\/step$/);
  });

  test('microseconds for overhead', () => {
    expect(rowText(row({ suite: 'overhead', msMin: 0.0012, percentOfPeak: null }))).toMatch(
      /1\.20 µs {2}median 1\.32 µs/,
    );
  });

  test('a contender that is wrong has no numbers', () => {
    const wrong = {
      ...row({ msMin: 1 }),
      msMin: null,
      msMedian: null,
      wrong: 'wrong, not ranked: output is off',
    };
    expect(rowText(wrong)).toMatch(/^ {2}laminae +wrong, not ranked: output is off$/);
  });

  test('the summary has the geometric mean per thread count, and every row that loses', () => {
    const lines = summaryText([
      row({ msMin: 2, ratioToBestPeer: 4 }),
      row({ msMin: 2, ratioToBestPeer: 1, case: 'add' }),
      row({ msMin: 1, ratioToBestPeer: 0.5, threads: 2 }),
      row({ msMin: 1, ratioToBestPeer: 1, threads: 2, contender: 'torch-nchw' }),
    ]);
    expect(lines).toEqual([
      '1 thread: laminae is 2.00x as fast as the best of the others (geometric mean of 2 rows, lowest 1.00x)',
      '2 threads: laminae is 0.50x as fast as the best of the others (geometric mean of 1 rows, lowest 0.50x)',
      'slower than the best peer: relu · forward · 2 threads: 0.50x',
      '2 threads: 2.00x the speed of one thread (geometric mean of 1 rows)',
    ]);
  });
});
