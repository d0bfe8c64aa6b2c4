/** The rows as text. */
import { geometricMean } from './statistics';
import type { Job, MachinePeaks, Row, Suite } from './types';

function number(value: number, digits = 3): string {
  if (value >= 10 ** (digits - 1)) return value.toFixed(0);
  if (value === 0) return '0';
  return value < 0.001 ? value.toFixed(6) : value.toPrecision(digits);
}

/** Overhead is a matter of microseconds. */
function time(ms: number, suite: Suite): string {
  return suite === 'overhead' ? `${number(ms * 1000)} µs` : `${number(ms)} ms`;
}

function rate(row: Row): string {
  const parts = [];
  if (row.gflops !== null) parts.push(`${number(row.gflops)} GFLOP/s`);
  if (row.gbps !== null) parts.push(`${number(row.gbps)} GB/s`);
  if (row.samplesPerSecond !== null) parts.push(`${number(row.samplesPerSecond)} samples/s`);
  return parts.join('  ');
}

export function threadsText(threads: number): string {
  return threads === 1 ? '1 thread' : `${threads} threads`;
}

/** Headline of a job. */
export function jobTitle(job: Job): string {
  return `${job.case.name} · ${job.pass} · ${threadsText(job.threads)}`;
}

/** One line for one contender. */
export function rowText(row: Row): string {
  const setting = row.setting === '' ? '' : ` (${row.setting})`;
  const name = `  ${row.contender}${setting}`.padEnd(30);
  if (row.msMin === null || row.msMedian === null) return `${name}${row.wrong ?? ''}`;
  const times = `${time(row.msMin, row.suite).padStart(9)}  median ${time(row.msMedian, row.suite)}`;
  const percent = row.percentOfPeak === null ? '' : `${row.percentOfPeak.toFixed(0)} % of peak`;
  const ratio = row.ratioToBestPeer === null ? '' : `${number(row.ratioToBestPeer)}x`;
  const faults = row.pageFaultsPerStep === null ? '' : `${number(row.pageFaultsPerStep)} faults/step`;
  const columns = [
    times.padEnd(29),
    rate(row).padEnd(row.samplesPerSecond === null ? 14 : 32),
    percent.padEnd(15),
    ratio,
  ];
  return `${name}${columns.join(' ')}  ${faults}`.trimEnd();
}

const ours = (rows: readonly Row[]): Row[] => rows.filter((row) => row.contender === 'laminae');

/** Geometric means of laminae against the best peer, by number of threads, and the rows that lose. */
export function summaryText(rows: readonly Row[]): string[] {
  const lines: string[] = [];
  const ranked = ours(rows).filter((row) => row.ratioToBestPeer !== null);
  for (const threads of new Set(ranked.map((row) => row.threads))) {
    const ratios = ranked.filter((row) => row.threads === threads).map((row) => row.ratioToBestPeer ?? NaN);
    const mean = geometricMean(ratios).toFixed(2);
    const slowest = Math.min(...ratios).toFixed(2);
    lines.push(
      `${threadsText(threads)}: laminae is ${mean}x as fast as the best of the others ` +
        `(geometric mean of ${ratios.length} rows, lowest ${slowest}x)`,
    );
  }
  const slower = ranked.filter((row) => (row.ratioToBestPeer ?? 1) < 1);
  for (const row of slower) {
    const ratio = (row.ratioToBestPeer ?? NaN).toFixed(2);
    lines.push(
      `slower than the best peer: ${row.case} · ${row.pass} · ${threadsText(row.threads)}: ${ratio}x`,
    );
  }
  lines.push(...scalingText(rows));
  return lines;
}

/** How much the most threads help, where there are rows to see it. */
function scalingText(rows: readonly Row[]): string[] {
  const single = new Map(
    ours(rows).flatMap((row) =>
      row.threads === 1 && row.msMin !== null ? [[`${row.case}|${row.pass}`, row.msMin]] : [],
    ),
  );
  const most = Math.max(...rows.map((row) => row.threads));
  const gains = ours(rows).flatMap((row) => {
    const alone = single.get(`${row.case}|${row.pass}`);
    return row.threads === most && most > 1 && row.msMin !== null && alone !== undefined
      ? [alone / row.msMin]
      : [];
  });
  if (gains.length === 0) return [];
  return [
    `${threadsText(most)}: ${geometricMean(gains).toFixed(2)}x the speed of one thread (geometric mean of ${gains.length} rows)`,
  ];
}

function bytesText(bytes: number): string {
  return bytes >= 2 ** 20 ? `${bytes / 2 ** 20} MiB` : `${bytes / 2 ** 10} KiB`;
}

/** The roofs of the machine. */
export function peaksText(peaks: MachinePeaks): string {
  const reads = peaks.readBandwidth
    .map(({ bytes, gbps }) => `${bytesText(bytes)} ${number(gbps)}`)
    .join(', ');
  return `${threadsText(peaks.threads)}: FMA peak ${number(peaks.gflops)} GFLOP/s; read GB/s by working set: ${reads}`;
}
