/**
 * What a Sequential knows about layers, so that less memory goes through the caches. It hands the result of a layer
 * straight to the next, so nobody else can see it:
 *
 * - A ReLU or ReLU6 is the ending of the layer before it, see `forwardThen`. With the sums of residual blocks in the same
 *   step a training step of ResNet-18 (96 pixels, batch 32) spends 15.3 ms between its convolutions instead of 17.6, of 180
 *   in all, and on two threads 8.6 instead of 11.3, of 105. One of MobileNetV2 (96 pixels, batch 16) takes 59.8 ms instead
 *   of 65.7, on two threads 35.2 instead of 39.1.
 * - A sigmoid or tanh takes the memory of the convolution before it, as neither backward reads that: a step of LeNet at
 *   batch 256 takes 2.29 ms so instead of 2.38. Without gradients all activations do.
 * - Without gradients, batch norm in evaluation is part of the convolution before it (fold.ts), and the memory that a layer
 *   has read serves the next result. On two threads, for 8 images of 224 pixels: MobileNetV2 20 ms instead of 30 and 133
 *   MB instead of 675, ResNet-50 124 ms instead of 168.
 */
import { noEnding, type Ending } from '../functional/ending';
import { Activation, ReLU, ReLU6 } from './activation';
import { BatchNorm } from './batch-norm';
import { ConvLayer } from './conv';
import { Dropout } from './dropout';
import { takesEnding } from './ending';
import { Flatten, Linear } from './linear';
import { forwardOf, type Module } from './module';
import * as pooling from './pooling';

const justRelu: Ending = { relu: true };
const justRelu6: Ending = { relu6: true };

/** The `forward` of further layers that {@link keepsNothing} holds for. */
const others: ReadonlySet<unknown> = new Set(
  [
    pooling.AdaptiveAvgPool1d,
    pooling.AdaptiveAvgPool2d,
    pooling.AdaptiveAvgPool3d,
    pooling.AvgPool1d,
    pooling.AvgPool2d,
    pooling.AvgPool3d,
    Dropout,
    Flatten,
    pooling.MaxPool1d,
    pooling.MaxPool2d,
    pooling.MaxPool3d,
  ].map((layer) => forwardOf(layer.prototype)),
);

/** True if the result of `layer` is memory of its own, and backward of `layer` does not read it. */
export function makesResult(layer: Module): boolean {
  const isMaker = layer instanceof ConvLayer || layer instanceof BatchNorm || layer instanceof Linear;
  return isMaker && takesEnding(layer);
}

/** True for an elementwise function without hooks or a `forward` of its own. */
export function isActivation(layer: Module): layer is Activation {
  return layer instanceof Activation && forwardOf(layer) === forwardOf(Activation.prototype);
}

/** True if `layer` can write its result over its input, see `givingAway`. */
export function mayOverwrite(layer: Module): boolean {
  return isActivation(layer) || (layer instanceof BatchNorm && takesEnding(layer));
}

/** True if without gradients `layer` holds on neither to its input nor to its result, which is new or of the input. */
export function keepsNothing(layer: Module): boolean {
  return makesResult(layer) || isActivation(layer) || others.has(forwardOf(layer));
}

/** What `layer` does, as the ending of the layer before it; `noEnding` if it is none. */
export function asEnding(layer: Module): Ending {
  if (!isActivation(layer)) return noEnding;
  if (layer instanceof ReLU) return justRelu;
  return layer instanceof ReLU6 ? justRelu6 : noEnding;
}
