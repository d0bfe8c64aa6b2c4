/**
 * Other looks at the same elements: reshape, permute, slices, expansion; and what joins tensors: cat and stack.
 *
 * Everything here but `cat`, `stack` and a `reshape` of non-contiguous elements returns a view: it shares memory with
 * its input, and in-place edits show in both.
 */
import { record } from '../autograd/graph';
import { promote } from '../dtype';
import { ArgumentRangeError, ShapeError, rangeError, typeError } from '../errors';
import {
  checkShape,
  contiguousStrides,
  formatShape,
  integer,
  normalizeDim,
  readList,
  sameShape,
  shapeError,
  sizeOf,
  type Shape,
} from '../shape';
import { cloneElements, contiguousElements, copyElements, fillElements } from '../tensor/copy';
import { Tensor, expectTensor } from '../tensor/tensor';
import { castTo, sumTo } from './broadcast';

// ---- shapes ----

/** Resolves one -1 in `shape` from the number of elements. */
function resolveShape(op: string, wanted: readonly number[], numel: number): number[] {
  const shape = readList(op, 'shape', wanted, 'integers');
  const at = shape.indexOf(-1);
  if (at < 0 || shape.indexOf(-1, at + 1) >= 0) {
    const checked = checkShape(op, shape);
    if (sizeOf(checked) !== numel) mismatch(op, shape, numel);
    return checked;
  }
  const rest = checkShape(
    op,
    shape.map((d, i) => (i === at ? 1 : d)),
  );
  const known = sizeOf(rest);
  if (known === 0 || numel % known !== 0) mismatch(op, shape, numel);
  rest[at] = numel / known;
  return rest;
}

function mismatch(op: string, shape: readonly number[], numel: number): never {
  throw new ShapeError({
    op,
    argument: 'shape',
    expected: `${formatShape(shape)} must hold the ${numel} elements of the tensor`,
    received: '',
  });
}

/** The tensor with another shape of the same element count; one entry may be -1. A view where memory allows it. */
export function reshape(input: Tensor, shape: readonly number[]): Tensor {
  expectTensor('reshape', 'input', input);
  return reshaped(input, resolveShape('reshape', shape, input.numel));
}

/** `reshape` to a shape that is known to fit. */
function reshaped(input: Tensor, target: Shape): Tensor {
  if (sameShape(target, input.shape)) return input;
  const source = contiguousElements(input);
  const y = source.viewAs(target, contiguousStrides(target), source.offset);
  y.isView = source === input;
  const from = input.shape;
  return record('reshape', y, [input], (grad) => [reshaped(grad, from)]);
}

/** Merges dimensions startDim..endDim (both included) into one. */
export function flatten(input: Tensor, startDim = 0, endDim = -1): Tensor {
  expectTensor('flatten', 'input', input);
  const first = normalizeDim('flatten', startDim, input.ndim, 'startDim');
  const last = normalizeDim('flatten', endDim, input.ndim, 'endDim');
  if (first > last) {
    throw new ArgumentRangeError({
      op: 'flatten',
      argument: 'startDim',
      expected: `must not come after endDim ${endDim}`,
      received: String(startDim),
    });
  }
  if (input.ndim === 0) return reshaped(input, [1]);
  const { shape } = input;
  return reshaped(input, [
    ...shape.slice(0, first),
    sizeOf(shape.slice(first, last + 1)),
    ...shape.slice(last + 1),
  ]);
}

/** Dimensions in another order: dimension i of the result is dimension dims[i] of the input. */
export function permute(input: Tensor, dims: readonly number[]): Tensor {
  expectTensor('permute', 'input', input);
  const order = readList('permute', 'dims', dims, 'integers').map((d) =>
    normalizeDim('permute', d, input.ndim, 'dims'),
  );
  if (order.length !== input.ndim || new Set(order).size !== input.ndim) {
    throw rangeError('permute', 'dims', `must name each of the ${input.ndim} dimensions once`, dims);
  }
  const y = input.viewAs(
    order.map((d) => input.shape[d]),
    order.map((d) => input.strides[d]),
    input.offset,
  );
  return record('permute', y, [input], (grad) => {
    const inverse = new Array<number>(order.length);
    order.forEach((d, i) => (inverse[d] = i));
    return [permute(grad, inverse)];
  });
}

/** Two dimensions exchanged. */
export function transpose(input: Tensor, dim0: number, dim1: number): Tensor {
  expectTensor('transpose', 'input', input);
  const a = normalizeDim('transpose', dim0, input.ndim, 'dim0');
  const b = normalizeDim('transpose', dim1, input.ndim, 'dim1');
  const order = input.shape.map((_, i) => (i === a ? b : i === b ? a : i));
  return permute(input, order);
}

