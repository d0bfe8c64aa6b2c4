/** Functional operations, exported by the package as `F`. */
export * from './elementwise';
export { linear, matmul } from './matmul';
export { logSoftmax, softmax } from './softmax';
export { dropout, type DropoutOptions } from './dropout';
export {
  crossEntropy,
  mseLoss,
  nllLoss,
  type CrossEntropyOptions,
  type NllLossOptions,
  type Reduction,
  type ReductionOption,
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
