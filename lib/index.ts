/** laminae: convolutional networks on the CPU. */
import './functional/engine-ops';
import './tensor-methods';
import './tensor/print';

export * as data from './data';
export * as F from './functional';
export * from './io';

export { cpuInfo, getNumThreads, setIsa, setNumThreads, type CpuInfo, type Isa } from './native';
export * from './errors';
export type { DType, TypedArray } from './dtype';
export type { Shape, Size } from './shape';
export { Tensor, type NestedArray } from './tensor/tensor';
export {
  arange,
  empty,
  full,
  ones,
  onesLike,
  tensor,
  zeros,
  zerosLike,
  type FromValuesOptions,
  type TensorOptions,
} from './tensor/create';
export { keep, scope } from './tensor/scope';
export { emptyCache, pooledBytes } from './tensor/storage';
export { Generator, manualSeed, normal, rand, randn, randperm } from './random';
export { enableGrad, isGradEnabled, noGrad } from './autograd/grad-mode';
export { backward, type BackwardOptions } from './autograd/engine';
export { gradcheck, type GradcheckOptions } from './autograd/gradcheck';
export {
  abs,
  add,
  clone,
  div,
  eq,
  exp,
  ge,
  gt,
  le,
  log,
  logicalAnd,
  lt,
  maximum,
  minimum,
  mul,
  ne,
  neg,
  pow,
  sqrt,
  sub,
  where,
  type Operand,
} from './functional/elementwise';
export { matmul } from './functional/matmul';
export { argmax, argmin, max, mean, min, norm, std, sum, variance } from './functional/reduction';
export {
  cat,
  expand,
  flatten,
  permute,
  reshape,
  Slice,
  slice,
  squeeze,
  stack,
  transpose,
  unbind,
  unsqueeze,
  type BasicIndex,
} from './functional/views';
