/** Functional operations, exported by the package as `F`. */
export * from './elementwise';
export { linear, matmul } from './matmul';
export { logSoftmax, softmax } from './softmax';
export { dropout, type DropoutOptions } from './dropout';
export {
  celu,
  elu,
  gelu,
  glu,
  hardsigmoid,
  hardswish,
  hardtanh,
  leakyRelu,
  logSigmoid,
  mish,
  prelu,
  relu6,
  selu,
  silu,
  softplus,
  softsign,
  type AlphaOption,
  type GeluOptions,
  type HardtanhOptions,
  type LeakyReluOptions,
  type SoftplusOptions,
} from './activation';
export {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  crossEntropy,
  huberLoss,
  klDiv,
  l1Loss,
  mseLoss,
  nllLoss,
  smoothL1Loss,
  type BinaryCrossEntropyOptions,
  type BinaryCrossEntropyWithLogitsOptions,
  type CrossEntropyOptions,
  type HuberLossOptions,
  type KlDivOptions,
  type NllLossOptions,
  type Reduction,
  type ReductionOption,
  type SmoothL1LossOptions,
} from './loss';
export {
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type ConvOptions,
  type ConvPadding,
  type ConvTransposeOptions,
} from './conv';
