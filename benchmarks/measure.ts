/**
 * One row: prepares every contender, compares what they compute, and then times them in turns.
 *
 * Clocks drift by tens of per cent within minutes, so contenders take turns in short blocks, several rounds of them,
 * and the order moves on with each round (see {@link turnsOf}). The roofs of the machine are measured in the same rounds.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { disagreement } from './agreement';
import { costOf, type Cost } from './cost';
import { fmaPeak, readBandwidth } from './machine';
import { median, minimum } from './statistics';
import type { CaseData, Contender, Job, NamedValues, Prepared, Row } from './types';

export interface MeasureSettings {
  /** Timed seconds of each contender; of one whose library has fewer settings than others, as often as it takes turns. */
  readonly seconds: number;
  /** Least repetitions of each contender. */
  readonly repetitions: number;
}

const maxRounds = 5;
/** Calls shorter than this are timed together: the clock has a resolution, and reading it a price. */
const minTimedMs = 0.05;
const warmUpMs = 60;
/** Above this many milliseconds, a block has no repetition to throw away: cold caches no longer count. */
const longCallMs = 50;
/**
 * Threads of other libraries spin after their work before they sleep: those of OpenMP for up to 6 ms, those of OpenBLAS
 * for 2^26 ticks (30 ms). The next contender must not share the cores with them, and forbidding them to spin would
 * slow their own library down.
 */
const settleMs = 40;
/** A contender that needs this many times its share of seconds for the least repetitions gets fewer of them. */
const patience = 12;

interface Entrant {
  readonly contender: Contender;
  readonly prepared: Prepared;
  /** Milliseconds of one call, roughly. */
  estimate: number;
  inner: number;
  readonly blocks: Float64Array[];
  pageFaults: number | null;
  calls: number;
}

/** What a contender that could not take part has to say. */
interface Failure {
  readonly contender: Contender;
  readonly text: string;
}

interface Roofs {
  gflops: number;
  gbps: number;
}

async function enter(
  contender: Contender,
  job: Job,
  data: CaseData,
  reference: readonly NamedValues[],
): Promise<Entrant | Failure | null> {
  let prepared: Prepared | null = null;
  let text: string | null;
  try {
    prepared = await contender.prepare(job, data);
    if (prepared === null) return null;
    const wrong = disagreement(job.suite, await prepared.check(), reference);
    text = wrong === null ? null : `wrong, not ranked: ${wrong}`;
  } catch (error) {
    text = `cannot run this: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`;
  }
  if (text === null && prepared !== null) {
    return { contender, prepared, estimate: 0, inner: 1, blocks: [], pageFaults: null, calls: 0 };
  }
  await prepared?.dispose();
  return { contender, text: text ?? '' };
}

async function settle(job: Job): Promise<void> {
  if (job.threads > 1) await sleep(settleMs);
}

/** Runs until code is compiled, caches are warm and the duration is known. */
async function warmUp(entrant: Entrant): Promise<void> {
  const first = minimum((await entrant.prepared.time(1, 1)).ms);
  let estimate = first;
  for (let spent = first; spent < warmUpMs;) {
    const repetitions = Math.min(Math.max(Math.floor((warmUpMs - spent) / 2 / estimate), 1), 20_000);
    const { ms } = await entrant.prepared.time(repetitions, 1);
    estimate = Math.min(estimate, median(ms));
    spent += ms.reduce((sum, t) => sum + t, 0);
  }
  entrant.estimate = estimate;
  entrant.inner = Math.ceil(minTimedMs / Math.max(estimate, minTimedMs / 1000));
}

async function timeBlock(entrant: Entrant, repetitions: number): Promise<void> {
  const untimed = entrant.estimate < longCallMs ? 1 : 0;
  const { ms, pageFaults } = await entrant.prepared.time(repetitions + untimed, entrant.inner);
  entrant.blocks.push(ms.subarray(untimed));
  if (pageFaults !== null) entrant.pageFaults = (entrant.pageFaults ?? 0) + pageFaults;
  entrant.calls += (repetitions + untimed) * entrant.inner;
}

function probeRoofs(job: Job, cost: Cost, roofs: Roofs): void {
  const needsBandwidth = cost.unit === 'GB/s' || job.suite === 'roofline';
  roofs.gflops = Math.max(roofs.gflops, fmaPeak(job.threads, 0.004));
  if (needsBandwidth) roofs.gbps = Math.max(roofs.gbps, readBandwidth(job.threads, cost.workingSet, 0.008));
}

function repetitionsFor(entrant: Entrant, settings: MeasureSettings): number {
  const bySeconds = (settings.seconds * 1000) / (entrant.estimate * entrant.inner);
  return Math.ceil(Math.max(Math.min(settings.repetitions, bySeconds * patience), bySeconds, 1));
}

/**
 * The order of a round: libraries take turns, and each has as many as the one with most entrants. A virtual machine is
 * slow and fast for seconds at a time, so the least time of a library in six settings is the least of six draws, even
 * where the settings make no difference; a library with one setting draws as often.
 */
