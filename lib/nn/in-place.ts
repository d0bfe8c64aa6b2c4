/**
 * What a Sequential knows about layers, so that less memory goes through the caches. It hands the result of a layer
 * straight to the next, so nobody else can see it:
 *
 * - A ReLU, sigmoid or tanh takes the memory of the convolution before it, as neither backward reads that: a step of
 *   LeNet at batch 256 takes 2.29 ms so instead of 2.38. Without gradients all activations do.
 * - Batch norm with a ReLU behind it is one step, see `forwardThen`. With the sums of residual blocks in the same step a
 *   training step of ResNet-18 (96 pixels, batch 32) takes 2 to 5 % less time.
 * - Without gradients, batch norm in evaluation is part of the convolution before it (fold.ts), and the memory that a
 *   layer has read serves the next result. On two threads, for 8 images of 224 pixels, with both: MobileNetV2 22 ms
 *   instead of 36 and 133 MB instead of 675, ResNet-50 131 ms instead of 168.
 */
import { needsGrad } from '../autograd/graph';
import { isExactConv } from '../functional/conv-exact';
import type { Tensor } from '../tensor/tensor';
import {
  CELU,
  ELU,
  GELU,
  Hardsigmoid,
  Hardswish,
  Hardtanh,
  LeakyReLU,
  LogSigmoid,
  Mish,
  ReLU,
  ReLU6,
  SELU,
  SiLU,
  Sigmoid,
  Softplus,
  Softsign,
  Tanh,
} from './activation';
import { BatchNorm } from './batch-norm';
import { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, PlainConv } from './conv';
import { Dropout } from './dropout';
import { foldedInto } from './fold';
import { Flatten, Linear } from './linear';
import { forwardOf, type Module } from './module';
import {
  AdaptiveAvgPool1d,
  AdaptiveAvgPool2d,
  AdaptiveAvgPool3d,
  AvgPool1d,
  AvgPool2d,
  AvgPool3d,
  MaxPool1d,
  MaxPool2d,
  MaxPool3d,
} from './pooling';

const forwardsOf = (classes: readonly { readonly prototype: Module }[]): ReadonlySet<unknown> =>
  new Set(classes.map((layer) => forwardOf(layer.prototype)));

const makers = forwardsOf([BatchNorm, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Linear, PlainConv]);

const elementwise = forwardsOf([
  CELU,
  ELU,
  GELU,
  Hardsigmoid,
  Hardswish,
  Hardtanh,
  LeakyReLU,
  LogSigmoid,
  Mish,
  ReLU,
  ReLU6,
  SELU,
  SiLU,
  Sigmoid,
  Softplus,
  Softsign,
  Tanh,
]);

const others = forwardsOf([
  AdaptiveAvgPool1d,
  AdaptiveAvgPool2d,
  AdaptiveAvgPool3d,
  AvgPool1d,
  AvgPool2d,
  AvgPool3d,
  Dropout,
  Flatten,
  MaxPool1d,
  MaxPool2d,
  MaxPool3d,
]);

/** True for a batch norm without hooks or a `forward` of its own. */
export function isBatchNorm(layer: Module): layer is BatchNorm {
  return forwardOf(layer) === forwardOf(BatchNorm.prototype);
}

function isConv(layer: Module): layer is PlainConv {
  return forwardOf(layer) === forwardOf(PlainConv.prototype);
}

export function isRelu(layer: Module): boolean {
  return forwardOf(layer) === forwardOf(ReLU.prototype);
}

/** True if the result of `layer` is memory of its own, and backward of `layer` does not read it. */
export function makesResult(layer: Module): boolean {
  return makers.has(forwardOf(layer));
}

/** True if `layer` applies one elementwise function, see `givingAway`. */
export function isElementwise(layer: Module): boolean {
  return elementwise.has(forwardOf(layer));
}

/** True if without gradients `layer` holds on neither to its input nor to its result, which is new or of the input. */
export function keepsNothing(layer: Module): boolean {
  const forward = forwardOf(layer);
  return makers.has(forward) || elementwise.has(forward) || others.has(forward);
}

/** `layer` and `next` as one convolution, where they may be one for `x`: see fold.ts. */
export function foldedPair(layer: Module, next: Module, x: Tensor): ((x: Tensor) => Tensor) | null {
  if (!isConv(layer) || !isBatchNorm(next) || isExactConv()) return null;
  if (needsGrad(x, layer.weight, layer.bias, next.weight, next.bias)) return null;
  const folded = foldedInto(layer, next, x.ndim);
  return folded === null ? null : (t) => layer.convolve(t, folded.weight, folded.bias);
}
