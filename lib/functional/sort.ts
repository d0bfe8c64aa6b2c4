/**
 * Order along one dimension. Equal values keep their order and NaN counts as the largest, as in PyTorch; gradients go back
 * to where the values came from.
 */
import { needsGrad, record } from '../autograd/graph';
import { run } from '../native';
import { checkOptions, integer, normalizeDim, sizeOf } from '../shape';
import { contiguousElements } from '../tensor/copy';
import { Tensor, expectTensor } from '../tensor/tensor';
import { scattered } from './gather';
import type { ValuesAndIndices } from './reduction';

export interface SortOptions {
  /** Largest first. Default false. */
  readonly descending?: boolean;
  /** Accepted for PyTorch's sake: the order of equal values is always kept. */
  readonly stable?: boolean;
}

export interface TopkOptions {
  /** Default -1, the last. */
  readonly dim?: number;
  /** false: the smallest. Default true. */
  readonly largest?: boolean;
  /** Accepted for PyTorch's sake: the result is always sorted. */
  readonly sorted?: boolean;
}

/** The first k along dimension d. */
function firstInOrder(
  op: string,
  input: Tensor,
  d: number,
  k: number,
  descending: boolean,
): ValuesAndIndices {
  const shape = input.shape.map((n, i) => (i === d ? k : n));
  const values = Tensor.empty(shape, input.dtype);
  const indices = Tensor.empty(shape, 'int32');
  const outer = sizeOf(shape.slice(0, d));
  const inner = sizeOf(shape.slice(d + 1));
  const n = input.ndim === 0 ? 1 : input.shape[d];
  const x = contiguousElements(input.detach());
  run('sort', { outer, n, inner, k, descending: descending ? 1 : 0 }, { x, y: values, index: indices });
  if (!needsGrad(input)) return { values, indices };
  const from = input.shape;
  const backward = (grad: Tensor): Tensor[] => [scattered(from, d, indices, grad)];
  return { values: record(op, values, [input], backward, { saved: [indices] }), indices };
}

/**
 * The values along `dim` in ascending order, and the positions (int32) they came from.
 *
 * @example
 * const { values, indices } = sort(tensor([3, 1, 2])); // tensor([1., 2., 3.]), tensor([1, 2, 0])
 */
export function sort(input: Tensor, dim = -1, options: SortOptions = {}): ValuesAndIndices {
  checkOptions('sort', options);
  expectTensor('sort', 'input', input);
  const d = normalizeDim('sort', dim, input.ndim);
  return firstInOrder('sort', input, d, input.ndim === 0 ? 1 : input.shape[d], options.descending === true);
}

/** The positions that put the values along `dim` in order; int32. */
export function argsort(input: Tensor, dim = -1, options: SortOptions = {}): Tensor {
  checkOptions('argsort', options);
  expectTensor('argsort', 'input', input);
  const d = normalizeDim('argsort', dim, input.ndim);
  const n = input.ndim === 0 ? 1 : input.shape[d];
  return firstInOrder('argsort', input.detach(), d, n, options.descending === true).indices;
}

/**
 * The k largest values along a dimension, largest first, and their positions (int32).
 *
 * @param k an integer in 0..input.shape[dim]
 *
 * @example
 * const { indices } = topk(logits, 5); // the five best classes of every row
 */
export function topk(input: Tensor, k: number, options: TopkOptions = {}): ValuesAndIndices {
  checkOptions('topk', options);
  expectTensor('topk', 'input', input);
  const d = normalizeDim('topk', options.dim ?? -1, input.ndim);
  integer('topk', 'k', k, 0, input.ndim === 0 ? 1 : input.shape[d]);
  return firstInOrder('topk', input, d, k, options.largest !== false);
}
