/** What this machine is, and what it gives at best, measured in this process (native/core/machine_probe.h). */
import os from 'node:os';
import path from 'node:path';
import { setNumThreads } from 'laminae';
import loadAddon from 'node-gyp-build';
import type { Machine, MachinePeaks } from './types';

/** The one function of the addon that is no part of the library: it measures the machine. */
interface Probe {
  benchmarkProbe(seconds: number, bytes: number): number;
}

let probe: Probe | null = null;

function loadProbe(): Probe {
  probe ??= loadAddon(path.join(__dirname, '..')) as Probe;
  return probe;
}

const minReadBytes = 2 ** 16;
const maxReadBytes = 2 ** 28;

/** FMA peak of `threads` threads on the instruction set in use, GFLOP/s. */
export function fmaPeak(threads: number, seconds: number): number {
  setNumThreads(threads);
  return loadProbe().benchmarkProbe(seconds, 0) / 1e9;
}

/** Bandwidth at which `threads` threads read a working set of `bytes` over and over, GB/s. */
export function readBandwidth(threads: number, bytes: number, seconds: number): number {
  setNumThreads(threads);
  const size = Math.round(Math.min(Math.max(bytes, minReadBytes), maxReadBytes));
  return loadProbe().benchmarkProbe(seconds, size) / 1e9;
}

/** Working sets for the table: each cache level of common machines has a size of its own here. */
const workingSets = [
  2 ** 16,
  2 ** 19,
  2 ** 20,
  2 ** 21,
  2 ** 22,
  2 ** 23,
  2 ** 24,
  2 ** 25,
  2 ** 26,
  2 ** 28,
];

export function measurePeaks(threads: number, sets: readonly number[] = workingSets): MachinePeaks {
  return {
    threads,
    gflops: fmaPeak(threads, 0.05),
    readBandwidth: sets.map((bytes) => ({ bytes, gbps: readBandwidth(threads, bytes, 0.03) })),
  };
}

export function describeMachine(peaks: readonly MachinePeaks[]): Machine {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    peaks,
  };
}
