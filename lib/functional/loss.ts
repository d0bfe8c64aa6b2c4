/** Losses that compare element by element; the ones over classes are in cross-entropy.ts. */
import { needsGrad, record } from '../autograd/graph';
import { noGrad } from '../autograd/grad-mode';
import { ArgumentRangeError } from '../errors';
import { checkOptions, formatShape, real, sameShape } from '../shape';
import { contiguousElements } from '../tensor/copy';
import { expectTensor, type Tensor } from '../tensor/tensor';
import { logSigmoid } from './activation';
import { castTo, reduceMiddle } from './broadcast';
import { expectDTypeOf, expectFloating, expectShape, oneOf } from './checks';
import { abs, add, div, eq, exp, log, log1p, lt, maximum, mul, neg, square, sub, where } from './elementwise';
import { checkReduction, reduced, type Reduction, type ReductionOption } from './loss-reduction';
import { sum } from './reduction';

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
  checkOptions('mseLoss', options);
  const t = comparable('mseLoss', input, target);
  return reduced(square(sub(input, t)), checkReduction('mseLoss', options.reduction));
}

/**
 * Mean absolute error, |input - target|; the derivative at 0 is 0.
 *
 * **Shape**: input and target alike -> a scalar, or their shape with `reduction: 'none'`
 * @throws as {@link mseLoss}
 *
 * @example
 * F.l1Loss(tensor([1, 2]), tensor([0, 4])).item(); // 1.5
 */
export function l1Loss(input: Tensor, target: Tensor, options: ReductionOption = {}): Tensor {
  checkOptions('l1Loss', options);
  const t = comparable('l1Loss', input, target);
  return reduced(abs(sub(input, t)), checkReduction('l1Loss', options.reduction));
}

/** d^2 / (2 beta) for a distance d below beta, d - beta / 2 from there on. */
function smoothDistance(input: Tensor, target: Tensor, beta: number): Tensor {
  const distance = abs(sub(input, target));
  if (beta === 0) return distance;
  return where(lt(distance, beta), mul(square(distance), 0.5 / beta), sub(distance, 0.5 * beta));
}

export interface SmoothL1LossOptions extends ReductionOption {
  /** Where the parabola ends, >= 0; 0 gives {@link l1Loss}. Default 1. */
  readonly beta?: number;
}

/**
 * Squared error for small distances, absolute error for large ones (Girshick, "Fast R-CNN", 2015).
 *
 * **Shape**: input and target alike -> a scalar, or their shape with `reduction: 'none'`
 * @throws RangeError for a negative beta
 */
export function smoothL1Loss(input: Tensor, target: Tensor, options: SmoothL1LossOptions = {}): Tensor {
  checkOptions('smoothL1Loss', options);
  const t = comparable('smoothL1Loss', input, target);
  const rule = 'must be finite and >= 0';
  const beta = real('smoothL1Loss', 'beta', options.beta ?? 1, rule, (v) => v >= 0 && Number.isFinite(v));
  return reduced(smoothDistance(input, t, beta), checkReduction('smoothL1Loss', options.reduction));
}

export interface HuberLossOptions extends ReductionOption {
  /** Where the parabola ends, > 0. Default 1. */
  readonly delta?: number;
}

/**
 * d^2 / 2 for a distance d below delta, delta (d - delta / 2) from there on (Huber, 1964).
 *
 * **Shape**: input and target alike -> a scalar, or their shape with `reduction: 'none'`
 * @throws RangeError unless delta > 0
 */
export function huberLoss(input: Tensor, target: Tensor, options: HuberLossOptions = {}): Tensor {
  checkOptions('huberLoss', options);
  const t = comparable('huberLoss', input, target);
  const rule = 'must be finite and > 0';
  const delta = real('huberLoss', 'delta', options.delta ?? 1, rule, (v) => v > 0 && Number.isFinite(v));
  return reduced(mul(smoothDistance(input, t, delta), delta), checkReduction('huberLoss', options.reduction));
}

// ---- probabilities ----

export interface BinaryCrossEntropyOptions extends ReductionOption {
  /** A factor per loss, broadcast to the input's shape. */
  readonly weight?: Tensor | null;
}

export interface BinaryCrossEntropyWithLogitsOptions extends BinaryCrossEntropyOptions {
  /** A factor for the targets that are 1, broadcast to the input's shape: above 1 it favours recall. */
  readonly posWeight?: Tensor | null;
}

function binaryTarget(op: string, input: Tensor, target: Tensor): Tensor {
  expectFloating(op, 'input', input);
  expectShape(op, 'target', expectTensor(op, 'target', target), input.shape, 'as the input');
  return castTo(target, input.dtype);
}

function weighted(op: string, losses: Tensor, weight: Tensor | null | undefined): Tensor {
  return weight == null ? losses : mul(losses, expectDTypeOf(op, 'weight', weight, losses, 'input'));
}

