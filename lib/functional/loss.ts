/** Losses that compare element by element; the ones over classes are in cross-entropy.ts. */
import { formatShape, sameShape } from '../shape';
import { expectTensor, type Tensor } from '../tensor/tensor';
import { castTo } from './broadcast';
import { expectFloating } from './checks';
import { square, sub } from './elementwise';
import { checkReduction, reduced, type ReductionOption } from './loss-reduction';

export { crossEntropy, nllLoss, type CrossEntropyOptions, type NllLossOptions } from './cross-entropy';
export type { Reduction, ReductionOption } from './loss-reduction';

/** The checked target in the input's dtype. Other shapes broadcast, which is rarely meant: a warning says so. */
function comparable(op: string, input: Tensor, target: Tensor): Tensor {
  expectFloating(op, 'input', input);
  expectTensor(op, 'target', target);
  if (!sameShape(input.shape, target.shape)) {
    process.emitWarning(
      `${op}: target ${formatShape(target.shape)} is broadcast against input ${formatShape(input.shape)}: ` +
        `make the shapes equal unless that is meant`,
      'LaminaeWarning',
    );
  }
  return castTo(target, input.dtype);
}

/**
 * Mean squared error, (input - target)^2.
 *
 * **Shape**: input and target alike -> a scalar, or their shape with `reduction: 'none'`
 * @throws DTypeError unless the input is float32 or float64; ShapeError if the shapes cannot be broadcast
 *
 * @example
 * F.mseLoss(tensor([1, 2]), tensor([0, 4])).item(); // 2.5
 */
export function mseLoss(input: Tensor, target: Tensor, options: ReductionOption = {}): Tensor {
  const t = comparable('mseLoss', input, target);
  return reduced(square(sub(input, t)), checkReduction('mseLoss', options.reduction));
}
