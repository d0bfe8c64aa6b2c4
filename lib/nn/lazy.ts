/**
 * Layers whose input size is found at the first `forward`. They are instances of the eager classes and behave like
 * them from then on. Run the network once before initialising weights or making an optimizer.
 */
import { checkOptions, type Size } from '../shape';
import { BatchNorm1d, BatchNorm2d, BatchNorm3d, type BatchNormOptions } from './batch-norm';
import {
  Conv1d,
  Conv2d,
  Conv3d,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type ConvLayerOptions,
  type ConvTransposeLayerOptions,
} from './conv';
import { Linear, type LinearOptions } from './linear';
import { UninitializedParameter } from './parameter';

/** {@link Linear} that takes its number of input features from the first input. */
export class LazyLinear extends Linear {
  constructor(outFeatures: number, options: LinearOptions = {}) {
    super(1, outFeatures, options);
    this.weight = new UninitializedParameter();
  }
}

/** As many channels as there must be at least, until the real number is known. */
function groupsOf(options: { readonly groups?: number }): number {
  checkOptions('lazy convolution', options);
  return options.groups ?? 1;
}

/** {@link Conv1d} that takes its number of input channels from the first input. */
export class LazyConv1d extends Conv1d {
  constructor(outChannels: number, kernelSize: Size, options: ConvLayerOptions = {}) {
    super(groupsOf(options), outChannels, kernelSize, options);
    this.weight = new UninitializedParameter();
  }
}

/**
 * {@link Conv2d} that takes its number of input channels from the first input.
 *
 * @example
 * const conv = new nn.LazyConv2d(6, 5, { padding: 2 });
 * conv.forward(zeros([1, 3, 28, 28]));
 * conv.weight.shape; // [6, 3, 5, 5]
 */
export class LazyConv2d extends Conv2d {
  constructor(outChannels: number, kernelSize: Size, options: ConvLayerOptions = {}) {
    super(groupsOf(options), outChannels, kernelSize, options);
    this.weight = new UninitializedParameter();
  }
}

/** {@link Conv3d} that takes its number of input channels from the first input. */
export class LazyConv3d extends Conv3d {
  constructor(outChannels: number, kernelSize: Size, options: ConvLayerOptions = {}) {
    super(groupsOf(options), outChannels, kernelSize, options);
    this.weight = new UninitializedParameter();
  }
}

/** {@link ConvTranspose1d} that takes its number of input channels from the first input. */
export class LazyConvTranspose1d extends ConvTranspose1d {
  constructor(outChannels: number, kernelSize: Size, options: ConvTransposeLayerOptions = {}) {
    super(groupsOf(options), outChannels, kernelSize, options);
    this.weight = new UninitializedParameter();
  }
}

/** {@link ConvTranspose2d} that takes its number of input channels from the first input. */
export class LazyConvTranspose2d extends ConvTranspose2d {
  constructor(outChannels: number, kernelSize: Size, options: ConvTransposeLayerOptions = {}) {
    super(groupsOf(options), outChannels, kernelSize, options);
    this.weight = new UninitializedParameter();
  }
}

/** {@link ConvTranspose3d} that takes its number of input channels from the first input. */
export class LazyConvTranspose3d extends ConvTranspose3d {
  constructor(outChannels: number, kernelSize: Size, options: ConvTransposeLayerOptions = {}) {
    super(groupsOf(options), outChannels, kernelSize, options);
    this.weight = new UninitializedParameter();
  }
}

/** {@link BatchNorm1d} that takes its number of features from the first input. */
export class LazyBatchNorm1d extends BatchNorm1d {
  constructor(options: BatchNormOptions = {}) {
    super(1, options);
    this.wait();
  }
}

/** {@link BatchNorm2d} that takes its number of channels from the first input. */
export class LazyBatchNorm2d extends BatchNorm2d {
  constructor(options: BatchNormOptions = {}) {
    super(1, options);
    this.wait();
  }
}

/** {@link BatchNorm3d} that takes its number of channels from the first input. */
export class LazyBatchNorm3d extends BatchNorm3d {
  constructor(options: BatchNormOptions = {}) {
    super(1, options);
    this.wait();
  }
}
