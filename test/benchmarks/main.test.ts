import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { isExactConv, setExactConv } from 'laminae';
import { main } from '../../benchmarks/main';
import type { Report } from '../../benchmarks/types';
import { temporaryDirectory } from '../support/temporary-directory';

describe('npm run bench', () => {
  const directory = temporaryDirectory();
  let output: string[];
  let errors: string[];

  beforeEach(() => {
    output = [];
    errors = [];
    jest.spyOn(console, 'log').mockImplementation((line) => void output.push(String(line)));
    jest.spyOn(console, 'error').mockImplementation((line) => void errors.push(String(line)));
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  test('a wrong command line: one line and exit code 2', async () => {
    await expect(main(['layers', '--isa', 'mmx'])).resolves.toBe(2);
    expect(errors).toEqual([expect.stringMatching(/^unknown ISA 'mmx': valid are portable/)]);
    expect(output).toEqual([]);
  });

  test('a comparison with a file that is not there is refused before anything runs', async () => {
    await expect(main(['overhead', '--compare', '/nonexistent.json'])).resolves.toBe(2);
    expect(errors).toEqual([expect.stringMatching(/^--compare \/nonexistent\.json: .*ENOENT/)]);
  });

  test('a short run writes rows, machine and versions, a page, and compares with itself', async () => {
    const json = path.join(directory(), 'out', 'rows.json');
    const html = path.join(directory(), 'page.html');
    const args = [
      'overhead',
      '--against',
      'none',
      '--filter',
      'add',
      '--seconds',
      '0.01',
      '--repetitions',
      '2',
    ];
    await expect(main([...args, '--json', json, '--html', html])).resolves.toBe(0);

    const report = JSON.parse(fs.readFileSync(json, 'utf8')) as Report;
    expect(report.rows).toHaveLength(2);
    expect(report.rows[0]).toMatchObject({
      suite: 'overhead',
      case: 'add 4 elements',
      pass: 'forward',
      batch: 4,
      threads: 1,
      contender: 'laminae',
      gflops: null,
      percentOfPeak: null,
      ratioToBestPeer: null,
      wrong: null,
    });
    expect(report.rows[1].pass).toBe('record');
    for (const row of report.rows) {
      expect(row.msMin).toBeGreaterThan(0);
      expect(row.msMedian).toBeGreaterThanOrEqual(row.msMin ?? Infinity);
      expect(row.repetitions).toBeGreaterThanOrEqual(2);
    }
    expect(report.machine.peaks[0].gflops).toBeGreaterThan(1);
    expect(report.versions).toHaveProperty('laminae');
    expect(report.suite).toBe('overhead');

    const page = fs.readFileSync(html, 'utf8');
    expect(page).toContain('<svg');
    expect(page).not.toMatch(/<(script|link)|src=/);

    // Twice as fast before: the same run is now a regression.
    const faster = {
      ...report,
      rows: report.rows.map((row) => ({ ...row, msMin: (row.msMin ?? 0) / 1000 })),
    };
    fs.writeFileSync(json, JSON.stringify(faster));
    await expect(main([...args, '--compare', json])).resolves.toBe(1);
    expect(output.join('\n')).toMatch(/compared with .*: 2 of 2 rows slower by more than 10 %/);
  });

  test('a whole layer is checked against double precision and held against the peak', async () => {
    const json = path.join(directory(), 'layer.json');
    const args = [
      'layers',
      '--filter',
      'linear 400',
      '--threads',
      '1',
      '--against',
      'none',
      '--seconds',
      '0.01',
    ];
    await expect(main([...args, '--repetitions', '2', '--json', json])).resolves.toBe(0);
    const { conditions, rows } = JSON.parse(fs.readFileSync(json, 'utf8')) as Report;
    expect(conditions.join()).not.toContain('Winograd');
    expect(rows.map((row) => row.pass)).toEqual(['forward', 'forward+backward']);
    for (const row of rows) {
      expect(row.wrong).toBeNull();
      expect(row.gflops).toBeGreaterThan(0);
      expect(row.percentOfPeak).toBeGreaterThan(0);
    }
  });

  test('--exact keeps Winograd out, and the report says so', async () => {
    const json = path.join(directory(), 'exact.json');
    const args = ['overhead', '--exact', '--against', 'none', '--filter', 'conv2d', '--seconds', '0.01'];
    try {
      await expect(main([...args, '--repetitions', '2', '--json', json])).resolves.toBe(0);
      expect(isExactConv()).toBe(true);
    } finally {
      setExactConv(false);
    }
    const { conditions } = JSON.parse(fs.readFileSync(json, 'utf8')) as Report;
    expect(conditions.join()).toContain('no Winograd');
  });
});
