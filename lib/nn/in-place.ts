/**
 * Layers that may take the memory of what they are applied to: a Sequential hands the result of a convolution straight to
 * the ReLU behind it, so nobody else can see it, and neither backward reads it. A step of LeNet at batch 256 takes 2.29 ms
 * so instead of 2.38: less memory goes through the caches.
 *
 * Batch norm with a ReLU behind it is one step, see `forwardThen`; it takes the memory of the convolution before it where
 * no gradient is recorded. With the sums of residual blocks in the same step a training step of ResNet-18 (96 pixels,
 * batch 32) takes 2 to 5 % less time, an image through ResNet-50 34.8 ms instead of 39.0.
 */
import type { UnaryFn } from '../native';
import { ReLU, Sigmoid, Tanh } from './activation';
import { BatchNorm } from './batch-norm';
import { Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from './conv';
import { Linear } from './linear';
import { forwardOf, type Module } from './module';

const makers: ReadonlySet<unknown> = new Set(
  [BatchNorm, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Linear].map(
    (layer) => forwardOf(layer.prototype),
  ),
);

const functions: ReadonlyMap<unknown, UnaryFn> = new Map([
  [forwardOf(ReLU.prototype), 'relu'],
  [forwardOf(Sigmoid.prototype), 'sigmoid'],
  [forwardOf(Tanh.prototype), 'tanh'],
]);

/** True for a batch norm without hooks or a `forward` of its own. */
export function isBatchNorm(layer: Module): layer is BatchNorm {
  return forwardOf(layer) === forwardOf(BatchNorm.prototype);
}

/** True if the result of `layer` is memory of its own, and backward of `layer` does not read it. */
export function makesResult(layer: Module): boolean {
  return makers.has(forwardOf(layer));
}

/** The function that `layer` applies, if its derivative is taken from the result alone. */
export function functionOf(layer: Module): UnaryFn | undefined {
  return functions.get(forwardOf(layer));
}
