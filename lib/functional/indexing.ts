/**
 * Indexing by tensors, as in PyTorch: index tensors broadcast against one another and pick element by element; their
 * dimensions take the place of the indexed ones if these are neighbours, and come first if not. Numbers, ranges and so on
 * beside them select a view before. A boolean mask stands for the positions of its true elements.
 *
 *     x.at([0, 1], labels)      y[b] = x[[0, 1][b], labels[b]]
 *     x.at(':', rows)           y[i, b] = x[i, rows[b]]
 *     x.at(mask)                y[b] = x[b-th true place]
 */
import { needsGrad, record } from '../autograd/graph';
import { DTypeError, typeError } from '../errors';
import { run } from '../native';
import {
  broadcastShapes,
  broadcastStrides,
  checkShape,
  formatShape,
  integer,
  normalizeDim,
  readList,
  shapeError,
  sizeOf,
  type Shape,
} from '../shape';
import { cloneElements, contiguousElements, copyElements, fillElements } from '../tensor/copy';
import { Storage } from '../tensor/storage';
import { Tensor, expectTensor } from '../tensor/tensor';
import { indexValues } from './gather';
import { expand, indexView, region, Slice, type BasicIndex, type Region } from './views';

/** What `at` and `set` take for one dimension (a mask: for as many as it has). */
export type Index = BasicIndex | Tensor | readonly number[];

/** Positions along one dimension, checked and counted from the front. */
interface Positions {
  readonly values: Int32Array;
  readonly shape: Shape;
}

/** Indices in two steps: a view, and positions along some of its dimensions. */
interface Selection {
  readonly basic: readonly BasicIndex[];
  /** Dimension of the view -> positions; in order of dimensions. */
  readonly positions: readonly { readonly dim: number; readonly at: Positions }[];
  /** True if the basic part changes nothing. */
  readonly whole: boolean;
}

const isBasic = (index: Index): index is BasicIndex =>
  index === null || typeof index === 'number' || typeof index === 'string' || index instanceof Slice;

/** True if the index needs more than a view. */
export function hasTensorIndex(indices: readonly Index[]): boolean {
  return indices.some((index) => !isBasic(index));
}

function listValues(op: string, argument: string, list: readonly number[], size: number): Positions {
  const values = Int32Array.from(list, (v, i) => integer(op, `${argument}[${i}]`, v, -size, size - 1));
  return { values: fromFront(values, size), shape: [values.length] };
}

function fromFront(values: Int32Array, size: number): Int32Array {
  for (let i = 0; i < values.length; i++) if (values[i] < 0) values[i] += size;
  return values;
}

/** Positions of the true elements of a mask: one list per dimension. */
function trueValues(mask: Tensor): Positions[] {
  const flat = mask.toTypedArray();
  const places: number[] = [];
  for (let i = 0; i < flat.length; i++) if (flat[i] !== 0) places.push(i);
  let inner = 1;
  const columns: Positions[] = [];
  for (let d = mask.ndim - 1; d >= 0; d--) {
    const size = mask.shape[d];
    const step = inner;
    columns.unshift({
      values: Int32Array.from(places, (p) => Math.floor(p / step) % size),
      shape: [places.length],
    });
    inner *= size;
  }
  return columns;
}

/** Dimensions of the tensor that one entry consumes. */
function consumed(index: Index): number {
  if (index === null || index === '...') return 0;
  return index instanceof Tensor && index.dtype === 'bool' ? index.ndim : 1;
}

function checkMask(op: string, argument: string, mask: Tensor, shape: Shape): void {
  if (mask.ndim > 0 && mask.shape.every((n, i) => n === shape[i])) return;
  throw shapeError(
    op,
    argument,
    `must have the shape of the dimensions it selects from, ${formatShape(shape)}`,
    mask.shape,
  );
}

/** Splits indices into a view and positions. */
function select(op: string, t: Tensor, indices: readonly Index[]): Selection {
  const basic: BasicIndex[] = [];
  const positions: { dim: number; at: Positions }[] = [];
  const rest = t.ndim - indices.reduce((n: number, index) => n + consumed(index), 0);
  let dim = 0; // of t
  let viewDim = 0;
  const add = (at: Positions): void => {
    basic.push(':');
    positions.push({ dim: viewDim++, at });
    dim++;
  };
  indices.forEach((index, i) => {
    const argument = `index[${i}]`;
    if (index === '...') {
      for (let k = 0; k < rest; k++, dim++, viewDim++) basic.push(':');
    } else if (index instanceof Tensor && index.dtype === 'bool') {
      checkMask(op, argument, index, t.shape.slice(dim, dim + index.ndim));
      trueValues(index).forEach(add);
    } else if (index instanceof Tensor && index.ndim > 0) {
      const size = t.shape[dim] ?? 0;
      add({ values: fromFront(indexValues(op, argument, index, -size, size - 1), size), shape: index.shape });
    } else if (Array.isArray(index)) {
      add(listValues(op, argument, index as readonly number[], t.shape[dim] ?? 0));
    } else {
      const single = index instanceof Tensor ? scalarIndex(op, argument, index) : (index as BasicIndex);
      basic.push(single);
      if (single !== null) dim++;
      if (typeof single !== 'number') viewDim++;
    }
  });
  const whole = basic.every((index) => index === ':');
  return { basic, positions, whole };
}

