import type { DType } from '../dtype';
import { GraphError } from '../errors';
import { checkDType } from '../tensor/create';
import { Tensor, expectTensor } from '../tensor/tensor';

/**
 * A tensor that a module learns: assigned to a module's field it is found by `parameters()`. Requires gradients unless
 * told otherwise, and survives every scope.
 *
 * @example
 * class Scale extends nn.Module {
 *   gamma = new nn.Parameter(ones([1, 6, 1, 1]));
 *   forward(x: Tensor) { return x.mul(this.gamma); }
 * }
 */
export class Parameter extends Tensor {
  constructor(data: Tensor, requiresGrad = true) {
    expectTensor('Parameter', 'data', data);
    super(data.storage, data.shape, data.strides, data.offset);
    this.storage.keep();
    if (requiresGrad) this.requiresGrad_(true);
  }

  /** Another of this kind, which holds `data`: its copy, or its elements in another type. @internal */
  withData(data: Tensor): Parameter {
    return new Parameter(data, this.requiresGrad);
  }
}

/** A parameter of a lazy layer, whose shape is not known yet. What takes its place has its dtype. */
export class UninitializedParameter extends Parameter {
  constructor(dtype: DType = 'float32', requiresGrad = true) {
    super(Tensor.empty([0], checkDType('UninitializedParameter', dtype)), requiresGrad);
  }

  override withData(data: Tensor): Parameter {
    return new UninitializedParameter(data.dtype, this.requiresGrad);
  }
}

/** @throws GraphError if a parameter is still without a shape */
export function checkInitialized(op: string, parameter: Tensor): void {
  if (!(parameter instanceof UninitializedParameter)) return;
  throw new GraphError('ERR_NO_GRAD', {
    op,
    argument: 'parameter',
    expected: 'must have a shape: it belongs to a lazy layer that has not seen an input',
    received: '',
    hint: 'run the network once before, as in net.forward(zeros([1, 1, 28, 28]))',
  });
}
