/**
 * The tensor: a storage seen through shape, strides and offset, all in elements; and the place of its gradient.
 *
 * This file holds what needs no arithmetic. Operations are free functions in `functional/`; `methods.ts` hangs them on
 * the prototype, so that imports point one way.
 */
import type { GradientHook, Node } from '../autograd/graph';
import { arrayOf, type DType, type TypedArray } from '../dtype';
import { ArgumentTypeError, DTypeError, GraphError, ShapeError, describe, rangeError } from '../errors';
import { contiguousStrides, formatShape, shapeError, sizeOf, type Shape } from '../shape';
import { Storage } from './storage';

/** Numbers in nested arrays, as `toArray` gives and `tensor` takes them. */
export type NestedArray = number | readonly NestedArray[];

function liesInOrder(shape: Shape, strides: readonly number[], numel: number): boolean {
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const d = shape[i];
    if (d === 1) continue;
    if (strides[i] !== step && numel > 0) return false;
    step *= d;
  }
  return true;
}

export class Tensor {
  /** Sizes of the dimensions, outermost first. */
  readonly shape: Shape;
  /** Elements from one entry to the next, per dimension. */
  readonly strides: readonly number[];
  /** First element within the storage. */
  readonly offset: number;
  readonly storage: Storage;
  /** Number of elements. */
  readonly numel: number;
  /** True if the elements lie in row-major order without gaps. */
  readonly isContiguous: boolean;

  /** The operation that made this tensor, when it is recorded. */
  gradFn: Node | null = null;
  /** Version of the storage when a view was taken of a recorded tensor; -1 otherwise. @internal */
  viewVersion = -1;
  /** Of a leaf: called with its whole gradient before that is added to `grad`. @internal */
  hooks: GradientHook[] | null = null;
  /** Made by a view operation: edits show in the tensor it was taken of. @internal */
  isView = false;

  private gradTensor: Tensor | null = null;
  private gradHandedOut = false;
  private isLeafWithGrad = false;

  constructor(storage: Storage, shape: Shape, strides: readonly number[], offset: number) {
    this.storage = storage;
    this.shape = shape;
    this.strides = strides;
    this.offset = offset;
    this.numel = sizeOf(shape);
    this.isContiguous = liesInOrder(shape, strides, this.numel);
  }

  /** A contiguous tensor of `shape` whose elements are not initialised. */
  static empty(shape: Shape, dtype: DType): Tensor {
    return new Tensor(Storage.allocate(dtype, sizeOf(shape)), shape, contiguousStrides(shape), 0);
  }

  /** Another look at the same storage. @internal */
  viewAs(shape: Shape, strides: readonly number[], offset: number): Tensor {
    const t = new Tensor(this.storage, shape, strides, offset);
    t.isView = true;
    return t;
  }

  get dtype(): DType {
    return this.storage.dtype;
  }

  /** Number of dimensions. */
  get ndim(): number {
    return this.shape.length;
  }

  /** Size of dimension `dim`, which may be negative; the whole shape without argument. */
  size(): Shape;
  size(dim: number): number;
  size(dim?: number): Shape | number {
    if (dim === undefined) return this.shape;
    const d = typeof dim === 'number' && dim < 0 ? dim + this.ndim : dim;
    if (!Number.isInteger(d) || d < 0 || d >= this.ndim) {
      throw rangeError('size', 'dim', `must be in ${-this.ndim}..${this.ndim - 1}`, dim);
    }
    return this.shape[d];
  }

  // ---- gradient ----

  /** True if backward computes a gradient through this tensor. */
  get requiresGrad(): boolean {
    return this.isLeafWithGrad || this.gradFn !== null;
  }

  set requiresGrad(value: boolean) {
    this.requiresGrad_(value);
  }

  /** Switches the gradient of a leaf on or off and returns the tensor. */
  requiresGrad_(value = true): this {
    if (this.gradFn !== null) {
      if (value) return this;
      throw new GraphError('ERR_NO_GRAD', {
        op: 'requiresGrad_',
        argument: 'tensor',
        expected: 'must be a leaf to stop requiring gradients',
        received: `the result of ${this.gradFn.op}`,
        hint: 'use detach()',
      });
    }
    if (value && this.dtype !== 'float32' && this.dtype !== 'float64') {
      throw new ArgumentTypeError({
        op: 'requiresGrad_',
        argument: 'tensor',
        expected: 'must be float32 or float64 to require gradients',
        received: this.dtype,
      });
    }
    this.isLeafWithGrad = value;
    return this;
  }

