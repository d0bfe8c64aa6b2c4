/** Looking at gradients on their way. */
import { GraphError, typeError } from '../errors';
import { formatShape } from '../shape';
import { expectTensor, type Tensor } from '../tensor/tensor';
import type { GradientHook } from './graph';

export interface HookHandle {
  /** Takes the hook away again. */
  remove(): void;
}

/**
 * Calls `hook` whenever backward has computed the whole gradient of `t`, before it is used any further. The hook may
 * return another gradient of the same shape; it must not edit the one it gets.
 *
 * @throws GraphError if `t` does not require gradients
 *
 * @example
 * const handle = h.registerHook((grad) => console.log(grad.norm().item()));
 * loss.backward();
 * handle.remove();
 */
export function registerHook(t: Tensor, hook: GradientHook): HookHandle {
  const op = 'registerHook';
  expectRecorded(op, expectTensor(op, 'tensor', t));
  if (typeof hook !== 'function') {
    throw typeError(op, 'hook', 'must be a function', hook);
  }
  const owner = t.gradFn ?? t;
  const list = (owner.hooks ??= []);
  list.push(hook);
  return {
    remove() {
      const at = list.indexOf(hook);
      if (at >= 0) list.splice(at, 1);
    },
  };
}

/**
 * Makes backward also keep the gradient of a tensor that is not a leaf, in its `grad`. Does nothing on leaves.
 *
 * @throws GraphError if `t` does not require gradients
 */
export function retainGrad(t: Tensor): void {
  expectRecorded('retainGrad', expectTensor('retainGrad', 'tensor', t));
  if (t.gradFn !== null) t.gradFn.retained = t;
}

function expectRecorded(op: string, t: Tensor): void {
  if (t.requiresGrad) return;
  throw new GraphError('ERR_NO_GRAD', {
    op,
    argument: 'tensor',
    expected: 'must require gradients',
    received: `a tensor of shape ${formatShape(t.shape)} that does not`,
  });
}
