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
}
