// Normalisation. Batch, layer, group and instance norm are one formula over different groups of elements:
//
//   x^ = (x - mean) / sqrt(var + eps),  y = weight x^ + bias,  mean and (biased) var over the group
//   dx = (d - mean(d) - x^ mean(d x^)) / sqrt(var + eps)  with d = weight dy, means over the group
//
// With given statistics mean and var are constants and dx = d / sqrt(var + eps).
import type { CaseRecord } from './case-values';
import { flagOf, numberOf, numbersOf, optionalTensorOf, tensorOf } from './case-values';
import type { NdArray } from './nd-array';
import { around, mapped, reshaped, sizeOf, zeros } from './nd-array';
import type { Gradients, Oracle, OracleResult } from './reference-core';

interface Affine {
  readonly weight: NdArray | null;
  readonly bias: NdArray | null;
  /** Which element of weight and bias belongs to an element of the input. */
  readonly of: (flat: number) => number;
}

interface Statistics {
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  readonly of: (flat: number) => number;
  /** Elements in each group; null when the statistics are constants. */
  readonly count: number | null;
}

/** Mean and biased variance of every group, in two passes. */
function statisticsOf(
  x: NdArray,
  groups: number,
  of: (flat: number) => number,
): Statistics & { count: number } {
  const [mean, variance] = [new Float64Array(groups), new Float64Array(groups)];
  const count = x.data.length / groups;
  x.data.forEach((value, i) => (mean[of(i)] += value / count));
  x.data.forEach((value, i) => (variance[of(i)] += (value - mean[of(i)]) ** 2 / count));
  return { mean, variance, of, count };
}

function normalise(x: NdArray, statistics: Statistics, affine: Affine, eps: number): OracleResult {
  const { mean, variance, of: group, count } = statistics;
  const { weight, bias, of: channel } = affine;
  const inverse = variance.map((v) => 1 / Math.sqrt(v + eps));
  const scale = (i: number): number => weight?.data[channel(i)] ?? 1;
  const hat = x.data.map((value, i) => (value - mean[group(i)]) * inverse[group(i)]);
  const output = mapped(x, (_, i) => hat[i] * scale(i) + (bias?.data[channel(i)] ?? 0));

  const backward = (gradOutput: NdArray): Gradients => {
    const d = gradOutput.data.map((g, i) => g * scale(i));
    const [meanD, meanDHat] = [new Float64Array(mean.length), new Float64Array(mean.length)];
    if (count !== null) {
      d.forEach((value, i) => {
        meanD[group(i)] += value / count;
        meanDHat[group(i)] += (value * hat[i]) / count;
      });
    }
    const gradients: Record<string, NdArray> = {
      input: mapped(x, (_, i) => (d[i] - meanD[group(i)] - hat[i] * meanDHat[group(i)]) * inverse[group(i)]),
    };
    if (weight) {
      const grad = (gradients.weight = zeros(weight.shape));
      gradOutput.data.forEach((g, i) => (grad.data[channel(i)] += g * hat[i]));
    }
    if (bias) {
      const grad = (gradients.bias = zeros(bias.shape));
      gradOutput.data.forEach((g, i) => (grad.data[channel(i)] += g));
    }
    return gradients;
  };
  return { output, backward };
}

function affineOf(options: CaseRecord, of: (flat: number) => number): Affine {
  return { weight: optionalTensorOf(options, 'weight'), bias: optionalTensorOf(options, 'bias'), of };
}

/** Channel of an element of [n, c, ...]. */
function channelOf(shape: readonly number[]): (flat: number) => number {
  const [, channels, inner] = around(shape, 1);
  return (flat) => Math.floor(flat / inner) % channels;
}

/** old (1 - momentum) + momentum new, for the mean and the unbiased variance. */
function updatedStatistics(
  args: CaseRecord,
  mean: Float64Array,
  variance: Float64Array,
  count: number,
  momentum: number,
): Gradients {
  const blend = (key: string, news: Float64Array): Gradients => {
    const old = optionalTensorOf(args, key);
    return old ? { [key]: mapped(old, (value, c) => value * (1 - momentum) + momentum * news[c]) } : {};
  };
  const unbiased = variance.map((v) => (v * count) / (count - 1));
  return { ...blend('runningMean', mean), ...blend('runningVar', unbiased) };
}

/** Normalises with the running statistics of the arguments, which stay as they are. */
function withRunningStatistics(args: CaseRecord, options: CaseRecord): OracleResult {
  const input = tensorOf(args, 'input');
  const [runningMean, runningVar] = [tensorOf(args, 'runningMean'), tensorOf(args, 'runningVar')];
  const of = channelOf(input.shape);
  const statistics = { mean: runningMean.data, variance: runningVar.data, of, count: null };
  const result = normalise(input, statistics, affineOf(options, of), numberOf(options, 'eps', 1e-5));
  return { ...result, after: { runningMean, runningVar } };
}

