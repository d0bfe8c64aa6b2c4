/** Moving elements: strided copies with conversion, contiguous copies, fills. Nothing here is recorded. */
import type { DType } from '../dtype';
import { run } from '../native';
import { Tensor } from './tensor';

/** to[...] = from[...] for tensors of one shape, converting the element type. */
export function copyElements(from: Tensor, to: Tensor): void {
  if (from.numel === 0) return;
  run(
    'copy',
    { rank: from.ndim, shape: from.shape, xStrides: from.strides, yStrides: to.strides },
    { x: from, y: to },
  );
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
  run('fill', { n: t.numel, value }, { y: t });
}
