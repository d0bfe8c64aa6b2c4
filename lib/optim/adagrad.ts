/**
 * Adagrad (Duchi et al., "Adaptive Subgradient Methods", 2011), as in PyTorch:
 *
 *     g = gradient (negated to maximize) + weightDecay * param
 *     s += g^2
 *     param -= lr / (1 + (t - 1) lrDecay) * g / (sqrt(s) + eps)
 */
import { runList } from '../native';
import type { Tensor } from '../tensor/tensor';
import { Optimizer, nonNegative } from './optimizer';
import type { CommonOptions, ParamGroup, ParamState, ParamsInput } from './param-group';

export interface AdagradOptions extends CommonOptions {
  /** How fast the rate falls with the steps. Default 0. */
  lrDecay: number;
  /** Factor of the L2 penalty. Default 0. */
  weightDecay: number;
  /** Where the sum of squares starts. Default 0. */
  initialAccumulatorValue: number;
  /** Added to the denominator. Default 1e-10. */
  eps: number;
  /** Climb instead of descend. Default false. */
  maximize: boolean;
}

const defaults: Readonly<AdagradOptions> = {
  lr: 1e-2,
  lrDecay: 0,
  weightDecay: 0,
  initialAccumulatorValue: 0,
  eps: 1e-10,
  maximize: false,
};

function check(o: Readonly<AdagradOptions>): void {
  nonNegative('Adagrad', o, ['lr', 'lrDecay', 'weightDecay', 'initialAccumulatorValue', 'eps']);
}

/**
 * Steps divided by the root of the sum of all squared gradients so far (PyTorch's `torch.optim.Adagrad`).
 *
 * @param params parameters, or groups `{ params, lr, ... }`
 * @throws RangeError for options out of range, TypeError for what is no parameter
 *
 * @example
 * const optimizer = new optim.Adagrad(model.parameters(), { lr: 1e-2 });
 */
export class Adagrad extends Optimizer<AdagradOptions> {
  constructor(params: ParamsInput<AdagradOptions>, options: Partial<AdagradOptions> = {}) {
    super('Adagrad', params, options, defaults, check);
  }

  protected override variant(_group: ParamGroup<AdagradOptions>, state: ParamState): number {
    return state.step;
  }

  protected override gather(
    items: (Tensor | null)[],
    param: Tensor,
    grad: Tensor,
    group: ParamGroup<AdagradOptions>,
    state: ParamState,
  ): void {
    items.push(param, grad, state.tensor('sum', param, group.initialAccumulatorValue));
  }

  protected override update(
    items: readonly (Tensor | null)[],
    group: ParamGroup<AdagradOptions>,
    step: number,
  ): void {
    const fields = {
      lr: group.lr / (1 + (step - 1) * group.lrDecay),
      eps: group.eps,
      weightDecay: group.weightDecay,
      maximize: group.maximize ? 1 : 0,
    };
    runList('adagradStep', fields, items);
  }
}
