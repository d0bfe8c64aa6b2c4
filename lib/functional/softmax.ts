/**
 * Softmax and log-softmax along one dimension, without overflow: the largest value is taken off first.
 *
 *     softmax(x)_j = exp(x_j - max x) / sum_k exp(x_k - max x)
 */
import { needsGrad, record } from '../autograd/graph';
import { run } from '../native';
import { normalizeDim, sizeOf } from '../shape';
import { contiguousElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import { expectFloating } from './checks';

function normalized(op: 'softmax' | 'logSoftmax', input: Tensor, dim: number): Tensor {
  expectFloating(op, 'input', input);
  const d = normalizeDim(op, dim, input.ndim);
  const { shape } = input;
  const fields = {
    log: op === 'softmax' ? 0 : 1,
    outer: sizeOf(shape.slice(0, d)),
    n: input.ndim === 0 ? 1 : shape[d],
    inner: sizeOf(shape.slice(d + 1)),
  };
  const x = contiguousElements(input.detach());
  const y = Tensor.empty(shape, x.dtype);
  run('softmax', fields, { x, y });
  if (!needsGrad(input)) return y;
  const values = y.detach();
  return record(
    op,
    y,
    [input],
    (grad) => {
      const dx = Tensor.empty(shape, y.dtype);
      run('softmaxBackward', fields, { y: values, dy: contiguousElements(grad), dx });
      return [dx];
    },
    { saved: [values] },
  );
}

/**
 * exp(x) divided by its sum along `dim`: positive numbers that add up to 1.
 *
 * **Shape**: any, kept
 * @param dim the dimension of the classes, negative from the end
 * @throws DTypeError unless float32 or float64; RangeError for a dimension that is not there
 *
 * @example
 * F.softmax(tensor([[1, 2, 3]]), 1); // tensor([[0.0900, 0.2447, 0.6652]])
 */
export function softmax(input: Tensor, dim: number): Tensor {
  return normalized('softmax', input, dim);
}

/**
 * The logarithm of {@link softmax}, accurate where softmax itself is 0.
 *
 * **Shape**: any, kept
 * @throws as softmax
 *
 * @example
 * F.logSoftmax(tensor([[1000, 0]]), 1); // tensor([[0., -1000.]])
 */
export function logSoftmax(input: Tensor, dim: number): Tensor {
  return normalized('logSoftmax', input, dim);
}
