/**
 * Cross entropy and negative log likelihood over classes.
 *
 * Class indices t: loss = -(1 - e) w_t l_t - (e / c) sum_j w_j l_j with l = logSoftmax(input), class weights w and
 * label smoothing e, in one native pass that also keeps l for backward; `mean` divides by the sum of the w_t.
 * Class probabilities p: loss = -sum_j w_j p_j l_j with p smoothed towards 1 / c; `mean` divides by the number of losses.
 */
import { needsGrad, record } from '../autograd/graph';
import { isFloating } from '../dtype';
import { ArgumentRangeError, ShapeError } from '../errors';
import { run } from '../native';
import {
  checkOptions,
  formatShape,
  integer,
  real,
  sameShape,
  shapeError,
  sizeOf,
  type Shape,
} from '../shape';
import { contiguousElements } from '../tensor/copy';
import { Tensor, expectTensor } from '../tensor/tensor';
import { castTo } from './broadcast';
import { expectDTypeOf, expectFloating, expectShape } from './checks';
import { add, div, mul, neg } from './elementwise';
import { checkReduction, reductionCode, type Reduction, type ReductionOption } from './loss-reduction';
import { sum } from './reduction';
import { logSoftmax } from './softmax';
import { reshape } from './views';

export interface NllLossOptions extends ReductionOption {
  /** One factor per class, [c]. Default: all 1. */
  readonly weight?: Tensor | null;
  /** Targets with this value count for nothing. Default -100. */
  readonly ignoreIndex?: number;
}

export interface CrossEntropyOptions extends NllLossOptions {
  /** Part of the target, 0..1, that is spread evenly over all classes. Default 0. */
  readonly labelSmoothing?: number;
}

/** The checked call: logits or log-probabilities [n, c, s] and what belongs to them. */
interface ClassLoss {
  readonly op: string;
  readonly input: Tensor;
  readonly weight: Tensor | null;
  readonly c: number;
  readonly fromLogits: boolean;
  readonly ignoreIndex: number;
  readonly labelSmoothing: number;
  readonly reduction: Reduction;
  /** Shape of the losses: the input's without the classes. */
  readonly shape: Shape;
}

function checked(op: string, input: Tensor, options: CrossEntropyOptions, fromLogits: boolean): ClassLoss {
  expectFloating(op, 'input', input);
  if (input.ndim === 0) {
    throw new ShapeError({
      op,
      argument: 'input',
      expected: 'must be [c], [n, c] or [n, c, ...]',
      received: '[]',
    });
  }
  const classDim = input.ndim === 1 ? 0 : 1;
  const c = input.shape[classDim];
  if (c === 0) {
    throw shapeError(op, 'input', `must have at least one class in dimension ${classDim}`, input.shape);
  }
  const weight = options.weight ?? null;
  if (weight !== null) {
    expectDTypeOf(op, 'weight', weight, input, 'input');
    expectShape(op, 'weight', weight, [c], `one factor per class of input ${formatShape(input.shape)}`);
  }
  const { ignoreIndex = -100, labelSmoothing = 0 } = options;
  return {
    op,
    input,
    weight: weight === null ? null : contiguousElements(weight.detach()),
    c,
    fromLogits,
    ignoreIndex: integer(op, 'ignoreIndex', ignoreIndex, -(2 ** 31), 2 ** 31 - 1),
    labelSmoothing: real(op, 'labelSmoothing', labelSmoothing, 'must be in 0..1', (v) => v >= 0 && v <= 1),
    reduction: checkReduction(op, options.reduction),
    shape: input.shape.filter((_, d) => d !== classDim),
  };
}

/** Text of position `flat` in a tensor of `shape`: `target[5]`, `target[0, 2]`, `target`. */
function element(argument: string, shape: Shape, flat: number): string {
  const index: number[] = [];
  for (let d = shape.length - 1, rest = flat; d >= 0; d--) {
    index.unshift(rest % shape[d]);
    rest = Math.floor(rest / shape[d]);
  }
  return shape.length === 0 ? argument : `${argument}${formatShape(index)}`;
}

/** Class indices as contiguous int32, every one checked. */
function classIndices(op: string, target: Tensor, c: number, ignoreIndex: number): Tensor {
  const indices = contiguousElements(target.detach());
  const { data } = indices.storage;
  for (let i = 0; i < indices.numel; i++) {
    const t = data[indices.offset + i];
    if ((t >= 0 && t < c && Number.isInteger(t)) || t === ignoreIndex) continue;
    throw new ArgumentRangeError({
      op,
      argument: `${element('target', target.shape, i)} = ${t}`,
      expected: `must be ${Number.isInteger(t) ? '' : 'an integer '}in 0..${c - 1}`,
      received: '',
    });
  }
  return castTo(indices, 'int32');
}

