/** Argument checks that several operations share. */
import { isFloating } from '../dtype';
import { DTypeError, typeError } from '../errors';
import { formatShape, sameShape, shapeError, type Shape } from '../shape';
import { Tensor, expectTensor } from '../tensor/tensor';

/** Checks that `value` is a float32 or float64 tensor. */
export function expectFloating(op: string, argument: string, value: unknown): Tensor {
  const t = expectTensor(op, argument, value);
  if (isFloating(t.dtype)) return t;
  throw new DTypeError({
    op,
    argument,
    expected: 'must be float32 or float64',
    received: t.dtype,
    hint: `convert with ${argument}.to('float32')`,
  });
}

/** Checks that `value` is a tensor or a number. */
export function checkOperand(op: string, argument: string, value: unknown): void {
  if (typeof value === 'number' || value instanceof Tensor) return;
  throw typeError(op, argument, 'must be a Tensor or a number', value);
}

/** Checks that `value` is a tensor of the dtype of `like`, which is the argument `likeArgument`. */
export function expectDTypeOf(
  op: string,
  argument: string,
  value: unknown,
  like: Tensor,
  likeArgument: string,
): Tensor {
  const t = expectTensor(op, argument, value);
  if (t.dtype === like.dtype) return t;
  throw new DTypeError({
    op,
    argument,
    expected: `must have the dtype of ${likeArgument}, ${like.dtype}`,
    received: t.dtype,
  });
}

/** Checks that `t` has the shape that `why` says it must have. */
export function expectShape(op: string, argument: string, t: Tensor, shape: Shape, why: string): void {
  if (sameShape(t.shape, shape)) return;
  throw shapeError(op, argument, `must have shape ${formatShape(shape)} (${why})`, t.shape);
}

/** Checks that an option is one of a few words. */
export function oneOf<W extends string>(
  op: string,
  argument: string,
  value: unknown,
  words: readonly W[],
): W {
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  throw typeError(op, argument, `must be one of ${words.join(', ')}`, value);
}
