/** Losses as layers: `forward(input, target)`. The functions, with formulas, are in `functional/loss.ts`. */
import {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  crossEntropy,
  huberLoss,
  klDiv,
  l1Loss,
  mseLoss,
  nllLoss,
  smoothL1Loss,
  type BinaryCrossEntropyOptions,
  type BinaryCrossEntropyWithLogitsOptions,
  type CrossEntropyOptions,
  type HuberLossOptions,
  type KlDivOptions,
  type NllLossOptions,
  type ReductionOption,
  type SmoothL1LossOptions,
} from '../functional/loss';
import type { Tensor } from '../tensor/tensor';
import { Module } from './module';
import { checkOptions } from '../shape';

abstract class Loss<Options extends object> extends Module {
  readonly options: Options;

  constructor(options?: Options) {
    super();
    checkOptions(this.constructor.name, options ?? {});
    this.options = options ?? ({} as Options);
  }

  abstract override forward(input: Tensor, target: Tensor): Tensor;
}

/**
 * Cross entropy between logits and class indices or probabilities.
 *
 * **Shape**: logits [n, c] or [n, c, ...], int32 targets [n] or [n, ...] -> scalar (or per element with `none`)
 *
 * @example
 * const loss = new nn.CrossEntropyLoss().forward(model.forward(x), labels);
 */
export class CrossEntropyLoss extends Loss<CrossEntropyOptions> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return crossEntropy(input, target, this.options);
  }
}

/** Negative log likelihood of class indices under log probabilities. */
export class NLLLoss extends Loss<NllLossOptions> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return nllLoss(input, target, this.options);
  }
}

/** Cross entropy of probabilities. */
export class BCELoss extends Loss<BinaryCrossEntropyOptions> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return binaryCrossEntropy(input, target, this.options);
  }
}

/** Cross entropy of logits through a sigmoid, without overflow. */
export class BCEWithLogitsLoss extends Loss<BinaryCrossEntropyWithLogitsOptions> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return binaryCrossEntropyWithLogits(input, target, this.options);
  }
}

/** Mean squared error. */
export class MSELoss extends Loss<ReductionOption> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return mseLoss(input, target, this.options);
  }
}

/** Mean absolute error. */
export class L1Loss extends Loss<ReductionOption> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return l1Loss(input, target, this.options);
  }
}

/** Squared below `beta`, absolute above. */
export class SmoothL1Loss extends Loss<SmoothL1LossOptions> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return smoothL1Loss(input, target, this.options);
  }
}

/** Squared below `delta`, linear above. */
export class HuberLoss extends Loss<HuberLossOptions> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return huberLoss(input, target, this.options);
  }
}

/** Kullback-Leibler divergence of a target distribution from log probabilities. */
export class KLDivLoss extends Loss<KlDivOptions> {
  override forward(input: Tensor, target: Tensor): Tensor {
    return klDiv(input, target, this.options);
  }
}
