/** Pooling by the p-norm of each window: (sum of x^p)^(1/p), as average pooling of powers. */
import { checkOptions, real, sizeOf, sizeTuple, type Size } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { expectFloating } from './checks';
import { abs, mul, pow, relu, sign } from './elementwise';
import { avgPool } from './pool';

export interface LpPoolOptions {
  /** Default: the kernel size. */
  readonly stride?: Size | null;
  /** Round the output size up. Default false. */
  readonly ceilMode?: boolean;
}

function lpPool(
  rank: 1 | 2,
  input: Tensor,
  normType: number,
  kernelSize: Size,
  options: LpPoolOptions,
): Tensor {
  const op = `lpPool${rank}d`;
  checkOptions(op, options);
  expectFloating(op, 'input', input);
  const p = real(op, 'normType', normType, 'must be finite and not 0', (v) => v !== 0 && Number.isFinite(v));
  const cells = sizeOf(sizeTuple(op, 'kernelSize', kernelSize, rank, 1));
  const average = avgPool(rank, pow(input, p), kernelSize, options);
  // The sign and relu keep the root real where odd powers sum to a negative number, as PyTorch does.
  return pow(mul(mul(sign(average), relu(abs(average))), cells), 1 / p);
}

/**
 * The p-norm of each window of [n, c, l] or [c, l].
 *
 * @example
 * F.lpPool1d(tensor([[[3, 4, 6, 8]]]), 2, 2).toArray(); // [[[5, 10]]]
 */
export function lpPool1d(
  input: Tensor,
  normType: number,
  kernelSize: Size,
  options: LpPoolOptions = {},
): Tensor {
  return lpPool(1, input, normType, kernelSize, options);
}

/** The p-norm of each window of [n, c, h, w] or [c, h, w]; see {@link lpPool1d}. */
export function lpPool2d(
  input: Tensor,
  normType: number,
  kernelSize: Size,
  options: LpPoolOptions = {},
): Tensor {
  return lpPool(2, input, normType, kernelSize, options);
}
