/** Matrix products: the native `gemm` op behind `matmul` and `linear`. */
import { needsGrad, record } from '../autograd/graph';
import { ShapeError } from '../errors';
import { run } from '../native';
import { broadcastShapes, formatShape, shapeError, sizeOf, type Shape } from '../shape';
import { contiguousElements } from '../tensor/copy';
import { Tensor, expectTensor } from '../tensor/tensor';
import { reduceMiddle, sumTo } from './broadcast';
import { expectDTypeOf, expectFloating } from './checks';
import { mul } from './elementwise';
import { addOf, finish, noEnding, rangeOf, type Ending } from './ending';
import { expand, reshape, transpose, unsqueeze } from './views';

/** A matrix and whether it is read transposed: a transposed view costs no copy. */
interface Side {
  readonly source: Tensor;
  readonly transposed: boolean;
}

function plain(t: Tensor): Side {
  return { source: contiguousElements(t), transposed: false };
}

function side(t: Tensor): Side {
  const lies = !t.isContiguous && t.ndim === 2 && t.strides[0] === 1 && t.strides[1] === t.shape[0];
  return lies ? { source: t, transposed: true } : plain(t);
}

function flipped({ source, transposed }: Side): Side {
  return { source, transposed: !transposed };
}

interface Sizes {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** The products [m, k] x [k, n] of a batch as a tensor of `shape`, with `ending`. Not recorded. */
function products(
  shape: Shape,
  { batch, m, n, k }: Sizes,
  a: Side,
  b: Side,
  bias: Tensor | null = null,
  ending = noEnding,
): Tensor {
  const c = Tensor.empty(shape, a.source.dtype);
  const add = ending.add == null ? null : contiguousElements(ending.add);
  const { low, high } = rangeOf(ending);
  const fields = {
    batch,
    m,
    n,
    k,
    transposeA: a.transposed ? 1 : 0,
    transposeB: b.transposed ? 1 : 0,
    aStride: m * k,
    bStride: k * n,
    cStride: m * n,
    accumulate: 0,
    low,
    high,
  };
  // `gemm` has no ending, and so less to read.
  run(ending === noEnding ? 'gemm' : 'gemmThen', fields, { a: a.source, b: b.source, bias, c, add });
  return c;
}

/** [m, k] x [k, n] -> [m, n], not recorded. Transposed views are read as they lie. */
function product(a: Tensor, b: Tensor): Tensor {
  const [m, k] = a.shape;
  const n = b.shape[1];
  return products([m, n], { batch: 1, m, n, k }, side(a), side(b));
}

/** [..., m, k] x [..., k, n] with equal leading dimensions, not recorded. */
function batchedProduct(a: Tensor, b: Tensor): Tensor {
  const [m, k] = a.shape.slice(-2);
  const n = b.shape[b.ndim - 1];
  const lead = a.shape.slice(0, -2);
  return products([...lead, m, n], { batch: sizeOf(lead), m, n, k }, plain(a), plain(b));
}

function matrixProduct(a: Tensor, b: Tensor): Tensor {
  const y = product(a.detach(), b.detach());
  if (!needsGrad(a, b)) return y;
  return record(
    'matmul',
    y,
    [a, b],
    (grad, wanted) => [
      wanted[0] ? product(grad, transpose(b.detach(), 0, 1)) : null,
      wanted[1] ? product(transpose(a.detach(), 0, 1), grad) : null,
    ],
    { saved: [a, b] },
  );
}

function batchedMatmul(a: Tensor, b: Tensor): Tensor {
  const lead = broadcastShapes('matmul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  const wide = (t: Tensor): Tensor => expand(t.detach(), [...lead, ...t.shape.slice(-2)]);
  const y = batchedProduct(wide(a), wide(b));
  if (!needsGrad(a, b)) return y;
  const flip = (t: Tensor): Tensor => transpose(wide(t), -2, -1);
  return record(
    'matmul',
    y,
    [a, b],
    (grad, wanted) => [
      wanted[0] ? sumTo(batchedProduct(grad, flip(b)), a.shape) : null,
      wanted[1] ? sumTo(batchedProduct(flip(a), grad), b.shape) : null,
    ],
    { saved: [a, b] },
  );
}

/**
 * Matrix product with PyTorch's rules: vectors are rows on the left and columns on the right, leading dimensions
 * broadcast.
 *
 * **Shape**: [..., m, k] x [..., k, n] -> [..., m, n]
 * @throws ShapeError if the inner sizes differ
 */
export function matmul(input: Tensor, other: Tensor): Tensor {
  expectFloating('matmul', 'input', input);
  expectDTypeOf('matmul', 'other', other, input, 'input');
  if (input.ndim === 0 || other.ndim === 0)
    refuse(input.shape, other.shape, 'must have at least one dimension');
  const a = input.ndim === 1 ? reshape(input, [1, input.shape[0]]) : input;
  const b = other.ndim === 1 ? reshape(other, [other.shape[0], 1]) : other;
  const k = a.shape[a.ndim - 1];
  if (k !== b.shape[b.ndim - 2]) refuse(input.shape, other.shape, 'must have equal inner sizes');
  let y: Tensor;
  if (a.ndim === 2 && b.ndim === 2) y = matrixProduct(a, b);
  else if (b.ndim === 2) {
    // One large product instead of many small ones.
    y = reshape(matrixProduct(reshape(a, [-1, k]), b), [...a.shape.slice(0, -1), b.shape[1]]);
  } else y = batchedMatmul(a, b);
  let { shape } = y;
  if (other.ndim === 1) shape = shape.slice(0, -1);
  if (input.ndim === 1) shape = other.ndim === 1 ? [] : [...shape.slice(0, -2), shape[shape.length - 1]];
  return reshape(y, shape);
}

function refuse(a: Shape, b: Shape, rule: string): never {
  throw new ShapeError({
    op: 'matmul',
    argument: 'input and other',
    expected: rule,
    received: `${formatShape(a)} and ${formatShape(b)}`,
  });
}

/** Sum of the products of two vectors of one length. @throws ShapeError unless both are 1-D */
export function dot(input: Tensor, other: Tensor): Tensor {
  for (const [argument, t] of [
    ['input', input],
    ['other', other],
  ] as const)
    expectVector('dot', argument, t);
  if (input.numel !== other.numel) {
    throw new ShapeError({
      op: 'dot',
      argument: 'other',
      expected: `must have ${input.numel} elements, as input has`,
      received: String(other.numel),
    });
  }
  return matmul(input, other);
}

/** The products of every element of one vector with every element of another: [n] x [m] -> [n, m]. */
export function outer(input: Tensor, other: Tensor): Tensor {
  expectVector('outer', 'input', input);
  expectVector('outer', 'other', other);
  return mul(unsqueeze(input, 1), other);
}

function expectVector(op: string, argument: string, t: Tensor): void {
  if (expectTensor(op, argument, t).ndim === 1) return;
  throw shapeError(op, argument, 'must be 1-D', t.shape);
}

/** The shape that `linear` gives its operands, which are checked. */
function linearShape(op: string, input: Tensor, weight: Tensor, bias: Tensor | null): Shape {
  expectFloating(op, 'input', input);
  expectDTypeOf(op, 'weight', weight, input, 'input');
  if (bias !== null) expectDTypeOf(op, 'bias', bias, input, 'input');
  const fail = (argument: string, expected: string, got: Shape): never => {
    throw shapeError(op, argument, expected, got);
  };
  if (weight.ndim !== 2) fail('weight', 'must be 2-D [outFeatures, inFeatures]', weight.shape);
  const [out, features] = weight.shape;
  if (out === 0 || features === 0)
    fail('weight', 'must have at least one feature on both sides', weight.shape);
  if (input.ndim === 0) fail('input', 'must have at least one dimension', input.shape);
  const shape = [...input.shape];
  const given = shape.pop();
  if (given !== features) {
    const rule = `must have ${features} features in its last dimension`;
    fail('input', `${rule} (weight ${formatShape(weight.shape)})`, input.shape);
  }
  if (bias !== null && (bias.ndim !== 1 || bias.shape[0] !== out))
    fail('bias', `must have shape [${out}]`, bias.shape);
  shape.push(out);
  return shape;
}

/**
 * y = x W^T + b over the last dimension.
 *
 * @param input [..., inFeatures]
 * @param weight [outFeatures, inFeatures]
 * @param bias [outFeatures] or null
 * @returns [..., outFeatures]
 */
export function linear(input: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return linearThen(input, weight, bias, noEnding);
}

/** {@link linear} with `ending`, in the same call where no gradient is recorded. @internal */
export function linearThen(input: Tensor, weight: Tensor, bias: Tensor | null, ending: Ending): Tensor {
  const op = 'linear';
  const shape = linearShape(op, input, weight, bias);
  const [out, features] = weight.shape;
  const add = addOf(op, ending, input, shape, 'the result');
  const isRecorded = needsGrad(input, weight, bias);
  const own = isRecorded || needsGrad(add) ? noEnding : ending;
  const rows = sizeOf(input.shape) / features;
  const x = plain(input);
  const w = side(weight);
  const b = bias === null ? null : contiguousElements(bias);
  const y = products(shape, { batch: 1, m: rows, n: out, k: features }, x, flipped(w), b, own);
  if (!isRecorded) return own === ending ? y : finish(y, ending, true);
  record(
    op,
    y,
    [input, weight, bias],
    (grad, wanted) => {
      const dy = plain(grad);
      const dxSizes = { batch: 1, m: rows, n: features, k: out };
      const dwSizes = { batch: 1, m: out, n: features, k: rows };
      return [
        wanted[0] ? products(input.shape, dxSizes, dy, w) : null,
        wanted[1] ? products(weight.shape, dwSizes, flipped(dy), x) : null,
        wanted[2] ? reduceMiddle('sum', dy.source, 1, rows, out, [out]) : null,
      ];
    },
    { saved: [input, weight] },
  );
  return finish(y, ending, true);
}
