/** Moving elements: strided copies with conversion, contiguous copies, fills. Nothing here is recorded. */
import type { DType } from '../dtype';
import { compareFns, run } from '../native';
import { Tensor } from './tensor';

/** to[...] = from[...] for tensors of one shape, converting the element type. */
export function copyElements(from: Tensor, to: Tensor): void {
  if (from.numel === 0) return;
  if (to.dtype === 'bool' && from.dtype !== 'bool') {
    copyElements(isNotZero(from), to);
    return;
  }
  run(
    'copy',
    { rank: from.ndim, shape: from.shape, xStrides: from.strides, yStrides: to.strides },
    { x: from, y: to },
  );
}

/** What a number is as a bool: 0.5 is true, which cutting off the fraction would lose. */
function isNotZero(t: Tensor): Tensor {
  const zero = Tensor.empty([], t.dtype);
  fillElements(zero, 0);
  const y = Tensor.empty(t.shape, 'bool');
  const none = new Array<number>(t.ndim).fill(0);
  run(
    'compare',
    { fn: compareFns.ne, rank: t.ndim, shape: t.shape, aStrides: t.strides, bStrides: none },
    { a: t, b: zero, y },
  );
  return y;
}

/** A fresh contiguous tensor with the elements of `t`, of another dtype if asked. */
export function cloneElements(t: Tensor, dtype: DType = t.dtype): Tensor {
  const out = Tensor.empty(t.shape, dtype);
  copyElements(t, out);
  return out;
}

/** `t` itself if its elements lie in row-major order, else a contiguous copy. */
export function contiguousElements(t: Tensor): Tensor {
  return t.isContiguous ? t : cloneElements(t);
}

/** Sets every element of a contiguous tensor. */
export function fillElements(t: Tensor, value: number): void {
  run('fill', { n: t.numel, value: t.dtype === 'bool' ? Number(value !== 0) : value }, { y: t });
}
