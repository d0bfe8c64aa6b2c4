/** Normalisation within a sample; the functions, with sources, are in `functional/layer-norm.ts`. */
import {
  groupNorm,
  instanceNorm,
  layerNorm,
  localResponseNorm,
  type LocalResponseNormOptions,
} from '../functional/layer-norm';
import { squeeze, unsqueeze } from '../functional/views';
import { checkOptions, integer, numberList, shapeError } from '../shape';
import { ones, zeros } from '../tensor/create';
import type { Tensor } from '../tensor/tensor';
import { Module } from './module';
import { Parameter } from './parameter';

export interface NormOptions {
  /** Added to the variance under the root. Default 1e-5. */
  readonly eps?: number;
  /** Learn weight and bias. Default true. */
  readonly affine?: boolean;
}

export interface LayerNormOptions {
  /** Added to the variance under the root. Default 1e-5. */
  readonly eps?: number;
  /** Learn weight and bias per element. Default true. */
  readonly elementwiseAffine?: boolean;
}

/** Normalises the last dimensions of every sample: [..., ...normalizedShape]. */
export class LayerNorm extends Module {
  readonly normalizedShape: readonly number[];
  weight: Parameter | null;
  bias: Parameter | null;

  constructor(
    normalizedShape: number | readonly number[],
    readonly options: LayerNormOptions = {},
  ) {
    super();
    this.normalizedShape = numberList('LayerNorm', 'normalizedShape', normalizedShape).map((v, i) =>
      integer('LayerNorm', `normalizedShape[${i}]`, v, 1),
    );
    checkOptions('LayerNorm', options);
    const learnt = options.elementwiseAffine !== false;
    this.weight = learnt ? new Parameter(ones(this.normalizedShape)) : null;
    this.bias = learnt ? new Parameter(zeros(this.normalizedShape)) : null;
  }

  override forward(input: Tensor): Tensor {
    const { weight, bias } = this;
    return layerNorm(input, this.normalizedShape, { weight, bias, eps: this.options.eps ?? 1e-5 });
  }

  protected override extraRepr(): string {
    return `[${this.normalizedShape.join(', ')}]`;
  }
}

/** Normalises groups of channels of every sample of [n, numChannels, ...]. */
export class GroupNorm extends Module {
  weight: Parameter | null;
  bias: Parameter | null;

  constructor(
    readonly numGroups: number,
    readonly numChannels: number,
    readonly options: NormOptions = {},
  ) {
    super();
    integer('GroupNorm', 'numGroups', numGroups, 1);
    integer('GroupNorm', 'numChannels', numChannels, 1);
    checkOptions('GroupNorm', options);
    const affine = options.affine !== false;
    this.weight = affine ? new Parameter(ones([numChannels])) : null;
    this.bias = affine ? new Parameter(zeros([numChannels])) : null;
  }

  override forward(input: Tensor): Tensor {
    const { weight, bias } = this;
    return groupNorm(input, this.numGroups, { weight, bias, eps: this.options.eps ?? 1e-5 });
  }

  protected override extraRepr(): string {
    return `${this.numGroups}, ${this.numChannels}`;
  }
}

export interface InstanceNormLayerOptions extends NormOptions {
  /** Weight of the new statistics in the running ones. Default 0.1. */
  readonly momentum?: number;
  /** Keep running statistics and use them in evaluation. Default false. */
  readonly trackRunningStats?: boolean;
}

/** What the ranks share. Unlike batch norm, nothing is learnt and nothing tracked unless asked for, as in PyTorch. */
abstract class InstanceNorm extends Module {
  weight: Parameter | null;
  bias: Parameter | null;
  runningMean: Tensor | null;
  runningVar: Tensor | null;
  /** int32, 0-d */
  numBatchesTracked: Tensor | null;

  constructor(
    private readonly rank: number,
    readonly numFeatures: number,
    readonly options: InstanceNormLayerOptions = {},
  ) {
    super();
    integer(this.constructor.name, 'numFeatures', numFeatures, 1);
    checkOptions(this.constructor.name, options);
    const { affine = false, trackRunningStats = false } = options;
    this.weight = affine ? new Parameter(ones([numFeatures])) : null;
    this.bias = affine ? new Parameter(zeros([numFeatures])) : null;
    this.runningMean = trackRunningStats ? zeros([numFeatures]) : null;
    this.runningVar = trackRunningStats ? ones([numFeatures]) : null;
    this.numBatchesTracked = trackRunningStats ? zeros([], { dtype: 'int32' }) : null;
    for (const name of ['runningMean', 'runningVar', 'numBatchesTracked']) this.registerBuffer(name);
  }

  override forward(input: Tensor): Tensor {
    const batched = input.ndim === this.rank + 2;
    if (!batched && input.ndim !== this.rank + 1) {
      throw shapeError(
        this.constructor.name,
        'input',
        `must be ${this.rank + 1}-D or ${this.rank + 2}-D`,
        input.shape,
      );
    }
    const { weight, bias } = this;
    const x = batched ? input : unsqueeze(input, 0);
    const y = instanceNorm(x, this.runningMean, this.runningVar, {
      weight,
      bias,
      useInputStats: this.training || this.runningMean === null,
      momentum: this.options.momentum ?? 0.1,
      eps: this.options.eps ?? 1e-5,
    });
    return batched ? y : squeeze(y, 0);
  }

  protected override extraRepr(): string {
    return String(this.numFeatures);
  }
}

/** Normalises every channel of every sample of [n, c, l] or [c, l]. */
export class InstanceNorm1d extends InstanceNorm {
  constructor(numFeatures: number, options: InstanceNormLayerOptions = {}) {
    super(1, numFeatures, options);
  }
}

/** Normalises every channel of every sample of [n, c, h, w] or [c, h, w]. */
export class InstanceNorm2d extends InstanceNorm {
  constructor(numFeatures: number, options: InstanceNormLayerOptions = {}) {
    super(2, numFeatures, options);
  }
}

/** Normalises every channel of every sample of [n, c, d, h, w] or [c, d, h, w]. */
export class InstanceNorm3d extends InstanceNorm {
  constructor(numFeatures: number, options: InstanceNormLayerOptions = {}) {
    super(3, numFeatures, options);
  }
}

/** Divides by a power of the mean square of neighbouring channels. */
export class LocalResponseNorm extends Module {
  constructor(
    readonly size: number,
    readonly options: LocalResponseNormOptions = {},
  ) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return localResponseNorm(input, this.size, this.options);
  }
}
