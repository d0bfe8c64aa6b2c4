import type { Ending } from '../functional/ending';
import { linearThen } from '../functional/matmul';
import { flatten, reshape } from '../functional/views';
import { checkOptions, integer, readList } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { LayerWithEnding } from './ending';
import { freshParameter } from './init';
import { Module } from './module';
import { UninitializedParameter, type Parameter } from './parameter';

export interface LinearOptions {
  /** Learn an additive bias. Default true. */
  readonly bias?: boolean;
}

/**
 * y = x W^T + b over the last dimension. Weights and bias start uniform within +-1/sqrt(inFeatures).
 *
 * **Shape**: [..., inFeatures] -> [..., outFeatures]
 *
 * @example
 * const layer = new nn.Linear(256, 120);
 * layer.forward(randn([32, 256])).shape; // [32, 120]
 */
export class Linear extends LayerWithEnding {
  /** [outFeatures, inFeatures] */
  weight: Parameter;
  /** [outFeatures] */
  bias: Parameter | null;

  inFeatures: number;

  constructor(
    inFeatures: number,
    readonly outFeatures: number,
    options: LinearOptions = {},
  ) {
    super();
    checkOptions('Linear', options);
    this.inFeatures = integer('Linear', 'inFeatures', inFeatures, 1);
    integer('Linear', 'outFeatures', outFeatures, 1);
    const bound = 1 / Math.sqrt(inFeatures);
    this.weight = freshParameter([outFeatures, inFeatures], bound);
    this.bias = options.bias === false ? null : freshParameter([outFeatures], bound);
  }

  /** Starts again with new weights, for `inFeatures` inputs. */
  reset(inFeatures: number): void {
    this.inFeatures = integer('Linear', 'inFeatures', inFeatures, 1);
    const bound = 1 / Math.sqrt(inFeatures);
    this.weight = freshParameter([this.outFeatures, inFeatures], bound, this.weight);
    if (this.bias !== null) this.bias = freshParameter([this.outFeatures], bound, this.bias);
  }

  protected override compute(input: Tensor, ending: Ending): Tensor {
    if (this.weight instanceof UninitializedParameter) this.reset(input.size(-1));
    return linearThen(input, this.weight, this.bias, ending);
  }

  protected override extraRepr(): string {
    return `inFeatures=${this.inFeatures}, outFeatures=${this.outFeatures}, bias=${this.bias !== null}`;
  }
}

/** Returns its input: a placeholder. */
export class Identity extends Module {
  override forward(input: Tensor): Tensor {
    return input;
  }
}

/**
 * Merges dimensions startDim (1) to endDim (-1).
 *
 * **Shape**: [n, c, h, w] -> [n, c*h*w]
 */
export class Flatten extends Module {
  constructor(
    readonly startDim = 1,
    readonly endDim = -1,
  ) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return flatten(input, this.startDim, this.endDim);
  }
}

/** Splits dimension `dim` into `sizes`, one of which may be -1. */
export class Unflatten extends Module {
  readonly sizes: readonly number[];

  constructor(
    readonly dim: number,
    sizes: readonly number[],
  ) {
    super();
    this.sizes = readList('Unflatten', 'sizes', sizes, 'integers');
  }

  override forward(input: Tensor): Tensor {
    const given = integer('Unflatten', 'dim', this.dim, -input.ndim, input.ndim - 1);
    const d = given < 0 ? given + input.ndim : given;
    return reshape(input, [...input.shape.slice(0, d), ...this.sizes, ...input.shape.slice(d + 1)]);
  }
}
