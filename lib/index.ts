/** laminae: convolutional networks on the CPU. */
import './functional/engine-ops';
import './tensor-methods';
import './tensor/print';

export * as data from './data';
export * as F from './functional';
export * from './io';
export * as nn from './nn';
export * as optim from './optim';

export { cpuInfo, getNumThreads, setIsa, setNumThreads, type CpuInfo, type Isa } from './native';
export * from './errors';
export type { DType, TypedArray } from './dtype';
export type { Shape, Size } from './shape';
export { Tensor, type NestedArray } from './tensor/tensor';
export {
  arange,
  empty,
  emptyLike,
  full,
  fullLike,
  ones,
  onesLike,
  tensor,
  zeros,
  zerosLike,
  type FromValuesOptions,
  type NestedValues,
  type TensorOptions,
} from './tensor/create';
export { keep, scope } from './tensor/scope';
export { emptyCache, pooledBytes } from './tensor/storage';
export { Generator, manualSeed, normal, rand, randLike, randn, randnLike, randperm } from './random';
export { isExactConv, setExactConv } from './functional/conv-exact';
export { enableGrad, isGradEnabled, noGrad } from './autograd/grad-mode';
export { backward, grad, type BackwardOptions, type GradOptions } from './autograd/engine';
export type { GradientHook } from './autograd/graph';
export { registerHook, retainGrad, type HookHandle } from './autograd/hooks';
export { gradcheck, type GradcheckOptions } from './autograd/gradcheck';
export {
  abs,
  add,
  ceil,
  clone,
  cos,
  div,
  eq,
  erf,
  exp,
  expm1,
  floor,
  ge,
  gt,
  le,
  log,
  log1p,
  log2,
  logicalAnd,
  lt,
  maximum,
  minimum,
  mul,
  ne,
  neg,
  pow,
  reciprocal,
  round,
  rsqrt,
  sigmoid,
  sign,
  sin,
  sqrt,
  square,
  sub,
  tanh,
  trunc,
  where,
  type Operand,
} from './functional/elementwise';
export { clamp, clampMax, clampMin, type ClampOptions } from './functional/clamp';
export { cumsum } from './functional/cumulative';
export { amax, amin, argmax, argmin, max, min } from './functional/extreme';
export { gather, scatter, scatterAdd } from './functional/gather';
export { indexSelect, maskedSelect, nonzero, type Index } from './functional/indexing';
export {
  allClose,
  equal,
  isfinite,
  isinf,
  isnan,
  logicalNot,
  logicalOr,
  logicalXor,
  maskedFill,
  type AllCloseOptions,
} from './functional/logic';
export { dot, matmul, outer } from './functional/matmul';
export { chunk, flip, movedim, repeat, roll, split, tile } from './functional/rearrange';
export {
  all,
  any,
  logsumexp,
  mean,
  norm,
  prod,
  std,
  sum,
  variance,
  type Dims,
  type NormOptions,
  type ReduceOptions,
  type ValuesAndIndices,
  type VarianceOptions,
} from './functional/reduction';
export { argsort, sort, topk, type SortOptions, type TopkOptions } from './functional/sort';
export {
  cat,
  expand,
  flatten,
  narrow,
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
