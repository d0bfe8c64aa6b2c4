/** What the parts of the benchmark hand to one another: cases, jobs, contenders, rows. */
import type { Layer, Shape } from './layer';

export const suites = ['layers', 'networks', 'train', 'overhead', 'roofline'] as const;
export type Suite = (typeof suites)[number];

/**
 * forward: without recording. record: forward with what backward needs kept. forward+backward: gradients of the input
 * and all weights. forward+backward (weights): only of the weights, as in the first layer of a network. step: zero
 * gradients, forward, cross entropy, backward, SGD with momentum.
 */
export type Pass = 'forward' | 'record' | 'forward+backward' | 'forward+backward (weights)' | 'step';

/** One line of the tables in `cases/`. */
export interface Case {
  /** Unique within its suite; what `--filter` looks at. */
  readonly name: string;
  /** A network (or a single layer), the sum of two inputs, or cross entropy of input rows against class indices. */
  readonly kind: 'network' | 'add' | 'crossEntropy';
  readonly layers: readonly Layer[];
  /** Batch first. */
  readonly input: Shape;
  readonly passes: readonly Pass[];
  /** Batch norm by batch statistics, dropout active. */
  readonly training: boolean;
}

/** One row: a case and a pass on a number of threads. */
export interface Job {
  readonly suite: Suite;
  readonly case: Case;
  readonly pass: Pass;
  readonly threads: number;
}

export type Precision = 'float32' | 'float64';

/** Values that all contenders start from. */
export interface Arrays {
  /** Row-major, layout [n, c, h, w]. */
  readonly inputs: readonly Float32Array[];
  /** Incoming gradient of the output, for passes that go backward from more than a loss. */
  readonly gradient: Float32Array;
  /** Class of each example, for losses. */
  readonly target: Int32Array;
  readonly state: ReadonlyMap<string, Float32Array>;
}

/** Arrays of one case in memory, and in one file for contenders of another process. */
export interface CaseData {
  readonly case: Case;
  readonly arrays: Arrays;
  readonly outputShape: Shape;
  readonly stateShapes: ReadonlyMap<string, Shape>;
  /** Inputs, gradient, target and state, one after the other in that order, 4 bytes an element. */
  readonly file: string;
}

/** A named result: "output", "loss", "gradient of 0.weight" … in [n, c, h, w] layout. */
export interface NamedValues {
  readonly name: string;
  readonly values: Float32Array | Float64Array;
}

export interface BlockTiming {
  /** Milliseconds of each repetition. */
  readonly ms: Float64Array;
  /** Minor page faults of the process during all of them, where it is known. */
  readonly pageFaults: number | null;
}

/** A contender that is ready to run one job. */
export interface Prepared {
  /** Runs once, with dropout off, on fresh state, and gives everything that has to agree. */
  check(): Promise<NamedValues[]>;
  /** Runs `repetitions` times, each of `inner` calls; the times are those of one call. */
  time(repetitions: number, inner: number): Promise<BlockTiming>;
  dispose(): Promise<void>;
}

/** A library, or one way to use it. */
export interface Contender {
  /** Name in rows: "laminae", "torch-nchw" … */
  readonly name: string;
  /** Whose: contenders of one library are ways to use it, of which the fastest counts. */
  readonly library: string;
  /** Ways of running the same contender that are tried in the same run; the best one counts. */
  readonly setting: string;
  readonly version: string;
  /** Null if this contender cannot do the job at all. */
  prepare(job: Job, data: CaseData): Promise<Prepared | null>;
  /** The results in double precision, if this contender can be the reference for outputs. */
  reference?(job: Job, data: CaseData): Promise<NamedValues[]>;
  close(): Promise<void>;
}

/** How rows are read: by arithmetic, or by the memory they move. */
export type Unit = 'GFLOP/s' | 'GB/s';

/** One measured contender of one job, as it stands in the JSON file. */
export interface Row {
  readonly suite: Suite;
  readonly case: string;
  readonly pass: Pass;
  readonly batch: number;
  readonly threads: number;
  readonly contender: string;
  /** Null for a contender that is not ranked. */
  readonly msMin: number | null;
  readonly msMedian: number | null;
  readonly repetitions: number;
  /** Multiply-adds of the direct algorithm; null for rows without matrix products. */
  readonly gflops: number | null;
  readonly gbps: number | null;
  /** Of the FMA peak, or of the read bandwidth for a working set of this size, measured beside the row. */
  readonly percentOfPeak: number | null;
  /** Time of the best other library ÷ own time: above 1 is faster. */
  readonly ratioToBestPeer: number | null;
  /** Which setting of the contender was the best. */
  readonly setting: string;
  readonly samplesPerSecond: number | null;
  readonly pageFaultsPerStep: number | null;
  /** Why the output is wrong; such a contender is neither timed nor ranked. */
  readonly wrong: string | null;
}

/** FMA peak and bandwidths of the machine on one number of threads. */
export interface MachinePeaks {
  readonly threads: number;
  readonly gflops: number;
  readonly readBandwidth: readonly { readonly bytes: number; readonly gbps: number }[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly peaks: readonly MachinePeaks[];
}

/** The JSON file. */
export interface Report {
  readonly date: string;
  readonly suite: Suite;
  readonly machine: Machine;
  readonly isa: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly conditions: readonly string[];
  readonly rows: readonly Row[];
}
