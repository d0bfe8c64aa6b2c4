/**
 * Hangs the free functions of `functional/` on the tensor's prototype, so that `x.add(y)` is `add(x, y)`. The class
 * stays below the operations in the order of imports; this file stands above both.
 */
import { backward, type BackwardOptions } from './autograd/engine';
import type { DType } from './dtype';
import { castTo } from './functional/broadcast';
import * as elementwise from './functional/elementwise';
import type { Operand } from './functional/elementwise';
import * as inPlace from './functional/in-place';
import * as matmulOps from './functional/matmul';
import * as reduction from './functional/reduction';
import type { Dims, ReduceOptions, ValuesAndIndices } from './functional/reduction';
import * as views from './functional/views';
import type { BasicIndex } from './functional/views';
import { checkDType } from './tensor/create';
import { Tensor } from './tensor/tensor';

declare module './tensor/tensor' {
  interface Tensor {
    // autograd
    /** Adds the gradients of this tensor with respect to all leaves to their `grad`. */
    backward(gradient?: Tensor, options?: BackwardOptions): void;

    // elementwise
    neg(): Tensor;
    abs(): Tensor;
    exp(): Tensor;
    expm1(): Tensor;
    log(): Tensor;
    log1p(): Tensor;
    sqrt(): Tensor;
    rsqrt(): Tensor;
    square(): Tensor;
    reciprocal(): Tensor;
    sin(): Tensor;
    cos(): Tensor;
    erf(): Tensor;
    sign(): Tensor;
    floor(): Tensor;
    ceil(): Tensor;
    round(): Tensor;
    trunc(): Tensor;
    relu(): Tensor;
    sigmoid(): Tensor;
    tanh(): Tensor;
    add(other: Operand): Tensor;
    sub(other: Operand): Tensor;
    mul(other: Operand): Tensor;
    div(other: Operand): Tensor;
    pow(exponent: Operand): Tensor;
    maximum(other: Operand): Tensor;
    minimum(other: Operand): Tensor;
    gt(other: Operand): Tensor;
    ge(other: Operand): Tensor;
    lt(other: Operand): Tensor;
    le(other: Operand): Tensor;
    eq(other: Operand): Tensor;
    ne(other: Operand): Tensor;
    clone(): Tensor;

    // in place
    add_(other: Operand): this;
    sub_(other: Operand): this;
    mul_(other: Operand): this;
    div_(other: Operand): this;
    fill_(value: number): this;
    zero_(): this;
    copy_(source: Tensor): this;
    normal_(mean?: number, std?: number): this;
    uniform_(from?: number, to?: number): this;
    /** Writes `value` into the part that `index` selects, differentiably. */
    set(index: readonly BasicIndex[], value: Operand): this;

    // reductions
    sum(dim?: Dims, options?: ReduceOptions): Tensor;
    mean(dim?: Dims, options?: ReduceOptions): Tensor;
    var(dim?: Dims, options?: ReduceOptions & { readonly correction?: number }): Tensor;
    std(dim?: Dims, options?: ReduceOptions & { readonly correction?: number }): Tensor;
    norm(dim?: Dims, options?: ReduceOptions): Tensor;
    max(): Tensor;
    max(dim: number, options?: ReduceOptions): ValuesAndIndices;
    min(): Tensor;
    min(dim: number, options?: ReduceOptions): ValuesAndIndices;
    argmax(dim?: number, options?: ReduceOptions): Tensor;
    argmin(dim?: number, options?: ReduceOptions): Tensor;

    // products
    matmul(other: Tensor): Tensor;
    mm(other: Tensor): Tensor;

    // views
    /** Part of the tensor as a view: numbers, slice(a, b), ':', '...', null. */
    at(...index: BasicIndex[]): Tensor;
    reshape(shape: readonly number[]): Tensor;
    reshape(...shape: number[]): Tensor;
    flatten(startDim?: number, endDim?: number): Tensor;
    permute(dims: readonly number[]): Tensor;
    permute(...dims: number[]): Tensor;
    transpose(dim0: number, dim1: number): Tensor;
    squeeze(dim?: number): Tensor;
    unsqueeze(dim: number): Tensor;
    expand(shape: readonly number[]): Tensor;
    expand(...shape: number[]): Tensor;
    narrow(dim: number, start: number, length: number): Tensor;
    unbind(dim?: number): Tensor[];
    contiguous(): Tensor;
    /** The matrix transposed. */
    readonly T: Tensor;
    [Symbol.iterator](): IterableIterator<Tensor>;