/** Removes dimension `dim` if its size is 1, or all dimensions of size 1. */
export function squeeze(input: Tensor, dim?: number): Tensor {
  expectTensor('squeeze', 'input', input);
  const only = dim === undefined ? -1 : normalizeDim('squeeze', dim, input.ndim);
  const kept = input.shape
    .map((_, i) => i)
    .filter((i) => input.shape[i] !== 1 || (dim !== undefined && i !== only));
  return viewWith('squeeze', input, kept);
}

function viewWith(op: string, input: Tensor, kept: readonly number[]): Tensor {
  const y = input.viewAs(
    kept.map((i) => input.shape[i]),
    kept.map((i) => input.strides[i]),
    input.offset,
  );
  const from = input.shape;
  return record(op, y, [input], (grad) => [reshape(grad, from)]);
}

/** Inserts a dimension of size 1 at `dim`. */
export function unsqueeze(input: Tensor, dim: number): Tensor {
  expectTensor('unsqueeze', 'input', input);
  const at = normalizeDim('unsqueeze', dim, input.ndim + 1);
  return reshape(input, [...input.shape.slice(0, at), 1, ...input.shape.slice(at)]);
}

/** Repeats dimensions of size 1 without copying; -1 keeps a size. */
export function expand(input: Tensor, wanted: readonly number[]): Tensor {
  expectTensor('expand', 'input', input);
  const shape = readList('expand', 'shape', wanted, 'integers');
  const lead = shape.length - input.ndim;
  const target = shape.map((d, i) => (d === -1 && i >= lead ? input.shape[i - lead] : d));
  checkShape('expand', target);
  const fits = lead >= 0 && input.shape.every((d, i) => d === 1 || d === target[lead + i]);
  if (!fits) {
    throw shapeError(
      'expand',
      'shape',
      `must extend ${formatShape(input.shape)} along dimensions of size 1`,
      shape,
    );
  }
  const strides = target.map((d, i) =>
    i < lead || input.shape[i - lead] !== d ? 0 : input.strides[i - lead],
  );
  const y = input.viewAs(target, strides, input.offset);
  const from = input.shape;
  return record('expand', y, [input], (grad) => [sumTo(grad, from)]);
}

/** The elements in row-major order: the tensor itself if they are so already. */
export function contiguous(input: Tensor): Tensor {
  if (input.isContiguous) return input;
  return record('contiguous', cloneElements(input), [input], (grad) => [grad]);
}

// ---- indexing ----

/** A range of one dimension, as in `x.at(slice(0, 2))`. */
export class Slice {
  constructor(
    readonly start: number | undefined,
    readonly end: number | undefined,
    readonly step: number,
  ) {}
}

/**
 * The entries start..end-1 of a dimension, every step-th; negative positions count from the end, undefined means from
 * the beginning or to the end.
 */
export function slice(start?: number, end?: number, step = 1): Slice {
  if (start !== undefined) integer('slice', 'start', start, -Number.MAX_SAFE_INTEGER);
  if (end !== undefined) integer('slice', 'end', end, -Number.MAX_SAFE_INTEGER);
  return new Slice(start, end, integer('slice', 'step', step, 1));
}

/** One entry of an index: a position, a range, ':' for all, '...' for all dimensions in between, null for a new one. */
export type BasicIndex = number | Slice | ':' | '...' | null;

/** A view specification: what `at` reads and `set` writes. */
export interface Region {
  readonly shape: number[];
  readonly strides: number[];
  readonly offset: number;
}

function clampedRange(s: Slice, size: number): { start: number; count: number } {
  const clamp = (v: number): number => Math.min(Math.max(v < 0 ? v + size : v, 0), size);
  const start = clamp(s.start ?? 0);
  const end = clamp(s.end ?? size);
  return { start, count: Math.max(0, Math.ceil((end - start) / s.step)) };
}

/** Resolves basic indices against a tensor. */
export function region(op: string, t: Tensor, indices: readonly BasicIndex[]): Region {
  const consuming = indices.filter((i) => i !== null && i !== '...').length;
  if (consuming > t.ndim || indices.filter((i) => i === '...').length > 1) {
    throw rangeError(
      op,
      'index',
      `must have at most ${t.ndim} entries for shape ${formatShape(t.shape)} and at most one '...'`,
      indices,
    );
  }
  const shape: number[] = [];
  const strides: number[] = [];
  let { offset } = t;
  let dim = 0;
  const keep = (count: number): void => {
    for (; count > 0; count--, dim++) {
      shape.push(t.shape[dim]);
      strides.push(t.strides[dim]);
    }
  };
  indices.forEach((index, position) => {
    if (index === null) {
      shape.push(1);
      strides.push(0);
    } else if (index === ':') {
      keep(1);
    } else if (index === '...') {
      keep(t.ndim - consuming);
    } else if (index instanceof Slice) {
      const { start, count } = clampedRange(index, t.shape[dim]);
      shape.push(count);
      strides.push(t.strides[dim] * index.step);
      offset += start * t.strides[dim];
      dim++;
    } else if (typeof index === 'number') {
      const size = t.shape[dim];
      const i = integer(op, `index[${position}]`, index, -size, size - 1);
      offset += (i < 0 ? i + size : i) * t.strides[dim];
      dim++;
    } else {
      throw typeError(op, `index[${position}]`, "must be a number, slice(...), ':', '...' or null", index);
    }
  });
  keep(t.ndim - dim);
  // Without elements there may be no memory to point into.
  return { shape, strides, offset: sizeOf(shape) === 0 ? t.offset : offset };
}

