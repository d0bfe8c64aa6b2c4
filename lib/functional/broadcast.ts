/** What every operation with several operands needs: conversion of element types, and the inverse of broadcasting. */
import { record } from '../autograd/graph';
import { isFloating, type DType } from '../dtype';
import { run } from '../native';
import { contiguousStrides, sameShape, type Shape } from '../shape';
import { cloneElements, contiguousElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';

/** `t` converted to `dtype`; `t` itself if it has it already. Gradients are converted back. */
export function castTo(t: Tensor, dtype: DType): Tensor {
  if (t.dtype === dtype) return t;
  const y = cloneElements(t, dtype);
  if (!isFloating(dtype) || !isFloating(t.dtype)) return y;
  return record('to', y, [t], (grad) => [castTo(grad, t.dtype)]);
}

/** Codes of the native `reduce` op. */
export const reduceCode = { sum: 0, mean: 1, max: 2, min: 3, sumOfSquares: 4 } as const;
export type ReduceFn = keyof typeof reduceCode;

/** One pass of the native reduction over the middle of [outer, n, inner], contiguous in and out. */
export function reduceMiddle(
  fn: ReduceFn,
  x: Tensor,
  outer: number,
  n: number,
  inner: number,
  shape: Shape,
): Tensor {
  const y = Tensor.empty(shape, x.dtype);
  run('reduce', { fn: reduceCode[fn], outer, n, inner }, { x, y, index: null });
  return y;
}

/**
 * Reduces a contiguous tensor over sorted `dims`, keeping them with size 1; not recorded. Neighbouring dimensions are
 * reduced together; separate groups one after the other, innermost first.
 */
export function reduceDims(fn: ReduceFn, input: Tensor, dims: readonly number[]): Tensor {
  let t = contiguousElements(input);
  let step = fn;
  for (let last = dims.length - 1; last >= 0;) {
    let first = last;
    while (first > 0 && dims[first - 1] === dims[first] - 1) first--;
    const shape = [...t.shape];
    const product = (from: number, to: number): number => shape.slice(from, to).reduce((p, d) => p * d, 1);
    const outer = product(0, dims[first]);
    const n = product(dims[first], dims[last] + 1);
    const inner = product(dims[last] + 1, shape.length);
    for (let i = first; i <= last; i++) shape[dims[i]] = 1;
    t = reduceMiddle(step, t, outer, n, inner, shape);
    if (step === 'sumOfSquares') step = 'sum';
    last = first - 1;
  }
  return t;
}

/** Sums a gradient over the dimensions along which an operand of `shape` was broadcast; not recorded. */
export function sumTo(grad: Tensor, shape: Shape): Tensor {
  if (sameShape(grad.shape, shape)) return grad;
  const lead = grad.ndim - shape.length;
  const dims: number[] = [];
  for (let d = 0; d < grad.ndim; d++) {
    if (d < lead || (shape[d - lead] === 1 && grad.shape[d] !== 1)) dims.push(d);
  }
  const summed = dims.length === 0 ? contiguousElements(grad) : reduceDims('sum', grad, dims);
  return new Tensor(summed.storage, shape, contiguousStrides(shape), summed.offset);
}
