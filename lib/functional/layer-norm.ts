/**
 * Normalisations whose statistics do not reach across the batch: over the last dimensions (layer), over groups of channels
 * of a sample (group), over single channels of a sample (instance), and over neighbouring channels (local response).
 *
 * The first three are batch normalisation of the same memory seen in another shape: rows as channels, [1, rows, row].
 */
import { record } from '../autograd/graph';
import { ShapeError } from '../errors';
import {
  checkOptions,
  formatShape,
  integer,
  numberList,
  real,
  sameShape,
  shapeError,
  sizeOf,
  type Shape,
} from '../shape';
import { cloneElements, copyElements } from '../tensor/copy';
import { Tensor, expectTensor } from '../tensor/tensor';
import { checkEps, channelVector, normalizeChannels } from './batch-norm';
import { expectDTypeOf, expectFloating } from './checks';
import { add, div, mul, pow, square } from './elementwise';
import { mean as meanOf } from './reduction';
import { pad } from './pad';
import { avgPool3d } from './pool';
import { expand, reshape } from './views';

/** x with each of `rows` equal parts brought to mean 0 and variance 1. */
function normalizeRows(op: string, input: Tensor, rows: number, eps: number): Tensor {
  if (input.numel === 0) {
    const empty = (): Tensor => Tensor.empty(input.shape, input.dtype);
    return record(op, empty(), [input], () => [empty()]);
  }
  return normalizeChannels(input, {
    op,
    n: 1,
    c: rows,
    s: input.numel / rows,
    weight: null,
    bias: null,
    runningMean: null,
    runningVar: null,
    training: true,
    momentum: 0,
    eps,
  });
}

function affine(t: Tensor, weight: Tensor | null, bias: Tensor | null, shape: Shape): Tensor {
  const scaled = weight === null ? t : mul(t, reshape(weight, shape));
  return bias === null ? scaled : add(scaled, reshape(bias, shape));
}

function optionalOf(
  op: string,
  name: string,
  value: Tensor | null | undefined,
  input: Tensor,
): Tensor | null {
  if (value == null) return null;
  expectTensor(op, name, value);
  expectDTypeOf(op, name, value, input, 'input');
  return value;
}

export interface AffineOptions {
  readonly weight?: Tensor | null;
  readonly bias?: Tensor | null;
  /** Added to the variance under the root. Default 1e-5. */
  readonly eps?: number;
}

/**
 * Brings the last dimensions of every sample to mean 0 and variance 1, then scales and shifts each element (Ba et al.,
 * "Layer normalization", 2016).
 *
 * **Shape**: [..., ...normalizedShape], unchanged; weight and bias have `normalizedShape`
 * @throws ShapeError if the input does not end in `normalizedShape`
 *
 * @example
 * F.layerNorm(randn([4, 10]), [10]);
 */
export function layerNorm(
  input: Tensor,
  normalizedShape: number | readonly number[],
  options: AffineOptions = {},
): Tensor {
  const op = 'layerNorm';
  checkOptions(op, options);
  expectFloating(op, 'input', input);
  const sizes = numberList(op, 'normalizedShape', normalizedShape).map((v, i) =>
    integer(op, `normalizedShape[${i}]`, v, 1),
  );
  const eps = checkEps(op, options.eps ?? 1e-5);
  const ends = input.shape.slice(Math.max(0, input.ndim - sizes.length));
  if (sizes.length === 0 || !sameShape(ends, sizes)) {
    throw shapeError(op, 'input', `must end in normalizedShape ${formatShape(sizes)}`, input.shape);
  }
  const part = (name: 'weight' | 'bias'): Tensor | null => {
    const t = optionalOf(op, name, options[name], input);
    if (t !== null && !sameShape(t.shape, sizes)) {
      throw shapeError(op, name, `must have shape ${formatShape(sizes)}`, t.shape);
    }
    return t;
  };
  const weight = part('weight');
  const bias = part('bias');
  const rows = sizeOf(input.shape.slice(0, input.ndim - sizes.length));
  return affine(normalizeRows(op, input, rows, eps), weight, bias, sizes);
}

/** [1, c, 1, ...] for an input of `ndim` dimensions. */
function channelShape(c: number, ndim: number): number[] {
  return Array.from({ length: ndim }, (_, i) => (i === 1 ? c : 1));
}

/**
 * Brings groups of channels of every sample to mean 0 and variance 1, then scales and shifts per channel (Wu and He,
 * "Group normalization", 2018).
 *
 * **Shape**: [n, c, ...], unchanged; weight and bias [c]
 * @throws ShapeError if the channels do not divide into the groups
 *
 * @example
 * F.groupNorm(randn([2, 6, 8, 8]), 3);
 */
export function groupNorm(input: Tensor, numGroups: number, options: AffineOptions = {}): Tensor {
  const op = 'groupNorm';
  checkOptions(op, options);
  expectFloating(op, 'input', input);
  integer(op, 'numGroups', numGroups, 1);
  const eps = checkEps(op, options.eps ?? 1e-5);
  if (input.ndim < 2 || input.shape[1] % numGroups !== 0 || input.shape[1] === 0) {
    throw shapeError(op, 'input', `must be [N, C, ...] with C divisible by ${numGroups} groups`, input.shape);
  }
  const [n, c] = input.shape;
  if (input.numel > 0 && input.numel === n * numGroups) {
    throw shapeError(op, 'input', 'needs more than 1 value per group', input.shape);
  }
  const weight = channelVector(op, 'weight', options.weight, input, c);
  const bias = channelVector(op, 'bias', options.bias, input, c);
  return affine(normalizeRows(op, input, n * numGroups, eps), weight, bias, channelShape(c, input.ndim));
}