  /** True for tensors that no recorded operation made. */
  get isLeaf(): boolean {
    return this.gradFn === null;
  }

  /** The accumulated gradient of a leaf, or null. */
  get grad(): Tensor | null {
    this.gradHandedOut = true;
    return this.gradTensor;
  }

  set grad(value: Tensor | null) {
    if (value === null) {
      this.clearGrad();
      return;
    }
    if (value.numel !== this.numel || formatShape(value.shape) !== formatShape(this.shape)) {
      throw shapeError('grad', 'value', `must have shape ${formatShape(this.shape)}`, value.shape);
    }
    if (value.dtype !== this.dtype) {
      throw new DTypeError({
        op: 'grad',
        argument: 'value',
        expected: `must be ${this.dtype}`,
        received: value.dtype,
      });
    }
    value.storage.keep();
    this.gradTensor = value;
    this.gradHandedOut = true;
  }

  /** The gradient for the library's own loops: does not count as handed out. @internal */
  peekGrad(): Tensor | null {
    return this.gradTensor;
  }

  /** Sets a gradient whose memory belongs to this tensor alone. @internal */
  adoptGrad(value: Tensor): void {
    value.storage.keep();
    this.gradTensor = value;
    this.gradHandedOut = false;
  }

  /** Drops the gradient; its memory is reused at once if nobody has looked at it. */
  clearGrad(): void {
    if (!this.gradHandedOut) this.gradTensor?.storage.release();
    this.gradTensor = null;
    this.gradHandedOut = false;
  }

  /** The same elements without history; shares memory. */
  detach(): Tensor {
    return new Tensor(this.storage, this.shape, this.strides, this.offset);
  }

  /** The same elements without history, as in PyTorch's `.data`. */
  get data(): Tensor {
    return this.detach();
  }

  // ---- values out ----

  /** The only element as a number. @throws ShapeError unless there is exactly one. */
  item(): number {
    if (this.numel !== 1) {
      throw new ShapeError({
        op: 'item',
        argument: 'tensor',
        expected: 'must hold exactly one element',
        received: `shape ${formatShape(this.shape)}`,
      });
    }
    return this.storage.data[this.offset];
  }

  /** Elements as nested arrays of the tensor's shape (a number for 0-d). */
  toArray(): NestedArray {
    const { shape, strides } = this;
    const data = this.storage.data;
    const walk = (dim: number, at: number): NestedArray => {
      if (dim === shape.length) return data[at];
      const out = new Array<NestedArray>(shape[dim]);
      for (let i = 0; i < out.length; i++) out[i] = walk(dim + 1, at + i * strides[dim]);
      return out;
    };
    return walk(0, this.offset);
  }

  /** A flat copy of the elements in row-major order. */
  toTypedArray(): TypedArray {
    const data = this.storage.data;
    if (this.isContiguous) return data.slice(this.offset, this.offset + this.numel);
    const out = arrayOf(this.dtype, this.numel);
    const index = new Array<number>(this.ndim).fill(0);
    let at = this.offset;
    for (let i = 0; i < this.numel; i++) {
      out[i] = data[at];
      for (let d = this.ndim - 1; d >= 0; d--) {
        at += this.strides[d];
        if (++index[d] < this.shape[d]) break;
        at -= this.strides[d] * this.shape[d];
        index[d] = 0;
      }
    }
    return out;
  }
}

/** A tensor argument, or a clear error. */
export function expectTensor(op: string, argument: string, value: unknown): Tensor {
  if (value instanceof Tensor) return value;
  const isObject = typeof value === 'object' && value !== null;
  // Two installed copies of the package do not share their classes.
  const foreign = isObject && 'storage' in value && 'strides' in value;
  throw new ArgumentTypeError({
    op,
    argument,
    expected: 'must be a Tensor',
    received: Array.isArray(value) ? 'Array' : isObject ? describe(value) : typeof value,
    hint: foreign
      ? 'of this copy of laminae: two copies are loaded, see npm ls laminae'
      : 'make one with tensor(values)',
  });
}
