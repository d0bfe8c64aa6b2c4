/** Dropout: zeroes a random part in training and scales the rest, so that the expected value stays. */
import { needsGrad, record } from '../autograd/graph';
import { checkOptions, real, shapeError, type Shape } from '../shape';
import { fillRandom } from '../random';
import { fillElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import { expectFloating } from './checks';
import { add, mul, sub } from './elementwise';

export interface DropoutOptions {
  /** Drop anything at all; the identity if false. Default true. */
  readonly training?: boolean;
}

function checkProbability(op: string, p: number, options: DropoutOptions): number {
  checkOptions(op, options);
  return real(op, 'p', p, 'must be in 0..1', (v) => v >= 0 && v <= 1);
}

/** Zeros that pass no gradient on. */
function nothing(op: string, input: Tensor): Tensor {
  const zeros = (): Tensor => {
    const t = Tensor.empty(input.shape, input.dtype);
    fillElements(t, 0);
    return t;
  };
  return record(op, zeros(), [input], () => [zeros()]);
}

/** `factor` with probability 1 - p, else 0. */
function drawn(shape: Shape, input: Tensor, p: number, factor: number): Tensor {
  const mask = Tensor.empty(shape, input.dtype);
  fillRandom(mask, 'bernoulli', 1 - p, factor);
  return mask;
}

/** input * mask, where the mask broadcasts and nobody else sees it. */
function dropped(op: string, input: Tensor, p: number, options: DropoutOptions, maskShape: Shape): Tensor {
  checkProbability(op, p, options);
  if (options.training === false || p === 0) return input;
  if (p === 1) return nothing(op, input);
  const mask = drawn(maskShape, input, p, 1 / (1 - p));
  const y = mul(input.detach(), mask);
  if (needsGrad(input)) return record(op, y, [input], (grad) => [mul(grad, mask)], { owned: [mask] });
  mask.storage.release();
  return y;
}

/**
 * Zeroes each element with probability `p` and multiplies the others by 1 / (1 - p).
 *
 * **Shape**: any, kept
 * @param p in 0..1: 0 gives the input itself, 1 zeros
 * @throws RangeError for p outside 0..1, DTypeError unless float32 or float64
 *
 * @example
 * F.dropout(ones([2, 4]), 0.5); // about half of it 0, the rest 2
 */
export function dropout(input: Tensor, p = 0.5, options: DropoutOptions = {}): Tensor {
  expectFloating('dropout', 'input', input);
  return dropped('dropout', input, p, options, input.shape);
}

/** Drops whole channels of [n, c, ...]; `batched` tells for which ranks the first dimension is the batch. */
function channelDropout(
  op: string,
  input: Tensor,
  p: number,
  options: DropoutOptions,
  ranks: readonly number[],
  batched: (rank: number) => boolean,
): Tensor {
  expectFloating(op, 'input', input);
  if (!ranks.includes(input.ndim)) {
    throw shapeError(op, 'input', `must have ${ranks.join(' or ')} dimensions`, input.shape);
  }
  const kept = batched(input.ndim) ? 2 : 1;
  const maskShape = input.shape.map((size, d) => (d < kept ? size : 1));
  return dropped(op, input, p, options, maskShape);
}

/**
 * Zeroes whole channels of signals with probability `p` and multiplies the others by 1 / (1 - p).
 *
 * **Shape**: [n, c, l] or [c, l], kept
 * @throws as {@link dropout}; ShapeError for another rank
 */
export function dropout1d(input: Tensor, p = 0.5, options: DropoutOptions = {}): Tensor {
  return channelDropout('dropout1d', input, p, options, [2, 3], (rank) => rank === 3);
}

/**
 * Zeroes whole channels of images with probability `p` and multiplies the others by 1 / (1 - p) (Tompson et al., 2014).
 *
 * **Shape**: [n, c, h, w], kept; as in PyTorch, the first two dimensions of three are batch and channels
 * @throws as {@link dropout}; ShapeError for another rank
 *
 * @example
 * F.dropout2d(randn([2, 16, 7, 7]), 0.1);
 */
export function dropout2d(input: Tensor, p = 0.5, options: DropoutOptions = {}): Tensor {
  return channelDropout('dropout2d', input, p, options, [3, 4], () => true);
}

/**
 * Zeroes whole channels of volumes with probability `p` and multiplies the others by 1 / (1 - p).
 *
 * **Shape**: [n, c, d, h, w] or [c, d, h, w], kept
 * @throws as {@link dropout}; ShapeError for another rank
 */
export function dropout3d(input: Tensor, p = 0.5, options: DropoutOptions = {}): Tensor {
  return channelDropout('dropout3d', input, p, options, [4, 5], (rank) => rank === 5);
}

/** What selu gives for x towards -infinity. */
const seluFloor = -1.0507009873554805 * 1.6732632423543772;

/**
 * Dropout for networks of selu: dropped elements become selu's lowest value, and all are then scaled and moved so that
 * mean 0 and variance 1 stay (Klambauer et al., 2017).
 *
 * **Shape**: any, kept
 * @throws as {@link dropout}
 */
export function alphaDropout(input: Tensor, p = 0.5, options: DropoutOptions = {}): Tensor {
  expectFloating('alphaDropout', 'input', input);
  return floored('alphaDropout', input, p, options, input.shape);
}

/**
 * {@link alphaDropout} of whole channels.
 *
 * **Shape**: [n, c, ...], kept
 * @throws as {@link dropout}; ShapeError for fewer than two dimensions
 *
 * @example
 * F.featureAlphaDropout(randn([2, 16, 7, 7]), 0.1);
 */
export function featureAlphaDropout(input: Tensor, p = 0.5, options: DropoutOptions = {}): Tensor {
  const op = 'featureAlphaDropout';
  expectFloating(op, 'input', input);
  if (input.ndim < 2) {
    throw shapeError(op, 'input', 'must have at least 2 dimensions', input.shape);
  }
  return floored(
    op,
    input,
    p,
    options,
    input.shape.map((size, d) => (d < 2 ? size : 1)),
  );
}

function floored(op: string, input: Tensor, p: number, options: DropoutOptions, maskShape: Shape): Tensor {
  checkProbability(op, p, options);
  if (options.training === false || p === 0) return input;
  if (p === 1) return nothing(op, input);
  const a = 1 / Math.sqrt((1 - p) * (1 + p * seluFloor ** 2));
  const mask = drawn(maskShape, input, p, a);
  // a (kept ? x : floor) - a p floor
  const y = add(mul(sub(input.detach(), seluFloor), mask), seluFloor * a * (1 - p));
  if (needsGrad(input)) return record(op, y, [input], (grad) => [mul(grad, mask)], { owned: [mask] });
  mask.storage.release();
  return y;
}