export function turnsOf<T extends { readonly contender: { readonly library: string } }>(
  entrants: readonly T[],
  round: number,
): T[] {
  const libraries = new Map<string, T[]>();
  for (const entrant of entrants) {
    const { library } = entrant.contender;
    libraries.set(library, [...(libraries.get(library) ?? []), entrant]);
  }
  const groups = [...libraries.values()];
  const most = Math.max(0, ...groups.map((group) => group.length));
  const turns: T[] = [];
  for (let turn = round; turn < round + most; turn++) {
    for (let g = 0; g < groups.length; g++) {
      const group = groups[(g + round) % groups.length];
      turns.push(group[turn % group.length]);
    }
  }
  return turns;
}

async function timeInTurns(
  job: Job,
  cost: Cost,
  entrants: readonly Entrant[],
  settings: MeasureSettings,
): Promise<Roofs> {
  const roofs: Roofs = { gflops: 0, gbps: 0 };
  for (const entrant of entrants) {
    await settle(job);
    await warmUp(entrant);
  }
  const rounds = Math.min(maxRounds, settings.repetitions);
  for (let round = 0; round < rounds; round++) {
    await settle(job);
    probeRoofs(job, cost, roofs);
    for (const entrant of turnsOf(entrants, round)) {
      const wanted = repetitionsFor(entrant, settings);
      if (round >= wanted) continue;
      await settle(job);
      await timeBlock(entrant, Math.ceil(wanted / rounds));
    }
  }
  return roofs;
}

function allTimes(entrant: Entrant): Float64Array {
  const all = new Float64Array(entrant.blocks.reduce((n, block) => n + block.length, 0));
  let at = 0;
  for (const block of entrant.blocks) {
    all.set(block, at);
    at += block.length;
  }
  return all;
}

/** Per cent of what the machine gives: of the FMA peak, of the bandwidth, or of the lower of the two roofs. */
export function percentOfPeak(job: Job, cost: Cost, ms: number, roofs: Roofs): number | null {
  const gflops = cost.flops / ms / 1e6;
  const gbps = cost.bytes / ms / 1e6;
  if (job.suite === 'overhead' || (cost.flops === 0 && cost.bytes === 0)) return null;
  if (job.suite === 'roofline') return 100 * Math.max(gflops / roofs.gflops, gbps / roofs.gbps);
  return cost.unit === 'GFLOP/s' ? (100 * gflops) / roofs.gflops : (100 * gbps) / roofs.gbps;
}

function makeRow(job: Job, contender: Contender): Row {
  return {
    suite: job.suite,
    case: job.case.name,
    pass: job.pass,
    batch: job.case.input[0],
    threads: job.threads,
    contender: contender.name,
    msMin: null,
    msMedian: null,
    repetitions: 0,
    gflops: null,
    gbps: null,
    percentOfPeak: null,
    ratioToBestPeer: null,
    setting: contender.setting,
    samplesPerSecond: null,
    pageFaultsPerStep: null,
    wrong: null,
  };
}

function timedRow(job: Job, cost: Cost, roofs: Roofs, entrant: Entrant): Row & { readonly msMin: number } {
  const times = allTimes(entrant);
  const msMin = minimum(times);
  const isStep = job.pass === 'step';
  const both = job.suite === 'roofline';
  return {
    ...makeRow(job, entrant.contender),
    msMin,
    msMedian: median(times),
    repetitions: times.length * entrant.inner,
    gflops: cost.flops > 0 && (both || cost.unit === 'GFLOP/s') ? cost.flops / msMin / 1e6 : null,
    gbps: job.suite !== 'overhead' && (both || cost.unit === 'GB/s') ? cost.bytes / msMin / 1e6 : null,
    percentOfPeak: percentOfPeak(job, cost, msMin, roofs),
    samplesPerSecond: isStep ? job.case.input[0] / (msMin / 1000) : null,
    pageFaultsPerStep: isStep && entrant.pageFaults !== null ? entrant.pageFaults / entrant.calls : null,
  };
}

/** Of several settings of one contender, the fastest; then every row's ratio to the best of the other libraries. */
export function rank(rows: readonly (Row & { readonly msMin: number })[]): Row[] {
  const best = new Map<string, Row & { readonly msMin: number }>();
  for (const row of rows) {
    const known = best.get(row.contender);
    if (known === undefined || row.msMin < known.msMin) best.set(row.contender, row);
  }
  const peers = [...best.values()].filter((row) => row.contender !== 'laminae');
  const bestPeer = Math.min(...peers.map((row) => row.msMin));
  return [...best.values()].map((row) => ({
    ...row,
    ratioToBestPeer: peers.length === 0 ? null : bestPeer / row.msMin,
  }));
}

/** The rows of a job: timed contenders first, then those that failed. */
export async function measure(
  job: Job,
  data: CaseData,
  contenders: readonly Contender[],
  reference: readonly NamedValues[],
  settings: MeasureSettings,
): Promise<Row[]> {
  const entrants: Entrant[] = [];
  const failures: Failure[] = [];
  for (const contender of contenders) {
    const result = await enter(contender, job, data, reference);
    if (result === null) continue;
    if ('text' in result) failures.push(result);
    else entrants.push(result);
  }
  const cost = costOf(job.case, job.pass);
  const roofs = await timeInTurns(job, cost, entrants, settings);
  for (const entrant of entrants) await entrant.prepared.dispose();
  const ranked = rank(entrants.map((entrant) => timedRow(job, cost, roofs, entrant)));
  return [...ranked, ...failures.map(({ contender, text }) => ({ ...makeRow(job, contender), wrong: text }))];
}
