/** Questions about elements, masks, and comparisons of whole tensors. Nothing here has a gradient but maskedFill. */
import { promote } from '../dtype';
import { checkOptions, real, sameShape } from '../shape';
import { expectTensor, type Tensor } from '../tensor/tensor';
import { castTo } from './broadcast';
import { abs, add, eq, le, logicalAnd, lt, mul, ne, sub, where, type Operand } from './elementwise';
import { expectMask } from './indexing';
import { all } from './reduction';

/** True for NaN, as a bool tensor. */
export function isnan(input: Tensor): Tensor {
  return ne(expectTensor('isnan', 'input', input), input);
}

/** True for Infinity and -Infinity, as a bool tensor. */
export function isinf(input: Tensor): Tensor {
  return eq(abs(expectTensor('isinf', 'input', input).detach()), Infinity);
}

/** True for everything but NaN and infinities, as a bool tensor. */
export function isfinite(input: Tensor): Tensor {
  return lt(abs(expectTensor('isfinite', 'input', input).detach()), Infinity);
}

/** True where the element is 0, as a bool tensor. */
export function logicalNot(input: Tensor): Tensor {
  return eq(expectTensor('logicalNot', 'input', input), 0);
}

/** At least one of both is not 0, as a bool tensor. */
export function logicalOr(input: Tensor, other: Tensor): Tensor {
  return ne(
    add(ne(expectTensor('logicalOr', 'input', input), 0), ne(expectTensor('logicalOr', 'other', other), 0)),
    0,
  );
}

/** Exactly one of both is not 0, as a bool tensor. */
export function logicalXor(input: Tensor, other: Tensor): Tensor {
  return ne(
    ne(expectTensor('logicalXor', 'input', input), 0),
    ne(expectTensor('logicalXor', 'other', other), 0),
  );
}

/**
 * `input` with `value` where `mask` is true; both broadcast.
 *
 * @param mask bool
 * @param value a number or a tensor, usually 0-d
 *
 * @example
 * scores.maskedFill(future, -Infinity);
 */
export function maskedFill(input: Tensor, mask: Tensor, value: Operand): Tensor {
  expectTensor('maskedFill', 'input', input);
  expectMask('maskedFill', mask);
  return where(
    mask,
    typeof value === 'number' ? value : castTo(expectTensor('maskedFill', 'value', value), input.dtype),
    input,
  );
}

export interface AllCloseOptions {
  /** Allowed difference relative to `other`. Default 1e-5. */
  readonly rtol?: number;
  /** Allowed absolute difference. Default 1e-8. */
  readonly atol?: number;
  /** NaN equals NaN. Default false. */
  readonly equalNan?: boolean;
}

/**
 * True if |input - other| <= atol + rtol |other| for all elements; shapes broadcast.
 *
 * @example
 * allClose(y1, y2, { atol: 1e-6 });
 */
export function allClose(input: Tensor, other: Tensor, options: AllCloseOptions = {}): boolean {
  const op = 'allClose';
  checkOptions(op, options);
  const { rtol = 1e-5, atol = 1e-8, equalNan = false } = options;
  real(op, 'rtol', rtol, 'must be >= 0', (v) => v >= 0);
  real(op, 'atol', atol, 'must be >= 0', (v) => v >= 0);
  // Integers of 32 bits and their differences are exact in float64.
  const a = castTo(expectTensor(op, 'input', input).detach(), 'float64');
  const b = castTo(expectTensor(op, 'other', other).detach(), 'float64');
  const near = le(abs(sub(a, b)), add(mul(abs(b), rtol), atol));
  // The difference of equal infinities is NaN; an infinite `other` allows nothing else.
  const close = logicalOr(logicalAnd(isfinite(b), near), eq(a, b));
  return all(equalNan ? logicalOr(close, logicalAnd(isnan(a), isnan(b))) : close).item() !== 0;
}

/** True if both tensors have one shape and the same elements. NaN equals nothing. */
export function equal(input: Tensor, other: Tensor): boolean {
  expectTensor('equal', 'input', input);
  expectTensor('equal', 'other', other);
  if (!sameShape(input.shape, other.shape)) return false;
  const dtype = promote(input.dtype, other.dtype);
  return all(eq(castTo(input.detach(), dtype), castTo(other.detach(), dtype))).item() !== 0;
}