/** A view of part of a tensor. */
export function indexView(input: Tensor, indices: readonly BasicIndex[]): Tensor {
  const r = region('at', input, indices);
  checkShape('at', r.shape, 'the result:');
  const y = input.viewAs(r.shape, r.strides, r.offset);
  const from = input.shape;
  return record('at', y, [input], (grad) => {
    const dx = Tensor.empty(from, grad.dtype);
    fillElements(dx, 0);
    const part = region('at', dx, indices);
    copyElements(grad, new Tensor(dx.storage, part.shape, part.strides, part.offset));
    return [dx];
  });
}

/** Entries start..start+length-1 of dimension `dim`, as a view. */
export function narrow(input: Tensor, dim: number, start: number, length: number): Tensor {
  expectTensor('narrow', 'input', input);
  const d = normalizeDim('narrow', dim, input.ndim);
  integer('narrow', 'start', start, 0, input.shape[d]);
  integer('narrow', 'length', length, 0, input.shape[d] - start);
  const index: BasicIndex[] = new Array<BasicIndex>(d).fill(':');
  return indexView(input, [...index, slice(start, start + length)]);
}

/** The slices along dimension 0 (or `dim`), as views without that dimension. */
export function unbind(input: Tensor, dim = 0): Tensor[] {
  expectTensor('unbind', 'input', input);
  if (input.ndim === 0) {
    throw new ShapeError({
      op: 'unbind',
      argument: 'input',
      expected: 'must have a dimension',
      received: 'a 0-d tensor',
    });
  }
  const d = normalizeDim('unbind', dim, input.ndim);
  const index: BasicIndex[] = new Array<BasicIndex>(d).fill(':');
  return Array.from({ length: input.shape[d] }, (_, i) => indexView(input, [...index, i]));
}

// ---- joining ----

function checkList(op: string, tensors: readonly Tensor[]): void {
  if (!Array.isArray(tensors) || tensors.length === 0) {
    throw typeError(op, 'tensors', 'must be a non-empty array of tensors', tensors);
  }
  Array.from(tensors).forEach((t, i) => expectTensor(op, `tensors[${i}]`, t)); // holes are seen too
}

/** Tensors side by side along an existing dimension; their other sizes must be equal. */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  checkList('cat', tensors);
  const first = tensors[0];
  const d = normalizeDim('cat', dim, first.ndim);
  const matches = (s: Shape): boolean =>
    s.length === first.ndim && s.every((v, i) => i === d || v === first.shape[i]);
  tensors.forEach((t, i) => {
    if (first.ndim === 0 || !matches(t.shape)) {
      throw shapeError(
        'cat',
        `tensors[${i}]`,
        `must match ${formatShape(first.shape)} in every dimension but ${d}`,
        t.shape,
      );
    }
  });
  const dtype = tensors.map((t) => t.dtype).reduce(promote);
  const parts = tensors.map((t) => castTo(t, dtype));
  const shape = first.shape.map((v, i) => (i === d ? parts.reduce((sum, t) => sum + t.shape[d], 0) : v));
  const y = Tensor.empty(shape, dtype);
  let start = 0;
  for (const t of parts) {
    copyElements(t, new Tensor(y.storage, t.shape, y.strides, start * y.strides[d]));
    start += t.shape[d];
  }
  const sizes = parts.map((t) => t.shape[d]);
  return record('cat', y, parts, (grad, wanted) => {
    let at = 0;
    return sizes.map((size, i) => {
      const from = at;
      at += size;
      return wanted[i] ? narrow(grad, d, from, size) : null;
    });
  });
}

/** Tensors of one shape along a new dimension. */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  checkList('stack', tensors);
  tensors.forEach((t, i) => {
    if (!sameShape(t.shape, tensors[0].shape)) {
      throw shapeError('stack', `tensors[${i}]`, `must have shape ${formatShape(tensors[0].shape)}`, t.shape);
    }
  });
  const d = normalizeDim('stack', dim, tensors[0].ndim + 1);
  return cat(
    tensors.map((t) => unsqueeze(t, d)),
    d,
  );
}
