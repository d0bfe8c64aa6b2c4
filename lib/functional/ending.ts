/**
 * The ending of an operation: what a network does to its result y first,
 *
 *     min(max(y + add, low), high)
 *
 * where a ReLU has the range 0 to infinity, and ReLU6 0 to 6. Batch norm, and convolutions and linear layers where no
 * gradient is recorded, do it in the call that writes y. `finish` does it in calls of its own; the numbers are the same.
 */
import { needsGrad } from '../autograd/graph';
import type { Shape } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { relu6 } from './activation';
import { expectDTypeOf, expectShape } from './checks';
import { add, relu } from './elementwise';
import { add_ } from './in-place';
import { givingAway } from './unary';

/** What is done to the result of a layer or an operation, in this order. */
export interface Ending {
  /** Added to it; of its shape and dtype. */
  readonly add?: Tensor | null | undefined;
  /** Then max(x, 0), as `F.relu`. Default false. */
  readonly relu?: boolean | undefined;
  /** Then min(max(x, 0), 6), as `F.relu6`. Default false. */
  readonly relu6?: boolean | undefined;
}

/** Nothing. */
export const noEnding: Ending = {};

/** What the native ops call it. */
export function rangeOf(ending: Ending): { readonly low: number; readonly high: number } {
  const isRelu6 = ending.relu6 === true;
  return { low: isRelu6 || ending.relu === true ? 0 : -Infinity, high: isRelu6 ? 6 : Infinity };
}

/** `ending.add`, checked; null if there is none. `y` names the result, whose dtype is that of `like`. */
export function addOf(op: string, ending: Ending, like: Tensor, shape: Shape, y: string): Tensor | null {
  if (ending.add == null) return null;
  const other = expectDTypeOf(op, 'add', ending.add, like, y);
  expectShape(op, 'add', other, shape, `that of ${y}`);
  return other;
}

/** `result` with `ending`; `isOwn`: nobody else has `result`, and no backward reads it. */
export function finish(result: Tensor, ending: Ending, isOwn = false): Tensor {
  const other = addOf('forwardThen', ending, result, result.shape, 'the result');
  const over = isOwn && !needsGrad(result, other);
  const sum = other === null ? result : over ? add_(result, other) : add(result, other);
  const limited = ending.relu6 === true ? relu6 : ending.relu === true ? relu : null;
  if (limited === null) return sum;
  return isOwn || other !== null ? givingAway(sum, limited) : limited(sum);
}
