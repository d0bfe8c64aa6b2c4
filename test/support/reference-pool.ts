// Max, average, adaptive and power-average pooling over any number of spatial dimensions; unpooling.
//
// The windows of one plane are listed first (which elements each reads); every plane [..., spatial] uses them.
import type { CaseRecord, CaseValue } from './case-values';
import { flagOf, listOf, numberOf, numbersOf, sizesOf, tensorOf } from './case-values';
import type { NdArray } from './nd-array';
import { flatIndex, forEachIndex, sizeOf, zeros } from './nd-array';
import type { Oracle, OracleResult } from './reference-core';
import { linearOp } from './reference-core';

interface PoolWindow {
  /** Positions in the plane, padding left out, in row-major order. */
  readonly offsets: readonly number[];
  /** Elements of the window counting the padding on both sides, but not what ceilMode adds beyond it. */
  readonly padded: number;
}

interface Windows {
  readonly outSize: readonly number[];
  readonly list: readonly PoolWindow[];
}

interface Range {
  readonly positions: readonly number[];
  readonly padded: number;
}

/** The windows of a plane are the products of the ranges of its dimensions. */
function product(size: readonly number[], ranges: readonly (readonly Range[])[]): Windows {
  const outSize = ranges.map((list) => list.length);
  const list: PoolWindow[] = [];
  forEachIndex(outSize, (o) => {
    const chosen = ranges.map((perDim, d) => perDim[o[d]]);
    const offsets: number[] = [];
    forEachIndex(
      chosen.map((range) => range.positions.length),
      (k) => {
        offsets.push(
          flatIndex(
            chosen.map((range, d) => range.positions[k[d]]),
            size,
          ),
        );
      },
    );
    list.push({ offsets, padded: chosen.reduce((count, range) => count * range.padded, 1) });
  });
  return { outSize, list };
}

function slidingRanges(
  size: number,
  kernel: number,
  stride: number,
  padding: number,
  dilation: number,
  ceilMode: boolean,
): Range[] {
  const steps = (size + 2 * padding - dilation * (kernel - 1) - 1) / stride;
  let count = (ceilMode ? Math.ceil(steps) : Math.floor(steps)) + 1;
  // The last window must start in the input or the padding before it.
  if (ceilMode && (count - 1) * stride >= size + padding) count--;
  return Array.from({ length: count }, (_, o) => {
    const start = o * stride - padding;
    const positions = Array.from({ length: kernel }, (_unused, k) => start + k * dilation);
    return {
      positions: positions.filter((p) => p >= 0 && p < size),
      padded: Math.min(start + kernel, size + padding) - start,
    };
  });
}

/** Rank of the spatial part is told by the op's name: [n, c, ...] and [c, ...] differ only in planes. */
function slidingWindows(args: CaseRecord, options: CaseRecord, rank: number): Windows {
  const size = tensorOf(args, 'input').shape.slice(-rank);
  const kernel = sizesOf(args, 'kernelSize', rank, 1);
  const stride = sizesOf(options, 'stride', rank, kernel);
  const padding = sizesOf(options, 'padding', rank, 0);
  const dilation = sizesOf(options, 'dilation', rank, 1);
  const ceilMode = flagOf(options, 'ceilMode', false);
  return product(
    size,
    size.map((s, d) => slidingRanges(s, kernel[d], stride[d], padding[d], dilation[d], ceilMode)),
  );
}

/** Window o of a dimension covers floor(o in / out) up to ceil((o + 1) in / out). */
function adaptiveWindows(args: CaseRecord, rank: number): Windows {
  const size = tensorOf(args, 'input').shape.slice(-rank);
  const { outputSize } = args;
  const entries: readonly CaseValue[] =
    typeof outputSize === 'number' ? size.map(() => outputSize) : listOf(args, 'outputSize');
  // null keeps the input's size
  const wanted = size.map((s, d) => numberOf({ size: entries[d] }, 'size', s));
  return product(
    size,
    size.map((s, d) =>
      Array.from({ length: wanted[d] }, (_, o) => {
        const start = Math.floor((o * s) / wanted[d]);
        const end = Math.ceil(((o + 1) * s) / wanted[d]);
        const positions = Array.from({ length: end - start }, (_unused, k) => start + k);
        return { positions, padded: positions.length };
      }),
    ),
  );
}

/** Calls visit(output element, window, first element of the window's plane). */
function forEachWindow(
  input: NdArray,
  { outSize, list }: Windows,
  visit: (out: number, window: PoolWindow, start: number) => void,
): number[] {
  const rank = outSize.length;
  const plane = sizeOf(input.shape.slice(-rank));
  const planes = sizeOf(input.shape.slice(0, -rank));
  for (let p = 0; p < planes; p++) {
    list.forEach((window, o) => {
      visit(p * list.length + o, window, p * plane);
    });
  }
  return [...input.shape.slice(0, -rank), ...outSize];
}

