/** Dropout: zeroes a random part in training and scales the rest, so that the expected value stays. */
import { needsGrad, record } from '../autograd/engine';
import { real } from '../shape';
import { fillRandom } from '../random';
import { fillElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import { expectFloating } from './checks';
import { mul } from './elementwise';

export interface DropoutOptions {
  /** Drop anything at all; the identity if false. Default true. */
  readonly training?: boolean;
}

export function checkProbability(op: string, p: number): number {
  return real(op, 'p', p, 'must be in 0..1', (v) => v >= 0 && v <= 1);
}

/** input * mask, broadcasting, where nobody else sees the mask. */
function masked(op: string, input: Tensor, mask: Tensor): Tensor {
  const y = mul(input.detach(), mask);
  if (needsGrad(input)) return record(op, y, [input], (grad) => [mul(grad, mask)], { owned: [mask] });
  mask.storage.release();
  return y;
}

function dropped(
  op: string,
  input: Tensor,
  p: number,
  options: DropoutOptions,
  maskShape: readonly number[],
): Tensor {
  checkProbability(op, p);
  if (options.training === false || p === 0) return input;
  if (p === 1) {
    const zeros = (): Tensor => {
      const t = Tensor.empty(input.shape, input.dtype);
      fillElements(t, 0);
      return t;
    };
    return record(op, zeros(), [input], () => [zeros()]);
  }
  const mask = Tensor.empty(maskShape, input.dtype);
  fillRandom(mask, 'bernoulli', 1 - p, 1 / (1 - p));
  return masked(op, input, mask);
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
