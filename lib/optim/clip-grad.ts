/** Limits on gradients, between `backward()` and `step()`. */
import { noGrad } from '../autograd/grad-mode';
import { LaminaeError, typeError } from '../errors';
import { reduceMiddle, type ReduceFn } from '../functional/broadcast';
import { abs, maximum, minimum, pow } from '../functional/elementwise';
import { mul_ } from '../functional/in-place';
import { real } from '../shape';
import { contiguousElements, copyElements } from '../tensor/copy';
import { tensor } from '../tensor/create';
import { Tensor } from '../tensor/tensor';

/** The gradients of parameters that have one. */
function gradientsOf(op: string, params: Tensor | Iterable<Tensor>): Tensor[] {
  if (typeof params !== 'object' || (params as object | null) === null || !(Symbol.iterator in params)) {
    throw typeError(op, 'params', 'must be a Tensor or an iterable of tensors', params);
  }
  const list: readonly unknown[] = params instanceof Tensor ? [params] : Array.from(params);
  return list.flatMap((p, i) => {
    if (!(p instanceof Tensor)) {
      throw typeError(op, `params[${i}]`, 'must be a Tensor', p);
    }
    const grad = p.peekGrad();
    return grad === null ? [] : [grad];
  });
}

function replace(grad: Tensor, value: Tensor): void {
  copyElements(value, grad);
  grad.storage.version++;
}

function total(fn: ReduceFn, t: Tensor): number {
  return reduceMiddle(fn, contiguousElements(t), 1, t.numel, 1, []).item();
}

function normOf(grad: Tensor, p: number): number {
  if (grad.numel === 0) return 0;
  const g = grad.detach();
  if (p === Infinity) return total('max', abs(g));
  return p === 2 ? Math.sqrt(total('sumOfSquares', g)) : total('sum', pow(abs(g), p)) ** (1 / p);
}

export interface ClipGradNormOptions {
  /** The p of the p-norm; Infinity for the largest value. Default 2. */
  readonly normType?: number;
  /** Throw if the norm is infinite or NaN instead of scaling by it. Default false. */
  readonly errorIfNonfinite?: boolean;
}

/**
 * Scales all gradients together so that their norm, as if they were one vector, is at most `maxNorm`.
 *
 * @param params parameters; those without a gradient are skipped
 * @returns the norm before, a scalar tensor
 * @throws RangeError for a negative limit; LaminaeError for a norm that is not finite, if asked to
 *
 * @example
 * loss.backward();
 * optim.clipGradNorm_(model.parameters(), 1);
 * optimizer.step();
 */
export function clipGradNorm_(
  params: Tensor | Iterable<Tensor>,
  maxNorm: number,
  options: ClipGradNormOptions = {},
): Tensor {
  const op = 'clipGradNorm_';
  real(op, 'maxNorm', maxNorm, 'must be >= 0', (v) => v >= 0);
  const p = real(op, 'normType', options.normType ?? 2, 'must be > 0', (v) => v > 0);
  const grads = gradientsOf(op, params);
  const dtype = grads[0]?.dtype ?? 'float32';
  return noGrad(() => {
    const norms = grads.map((g) => normOf(g, p));
    const all = p === Infinity ? Math.max(0, ...norms) : norms.reduce((sum, n) => sum + n ** p, 0) ** (1 / p);
    if (options.errorIfNonfinite === true && !Number.isFinite(all)) {
      throw new LaminaeError('ERR_OUT_OF_RANGE', {
        op,
        argument: `norm of ${grads.length} gradients`,
        expected: 'must be finite',
        received: String(all),
      });
    }
    const factor = Math.min(1, maxNorm / (all + 1e-6));
    if (!(factor >= 1)) for (const g of grads) mul_(g.detach(), factor);
    return tensor(all, { dtype });
  });
}

/**
 * Cuts every element of the gradients to -clipValue..clipValue.
 *
 * @throws RangeError for a negative limit
 *
 * @example
 * optim.clipGradValue_(model.parameters(), 0.5);
 */
export function clipGradValue_(params: Tensor | Iterable<Tensor>, clipValue: number): void {
  const op = 'clipGradValue_';
  real(op, 'clipValue', clipValue, 'must be >= 0', (v) => v >= 0);
  noGrad(() => {
    for (const g of gradientsOf(op, params)) replace(g, minimum(maximum(g.detach(), -clipValue), clipValue));
  });
}
