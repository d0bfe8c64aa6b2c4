/**
 * What became slower since an earlier JSON file.
 *
 * Milliseconds of two runs cannot be compared: the machine drifts. Ratios to the same peer of the same run can; without
 * a peer, the per cent of a roof measured beside the row; and only without both, the time.
 */
import fs from 'node:fs';
import { UsageError } from './options';
import type { Report, Row } from './types';

/** Smaller changes are noise. */
const threshold = 1.1;

export interface Change {
  readonly row: Row;
  /** How many times slower: above 1 is worse. */
  readonly factor: number;
  readonly by: 'ratio to the best peer' | 'per cent of peak' | 'time';
  readonly before: number;
  readonly after: number;
}

const keyOf = (row: Row): string => [row.suite, row.case, row.pass, row.threads, row.contender].join('|');

function changeOf(before: Row, after: Row): Change | null {
  const measures = [
    {
      by: 'ratio to the best peer',
      before: before.ratioToBestPeer,
      after: after.ratioToBestPeer,
      moreIsBetter: true,
    },
    { by: 'per cent of peak', before: before.percentOfPeak, after: after.percentOfPeak, moreIsBetter: true },
    { by: 'time', before: before.msMin, after: after.msMin, moreIsBetter: false },
  ] as const;
  for (const m of measures) {
    if (m.before === null || m.after === null) continue;
    const factor = m.moreIsBetter ? m.before / m.after : m.after / m.before;
    return { row: after, factor, by: m.by, before: m.before, after: m.after };
  }
  return null;
}

/** Changes of laminae's rows that both reports have, worst first. */
export function changes(before: readonly Row[], after: readonly Row[]): Change[] {
  const earlier = new Map(before.map((row) => [keyOf(row), row]));
  return after
    .filter((row) => row.contender === 'laminae')
    .flatMap((row) => {
      const old = earlier.get(keyOf(row));
      const change = old === undefined ? null : changeOf(old, row);
      return change === null ? [] : [change];
    })
    .sort((a, b) => b.factor - a.factor);
}

export const regressions = (list: readonly Change[]): Change[] =>
  list.filter((change) => change.factor > threshold);

/** The comparison as lines of text. */
export function compareText(list: readonly Change[], file: string): string[] {
  if (list.length === 0) return [`compared with ${file}: no row in common`];
  const worse = regressions(list);
  const better = list.filter((change) => change.factor < 1 / threshold).length;
  const head = `compared with ${file}: ${worse.length} of ${list.length} rows slower by more than 10 %, ${better} faster`;
  return [
    head,
    ...worse.map(({ row, factor, by, before, after }) => {
      const place = `${row.case} · ${row.pass} · ${row.threads} thread${row.threads === 1 ? '' : 's'}`;
      return `  ${factor.toFixed(2)}x slower: ${place} (${by} ${before.toPrecision(3)}, now ${after.toPrecision(3)})`;
    }),
  ];
}

/** Reads a JSON file of an earlier run. @throws UsageError if it is none */
export function readReport(file: string): Report {
  let report: unknown;
  try {
    report = JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`--compare ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof report !== 'object' || report === null || !('rows' in report) || !Array.isArray(report.rows)) {
    throw new UsageError(`--compare ${file}: not a file that --json wrote`);
  }
  return report as Report;
}
