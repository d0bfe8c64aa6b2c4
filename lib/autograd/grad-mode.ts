/** Whether operations are recorded for backward. One flag per JavaScript thread, as all calls are synchronous. */
import { ArgumentTypeError, checkFunction } from '../errors';

let enabled = true;

/** True while operations are recorded for backward. */
export function isGradEnabled(): boolean {
  return enabled;
}

function withMode<T>(op: string, mode: boolean, fn: () => T): T {
  checkFunction(op, 'fn', fn);
  const before = enabled;
  enabled = mode;
  let result: T;
  try {
    result = fn();
  } finally {
    enabled = before;
  }
  if (result instanceof Promise) {
    throw new ArgumentTypeError({
      op,
      argument: 'fn',
      expected: 'must be synchronous: the mode ends before an async function resumes',
      received: 'Promise',
    });
  }
  return result;
}

/**
 * Runs `fn` without recording anything for backward and returns its value. The mode is restored also after a throw.
 *
 * @example
 * const accuracy = noGrad(() => model.forward(x).argmax(1).eq(y).to('float32').mean().item());
 */
export function noGrad<T>(fn: () => T): T {
  return withMode('noGrad', false, fn);
}

/** Runs `fn` with recording switched on, also inside {@link noGrad}. */
export function enableGrad<T>(fn: () => T): T {
  return withMode('enableGrad', true, fn);
}