/** The first maximum of each window, or its last NaN. Indices count within the plane. */
function maximum(input: NdArray, windows: Windows): OracleResult {
  const outputShape = forEachWindow(input, windows, () => undefined);
  const indices = zeros(outputShape);
  const winners = zeros(outputShape);
  forEachWindow(input, windows, (out, { offsets }, start) => {
    let best = offsets[0];
    for (const offset of offsets) {
      const value = input.data[start + offset];
      if (value > input.data[start + best] || Number.isNaN(value)) best = offset;
    }
    indices.data[out] = best;
    winners.data[out] = start + best;
  });
  const picked = { shape: outputShape, data: winners.data.map((i) => input.data[i]) };
  const backward = (gradOutput: NdArray): { input: NdArray } => {
    const grad = zeros(input.shape);
    winners.data.forEach((i, out) => (grad.data[i] += gradOutput.data[out]));
    return { input: grad };
  };
  return { output: picked, indices, backward };
}

function average(input: NdArray, windows: Windows, divisor: (window: PoolWindow) => number): OracleResult {
  const outputShape = forEachWindow(input, windows, () => undefined);
  return linearOp('input', input, zeros(outputShape), (term) => {
    forEachWindow(input, windows, (out, window, start) => {
      for (const offset of window.offsets) term(out, start + offset, 1 / divisor(window));
    });
  });
}

export const maxPool =
  (rank: number): Oracle =>
  (args, options) =>
    maximum(tensorOf(args, 'input'), slidingWindows(args, options, rank));

export const avgPool =
  (rank: number): Oracle =>
  (args, options) => {
    const countPadding = flagOf(options, 'countIncludePad', true);
    return average(tensorOf(args, 'input'), slidingWindows(args, options, rank), (window) =>
      numberOf(options, 'divisorOverride', countPadding ? window.padded : window.offsets.length),
    );
  };

export const adaptiveAvgPool =
  (rank: number): Oracle =>
  (args) =>
    average(tensorOf(args, 'input'), adaptiveWindows(args, rank), (window) => window.offsets.length);

export const adaptiveMaxPool =
  (rank: number): Oracle =>
  (args) =>
    maximum(tensorOf(args, 'input'), adaptiveWindows(args, rank));

/**
 * y = (m sum x^p)^(1/p) with m = 1 inside the input. A window that ceilMode lets reach beyond it is
 * scaled up to the whole kernel: m = kernel elements / elements inside.
 */
export const lpPool =
  (rank: number): Oracle =>
  (args, options) => {
    const input = tensorOf(args, 'input');
    const p = numberOf(args, 'normType');
    const kernel = sizeOf(sizesOf(args, 'kernelSize', rank, 1));
    const windows = slidingWindows(args, options, rank);
    const output = zeros(forEachWindow(input, windows, () => undefined));
    forEachWindow(input, windows, (out, { offsets }, start) => {
      const sum = offsets.reduce((s, offset) => s + input.data[start + offset] ** p, 0);
      output.data[out] = ((kernel / offsets.length) * sum) ** (1 / p);
    });
    const backward = (gradOutput: NdArray): { input: NdArray } => {
      const grad = zeros(input.shape);
      forEachWindow(input, windows, (out, { offsets }, start) => {
        const outer = (kernel / offsets.length) * output.data[out] ** (1 - p);
        for (const offset of offsets) {
          grad.data[start + offset] += gradOutput.data[out] * outer * input.data[start + offset] ** (p - 1);
        }
      });
      return { input: grad };
    };
    return { output, backward };
  };

/** Puts every value back where its index says, zeros elsewhere; a place named twice keeps the later value. */
export const maxUnpool =
  (rank: number): Oracle =>
  (args, options) => {
    const [input, indices] = [tensorOf(args, 'input'), tensorOf(args, 'indices')];
    const kernel = sizesOf(args, 'kernelSize', rank, 1);
    const stride = sizesOf(options, 'stride', rank, kernel);
    const padding = sizesOf(options, 'padding', rank, 0);
    const size = input.shape.slice(-rank);
    const outSize =
      options.outputSize == null
        ? size.map((s, d) => (s - 1) * stride[d] - 2 * padding[d] + kernel[d])
        : numbersOf(options, 'outputSize').slice(-rank);
    const output = zeros([...input.shape.slice(0, -rank), ...outSize]);
    const target = (i: number): number => Math.floor(i / sizeOf(size)) * sizeOf(outSize) + indices.data[i];
    input.data.forEach((value, i) => (output.data[target(i)] = value));
    const backward = (gradOutput: NdArray): { input: NdArray } => ({
      input: { shape: input.shape, data: input.data.map((_, i) => gradOutput.data[target(i)]) },
    });
    return { output, backward };
  };