/** A 0-d tensor counts as a number. */
function scalarIndex(op: string, argument: string, index: Tensor): number {
  if (index.dtype === 'int32') return index.item();
  throw new DTypeError({ op, argument, expected: 'must be int32 or bool', received: index.dtype });
}

/** Where selected elements lie in a tensor: the fields of the native ops and the shape of the result. */
interface Places {
  readonly fields: {
    readonly outerRank: number;
    readonly outerShape: readonly number[];
    readonly outerStrides: readonly number[];
    readonly count: number;
    readonly innerRank: number;
    readonly innerShape: readonly number[];
    readonly innerStrides: readonly number[];
  };
  readonly offsets: Tensor;
  readonly shape: Shape;
}

type PositionList = Selection['positions'];

/** Sums of position x stride, over the broadcast shape of all position lists. */
function offsetsOf(positions: PositionList, strides: readonly number[], shape: Shape): Tensor {
  const offsets = new Float64Array(sizeOf(shape));
  for (const { dim, at } of positions) {
    const step = strides[dim];
    const flat = new Tensor(Storage.adopt('int32', at.values), at.shape, rowMajor(at.shape), 0);
    const wide = new Tensor(
      flat.storage,
      shape,
      broadcastStrides(at.shape, flat.strides, shape),
      0,
    ).toTypedArray();
    for (let b = 0; b < offsets.length; b++) offsets[b] += wide[b] * step;
  }
  return new Tensor(Storage.adopt('float64', offsets), [offsets.length], [1], 0);
}

function rowMajor(shape: Shape): number[] {
  return shape.map((_, d) => sizeOf(shape.slice(d + 1)));
}

function placesIn(op: string, shape: Shape, strides: readonly number[], positions: PositionList): Places {
  const picked = positions.map(({ at }) => at.shape).reduce((a, b) => broadcastShapes(op, a, b));
  const dims = positions.map(({ dim }) => dim);
  const together = dims.every((d, i) => d === dims[0] + i);
  const first = together ? dims[0] : 0;
  const others = shape.map((_, d) => d).filter((d) => !dims.includes(d));
  const outer = others.filter((d) => d < first);
  const inner = others.filter((d) => d >= first);
  const result = [...outer.map((d) => shape[d]), ...picked, ...inner.map((d) => shape[d])];
  checkShape(op, result, 'the result:');
  const offsets = offsetsOf(positions, strides, picked);
  return {
    fields: {
      outerRank: outer.length,
      outerShape: outer.map((d) => shape[d]),
      outerStrides: outer.map((d) => strides[d]),
      count: offsets.numel,
      innerRank: inner.length,
      innerShape: inner.map((d) => shape[d]),
      innerStrides: inner.map((d) => strides[d]),
    },
    offsets,
    shape: result,
  };
}

/** The elements at `places` of x; not recorded. */
function read(x: Tensor, places: Places): Tensor {
  const y = Tensor.empty(places.shape, x.dtype);
  run('indexRead', places.fields, { x, offsets: places.offsets, y });
  return y;
}

/** x[places] = or += y, in place; y has the shape of the places. Not recorded. */
function write(x: Tensor, places: Places, y: Tensor, accumulate: boolean): void {
  const fields = { accumulate: accumulate ? 1 : 0, ...places.fields };
  run('indexWrite', fields, { x, offsets: places.offsets, y: contiguousElements(y) });
}

/** Elements or parts of a tensor: a view for basic indices, a copy where tensors pick. */
export function index(input: Tensor, indices: readonly Index[]): Tensor {
  return indexBy('at', input, indices);
}

function indexBy(op: string, input: Tensor, indices: readonly Index[]): Tensor {
  expectTensor(op, 'input', input);
  checkEntries(op, indices);
  if (!hasTensorIndex(indices)) return indexView(input, indices as readonly BasicIndex[]);
  const { basic, positions, whole } = select(op, input, indices);
  const x = whole ? input : indexView(input, basic);
  return indexAt(op, x, positions);
}

function indexAt(op: string, x: Tensor, positions: PositionList): Tensor {
  if (positions.length === 0) return x;
  const y = read(x.detach(), placesIn(op, x.shape, x.strides, positions));
  if (!needsGrad(x)) return y;
  const { shape } = x;
  return record(op, y, [x], (grad) => {
    const dx = Tensor.empty(shape, grad.dtype);
    fillElements(dx, 0);
    write(dx, placesIn(op, shape, dx.strides, positions), grad, true);
    return [dx];
  });
}

