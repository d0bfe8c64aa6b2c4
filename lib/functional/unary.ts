/** One-argument elementwise functions: the native `unary` op and its derivative. */
import { needsGrad, record } from '../autograd/graph';
import { isFloating } from '../dtype';
import { run, unaryFns, type UnaryFn } from '../native';
import { contiguousElements } from '../tensor/copy';
import { Tensor, expectTensor } from '../tensor/tensor';
import { castTo } from './broadcast';

/** Functions that make whole numbers of whole numbers. */
const keepsIntegers: ReadonlySet<UnaryFn> = new Set([
  'neg',
  'abs',
  'sign',
  'floor',
  'ceil',
  'round',
  'trunc',
  'square',
  'relu',
]);

/** See {@link givingAway}. */
let given: Tensor | null = null;

/**
 * fn(t), where fn applies one elementwise function or batch norm and nobody else has `t`: its result takes the memory of
 * `t` if backward does not read that.
 */
export function givingAway(t: Tensor, fn: (t: Tensor) => Tensor): Tensor {
  given = t;
  try {
    return fn(t);
  } finally {
    given = null;
  }
}

/** Memory for a function of `input`, whose contiguous elements are `x`; `isRead`: backward will read them. */
export function memoryFor(input: Tensor, x: Tensor, isRead: boolean): Tensor {
  return given === input && !isRead ? x.detach() : Tensor.empty(x.shape, x.dtype);
}

/** y = fn(x). Integers give float32, or stay integers where fn keeps them whole. */
export function unary(fn: UnaryFn, input: Tensor): Tensor {
  expectTensor(fn, 'input', input);
  if (!isFloating(input.dtype)) {
    if (!keepsIntegers.has(fn)) return unary(fn, castTo(input, 'float32'));
    return castTo(unary(fn, castTo(input, 'float64')), input.dtype);
  }
  const { code, saved } = unaryFns[fn];
  const x = contiguousElements(input);
  const y = memoryFor(input, x, saved === 'x' && needsGrad(input));
  run('unary', { fn: code, n: x.numel }, { x, y });
  if (!needsGrad(input)) return y;
  const kept = saved === 'y' ? y : saved === 'x' ? x : null;
  record(
    fn,
    y,
    [input],
    (grad, _wanted, spare) => {
      const dy = contiguousElements(grad);
      const dx = spare ? dy : Tensor.empty(dy.shape, dy.dtype);
      run('unaryBackward', { fn: code, n: dy.numel }, { saved: kept, dy, dx });
      return [dx];
    },
    { saved: kept === null ? [] : [kept] },
  );
  if (y.storage === x.storage) y.viewVersion = -1; // not a view: the input is no more
  return y;
}
