/**
 * Stochastic gradient descent with momentum, as in PyTorch:
 *
 *     g = gradient (negated to maximize) + weightDecay * param
 *     b = momentum * b + (1 - dampening) * g          (b = g in the first step)
 *     param -= lr * (nesterov ? g + momentum * b : b)   (lr * g without momentum)
 */
import { ArgumentRangeError } from '../errors';
import { runList } from '../native';
import { real } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { Optimizer, nonNegative } from './optimizer';
import type { CommonOptions, ParamGroup, ParamState, ParamsInput } from './param-group';

export interface SGDOptions extends CommonOptions {
  /** Part of the last step that is taken again. Default 0. */
  momentum: number;
  /** Part of the gradient that is left out of the momentum. Default 0. */
  dampening: number;
  /** Factor of the L2 penalty. Default 0. */
  weightDecay: number;
  /** Look ahead along the momentum; needs momentum and no dampening. Default false. */
  nesterov: boolean;
  /** Climb instead of descend. Default false. */
  maximize: boolean;
}

const defaults: Readonly<SGDOptions> = {
  lr: 1e-3,
  momentum: 0,
  dampening: 0,
  weightDecay: 0,
  nesterov: false,
  maximize: false,
};

function check(o: Readonly<SGDOptions>): void {
  nonNegative('SGD', o, ['lr', 'momentum', 'weightDecay']);
  real('SGD', 'dampening', o.dampening, 'must be finite', Number.isFinite);
  if (o.nesterov && (o.momentum === 0 || o.dampening !== 0)) {
    throw new ArgumentRangeError({
      op: 'SGD',
      argument: 'nesterov',
      expected: 'needs momentum > 0 and dampening 0',
      received: `momentum ${o.momentum}, dampening ${o.dampening}`,
    });
  }
}

/**
 * Stochastic gradient descent (PyTorch's `torch.optim.SGD`).
 *
 * @param params parameters, or groups `{ params, lr, ... }`
 * @throws RangeError for options out of range, TypeError for what is no parameter
 *
 * @example
 * const optimizer = new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
 */
export class SGD extends Optimizer<SGDOptions> {
  constructor(params: ParamsInput<SGDOptions>, options: Partial<SGDOptions> = {}) {
    super('SGD', params, options, defaults, check);
  }

  protected override get savesStep(): boolean {
    return false;
  }

  /** 1 in the first step with momentum, else 0. */
  protected override variant(group: ParamGroup<SGDOptions>, state: ParamState): number {
    return group.momentum !== 0 && state.tensors.momentum_buffer === undefined ? 1 : 0;
  }

  protected override gather(
    items: (Tensor | null)[],
    param: Tensor,
    grad: Tensor,
    group: ParamGroup<SGDOptions>,
    state: ParamState,
  ): void {
    items.push(param, grad, group.momentum !== 0 ? state.tensor('momentum_buffer', param) : null);
  }

  protected override update(
    items: readonly (Tensor | null)[],
    group: ParamGroup<SGDOptions>,
    firstStep: number,
  ): void {
    const fields = {
      lr: group.lr,
      momentum: group.momentum,
      dampening: group.dampening,
      weightDecay: group.weightDecay,
      nesterov: group.nesterov ? 1 : 0,
      maximize: group.maximize ? 1 : 0,
      firstStep,
    };
    runList('sgdStep', fields, items);
  }
}
