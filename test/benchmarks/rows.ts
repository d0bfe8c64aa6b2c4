/** A row of the benchmark for tests of what is done with rows. */
import type { Row } from '../../benchmarks/types';

export type TimedRow = Row & { readonly msMin: number };

export function row(values: Partial<Row> & { readonly msMin: number }): TimedRow {
  return {
    suite: 'layers',
    case: 'relu',
    pass: 'forward',
    batch: 8,
    threads: 1,
    contender: 'laminae',
    msMedian: values.msMin * 1.1,
    repetitions: 10,
    gflops: null,
    gbps: 12,
    percentOfPeak: 50,
    ratioToBestPeer: null,
    setting: '',
    samplesPerSecond: null,
    pageFaultsPerStep: null,
    wrong: null,
    ...values,
  };
}
