/**
 * What a pass costs at least: arithmetic of the direct algorithm, and compulsory traffic, which counts every tensor
 * that a pass must read or write once. A pass above a few operations per byte is held against the FMA peak, one below
 * against the bandwidth.
 */
import { sizeOf, trace, type Step } from './layer';
import type { Case, Pass, Unit } from './types';

export interface Cost {
  readonly flops: number;
  readonly bytes: number;
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

/** Cost of one layer; containers are counted by what they hold, save for the sum or copy they make themselves. */
function stepCost(step: Step, backward: Backward, isFirst: boolean): { flops: number; bytes: number } {
  const x = sizeOf(step.input);
  const y = sizeOf(step.output);
  const { type } = step.layer;
  if (type === 'flatten' || type === 'dropout') return { flops: 0, bytes: 0 };
  if (type === 'residual' || type === 'branches')
    return { flops: 0, bytes: (backward.any ? 2 : 1) * 3 * y * bytesPerElement };
  const w = weightElements(step);
  const needsInput = backward.any && (!isFirst || backward.inputOfFirst);
  const weightPasses = backward.any && w > 0 ? 1 : 0;
  const flops = step.flops * (1 + (step.flops > 0 ? weightPasses : 0) + (needsInput ? 1 : 0));
  let elements = x + y + w;
  if (weightPasses > 0 || needsInput) elements += y + x; // incoming gradient and saved input (or as large: saved output)
  elements += weightPasses * w + (needsInput ? x + w : 0);
  return { flops, bytes: elements * bytesPerElement };
}

/** The cost of a pass, all layers together. */
export function costOf(benchmark: Case, pass: Pass): Cost {
  const backward = backwardOf[pass];
  if (benchmark.kind === 'add') {
    const elements = sizeOf(benchmark.input) * (backward.any ? 6 : 3);
    return { flops: 0, bytes: elements * bytesPerElement, unit: 'GB/s' };
  }
  if (benchmark.kind === 'crossEntropy') {
    const elements = sizeOf(benchmark.input) * (backward.any ? 3 : 1);
    return { flops: 0, bytes: elements * bytesPerElement, unit: 'GB/s' };
  }
  let flops = 0;
  let bytes = 0;
  trace(benchmark.layers, benchmark.input).steps.forEach((step, i) => {
    const cost = stepCost(step, backward, i === 0);
    flops += cost.flops;
    bytes += cost.bytes;
  });
  return { flops, bytes, unit: flops >= balance * bytes ? 'GFLOP/s' : 'GB/s' };
}
