/**
 * Hangs the free functions of `functional/` on the tensor's prototype, so that `x.add(y)` is `add(x, y)`. The class
 * stays below the operations in the order of imports; this file stands above both.
 */
import { backward, type BackwardOptions } from './autograd/engine';
import type { GradientHook } from './autograd/graph';
import { registerHook, retainGrad, type HookHandle } from './autograd/hooks';
import type { DType } from './dtype';
import { castTo } from './functional/broadcast';
import * as clamping from './functional/clamp';
import type { ClampOptions } from './functional/clamp';
import { cumsum } from './functional/cumulative';
import * as elementwise from './functional/elementwise';
import type { Operand } from './functional/elementwise';
import * as extreme from './functional/extreme';
import * as gathering from './functional/gather';
import * as inPlace from './functional/in-place';
import * as indexing from './functional/indexing';
import type { Index } from './functional/indexing';
import * as logic from './functional/logic';
import type { AllCloseOptions } from './functional/logic';
import * as matmulOps from './functional/matmul';
import * as rearrange from './functional/rearrange';
import * as reduction from './functional/reduction';
import type {
  Dims,
  NormOptions,
  ReduceOptions,
  ValuesAndIndices,
  VarianceOptions,
} from './functional/reduction';
import { logSoftmax, softmax } from './functional/softmax';
import * as order from './functional/sort';
import type { SortOptions, TopkOptions } from './functional/sort';
import * as views from './functional/views';
import { checkDType } from './tensor/create';
import { Tensor } from './tensor/tensor';

declare module './tensor/tensor' {
  interface Tensor {
    // autograd
    /** Adds the gradients of this tensor with respect to all leaves to their `grad`. */
    backward(gradient?: Tensor, options?: BackwardOptions): void;
    /** Calls `hook` whenever backward has computed the gradient of this tensor; it may return another one. */
    registerHook(hook: GradientHook): HookHandle;
    /** Makes backward keep the gradient of this tensor although it is not a leaf. */
    retainGrad(): void;

    // elementwise
    neg(): Tensor;
    abs(): Tensor;
    exp(): Tensor;
    expm1(): Tensor;
    log(): Tensor;
    log1p(): Tensor;
    log2(): Tensor;
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
    clamp(options: ClampOptions): Tensor;
    clampMin(min: number): Tensor;
    clampMax(max: number): Tensor;

    // masks and comparisons of whole tensors
    isnan(): Tensor;
    isinf(): Tensor;
    isfinite(): Tensor;
    logicalAnd(other: Tensor): Tensor;
    logicalOr(other: Tensor): Tensor;
    logicalXor(other: Tensor): Tensor;
    logicalNot(): Tensor;
    maskedFill(mask: Tensor, value: Operand): Tensor;
    maskedSelect(mask: Tensor): Tensor;
    nonzero(): Tensor;
    allClose(other: Tensor, options?: AllCloseOptions): boolean;
    equal(other: Tensor): boolean;

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
    clamp_(options: ClampOptions): this;
    maskedFill_(mask: Tensor, value: Operand): this;
    scatter_(dim: number, index: Tensor, src: Operand): this;
    scatterAdd_(dim: number, index: Tensor, src: Tensor): this;
    /** Writes `value` into the part that `index` selects, differentiably. */
    set(index: readonly Index[], value: Operand): this;

    // reductions
    sum(dim?: Dims, options?: ReduceOptions): Tensor;
    mean(dim?: Dims, options?: ReduceOptions): Tensor;
    var(dim?: Dims, options?: VarianceOptions): Tensor;
    std(dim?: Dims, options?: VarianceOptions): Tensor;
    norm(dim?: Dims, options?: NormOptions): Tensor;
    prod(dim?: Dims, options?: ReduceOptions): Tensor;
    logsumexp(dim?: Dims, options?: ReduceOptions): Tensor;
    softmax(dim: number): Tensor;
    logSoftmax(dim: number): Tensor;
    any(dim?: Dims, options?: ReduceOptions): Tensor;
    all(dim?: Dims, options?: ReduceOptions): Tensor;
    amax(dim?: Dims, options?: ReduceOptions): Tensor;
    amin(dim?: Dims, options?: ReduceOptions): Tensor;
    max(): Tensor;
    max(dim: number, options?: ReduceOptions): ValuesAndIndices;
    min(): Tensor;
    min(dim: number, options?: ReduceOptions): ValuesAndIndices;
    argmax(dim?: number | null, options?: ReduceOptions): Tensor;
    argmin(dim?: number | null, options?: ReduceOptions): Tensor;
    cumsum(dim: number): Tensor;

    // order
    sort(dim?: number, options?: SortOptions): ValuesAndIndices;
    argsort(dim?: number, options?: SortOptions): Tensor;
    topk(k: number, options?: TopkOptions): ValuesAndIndices;