function indexLoss(call: ClassLoss, target: Tensor): Tensor {
  const { op, input, weight, c, shape, fromLogits } = call;
  const indices = classIndices(op, target, c, call.ignoreIndex);
  const s = sizeOf(shape.slice(1));
  const fields = {
    n: shape.length === 0 ? 1 : shape[0],
    c,
    s,
    reduction: reductionCode[call.reduction],
    ignoreIndex: call.ignoreIndex,
    labelSmoothing: call.labelSmoothing,
  };
  const x = contiguousElements(input.detach());
  const logP = fromLogits ? Tensor.empty(x.shape, x.dtype) : x;
  const y = Tensor.empty(call.reduction === 'none' ? shape : [], x.dtype);
  const totalWeight = Tensor.empty([], 'float64');
  run('crossEntropy', fields, {
    logits: fromLogits ? x : null,
    logP,
    target: indices,
    weight,
    y,
    totalWeight,
  });
  if (!needsGrad(input)) {
    if (fromLogits) logP.storage.release();
    return y;
  }
  return record(
    op,
    y,
    [input],
    (grad) => {
      const dx = Tensor.empty(input.shape, x.dtype);
      run(
        'crossEntropyBackward',
        { fromLogits: fromLogits ? 1 : 0, ...fields },
        {
          logP: fromLogits ? logP : null,
          target: indices,
          weight,
          totalWeight,
          dy: contiguousElements(grad),
          dx,
        },
      );
      return [dx];
    },
    { saved: weight === null ? [indices] : [indices, weight], owned: fromLogits ? [logP] : [] },
  );
}

function probabilityLoss(call: ClassLoss, target: Tensor): Tensor {
  const { input, weight, c, labelSmoothing, reduction, shape } = call;
  const classDim = input.ndim === 1 ? 0 : 1;
  let p = castTo(target, input.dtype);
  if (labelSmoothing > 0) p = add(mul(p, 1 - labelSmoothing), labelSmoothing / c);
  if (weight !== null) {
    const alongClasses = input.shape.map((_, d) => (d === classDim ? c : 1));
    p = mul(p, reshape(weight, alongClasses));
  }
  const terms = mul(logSoftmax(input, classDim), p);
  if (reduction === 'none') return neg(sum(terms, classDim));
  return reduction === 'sum' ? neg(sum(terms)) : neg(div(sum(terms), sizeOf(shape)));
}

function wrongTarget(call: ClassLoss, target: Tensor, probabilities: boolean): never {
  const { op, input, shape } = call;
  const or = probabilities ? ` or ${formatShape(input.shape)} (floating: class probabilities)` : '';
  throw new ShapeError({
    op,
    argument: 'target',
    expected: `must have shape ${formatShape(shape)} (class indices)${or} for input ${formatShape(input.shape)}`,
    received: `${target.dtype} ${formatShape(target.shape)}`,
  });
}

/**
 * Cross entropy between logits and targets, computed from the logits without overflow.
 *
 * **Shape**: input [c], [n, c] or [n, c, ...]; target class indices [], [n] or [n, ...], or probabilities of the input's
 * shape -> a scalar, or one loss per target with `reduction: 'none'`
 *
 * @param target int32 class indices (other dtypes are accepted if every value is an integer), or floating class
 *   probabilities
 * @throws ShapeError, DTypeError; RangeError for an index that is no class: `target[5] = 10 must be in 0..9`
 *
 * @example
 * const logits = tensor([[1, 2, 3], [1000, 1001, 1002]]);
 * const labels = tensor(new Int32Array([0, 2]));
 * F.crossEntropy(logits, labels).item();                        // 1.407606
 * F.crossEntropy(logits, labels, { reduction: 'none' });        // tensor([2.4076, 0.4076])
 */
export function crossEntropy(input: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  checkOptions('crossEntropy', options);
  const call = checked('crossEntropy', input, options, true);
  expectTensor('crossEntropy', 'target', target);
  if (sameShape(target.shape, input.shape) && isFloating(target.dtype)) return probabilityLoss(call, target);
  if (!sameShape(target.shape, call.shape)) wrongTarget(call, target, true);
  return indexLoss(call, target);
}

/**
 * Negative log likelihood: picks -w_t input_t for every target t from log-probabilities.
 *
 * **Shape**: input [c], [n, c] or [n, c, ...]; target [], [n] or [n, ...] -> a scalar, or one loss per target
 * @throws as {@link crossEntropy}
 *
 * @example
 * F.nllLoss(F.logSoftmax(logits, 1), labels); // the same as F.crossEntropy(logits, labels)
 */
export function nllLoss(input: Tensor, target: Tensor, options: NllLossOptions = {}): Tensor {
  checkOptions('nllLoss', options);
  const call = checked('nllLoss', input, { ...options, labelSmoothing: 0 }, false);
  expectTensor('nllLoss', 'target', target);
  if (!sameShape(target.shape, call.shape)) wrongTarget(call, target, false);
  return indexLoss(call, target);
}
