/**
 * Adam (Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014) and AdamW (Loshchilov and Hutter,
 * "Decoupled Weight Decay Regularization", 2017), as in PyTorch:
 *
 *     m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
 *     param -= lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * Adam adds weightDecay * param to g; AdamW shrinks the parameter by 1 - lr * weightDecay instead. AMSGrad uses the
 * largest v so far.
 */
import { typeError } from '../errors';
import { runList } from '../native';
import type { Tensor } from '../tensor/tensor';
import { Optimizer, fraction, nonNegative } from './optimizer';
import type { CommonOptions, ParamGroup, ParamState, ParamsInput } from './param-group';

export interface AdamOptions extends CommonOptions {
  /** Decay of the running means of gradient and squared gradient. Default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the denominator. Default 1e-8. */
  eps: number;
  /** Factor of the L2 penalty (Adam, default 0) or of the decay (AdamW, default 0.01). */
  weightDecay: number;
  /** Divide by the largest mean of squares so far. Default false. */
  amsgrad: boolean;
  /** Climb instead of descend. Default false. */
  maximize: boolean;
}

const defaults: Readonly<AdamOptions> = {
  lr: 1e-3,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 0,
  amsgrad: false,
  maximize: false,
};

function check(op: string, o: Readonly<AdamOptions>): void {
  nonNegative(op, o, ['lr', 'eps', 'weightDecay']);
  if (!Array.isArray(o.betas) || o.betas.length !== 2) {
    throw typeError(op, 'betas', 'must be a pair [beta1, beta2]', o.betas);
  }
  fraction(op, 'betas[0]', o.betas[0]);
  fraction(op, 'betas[1]', o.betas[1]);
}

/** What Adam and AdamW share. */
abstract class AdamBase extends Optimizer<AdamOptions> {
  /** Whether weights decay by themselves instead of through the gradient. */
  protected abstract readonly decoupled: boolean;

  protected override variant(_group: ParamGroup<AdamOptions>, state: ParamState): number {
    return state.step;
  }

  protected override gather(
    items: (Tensor | null)[],
    param: Tensor,
    grad: Tensor,
    group: ParamGroup<AdamOptions>,
    state: ParamState,
  ): void {
    items.push(
      param,
      grad,
      state.tensor('exp_avg', param),
      state.tensor('exp_avg_sq', param),
      group.amsgrad ? state.tensor('max_exp_avg_sq', param) : null,
    );
  }

  protected override update(
    items: readonly (Tensor | null)[],
    group: ParamGroup<AdamOptions>,
    step: number,
  ): void {
    const [beta1, beta2] = group.betas;
    const fields = {
      lr: group.lr,
      beta1,
      beta2,
      eps: group.eps,
      weightDecay: group.weightDecay,
      decoupled: this.decoupled ? 1 : 0,
      biasCorrection1: 1 - beta1 ** step,
      biasCorrection2: 1 - beta2 ** step,
      maximize: group.maximize ? 1 : 0,
    };
    runList('adamStep', fields, items);
  }
}

/**
 * Adam with an L2 penalty (PyTorch's `torch.optim.Adam`).
 *
 * @param params parameters, or groups `{ params, lr, ... }`
 * @throws RangeError for options out of range, TypeError for what is no parameter
 *
 * @example
 * const optimizer = new optim.Adam(model.parameters(), { lr: 1e-3 });
 */
export class Adam extends AdamBase {
  protected override readonly decoupled = false;

  constructor(params: ParamsInput<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super('Adam', params, options, defaults, (o) => check('Adam', o));
  }
}

/**
 * Adam with weight decay apart from the gradient (PyTorch's `torch.optim.AdamW`).
 *
 * @param params parameters, or groups `{ params, lr, ... }`
 * @throws RangeError for options out of range, TypeError for what is no parameter
 *
 * @example
 * const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-3, weightDecay: 0.05 });
 */
export class AdamW extends AdamBase {
  protected override readonly decoupled = true;

  constructor(params: ParamsInput<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super('AdamW', params, options, { ...defaults, weightDecay: 0.01 }, (o) => check('AdamW', o));
  }
}