/**
 * Cross entropy of two classes from probabilities: -(t log x + (1 - t) log(1 - x)). Logarithms are cut at -100, so that a
 * wrong certainty costs 100 and not infinity. From logits, {@link binaryCrossEntropyWithLogits} is more accurate.
 *
 * **Shape**: input and target alike -> a scalar, or their shape with `reduction: 'none'`
 * @throws RangeError for an input outside 0..1
 *
 * @example
 * F.binaryCrossEntropy(F.sigmoid(x), target);
 */
export function binaryCrossEntropy(
  input: Tensor,
  target: Tensor,
  options: BinaryCrossEntropyOptions = {},
): Tensor {
  const op = 'binaryCrossEntropy';
  checkOptions(op, options);
  const t = binaryTarget(op, input, target);
  const reduction = checkReduction(op, options.reduction);
  if (input.numel > 0) expectProbabilities(op, input.detach());
  const [x, p] = [input.detach(), t.detach()];
  // The derivative of the cut logarithms is not what is wanted at 0 and 1, so it is written down here.
  const [logX, logRest] = noGrad(() => [maximum(log(x), -100), maximum(log1p(neg(x)), -100)]);
  let losses = noGrad(() => neg(add(mul(p, logX), mul(sub(1, p), logRest))));
  if (needsGrad(input, t)) {
    losses = record(
      op,
      losses,
      [input, t],
      (grad, wanted) => [
        wanted[0] ? mul(grad, div(sub(x, p), maximum(mul(sub(1, x), x), smallestVariance))) : null,
        wanted[1] ? mul(grad, sub(logRest, logX)) : null,
      ],
      { saved: [x, p] },
    );
  }
  return reduced(weighted(op, losses, options.weight), reduction);
}

/** Divisor of the derivative at 0 and 1; PyTorch's constant is a float32. */
const smallestVariance = Math.fround(1e-12);

function expectProbabilities(op: string, input: Tensor): void {
  const x = contiguousElements(input);
  const extreme = (fn: 'min' | 'max'): number => reduceMiddle(fn, x, 1, x.numel, 1, []).item();
  const [low, high] = [extreme('min'), extreme('max')];
  if (low >= 0 && high <= 1) return;
  throw new ArgumentRangeError({
    op,
    argument: 'input',
    expected: 'must hold probabilities in 0..1',
    received: String(low >= 0 ? high : low),
    hint: 'for logits use binaryCrossEntropyWithLogits',
  });
}

/**
 * Cross entropy of two classes from logits, without overflow:
 * -(posWeight t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))).
 *
 * **Shape**: input and target alike -> a scalar, or their shape with `reduction: 'none'`
 * @throws ShapeError if the shapes differ
 *
 * @example
 * F.binaryCrossEntropyWithLogits(logits, target, { posWeight: tensor([3]) });
 */
export function binaryCrossEntropyWithLogits(
  input: Tensor,
  target: Tensor,
  options: BinaryCrossEntropyWithLogitsOptions = {},
): Tensor {
  const op = 'binaryCrossEntropyWithLogits';
  checkOptions(op, options);
  const t = binaryTarget(op, input, target);
  const reduction = checkReduction(op, options.reduction);
  // log(1 - sigmoid(x)) = log sigmoid(x) - x
  let logPart = logSigmoid(input);
  if (options.posWeight != null) {
    const posWeight = expectDTypeOf(op, 'posWeight', options.posWeight, input, 'input');
    logPart = mul(add(mul(t, sub(posWeight, 1)), 1), logPart);
  }
  return reduced(weighted(op, sub(mul(sub(1, t), input), logPart), options.weight), reduction);
}

export interface KlDivOptions {
  /** `batchmean` divides the sum by the size of the first dimension, which is the divergence per sample. */
  readonly reduction?: Reduction | 'batchmean';
  /** The target holds logarithms too. Default false. */
  readonly logTarget?: boolean;
}

/**
 * Kullback-Leibler divergence target (log target - input) of log-probabilities from probabilities; 0 log 0 is 0.
 *
 * **Shape**: input and target alike -> a scalar, or their shape with `reduction: 'none'`
 *
 * @example
 * F.klDiv(F.logSoftmax(x, 1), F.softmax(teacher, 1), { reduction: 'batchmean' });
 */
export function klDiv(input: Tensor, target: Tensor, options: KlDivOptions = {}): Tensor {
  checkOptions('klDiv', options);
  const t = comparable('klDiv', input, target);
  const reduction = oneOf('klDiv', 'reduction', options.reduction ?? 'mean', [
    'none',
    'mean',
    'sum',
    'batchmean',
  ]);
  const losses =
    options.logTarget === true
      ? mul(exp(t), sub(t, input))
      : sub(mul(t, log(where(eq(t, 0), 1, t))), mul(t, input));
  if (reduction !== 'batchmean') return reduced(losses, reduction);
  return div(sum(losses), input.ndim === 0 ? 1 : input.shape[0]);
}
