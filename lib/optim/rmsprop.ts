/**
 * RMSprop (Tieleman and Hinton, 2012), as in PyTorch:
 *
 *     g = gradient (negated to maximize) + weightDecay * param
 *     v = alpha v + (1 - alpha) g^2;   m = alpha m + (1 - alpha) g if centered
 *     s = g / (sqrt(v - m^2) + eps);   b = momentum b + s with momentum
 *     param -= lr * (b or s)
 */
import { runList } from '../native';
import type { Tensor } from '../tensor/tensor';
import { Optimizer, nonNegative } from './optimizer';
import type { CommonOptions, ParamGroup, ParamState, ParamsInput } from './param-group';

export interface RMSpropOptions extends CommonOptions {
  /** Decay of the running mean of squares. Default 0.99. */
  alpha: number;
  /** Added to the denominator. Default 1e-8. */
  eps: number;
  /** Factor of the L2 penalty. Default 0. */
  weightDecay: number;
  /** Part of the last step that is taken again. Default 0. */
  momentum: number;
  /** Divide by an estimate of the standard deviation instead of the root mean square. Default false. */
  centered: boolean;
  /** Climb instead of descend. Default false. */
  maximize: boolean;
}

const defaults: Readonly<RMSpropOptions> = {
  lr: 1e-2,
  alpha: 0.99,
  eps: 1e-8,
  weightDecay: 0,
  momentum: 0,
  centered: false,
  maximize: false,
};

function check(o: Readonly<RMSpropOptions>): void {
  nonNegative('RMSprop', o, ['lr', 'alpha', 'eps', 'weightDecay', 'momentum']);
}

/**
 * Steps divided by a running root mean square of the gradient (PyTorch's `torch.optim.RMSprop`).
 *
 * @param params parameters, or groups `{ params, lr, ... }`
 * @throws RangeError for options out of range, TypeError for what is no parameter
 *
 * @example
 * const optimizer = new optim.RMSprop(model.parameters(), { lr: 1e-2, momentum: 0.9 });
 */
export class RMSprop extends Optimizer<RMSpropOptions> {
  constructor(params: ParamsInput<RMSpropOptions>, options: Partial<RMSpropOptions> = {}) {
    super('RMSprop', params, options, defaults, check);
  }

  protected override variant(): number {
    return 0;
  }

  protected override gather(
    items: (Tensor | null)[],
    param: Tensor,
    grad: Tensor,
    group: ParamGroup<RMSpropOptions>,
    state: ParamState,
  ): void {
    items.push(
      param,
      grad,
      state.tensor('square_avg', param),
      group.centered ? state.tensor('grad_avg', param) : null,
      group.momentum > 0 ? state.tensor('momentum_buffer', param) : null,
    );
  }

  protected override update(items: readonly (Tensor | null)[], group: ParamGroup<RMSpropOptions>): void {
    const fields = {
      lr: group.lr,
      alpha: group.alpha,
      eps: group.eps,
      weightDecay: group.weightDecay,
      momentum: group.momentum,
      maximize: group.maximize ? 1 : 0,
    };
    runList('rmspropStep', fields, items);
  }
}
