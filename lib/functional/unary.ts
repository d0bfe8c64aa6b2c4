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

/**
 * y = fn(x). Integers give float32, or stay integers where fn keeps them whole.
 *
 * @param over y takes the memory of the floating-point `input`, which nobody reads any more
 */
export function unary(fn: UnaryFn, input: Tensor, over = false): Tensor {
  expectTensor(fn, 'input', input);
  if (!isFloating(input.dtype)) {
    if (!keepsIntegers.has(fn)) return unary(fn, castTo(input, 'float32'));
    return castTo(unary(fn, castTo(input, 'float64')), input.dtype);
  }
  const { code, saved } = unaryFns[fn];
  const x = contiguousElements(input);
  const y = over ? x.detach() : Tensor.empty(x.shape, x.dtype);
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
  if (over) y.viewVersion = -1; // not a view: the input is no more
  return y;
}
