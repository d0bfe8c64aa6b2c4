/** Inputs and initial values of a case: drawn once, held in memory, and written to one file for other processes. */
import fs from 'node:fs';
import path from 'node:path';
import { sizeOf, trace, type Shape } from './layer';
import type { Arrays, Case, CaseData } from './types';

/** Uniform numbers in [0, 1), the same in every run (Steele and Vigna, "splitmix", with 32 bits). */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 8) / 2 ** 24;
  };
}

function uniform(random: () => number, count: number, low: number, high: number): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = low + (high - low) * random();
  return values;
}

/** A vector of class indices, one for each example. */
function classes(random: () => number, count: number, classCount: number): Int32Array {
  return Int32Array.from({ length: count }, () => Math.floor(random() * classCount));
}

/**
 * The data of `benchmark`, with a copy in a file below `directory`. Inputs are uniform in [-1, 1), without zeros and
 * denormals to speak of.
 */
export function makeCaseData(benchmark: Case, directory: string): CaseData {
  const random = makeRandom(1);
  const { input } = benchmark;
  const traced = trace(benchmark.layers, input);
  const outputShape: Shape = benchmark.kind === 'network' ? traced.output : input;
  const inputs = Array.from({ length: benchmark.kind === 'add' ? 2 : 1 }, () =>
    uniform(random, sizeOf(input), -1, 1),
  );
  const arrays: Arrays = {
    inputs,
    gradient: uniform(random, sizeOf(outputShape), -1, 1),
    target: classes(random, outputShape[0], outputShape[1] ?? 1),
    state: new Map(traced.state.map((e) => [e.path, uniform(random, sizeOf(e.shape), e.low, e.high)])),
  };
  const file = path.join(directory, `case-${fs.readdirSync(directory).length}.bin`);
  const handle = fs.openSync(file, 'w');
  for (const array of [...inputs, arrays.gradient, arrays.target, ...arrays.state.values()]) {
    fs.writeSync(handle, new Uint8Array(array.buffer));
  }
  fs.closeSync(handle);
  return {
    case: benchmark,
    arrays,
    outputShape,
    stateShapes: new Map(traced.state.map((e) => [e.path, e.shape])),
    file,
  };
}

/** Frees the disk space of a case that is done. */
export function dropCaseData(data: CaseData): void {
  fs.rmSync(data.file, { force: true });
}
