/** Optional scopes: give back at once what a step made. */
import { ArgumentTypeError, checkFunction } from '../errors';
import { popFrame, pushFrame, type Storage } from './storage';
import { Tensor, expectTensor } from './tensor';

function collect(value: unknown, into: Set<Storage>, seen: Set<object>): void {
  if (value instanceof Tensor) {
    into.add(value.storage);
    return;
  }
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  if (ArrayBuffer.isView(value)) return;
  if (value instanceof Map) for (const v of value.values()) collect(v, into, seen);
  else if (value instanceof Set) for (const v of value) collect(v, into, seen);
  else for (const v of Object.values(value)) collect(v, into, seen);
}

/**
 * Runs `fn` and gives back the memory of every tensor made inside that it neither returns (alone, in arrays, maps or
 * objects) nor {@link keep}s. Gradients of leaves, optimizer state and module buffers are kept by themselves. Using
 * another tensor afterwards throws. Never needed for correctness: it makes training steps reuse warm memory.
 *
 * @throws ArgumentTypeError if `fn` is asynchronous
 *
 * @example
 * const loss = scope(() => {
 *   optimizer.zeroGrad();
 *   const l = criterion.forward(model.forward(x), y);
 *   l.backward();
 *   optimizer.step();
 *   return l.item();
 * });
 */
export function scope<T>(fn: () => T): T {
  checkFunction('scope', 'fn', fn);
  const frame = pushFrame();
  const survivors = new Set<Storage>();
  let result: T;
  try {
    result = fn();
    collect(result, survivors, new Set());
  } finally {
    popFrame(frame, survivors);
  }
  if (result instanceof Promise) {
    throw new ArgumentTypeError({
      op: 'scope',
      argument: 'fn',
      expected: 'must be synchronous: the scope ends before an async function resumes',
      received: 'Promise',
    });
  }
  return result;
}

/** Takes a tensor out of every enclosing {@link scope}: it lives as long as it is reachable. Returns it. */
export function keep(t: Tensor): Tensor {
  expectTensor('keep', 't', t).storage.keep();
  return t;
}
