/** Running sums along one dimension. */
import { needsGrad, record } from '../autograd/graph';
import { isFloating } from '../dtype';
import { run } from '../native';
import { normalizeDim, sizeOf } from '../shape';
import { contiguousElements } from '../tensor/copy';
import { Tensor, expectTensor } from '../tensor/tensor';
import { castTo } from './broadcast';

/** Codes of the native `cumulate` op. */
const forward = 0;
const fromEnd = 1;

function running(fn: number, input: Tensor, dim: number): Tensor {
  const x = contiguousElements(input);
  const y = Tensor.empty(x.shape, x.dtype);
  const n = x.ndim === 0 ? 1 : x.shape[dim];
  run(
    'cumulate',
    { fn, outer: sizeOf(x.shape.slice(0, dim)), n, inner: sizeOf(x.shape.slice(dim + 1)) },
    { x, y },
  );
  return y;
}

/**
 * y_i = x_0 + ... + x_i along `dim`, summed in double. Integers give int32.
 *
 * @example
 * cumsum(tensor([1, 2, 3]), 0); // tensor([1., 3., 6.])
 */
export function cumsum(input: Tensor, dim: number): Tensor {
  expectTensor('cumsum', 'input', input);
  const d = normalizeDim('cumsum', dim, input.ndim);
  if (!isFloating(input.dtype)) return castTo(running(forward, castTo(input, 'float64'), d), 'int32');
  const y = running(forward, input.detach(), d);
  if (!needsGrad(input)) return y;
  return record('cumsum', y, [input], (grad) => [running(fromEnd, grad, d)]);
}
