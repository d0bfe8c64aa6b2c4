/**
 * What a pass costs at least: arithmetic of the direct algorithm, and compulsory traffic, which counts every tensor
 * that a pass must read or write once. A pass above a few operations per byte is held against the FMA peak, one below
 * against the bandwidth.
 */
import { sizeOf, trace, type Step } from './layer';
import type { Case, Pass, Unit } from './types';

export interface Cost {
  readonly flops: number;
  /** Read and written. */
  readonly bytes: number;
  /** Size of all tensors that take part. */
  readonly workingSet: number;
  readonly unit: Unit;
}

/** Operations per byte from which arithmetic is the limit: well below the balance of any machine with SIMD. */
const balance = 4;
const bytesPerElement = 4;

interface Backward {
  readonly any: boolean;
  readonly inputOfFirst: boolean;
}

const backwardOf: Readonly<Record<Pass, Backward>> = {
  forward: { any: false, inputOfFirst: false },
  record: { any: false, inputOfFirst: false },
  'forward+backward': { any: true, inputOfFirst: true },
  'forward+backward (weights)': { any: true, inputOfFirst: false },
  step: { any: true, inputOfFirst: false },
};

function weightElements(step: Step): number {
  return trace([step.layer], step.input).state.reduce((n, entry) => n + sizeOf(entry.shape), 0);
}

type Amounts = Omit<Cost, 'unit'>;

/** Cost of one layer; containers are counted by what they hold, save for the sum or copy they make themselves. */
function stepCost(step: Step, backward: Backward, isFirst: boolean): Amounts {
  const x = sizeOf(step.input);
  const y = sizeOf(step.output);
  const passes = backward.any ? 2 : 1;
  const { type } = step.layer;
  if (type === 'flatten' || type === 'dropout') return { flops: 0, bytes: 0, workingSet: 0 };
  if (type === 'residual' || type === 'branches') {
    return {
      flops: 0,
      bytes: passes * 3 * y * bytesPerElement,
      workingSet: passes * 3 * y * bytesPerElement,
    };
  }
  const w = weightElements(step);
  const needsInput = backward.any && (!isFirst || backward.inputOfFirst);
  const needsWeights = backward.any && w > 0;
  const products = 1 + (needsWeights ? 1 : 0) + (needsInput ? 1 : 0);
  let moved = x + y + w;
  let held = x + y + w;
  if (needsInput || needsWeights) {
    moved += y + x; // incoming gradient; saved input, or output of the same size
    held += y;
  }
  if (needsWeights) {
    moved += w;
    held += w;
  }
  if (needsInput) {
    moved += x + w;
    held += x;
  }
  return { flops: step.flops * products, bytes: moved * bytesPerElement, workingSet: held * bytesPerElement };
}

/** For cases of one plain function of `n` elements. */
function plainCost(n: number, moved: number, held: number): Cost {
  return {
    flops: 0,
    bytes: n * moved * bytesPerElement,
    workingSet: n * held * bytesPerElement,
    unit: 'GB/s',
  };
}

/** The cost of a pass, all layers together. */
export function costOf(benchmark: Case, pass: Pass): Cost {
  const backward = backwardOf[pass];
  const n = sizeOf(benchmark.input);
  // Backward of a sum copies the incoming gradient twice.
  if (benchmark.kind === 'add') return backward.any ? plainCost(n, 6, 6) : plainCost(n, 3, 3);
  if (benchmark.kind === 'crossEntropy') return backward.any ? plainCost(n, 3, 2) : plainCost(n, 1, 1);
  const total = { flops: 0, bytes: 0, workingSet: 0 };
  trace(benchmark.layers, benchmark.input).steps.forEach((step, i) => {
    const cost = stepCost(step, backward, i === 0);
    total.flops += cost.flops;
    total.bytes += cost.bytes;
    total.workingSet += cost.workingSet;
  });
  return { ...total, unit: total.flops >= balance * total.bytes ? 'GFLOP/s' : 'GB/s' };
}