    /** The tensor converted to another element type. */
    to(dtype: DType): Tensor;
  }
}

/** A method that passes `this` as the first argument. */
function method<A extends readonly unknown[], O>(fn: (first: Tensor, ...rest: A) => O): (this: Tensor, ...rest: A) => O {
  return function (this: Tensor, ...rest: A): O {
    return fn(this, ...rest);
  };
}

/** A method that takes a list as one array or as its entries. */
function listMethod(fn: (first: Tensor, list: readonly number[]) => Tensor) {
  return function (this: Tensor, first?: number | readonly number[], ...rest: number[]): Tensor {
    if (first === undefined) return fn(this, []);
    return fn(this, typeof first === 'number' ? [first, ...rest] : first);
  };
}

const methods: Readonly<Record<string, (this: Tensor, ...args: never[]) => unknown>> = {
  backward: method(backward),
  ...Object.fromEntries(
    (
      [
        'neg', 'abs', 'exp', 'expm1', 'log', 'log1p', 'sqrt', 'rsqrt', 'square', 'reciprocal', 'sin', 'cos', 'erf',
        'sign', 'floor', 'ceil', 'round', 'trunc', 'relu', 'sigmoid', 'tanh', 'clone',
      ] as const
    ).map((name) => [name, method(elementwise[name])]),
  ), // prettier-ignore
  ...Object.fromEntries(
    (
      ['add', 'sub', 'mul', 'div', 'pow', 'maximum', 'minimum', 'gt', 'ge', 'lt', 'le', 'eq', 'ne'] as const
    ).map((name) => [name, method(elementwise[name])]),
  ),
  add_: method(inPlace.add_),
  sub_: method(inPlace.sub_),
  mul_: method(inPlace.mul_),
  div_: method(inPlace.div_),
  fill_: method(inPlace.fill_),
  zero_: method(inPlace.zero_),
  copy_: method(inPlace.copy_),
  normal_: method(inPlace.normal_),
  uniform_: method(inPlace.uniform_),
  set: method(inPlace.set),
  sum: method(reduction.sum),
  mean: method(reduction.mean),
  var: method(reduction.variance),
  std: method(reduction.std),
  norm: method(reduction.norm),
  max: method(reduction.max),
  min: method(reduction.min),
  argmax: method(reduction.argmax),
  argmin: method(reduction.argmin),
  matmul: method(matmulOps.matmul),
  mm: method(matmulOps.matmul),
  at: method((t: Tensor, ...index: BasicIndex[]) => views.indexView(t, index)),
  reshape: listMethod(views.reshape),
  permute: listMethod(views.permute),
  expand: listMethod(views.expand),
  flatten: method(views.flatten),
  transpose: method(views.transpose),
  squeeze: method(views.squeeze),
  unsqueeze: method(views.unsqueeze),
  narrow: method(views.narrow),
  unbind: method(views.unbind),
  contiguous: method(views.contiguous),
  to: method((t: Tensor, dtype: DType) => castTo(t, checkDType('to', dtype))),
};

for (const [name, value] of Object.entries(methods)) {
  Object.defineProperty(Tensor.prototype, name, { value, writable: true, configurable: true });
}
Object.defineProperty(Tensor.prototype, 'T', {
  get(this: Tensor): Tensor {
    return views.permute(
      this,
      this.shape.map((_, i) => this.ndim - 1 - i),
    );
  },
  configurable: true,
});
Object.defineProperty(Tensor.prototype, Symbol.iterator, {
  value: function* (this: Tensor): IterableIterator<Tensor> {
    yield* views.unbind(this);
  },
  writable: true,
  configurable: true,
});
