/**
 * Batch normalisation (Ioffe and Szegedy, "Batch Normalization", 2015): y = (x - mean) / sqrt(var + eps) * weight + bias
 * per channel.
 *
 * In training the statistics are those of the batch, with the biased variance; the running statistics follow as
 * (1 - momentum) * old + momentum * new, with the unbiased variance, as in PyTorch. In evaluation the running
 * statistics are used. Which of the two is decided by `training` alone, not by whether gradients are on.
 */
import { ShapeError } from '../errors';
import { batchNorm } from '../functional/batch-norm';
import type { Ending } from '../functional/ending';
import { add_ } from '../functional/in-place';
import { checkOptions, formatShape, integer, real, shapeError } from '../shape';
import { ones, zeros } from '../tensor/create';
import { keep } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { LayerWithEnding } from './ending';
import { Parameter, UninitializedParameter } from './parameter';

export interface BatchNormOptions {
  /** Added to the variance under the root. Default 1e-5. */
  readonly eps?: number;
  /** Weight of the new batch in the running statistics; null for the plain average of all batches. Default 0.1. */
  readonly momentum?: number | null;
  /** Learn weight and bias per channel. Default true. */
  readonly affine?: boolean;
  /** Keep running statistics; without them evaluation uses the batch too. Default true. */
  readonly trackRunningStats?: boolean;
}

/** What the ranks share; see {@link BatchNorm1d} and {@link BatchNorm2d}. */
export abstract class BatchNorm extends LayerWithEnding {
  weight: Parameter | null;
  bias: Parameter | null;
  runningMean: Tensor | null;
  runningVar: Tensor | null;
  /** int32, 0-d */
  numBatchesTracked: Tensor | null;
  readonly eps: number;
  readonly momentum: number | null;

  numFeatures: number;

  /** Whether `numFeatures` is that of the first input, which may have no parameter to tell. */
  private waits = false;

  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super();
    const op = this.constructor.name;
    checkOptions(op, options);
    this.numFeatures = integer(op, 'numFeatures', numFeatures, 1);
    this.eps = real(
      op,
      'eps',
      options.eps ?? 1e-5,
      'must be finite and >= 0',
      (v) => v >= 0 && Number.isFinite(v),
    );
    const momentum = options.momentum === undefined ? 0.1 : options.momentum;
    this.momentum =
      momentum === null
        ? null
        : real(op, 'momentum', momentum, 'must be in 0..1 or null', (v) => v >= 0 && v <= 1);
    const affine = options.affine !== false;
    const track = options.trackRunningStats !== false;
    this.weight = affine ? new Parameter(ones([numFeatures])) : null;
    this.bias = affine ? new Parameter(zeros([numFeatures])) : null;
    this.runningMean = track ? zeros([numFeatures]) : null;
    this.runningVar = track ? ones([numFeatures]) : null;
    this.numBatchesTracked = track ? zeros([], { dtype: 'int32' }) : null;
    for (const name of ['runningMean', 'runningVar', 'numBatchesTracked']) this.registerBuffer(name);
  }

  protected override problemWith(name: string, values: Tensor | null): string | null {
    if (name !== 'running_var' || values === null) return null;
    const wrong = values.toTypedArray().find((v) => v + this.eps <= 0);
    return wrong === undefined ? null : `holds ${wrong}, but variance + eps must be > 0`;
  }

  /** Lets the first input tell `numFeatures`. */
  protected wait(): void {
    this.waits = true;
    if (this.weight !== null) this.weight = new UninitializedParameter();
  }

  /** Starts again, for `numFeatures` channels. */
  reset(numFeatures: number): void {
    this.numFeatures = integer(this.constructor.name, 'numFeatures', numFeatures, 1);
    this.waits = false;
    const { weight, bias, runningMean, runningVar } = this;
    const filled = (make: typeof ones, { dtype }: Tensor): Tensor => make([numFeatures], { dtype });
    if (weight !== null) this.weight = new Parameter(filled(ones, weight), weight.requiresGrad);
    if (bias !== null) this.bias = new Parameter(filled(zeros, bias), bias.requiresGrad);
    if (runningMean !== null) this.runningMean = keep(filled(zeros, runningMean));
    if (runningVar !== null) this.runningVar = keep(filled(ones, runningVar));
    if (this.numBatchesTracked !== null) this.numBatchesTracked = keep(zeros([], { dtype: 'int32' }));
  }

  /** Ranks this layer takes. */
  protected abstract get ranks(): readonly number[];

  /** Whether it takes inputs of `rank` dimensions. @internal */
  accepts(rank: number): boolean {
    return this.ranks.includes(rank);
  }

  protected override compute(input: Tensor, ending: Ending): Tensor {
    if (!this.accepts(input.ndim)) {
      throw new ShapeError({
        op: this.constructor.name,
        argument: 'input',
        expected: `must be ${this.ranks.map((r) => `${r}-D`).join(' or ')}`,
        received: `${input.ndim}-D ${formatShape(input.shape)}`,
      });
    }
    if (this.waits) this.reset(input.shape[1]);
    if (input.shape[1] !== this.numFeatures) {
      throw shapeError(this.constructor.name, 'input', `must have ${this.numFeatures} channels`, input.shape);
    }
    const tracked = this.numBatchesTracked;
    const useBatch = this.training || tracked === null;
    const counts = this.training && tracked !== null;
    const momentum = this.momentum ?? (counts ? 1 / (tracked.item() + 1) : 0);
    const y = batchNorm(input, this.runningMean, this.runningVar, {
      weight: this.weight,
      bias: this.bias,
      training: useBatch,
      momentum,
      eps: this.eps,
      add: ending.add,
      relu: ending.relu,
      relu6: ending.relu6,
    });
    if (counts) add_(tracked, 1); // not if the input was refused
    return y;
  }

  protected override extraRepr(): string {
    return (
      `${this.numFeatures}, eps=${this.eps}, momentum=${this.momentum}, affine=${this.weight !== null}, ` +
      `trackRunningStats=${this.runningMean !== null}`
    );
  }
}

/**
 * Batch normalisation of vectors and sequences.
 *
 * **Shape**: [n, c] or [n, c, l], unchanged
 * @throws ShapeError in training if there is only one value per channel
 *
 * @example
 * const bn = new nn.BatchNorm1d(120);
 * bn.forward(randn([32, 120]));
 */
export class BatchNorm1d extends BatchNorm {
  protected override get ranks(): readonly number[] {
    return [2, 3];
  }
}

/**
 * Batch normalisation of images.
 *
 * **Shape**: [n, c, h, w], unchanged
 *
 * @example
 * const bn = new nn.BatchNorm2d(6);
 * bn.forward(randn([32, 6, 24, 24]));
 */
export class BatchNorm2d extends BatchNorm {
  protected override get ranks(): readonly number[] {
    return [4];
  }
}

/**
 * Batch normalisation of volumes.
 *
 * **Shape**: [n, c, d, h, w], unchanged
 */
export class BatchNorm3d extends BatchNorm {
  protected override get ranks(): readonly number[] {
    return [5];
  }
}
