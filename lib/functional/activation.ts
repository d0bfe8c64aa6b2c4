/**
 * Activation functions beyond relu, sigmoid and tanh (elementwise.ts). The ones with parameters are one native op each
 * way, whose functions and formulas are listed in native/core/activation_fns.h.
 */
import { needsGrad, record } from '../autograd/graph';
import { ArgumentRangeError } from '../errors';
import { activationFns, run, type ActivationFn } from '../native';
import { checkOptions, formatShape, normalizeDim, real, shapeError } from '../shape';
import { contiguousElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import { expectDTypeOf, expectFloating, oneOf } from './checks';
import { gt, mul, sigmoid, where } from './elementwise';
import { memoryFor, unary } from './unary';
import { narrow, reshape } from './views';

/** The native activation `fn` with its parameters; `op` is the name in messages and graphs. */
function activation(op: string, fn: ActivationFn, input: Tensor, a = 0, b = 0, c = 0): Tensor {
  expectFloating(op, 'input', input);
  const fields = { fn: activationFns[fn], n: input.numel, a, b, c };
  const x = contiguousElements(input.detach());
  const y = memoryFor(input, x, needsGrad(input));
  run('activation', fields, { x, y });
  if (!needsGrad(input)) return y;
  return record(
    op,
    y,
    [input],
    (grad, _wanted, spare) => {
      const dy = contiguousElements(grad);
      const dx = spare ? dy : Tensor.empty(x.shape, x.dtype);
      run('activationBackward', fields, { x, dy, dx });
      return [dx];
    },
    { saved: [x] },
  );
}

const finite = (op: string, argument: string, value: unknown): number =>
  real(op, argument, value, 'must be finite', Number.isFinite);

/** min(max(x, 0), 6) */
export function relu6(input: Tensor): Tensor {
  return activation('relu6', 'hardtanh', input, 0, 6);
}

export interface LeakyReluOptions {
  /** Slope of the negative part. Default 0.01. */
  readonly negativeSlope?: number;
}

/**
 * x where it is positive, else negativeSlope * x.
 *
 * @example
 * F.leakyRelu(tensor([-2, 3]), { negativeSlope: 0.1 }); // tensor([-0.2000, 3.0000])
 */
export function leakyRelu(input: Tensor, options: LeakyReluOptions = {}): Tensor {
  checkOptions('leakyRelu', options);
  const slope = finite('leakyRelu', 'negativeSlope', options.negativeSlope ?? 0.01);
  return activation('leakyRelu', 'leaky_relu', input, slope);
}

/**
 * x where it is positive, else weight * x with a weight that is learned, one for all or one per channel.
 *
 * **Shape**: input [n, c, ...] (or any, with one weight), weight [1] or [c] -> the input's
 * @throws ShapeError if there are neither 1 nor c weights
 *
 * @example
 * F.prelu(x, new nn.Parameter(full([1], 0.25)));
 */
export function prelu(input: Tensor, weight: Tensor): Tensor {
  expectFloating('prelu', 'input', input);
  expectDTypeOf('prelu', 'weight', weight, input, 'input');
  const channels = input.ndim >= 2 ? input.shape[1] : 1;
  if (weight.ndim > 1 || (weight.numel !== 1 && weight.numel !== channels)) {
    throw shapeError(
      'prelu',
      'weight',
      `must have shape [1]${channels === 1 ? '' : ` or [${channels}]`} for input ${formatShape(input.shape)}`,
      weight.shape,
    );
  }
  const alongChannels = input.shape.map((_, d) => (d === 1 ? weight.numel : 1));
  const slope = weight.numel === 1 ? reshape(weight, []) : reshape(weight, alongChannels);
  return where(gt(input, 0), input, mul(slope, input));
}

export interface AlphaOption {
  /** The limit for x towards -infinity is -alpha. Default 1. */
  readonly alpha?: number;
}

/** x where it is positive, else alpha (e^x - 1) (Clevert et al., 2015). */
export function elu(input: Tensor, options: AlphaOption = {}): Tensor {
  checkOptions('elu', options);
  return activation('elu', 'elu', input, 1, finite('elu', 'alpha', options.alpha ?? 1), 1);
}

/** scale * elu with the constants that keep mean 0 and variance 1 (Klambauer et al., 2017). */
export function selu(input: Tensor): Tensor {
  const [alpha, scale] = [1.6732632423543772, 1.0507009873554805];
  return activation('selu', 'elu', input, scale, scale * alpha, 1);
}

/** x where it is positive, else alpha (e^(x / alpha) - 1): smooth for any alpha (Barron, 2017). */
export function celu(input: Tensor, options: AlphaOption = {}): Tensor {
  checkOptions('celu', options);
  const rule = 'must be finite and not 0';
  const alpha = real('celu', 'alpha', options.alpha ?? 1, rule, (v) => Number.isFinite(v) && v !== 0);
  return activation('celu', 'elu', input, 1, alpha, 1 / alpha);
}

export interface GeluOptions {
  /** `none`: by the error function; `tanh`: the approximation by tanh. Default `none`. */
  readonly approximate?: 'none' | 'tanh';
}

/**
 * x times the normal distribution function of x (Hendrycks and Gimpel, 2016).
 *
 * @example
 * F.gelu(x, { approximate: 'tanh' });
 */
export function gelu(input: Tensor, options: GeluOptions = {}): Tensor {
  checkOptions('gelu', options);
  expectFloating('gelu', 'input', input);
  const approximate = oneOf('gelu', 'approximate', options.approximate ?? 'none', ['none', 'tanh']);
  return approximate === 'none' ? unary('gelu', input) : activation('gelu', 'gelu_tanh', input);
}

/** x sigmoid(x), also called swish (Elfwing et al., 2017). */
export function silu(input: Tensor): Tensor {
  return unary('silu', expectFloating('silu', 'input', input));
}

/** x tanh(softplus(x)) (Misra, 2019). */
export function mish(input: Tensor): Tensor {
  return activation('mish', 'mish', input);
}

/** x min(max(x + 3, 0), 6) / 6 (Howard et al., 2019). */
export function hardswish(input: Tensor): Tensor {
  return activation('hardswish', 'hardswish', input);
}

/** min(max(x + 3, 0), 6) / 6 */
export function hardsigmoid(input: Tensor): Tensor {
  return activation('hardsigmoid', 'hardsigmoid', input);
}

export interface HardtanhOptions {
  /** Default -1. */
  readonly minVal?: number;
  /** Default 1. */
  readonly maxVal?: number;
}

/** min(max(x, minVal), maxVal); the derivative is 0 on both borders. */
export function hardtanh(input: Tensor, options: HardtanhOptions = {}): Tensor {
  checkOptions('hardtanh', options);
  const minVal = finite('hardtanh', 'minVal', options.minVal ?? -1);
  const maxVal = finite('hardtanh', 'maxVal', options.maxVal ?? 1);
  if (minVal > maxVal) {
    throw new ArgumentRangeError({
      op: 'hardtanh',
      argument: 'minVal',
      expected: `must not exceed maxVal ${maxVal}`,
      received: String(minVal),
    });
  }
  return activation('hardtanh', 'hardtanh', input, minVal, maxVal);
}

export interface SoftplusOptions {
  /** Sharpness. Default 1. */
  readonly beta?: number;
  /** Linear where beta * x exceeds this. Default 20. */
  readonly threshold?: number;
}

/** log(1 + e^(beta x)) / beta */
export function softplus(input: Tensor, options: SoftplusOptions = {}): Tensor {
  checkOptions('softplus', options);
  const rule = 'must be finite and not 0';
  const beta = real('softplus', 'beta', options.beta ?? 1, rule, (v) => Number.isFinite(v) && v !== 0);
  return activation(
    'softplus',
    'softplus',
    input,
    beta,
    finite('softplus', 'threshold', options.threshold ?? 20),
  );
}

/** x / (1 + |x|) */
export function softsign(input: Tensor): Tensor {
  return activation('softsign', 'softsign', input);
}

/** log(sigmoid(x)), accurate where sigmoid(x) is 0 or 1. */
export function logSigmoid(input: Tensor): Tensor {
  return activation('logSigmoid', 'log_sigmoid', input);
}

/**
 * The first half along `dim` times the sigmoid of the second (Dauphin et al., 2016).
 *
 * **Shape**: dimension `dim` is halved
 * @throws ShapeError if its size is odd
 *
 * @example
 * F.glu(randn([8, 64, 7, 7]), 1); // [8, 32, 7, 7]
 */
export function glu(input: Tensor, dim = -1): Tensor {
  expectFloating('glu', 'input', input);
  const d = normalizeDim('glu', dim, input.ndim);
  if (input.ndim === 0 || input.shape[d] % 2 !== 0) {
    throw shapeError('glu', 'input', `must have an even size in dimension ${d}`, input.shape);
  }
  const half = input.shape[d] / 2;
  return mul(narrow(input, d, 0, half), sigmoid(narrow(input, d, half, half)));
}