    // picking and placing
    gather(dim: number, index: Tensor): Tensor;
    scatter(dim: number, index: Tensor, src: Operand): Tensor;
    scatterAdd(dim: number, index: Tensor, src: Tensor): Tensor;
    indexSelect(dim: number, index: Tensor): Tensor;

    // products
    matmul(other: Tensor): Tensor;
    mm(other: Tensor): Tensor;
    dot(other: Tensor): Tensor;
    outer(other: Tensor): Tensor;

    // views
    /**
     * Part of the tensor: a view for numbers, slice(a, b), ':', '...', null; a copy where int32 or bool tensors or lists
     * of numbers pick elements.
     */
    at(...index: Index[]): Tensor;
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
    movedim(source: number | readonly number[], destination: number | readonly number[]): Tensor;
    split(splitSize: number | readonly number[], dim?: number): Tensor[];
    chunk(chunks: number, dim?: number): Tensor[];
    flip(dims: number | readonly number[]): Tensor;
    roll(shifts: number | readonly number[], dims?: number | readonly number[]): Tensor;
    repeat(repeats: readonly number[]): Tensor;
    repeat(...repeats: number[]): Tensor;
    tile(dims: readonly number[]): Tensor;
    tile(...dims: number[]): Tensor;
    contiguous(): Tensor;
    /** The matrix transposed. */
    readonly T: Tensor;
    [Symbol.iterator](): IterableIterator<Tensor>;

    /** The tensor converted to another element type. */
    to(dtype: DType): Tensor;
  }
}

/** A method that passes `this` as the first argument. */
function method<A extends readonly unknown[], O>(
  fn: (first: Tensor, ...rest: A) => O,
): (this: Tensor, ...rest: A) => O {
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
  registerHook: method(registerHook),
  retainGrad: method(retainGrad),
  ...Object.fromEntries(
    (
      [
        'neg', 'abs', 'exp', 'expm1', 'log', 'log1p', 'log2', 'sqrt', 'rsqrt', 'square', 'reciprocal', 'sin', 'cos', 'erf',
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
  clamp_: method(inPlace.clamp_),
  maskedFill_: method(inPlace.maskedFill_),
  scatter_: method(inPlace.scatter_),
  scatterAdd_: method(inPlace.scatterAdd_),
  clamp: method(clamping.clamp),
  clampMin: method(clamping.clampMin),
  clampMax: method(clamping.clampMax),
  isnan: method(logic.isnan),
  isinf: method(logic.isinf),
  isfinite: method(logic.isfinite),
  logicalAnd: method(elementwise.logicalAnd),
  logicalOr: method(logic.logicalOr),
  logicalXor: method(logic.logicalXor),
  logicalNot: method(logic.logicalNot),
  maskedFill: method(logic.maskedFill),
  maskedSelect: method(indexing.maskedSelect),
  nonzero: method(indexing.nonzero),
  allClose: method(logic.allClose),
  equal: method(logic.equal),
  sum: method(reduction.sum),
  mean: method(reduction.mean),
  var: method(reduction.variance),
  std: method(reduction.std),
  norm: method(reduction.norm),
  prod: method(reduction.prod),
  logsumexp: method(reduction.logsumexp),
  softmax: method(softmax),
  logSoftmax: method(logSoftmax),
  any: method(reduction.any),
  all: method(reduction.all),
  amax: method(extreme.amax),
  amin: method(extreme.amin),
  max: method(extreme.max),
  min: method(extreme.min),
  argmax: method(extreme.argmax),
  argmin: method(extreme.argmin),
  cumsum: method(cumsum),
  sort: method(order.sort),
  argsort: method(order.argsort),
  topk: method(order.topk),
  gather: method(gathering.gather),
  scatter: method(gathering.scatter),
  scatterAdd: method(gathering.scatterAdd),
  indexSelect: method(indexing.indexSelect),
  matmul: method(matmulOps.matmul),
  mm: method(matmulOps.matmul),
  dot: method(matmulOps.dot),
  outer: method(matmulOps.outer),
  at: method((t: Tensor, ...index: Index[]) => indexing.index(t, index)),
  reshape: listMethod(views.reshape),
  permute: listMethod(views.permute),
  expand: listMethod(views.expand),
  flatten: method(views.flatten),
  transpose: method(views.transpose),
  squeeze: method(views.squeeze),
  unsqueeze: method(views.unsqueeze),
  narrow: method(views.narrow),
  unbind: method(views.unbind),
  movedim: method(rearrange.movedim),
  split: method(rearrange.split),
  chunk: method(rearrange.chunk),
  flip: method(rearrange.flip),
  roll: method(rearrange.roll),
  repeat: listMethod(rearrange.repeat),
  tile: listMethod(rearrange.tile),
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
