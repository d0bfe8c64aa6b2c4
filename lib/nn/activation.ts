/** Activation functions as layers. The functions, with formulas and sources, are in `functional/`. */
import {
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
} from '../functional/activation';
import { relu, sigmoid, tanh } from '../functional/elementwise';
import { logSoftmax, softmax } from '../functional/softmax';
import { checkOptions, integer, real } from '../shape';
import { full } from '../tensor/create';
import type { Tensor } from '../tensor/tensor';
import { Module } from './module';
import { Parameter } from './parameter';

/** A layer that applies one elementwise function with fixed options. */
export abstract class Activation<Options extends object = object> extends Module {
  readonly options: Options;

  constructor(options?: Options) {
    super();
    checkOptions(this.constructor.name, options ?? {});
    this.options = options ?? ({} as Options);
  }

  /** The function. */
  protected abstract activate(input: Tensor): Tensor;

  override forward(input: Tensor): Tensor {
    return this.activate(input);
  }

  protected override extraRepr(): string {
    return Object.entries(this.options)
      .map(([name, value]) => `${name}=${String(value)}`)
      .join(', ');
  }
}

/** max(x, 0) */
export class ReLU extends Activation {
  protected override activate(input: Tensor): Tensor {
    return relu(input);
  }
}

/** min(max(x, 0), 6) */
export class ReLU6 extends Activation {
  protected override activate(input: Tensor): Tensor {
    return relu6(input);
  }
}

/** x where it is positive, else negativeSlope * x */
export class LeakyReLU extends Activation<LeakyReluOptions> {
  protected override activate(input: Tensor): Tensor {
    return leakyRelu(input, this.options);
  }
}

export interface PReLUOptions {
  /** One slope for all (1) or one per channel. Default 1. */
  readonly numParameters?: number;
  /** Start of the slopes. Default 0.25. */
  readonly init?: number;
}

/** x where it is positive, else weight * x with a learnt weight (He et al., "Delving deep into rectifiers", 2015). */
export class PReLU extends Module {
  /** [numParameters] */
  weight: Parameter;

  constructor(options: PReLUOptions = {}) {
    super();
    checkOptions('PReLU', options);
    const n = integer('PReLU', 'numParameters', options.numParameters ?? 1, 1);
    this.weight = new Parameter(
      full([n], real('PReLU', 'init', options.init ?? 0.25, 'must be finite', Number.isFinite)),
    );
  }

  override forward(input: Tensor): Tensor {
    return prelu(input, this.weight);
  }

  protected override extraRepr(): string {
    return `numParameters=${this.weight.numel}`;
  }
}

/** x where it is positive, else alpha (e^x - 1) */
export class ELU extends Activation<AlphaOption> {
  protected override activate(input: Tensor): Tensor {
    return elu(input, this.options);
  }
}

/** Scaled ELU that keeps mean 0 and variance 1 (Klambauer et al., "Self-normalizing neural networks", 2017). */
export class SELU extends Activation {
  protected override activate(input: Tensor): Tensor {
    return selu(input);
  }
}

/** max(x, 0) + min(0, alpha (e^(x/alpha) - 1)) */
export class CELU extends Activation<AlphaOption> {
  protected override activate(input: Tensor): Tensor {
    return celu(input, this.options);
  }
}

/** x times the normal distribution function of x, exact or by tanh (Hendrycks and Gimpel, 2016). */
export class GELU extends Activation<GeluOptions> {
  protected override activate(input: Tensor): Tensor {
    return gelu(input, this.options);
  }
}

/** x sigmoid(x) */
export class SiLU extends Activation {
  protected override activate(input: Tensor): Tensor {
    return silu(input);
  }
}

/** x tanh(softplus(x)) */
export class Mish extends Activation {
  protected override activate(input: Tensor): Tensor {
    return mish(input);
  }
}

/** x relu6(x + 3) / 6 */
export class Hardswish extends Activation {
  protected override activate(input: Tensor): Tensor {
    return hardswish(input);
  }
}

/** relu6(x + 3) / 6 */
export class Hardsigmoid extends Activation {
  protected override activate(input: Tensor): Tensor {
    return hardsigmoid(input);
  }
}

/** x cut to minVal..maxVal */
export class Hardtanh extends Activation<HardtanhOptions> {
  protected override activate(input: Tensor): Tensor {
    return hardtanh(input, this.options);
  }
}

/** log(1 + e^(beta x)) / beta */
export class Softplus extends Activation<SoftplusOptions> {
  protected override activate(input: Tensor): Tensor {
    return softplus(input, this.options);
  }
}

/** x / (1 + |x|) */
export class Softsign extends Activation {
  protected override activate(input: Tensor): Tensor {
    return softsign(input);
  }
}

/** 1 / (1 + e^-x) */
export class Sigmoid extends Activation {
  protected override activate(input: Tensor): Tensor {
    return sigmoid(input);
  }
}

/** log(sigmoid(x)) */
export class LogSigmoid extends Activation {
  protected override activate(input: Tensor): Tensor {
    return logSigmoid(input);
  }
}

/** Hyperbolic tangent. */
export class Tanh extends Activation {
  protected override activate(input: Tensor): Tensor {
    return tanh(input);
  }
}

/** e^x normalised to sum 1 along `dim`. */
export class Softmax extends Module {
  constructor(readonly dim: number) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return softmax(input, this.dim);
  }
}

/** Logarithm of the softmax along `dim`. */
export class LogSoftmax extends Module {
  constructor(readonly dim: number) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return logSoftmax(input, this.dim);
  }
}

/** First half of `dim` times the sigmoid of the second. */
export class GLU extends Module {
  constructor(readonly dim = -1) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return glu(input, this.dim);
  }
}
