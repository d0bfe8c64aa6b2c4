/**
 * What a Sequential knows about layers, so that less memory goes through the caches. It hands the result of a layer
 * straight to the next, so nobody else can see it:
 *
 * - A ReLU, sigmoid or tanh takes the memory of the convolution before it, as neither backward reads that: a step of
 *   LeNet at batch 256 takes 2.29 ms so instead of 2.38. Without gradients all activations do.
 * - Batch norm with a ReLU behind it is one step, see `forwardThen`. With the sums of residual blocks in the same step a
 *   training step of ResNet-18 (96 pixels, batch 32) spends 15.3 ms between its convolutions instead of 17.6, of 180 in
 *   all, and on two threads 8.6 instead of 11.3, of 105.
 * - Without gradients, batch norm in evaluation is part of the convolution before it (fold.ts), which adds the residual
 *   and applies the ReLU as it writes its result, and the memory that a layer has read serves the next result. On two
 *   threads, for 8 images of 224 pixels: MobileNetV2 20 ms instead of 30 and 133 MB instead of 675, ResNet-50 124 ms
 *   instead of 168.
 */
import { needsGrad } from '../autograd/graph';
import type { ConvEnding } from '../functional/conv';
import { isExactConv } from '../functional/conv-exact';
import type { Tensor } from '../tensor/tensor';
import * as activation from './activation';
import { BatchNorm } from './batch-norm';
import { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, PlainConv } from './conv';
import { Dropout } from './dropout';
import { foldedInto } from './fold';
import { Flatten, Linear } from './linear';
import { forwardOf, type ForwardThen, type Module } from './module';
import * as pooling from './pooling';

const forwardsOf = (classes: readonly { readonly prototype: Module }[]): ReadonlySet<unknown> =>
  new Set(classes.map((layer) => forwardOf(layer.prototype)));

const makers = forwardsOf([BatchNorm, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Linear, PlainConv]);

const elementwise = forwardsOf([
  activation.CELU,
  activation.ELU,
  activation.GELU,
  activation.Hardsigmoid,
  activation.Hardswish,
  activation.Hardtanh,
  activation.LeakyReLU,
  activation.LogSigmoid,
  activation.Mish,
  activation.ReLU,
  activation.ReLU6,
  activation.SELU,
  activation.SiLU,
  activation.Sigmoid,
  activation.Softplus,
  activation.Softsign,
  activation.Tanh,
]);

const others = forwardsOf([
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
]);

/** True for a batch norm without hooks or a `forward` of its own. */
export function isBatchNorm(layer: Module): layer is BatchNorm {
  return forwardOf(layer) === forwardOf(BatchNorm.prototype);
}

function isConv(layer: Module): layer is PlainConv {
  return forwardOf(layer) === forwardOf(PlainConv.prototype);
}

export function isRelu(layer: Module): boolean {
  return forwardOf(layer) === forwardOf(activation.ReLU.prototype);
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

/** The ranges that layers limit values to which do nothing else. */
const ranges: ReadonlyMap<unknown, readonly [low: number, high: number]> = new Map([
  [forwardOf(activation.ReLU.prototype), [0, Infinity]],
  [forwardOf(activation.ReLU6.prototype), [0, 6]],
]);

/** Several layers as one convolution. */
export interface ConvStep {
  /** Number of layers. */
  readonly count: number;
  /** Whether the end of the whole Sequential is in it. */
  readonly hasEnd: boolean;
  run(x: Tensor): Tensor;
}

/**
 * Layers from `layers[i]` on as one convolution, without gradients: a batch norm is part of the weights (fold.ts), a
 * ReLU or what `end` tells is done to the result as it is written. Null if there is nothing to join.
 */
export function convStep(
  layers: readonly Module[],
  i: number,
  x: Tensor,
  end: ForwardThen | null,
): ConvStep | null {
  const layer = layers[i];
  if (!isConv(layer) || (i + 1 === layers.length && end === null)) return null;
  if (needsGrad(x, layer.weight, layer.bias)) return null;
  const norm = i + 1 < layers.length ? layers[i + 1] : null;
  const mayFold = norm !== null && isBatchNorm(norm) && !isExactConv() && !needsGrad(norm.weight, norm.bias);
  const folded = mayFold ? foldedInto(layer, norm, x.ndim) : null;
  const { weight, bias } = folded ?? layer;
  const count = folded === null ? 1 : 2;
  const after = i + count < layers.length ? layers[i + count] : null;
  const range = after === null ? undefined : ranges.get(forwardOf(after));
  const add = end?.add ?? null;
  let ending: ConvEnding | null = null;
  // What is added to a plain convolution may have another shape.
  const hasEnd = after === null && end !== null && !needsGrad(add) && (folded !== null || add === null);
  if (range !== undefined) ending = { add: null, low: range[0], high: range[1] };
  else if (hasEnd) ending = { add, low: end.relu === true ? 0 : -Infinity, high: Infinity };
  if (folded === null && ending === null) return null;
  return {
    count: range === undefined ? count : count + 1,
    hasEnd,
    run: (t) => layer.convolve(t, weight, bias, ending),
  };
}