/** relu6(relu(result + add)), each only if the options have it. */
function ended(result: OracleResult, options: CaseRecord): OracleResult {
  const add = optionalTensorOf(options, 'add');
  const high = flagOf(options, 'relu6', false) ? 6 : Infinity;
  const low = high === 6 || flagOf(options, 'relu', false) ? 0 : -Infinity;
  const sum = mapped(result.output, (value, i) => value + (add?.data[i] ?? 0));
  const output = mapped(sum, (value) => (value < low ? low : value > high ? high : value));
  const backward = (gradOutput: NdArray): Gradients => {
    const passed = mapped(gradOutput, (g, i) => (sum.data[i] <= low || sum.data[i] >= high ? 0 : g));
    return { ...result.backward?.(passed), ...(add && { add: passed }) };
  };
  return { ...result, output, backward };
}

/** batchNorm: groups are channels; `after` holds the running statistics once training has updated them. */
export const batchNorm: Oracle = (args, options) => ended(batchNormAlone(args, options), options);

const batchNormAlone: Oracle = (args, options) => {
  if (!flagOf(options, 'training', false)) return withRunningStatistics(args, options);
  const input = tensorOf(args, 'input');
  const of = channelOf(input.shape);
  const statistics = statisticsOf(input, input.shape[1], of);
  const result = normalise(input, statistics, affineOf(options, of), numberOf(options, 'eps', 1e-5));
  const { mean, variance, count } = statistics;
  return {
    ...result,
    after: updatedStatistics(args, mean, variance, count, numberOf(options, 'momentum', 0.1)),
  };
};

/** layerNorm: groups are the leading indices, weight and bias have the normalised shape. */
export const layerNorm: Oracle = (args, options) => {
  const input = tensorOf(args, 'input');
  const size = sizeOf(numbersOf(args, 'normalizedShape'));
  const statistics = statisticsOf(input, input.data.length / size, (i) => Math.floor(i / size));
  const affine = affineOf(options, (i) => i % size);
  return normalise(input, statistics, affine, numberOf(options, 'eps', 1e-5));
};

/** groupNorm: groups are [n, channels of a group, ...]. */
export const groupNorm: Oracle = (args, options) => {
  const input = tensorOf(args, 'input');
  const groups = input.shape[0] * numberOf(args, 'numGroups');
  const size = input.data.length / groups;
  const statistics = statisticsOf(input, groups, (i) => Math.floor(i / size));
  return normalise(
    input,
    statistics,
    affineOf(options, channelOf(input.shape)),
    numberOf(options, 'eps', 1e-5),
  );
};

/** instanceNorm: groups are planes; running statistics take the mean over the batch. */
export const instanceNorm: Oracle = (args, options) => {
  if (!flagOf(options, 'useInputStats', true)) return withRunningStatistics(args, options);
  const input = tensorOf(args, 'input');
  const [n, channels] = input.shape;
  const size = input.data.length / (n * channels);
  const statistics = statisticsOf(input, n * channels, (i) => Math.floor(i / size));
  const affine = affineOf(options, channelOf(input.shape));
  const result = normalise(input, statistics, affine, numberOf(options, 'eps', 1e-5));
  const overBatch = (values: Float64Array): Float64Array => {
    const mean = new Float64Array(channels);
    values.forEach((value, plane) => (mean[plane % channels] += value / n));
    return mean;
  };
  const [mean, variance] = [overBatch(statistics.mean), overBatch(statistics.variance)];
  return {
    ...result,
    after: updatedStatistics(args, mean, variance, size, numberOf(options, 'momentum', 0.1)),
  };
};

/** y[c] = x[c] / (k + alpha / size sum of x[j]^2 over `size` channels around c)^beta, fewer at the borders. */
export const localResponseNorm: Oracle = (args, options) => {
  const input = tensorOf(args, 'input');
  const size = numberOf(args, 'size');
  const alpha = numberOf(options, 'alpha', 1e-4);
  const beta = numberOf(options, 'beta', 0.75);
  const k = numberOf(options, 'k', 1);
  const [outer, channels, inner] = around(input.shape, 1);
  const x = reshaped(input, [outer, channels, inner]);
  // Calls visit(element, neighbour) for all pairs of channels that share a window.
  const neighbours = (visit: (i: number, j: number) => void): void => {
    x.data.forEach((_, i) => {
      const c = Math.floor(i / inner) % channels;
      const last = Math.min(channels - 1, c + Math.floor((size - 1) / 2));
      for (let j = Math.max(0, c - Math.floor(size / 2)); j <= last; j++) visit(i, i + (j - c) * inner);
    });
  };
  const divisor = new Float64Array(x.data.length).fill(k);
  neighbours((i, j) => (divisor[i] += (alpha / size) * x.data[j] ** 2));
  const output = mapped(input, (value, i) => value / divisor[i] ** beta);
  const backward = (gradOutput: NdArray): Gradients => {
    const grad = mapped(gradOutput, (g, i) => g / divisor[i] ** beta);
    neighbours((i, j) => {
      const slope = -beta * x.data[i] * divisor[i] ** (-beta - 1);
      grad.data[j] += gradOutput.data[i] * slope * (alpha / size) * 2 * x.data[j];
    });
    return { input: grad };
  };
  return { output, backward };
};
