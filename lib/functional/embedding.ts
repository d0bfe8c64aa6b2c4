/** Rows of a table by number. */
import { needsGrad, record } from '../autograd/graph';
import { DTypeError } from '../errors';
import { checkOptions, integer, shapeError } from '../shape';
import { expectTensor, type Tensor } from '../tensor/tensor';
import { expectFloating } from './checks';
import { mul, ne } from './elementwise';
import { castTo } from './broadcast';
import { indexValues } from './gather';
import { indexSelect } from './indexing';
import { reshape } from './views';

export interface EmbeddingOptions {
  /** A row that gets no gradient; negative counts from the end. */
  readonly paddingIdx?: number | null;
}

/**
 * Looks up rows of `weight`.
 *
 * **Shape**: int32 indices [...] and weight [count, features] -> [..., features]
 * @throws DTypeError unless the indices are int32, ArgumentRangeError for one outside the table
 *
 * @example
 * F.embedding(tensor([2, 0], { dtype: 'int32' }), weight); // rows 2 and 0
 */
export function embedding(input: Tensor, weight: Tensor, options: EmbeddingOptions = {}): Tensor {
  const op = 'embedding';
  checkOptions(op, options);
  expectTensor(op, 'input', input);
  expectFloating(op, 'weight', weight);
  if (input.dtype !== 'int32') {
    throw new DTypeError({ op, argument: 'input', expected: 'must be int32', received: input.dtype });
  }
  if (weight.ndim !== 2) {
    throw shapeError(op, 'weight', 'must be [count, features]', weight.shape);
  }
  const [count, features] = weight.shape;
  const { paddingIdx } = options;
  indexValues(op, 'input', input, 0, count - 1);
  const flat = reshape(input, [input.numel]);
  let rows = indexSelect(weight, 0, flat);
  if (paddingIdx != null) {
    const index = integer(op, 'paddingIdx', paddingIdx, -count, count - 1);
    rows = stopRow(rows, flat, index < 0 ? index + count : index);
  }
  return reshape(rows, [...input.shape, features]);
}

/** `rows` whose gradient is cut where the index is `row`. */
function stopRow(rows: Tensor, indices: Tensor, row: number): Tensor {
  if (!needsGrad(rows)) return rows;
  const y = rows.detach();
  return record('embedding', y, [rows], (grad) => {
    const mask = castTo(ne(indices, row), grad.dtype);
    return [mul(grad, reshape(mask, [indices.numel, 1]))];
  });
}
