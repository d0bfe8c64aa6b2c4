/**
 * Initial values, written in place and never recorded. Fans: for a weight [out, in, ...kernel], fan_in = in * kernel
 * cells, fan_out = out * kernel cells.
 */
import { noGrad } from '../autograd/grad-mode';
import * as inPlace from '../functional/in-place';
import { real, shapeError, sizeOf } from '../shape';
import { Tensor } from '../tensor/tensor';
import { Parameter } from './parameter';

function fans(op: string, t: Tensor): { fanIn: number; fanOut: number } {
  if (t.ndim < 2) {
    throw shapeError(op, 'tensor', 'must have at least two dimensions to have fans', t.shape);
  }
  const cells = sizeOf(t.shape.slice(2));
  return { fanIn: t.shape[1] * cells, fanOut: t.shape[0] * cells };
}

/** Uniform in [a, b). */
export function uniform_(t: Tensor, a = 0, b = 1): Tensor {
  return noGrad(() => inPlace.uniform_(t, a, b));
}

/** A new parameter, uniform in [-bound, bound): how layers start. It takes the place of `old`, if there is one. */
export function freshParameter(shape: readonly number[], bound: number, old?: Parameter | null): Parameter {
  const values = uniform_(Tensor.empty(shape, old?.dtype ?? 'float32'), -bound, bound);
  return new Parameter(values, old?.requiresGrad);
}

/** Normal with `mean` and `std`. */
export function normal_(t: Tensor, mean = 0, std = 1): Tensor {
  return noGrad(() => inPlace.normal_(t, mean, std));
}

/** Every element `value`. */
export function constant_(t: Tensor, value: number): Tensor {
  return noGrad(() => inPlace.fill_(t, value));
}

/** All ones. */
export const ones_ = (t: Tensor): Tensor => constant_(t, 1);

/** All zeros. */
export const zeros_ = (t: Tensor): Tensor => constant_(t, 0);

/**
 * Uniform within +-gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, "Understanding the difficulty of training
 * deep feedforward neural networks", 2010).
 */
export function xavierUniform_(t: Tensor, gain = 1): Tensor {
  const { fanIn, fanOut } = fans('xavierUniform_', t);
  const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
  return uniform_(t, -bound, bound);
}

/** Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)); source as {@link xavierUniform_}. */
export function xavierNormal_(t: Tensor, gain = 1): Tensor {
  const { fanIn, fanOut } = fans('xavierNormal_', t);
  return normal_(t, 0, gain * Math.sqrt(2 / (fanIn + fanOut)));
}

export interface KaimingOptions {
  /** Negative slope of the leaky ReLU that follows; ignored for others. Default 0. */
  readonly a?: number;
  /** Keep the variance of the forward (`fanIn`, default) or of the backward pass. */
  readonly mode?: 'fanIn' | 'fanOut';
  /** What follows. Default `leakyRelu`. */
  readonly nonlinearity?: Nonlinearity;
}

export type Nonlinearity = 'linear' | 'conv2d' | 'sigmoid' | 'tanh' | 'relu' | 'leakyRelu' | 'selu';

/** The factor by which a nonlinearity shrinks the standard deviation. */
export function calculateGain(nonlinearity: Nonlinearity, a = 0.01): number {
  switch (nonlinearity) {
    case 'tanh':
      return 5 / 3;
    case 'relu':
      return Math.SQRT2;
    case 'leakyRelu':
      return Math.sqrt(2 / (1 + real('calculateGain', 'a', a, 'must be finite', Number.isFinite) ** 2));
    case 'selu':
      return 3 / 4;
    case 'linear':
    case 'conv2d':
    case 'sigmoid':
      return 1;
  }
}

function kaimingStd(op: string, t: Tensor, options: KaimingOptions): number {
  const { fanIn, fanOut } = fans(op, t);
  const fan = options.mode === 'fanOut' ? fanOut : fanIn;
  return calculateGain(options.nonlinearity ?? 'leakyRelu', options.a ?? 0) / Math.sqrt(fan);
}

/** Uniform for layers before a ReLU (He et al., "Delving deep into rectifiers", 2015). */
export function kaimingUniform_(t: Tensor, options: KaimingOptions = {}): Tensor {
  const bound = Math.sqrt(3) * kaimingStd('kaimingUniform_', t, options);
  return uniform_(t, -bound, bound);
}

/** Normal for layers before a ReLU; source as {@link kaimingUniform_}. */
export function kaimingNormal_(t: Tensor, options: KaimingOptions = {}): Tensor {
  return normal_(t, 0, kaimingStd('kaimingNormal_', t, options));
}
