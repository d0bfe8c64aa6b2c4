/** Functional operations, exported by the package as `F`. */
export * from './elementwise';
export { linear, matmul } from './matmul';
export { logSoftmax, softmax } from './softmax';
export {
  alphaDropout,
  dropout,
  dropout1d,
  dropout2d,
  dropout3d,
  featureAlphaDropout,
  type DropoutOptions,
} from './dropout';
export { embedding, type EmbeddingOptions } from './embedding';
export { interpolate, type InterpolateOptions } from './interpolate';
export { pad, type PaddingMode, type PadOptions } from './pad';
export { pixelShuffle, pixelUnshuffle } from './pixel-shuffle';
export { fold, unfold, type UnfoldOptions } from './unfold';
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
export {
  avgPool1d,
  avgPool2d,
  avgPool3d,
  maxPool1d,
  maxPool1dWithIndices,
  maxPool2d,
  maxPool2dWithIndices,
  maxPool3d,
  maxPool3dWithIndices,
  type AvgPoolOptions,
  type MaxPoolOptions,
} from './pool';
export {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool1dWithIndices,
  adaptiveMaxPool2d,
  adaptiveMaxPool2dWithIndices,
  adaptiveMaxPool3d,
  adaptiveMaxPool3dWithIndices,
  type AdaptiveSize,
} from './adaptive-pool';
export { maxUnpool1d, maxUnpool2d, maxUnpool3d, type MaxUnpoolOptions } from './max-unpool';
export { batchNorm, type BatchNormOptions } from './batch-norm';
export type { Ending } from './ending';
export {
  groupNorm,
  instanceNorm,
  layerNorm,
  localResponseNorm,
  type AffineOptions,
  type InstanceNormOptions,
  type LocalResponseNormOptions,
} from './layer-norm';
export { lpPool1d, lpPool2d, type LpPoolOptions } from './lp-pool';