function checkEntries(op: string, indices: readonly Index[]): void {
  readList(op, 'index', indices, 'indices, one per dimension').forEach((entry, i) => {
    if (isBasic(entry) || entry instanceof Tensor || Array.isArray(entry)) return;
    throw typeError(
      op,
      `index[${i}]`,
      "must be a number, slice(...), ':', '...', null, a list of numbers or a tensor of int32 or bool",
      entry,
    );
  });
}

/** A part of a tensor that `set` writes to. */
export interface Part {
  readonly shape: Shape;
  /** The part of `t`, which has the shape of the tensor the part was made for. Not recorded. */
  readonly of: (t: Tensor) => Tensor;
  /** t[part] = value, in place, for a value of the part's shape. Not recorded. */
  readonly fill: (t: Tensor, value: Tensor) => void;
}

/** The part of tensors like `t` that `indices` select. */
export function partOf(op: string, t: Tensor, indices: readonly Index[]): Part {
  checkEntries(op, indices);
  const { basic, positions } = select(op, t, indices);
  const view = (of: Tensor): Tensor => {
    const r: Region = region(op, of, basic);
    return new Tensor(of.storage, r.shape, r.strides, r.offset);
  };
  if (positions.length === 0) {
    return { shape: view(t).shape, of: view, fill: (of, value) => copyElements(value, view(of)) };
  }
  const places = (v: Tensor): Places => placesIn(op, v.shape, v.strides, positions);
  return {
    shape: places(view(t)).shape,
    of: (of) => read(view(of), places(view(of))),
    fill: (of, value) => write(view(of), places(view(of)), value, false),
  };
}

// ---- named forms ----

/**
 * The entries `index` of dimension `dim`, in that order; entries may repeat, gradients add up.
 *
 * **Shape**: that of input with index.numel in dimension `dim`
 * @param index int32, 1-D or 0-D, positions in 0..input.shape[dim]-1
 *
 * @example
 * indexSelect(x, 1, tensor(new Int32Array([2, 0]))); // columns 2 and 0
 */
export function indexSelect(input: Tensor, dim: number, index: Tensor): Tensor {
  const op = 'indexSelect';
  expectTensor(op, 'input', input);
  const d = normalizeDim(op, dim, input.ndim);
  const size = input.ndim === 0 ? 1 : input.shape[d];
  if (expectTensor(op, 'index', index).ndim > 1) {
    throw shapeError(op, 'index', 'must be 1-D', index.shape);
  }
  const values = indexValues(op, 'index', index, 0, size - 1);
  const x = input.ndim === 0 ? expand(input, [1]) : input;
  return indexAt(op, x, [{ dim: d, at: { values, shape: [values.length] } }]);
}

/**
 * The elements where `mask` is true, in row-major order; input and mask broadcast.
 *
 * @param mask bool
 * @returns 1-D
 *
 * @example
 * maskedSelect(x, x.gt(0)).mean();
 */
export function maskedSelect(input: Tensor, mask: Tensor): Tensor {
  const op = 'maskedSelect';
  expectTensor(op, 'input', input);
  expectMask(op, mask);
  const shape = broadcastShapes(op, input.shape, mask.shape);
  if (shape.length === 0) return maskedSelect(expand(input, [1]), expand(mask, [1]));
  return indexBy(op, expand(input, shape), [expand(mask, shape)]);
}

export function expectMask(op: string, mask: Tensor): void {
  if (expectTensor(op, 'mask', mask).dtype === 'bool') return;
  throw new DTypeError({
    op,
    argument: 'mask',
    expected: 'must be bool',
    received: mask.dtype,
    hint: 'make it with a comparison, as in mask.ne(0)',
  });
}

/**
 * Positions of the elements that are not 0, one row each.
 *
 * @returns int32, [count, input.ndim]
 */
export function nonzero(input: Tensor): Tensor {
  expectTensor('nonzero', 'input', input);
  const columns = trueValues(input);
  const flat = input.ndim === 0 ? Number(input.item() !== 0) : (columns[0]?.values.length ?? 0);
  const y = Tensor.empty([flat, input.ndim], 'int32');
  const { data } = y.storage;
  columns.forEach(({ values }, d) => values.forEach((v, i) => (data[i * input.ndim + d] = v)));
  return y;
}

/** A copy of `t` in which the part is zero; not recorded. */
export function without(part: Part, t: Tensor): Tensor {
  const y = cloneElements(t);
  const zero = Tensor.empty([], t.dtype);
  fillElements(zero, 0);
  part.fill(y, expand(zero, part.shape));
  return y;
}