export interface InstanceNormOptions extends AffineOptions {
  /** Use the statistics of each sample (default), or the running ones. */
  readonly useInputStats?: boolean;
  /** Weight of the new statistics in the running ones. Default 0.1. */
  readonly momentum?: number;
}

/**
 * Brings every channel of every sample to mean 0 and variance 1, then scales and shifts per channel (Ulyanov et al.,
 * "Instance normalization", 2016). Running statistics, where given, follow the mean over the batch.
 *
 * **Shape**: [n, c, ...] with at least one spatial dimension, unchanged
 * @throws ShapeError for a single value per channel
 *
 * @example
 * F.instanceNorm(randn([2, 3, 8, 8]));
 */
export function instanceNorm(
  input: Tensor,
  runningMean: Tensor | null = null,
  runningVar: Tensor | null = null,
  options: InstanceNormOptions = {},
): Tensor {
  const op = 'instanceNorm';
  checkOptions(op, options);
  expectFloating(op, 'input', input);
  const eps = checkEps(op, options.eps ?? 1e-5);
  const momentum = real(op, 'momentum', options.momentum ?? 0.1, 'must be in 0..1', (v) => v >= 0 && v <= 1);
  const { useInputStats = true } = options;
  if (input.ndim < 3) {
    throw shapeError(op, 'input', 'must be [N, C, ...] with at least one spatial dimension', input.shape);
  }
  const [n, c] = input.shape;
  const s = sizeOf(input.shape.slice(2));
  if (useInputStats && s <= 1 && n > 0) {
    throw shapeError(op, 'input', 'needs more than 1 value per channel of a sample', input.shape);
  }
  const vector = (name: string, t: Tensor | null | undefined): Tensor | null =>
    channelVector(op, name, t, input, c);
  const weight = vector('weight', options.weight);
  const bias = vector('bias', options.bias);
  const mean = vector('runningMean', runningMean);
  const variance = vector('runningVar', runningVar);
  if (!useInputStats) {
    if (mean === null || variance === null) {
      const expected = 'must be given when useInputStats is false';
      throw new ShapeError({ op, argument: 'runningMean and runningVar', expected, received: '' });
    }
    return normalizeChannels(input, {
      op, n, c, s, weight, bias, runningMean: mean, runningVar: variance, training: false, momentum, eps,
    }); // prettier-ignore
  }
  if (input.numel === 0)
    return affine(normalizeRows(op, input, n * c, eps), weight, bias, channelShape(c, input.ndim));
  // Each sample updates its own copy of the running statistics; the average of the copies is kept.
  const spread = (t: Tensor | null): Tensor | null =>
    t === null ? null : reshape(cloneElements(expand(t.detach(), [n, c])), [n * c]);
  const means = spread(mean);
  const variances = spread(variance);
  const y = normalizeChannels(input, {
    op,
    n: 1,
    c: n * c,
    s,
    weight: null,
    bias: null,
    runningMean: means,
    runningVar: variances,
    training: true,
    momentum,
    eps,
  });
  for (const [own, copies] of [
    [mean, means],
    [variance, variances],
  ]) {
    if (own !== null && copies !== null && n > 0) {
      copyElements(meanOf(reshape(copies, [n, c]), 0), own);
      own.storage.version++;
    }
  }
  return affine(y, weight, bias, channelShape(c, input.ndim));
}

export interface LocalResponseNormOptions {
  /** Default 1e-4. */
  readonly alpha?: number;
  /** Default 0.75. */
  readonly beta?: number;
  /** Default 1. */
  readonly k?: number;
}

/**
 * Divides by (k + alpha * mean of squares over `size` neighbouring channels)^beta (Krizhevsky et al., "ImageNet
 * classification with deep convolutional neural networks", 2012).
 *
 * **Shape**: [n, c, ...], unchanged
 *
 * @example
 * F.localResponseNorm(randn([1, 8, 4, 4]), 5);
 */
export function localResponseNorm(
  input: Tensor,
  size: number,
  options: LocalResponseNormOptions = {},
): Tensor {
  const op = 'localResponseNorm';
  checkOptions(op, options);
  expectFloating(op, 'input', input);
  integer(op, 'size', size, 1);
  if (input.ndim < 3) {
    throw shapeError(op, 'input', 'must be [N, C, ...] with at least one spatial dimension', input.shape);
  }
  const finite = (name: 'alpha' | 'beta' | 'k', value: number): number =>
    real(op, name, value, 'must be finite', Number.isFinite);
  const alpha = finite('alpha', options.alpha ?? 1e-4);
  const beta = finite('beta', options.beta ?? 0.75);
  const k = finite('k', options.k ?? 1);
  if (input.numel === 0) return input;
  const [n, c] = input.shape;
  const squares = reshape(square(input), [n, 1, c, 1, input.numel / (n * c)]);
  const padded = pad(squares, [0, 0, 0, 0, Math.floor(size / 2), Math.floor((size - 1) / 2)]);
  const average = avgPool3d(padded, [size, 1, 1], { stride: 1 });
  return div(input, pow(add(mul(reshape(average, input.shape), alpha), k), beta));
}
