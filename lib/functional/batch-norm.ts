/**
 * Batch normalisation: y = (x - mean) / sqrt(var + eps) * weight + bias per channel.
 *
 * Training uses the mean and the biased variance of the batch over everything but the channels, and moves the running
 * statistics towards them; evaluation uses the running statistics. The gradient of training takes into account that
 * mean and variance depend on x.
 */
import { needsGrad, record } from '../autograd/graph';
import { ShapeError } from '../errors';
import { run } from '../native';
import { checkOptions, formatShape, real, shapeError, sizeOf } from '../shape';
import { contiguousElements, copyElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import { expectDTypeOf, expectFloating } from './checks';
import { addOf, noEnding, rangeOf, type Ending } from './ending';
import { memoryFor } from './unary';

/** The ending, `add` and so on, is done in the pass that writes the result. */
export interface BatchNormOptions extends Ending {
  /** [c]; 1 if absent. */
  readonly weight?: Tensor | null | undefined;
  /** [c]; 0 if absent. */
  readonly bias?: Tensor | null | undefined;
  /** Use the statistics of the batch, and update the running ones. Default false. */
  readonly training?: boolean | undefined;
  /** Share of the batch in the running statistics: (1 - momentum) old + momentum new. Default 0.1. */
  readonly momentum?: number | undefined;
  /** Added to the variance under the root. Default 1e-5. */
  readonly eps?: number | undefined;
}

/** Checks an eps. */
export function checkEps(op: string, eps: unknown): number {
  return real(op, 'eps', eps, 'must be finite and >= 0', (v) => v >= 0 && Number.isFinite(v));
}

/** Checks a parameter or statistic: null, or [c] of the input's dtype. */
export function channelVector(
  op: string,
  argument: string,
  value: Tensor | null | undefined,
  input: Tensor,
  channels: number,
): Tensor | null {
  if (value == null) return null;
  const t = expectDTypeOf(op, argument, value, input, 'input');
  if (t.ndim !== 1 || t.shape[0] !== channels) {
    throw shapeError(
      op,
      argument,
      `must have shape [${channels}], one entry per channel of input ${formatShape(input.shape)}`,
      t.shape,
    );
  }
  return t;
}

function contiguousOrNull(t: Tensor | null): Tensor | null {
  return t === null ? null : contiguousElements(t.detach());
}

/** Everything checked, as one call of the native ops needs it. */
export interface NormCall {
  readonly op: string;
  /** The input as [n, c, s]. */
  readonly n: number;
  readonly c: number;
  readonly s: number;
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly runningMean: Tensor | null;
  readonly runningVar: Tensor | null;
  readonly training: boolean;
  readonly momentum: number;
  readonly eps: number;
}

/** Batch normalisation of checked arguments. */
export function normalizeChannels(input: Tensor, call: NormCall, ending = noEnding): Tensor {
  const { op, n, c, s, weight, bias, runningMean, runningVar, training, momentum, eps } = call;
  const add = addOf(op, ending, input, input.shape, 'input');
  const { low, high } = rangeOf(ending);
  const recorded = needsGrad(input, weight, bias, add);
  const x = contiguousElements(input.detach());
  const y = memoryFor(input, x, recorded);
  const mean = Tensor.empty([c], 'float64');
  const invstd = Tensor.empty([c], 'float64');
  const w = contiguousOrNull(weight);
  const b = contiguousOrNull(bias);
  const rm = contiguousOrNull(runningMean);
  const rv = contiguousOrNull(runningVar);
  const buffers = {
    x, weight: w, bias: b, runningMean: rm, runningVar: rv, add: contiguousOrNull(add), y, mean, invstd,
  }; // prettier-ignore
  if (training) {
    run('batchNormTrain', { n, c, s, momentum, eps, low, high }, buffers);
    for (const [own, used] of [
      [runningMean, rm],
      [runningVar, rv],
    ]) {
      if (own === null || used === null) continue;
      if (used.storage !== own.storage) copyElements(used, own);
      own.storage.version++;
    }
  } else {
    run('batchNormEval', { n, c, s, eps, low, high }, buffers);
  }
  if (!recorded) {
    mean.storage.release();
    invstd.storage.release();
    return y;
  }
  // Backward tells by y what passes the range: it makes y again of x if nothing was added to it.
  const isLimited = low > -Infinity;
  const kept = isLimited && add !== null ? y : null;
  const saved = [input, weight, isLimited && add === null ? bias : null, kept].filter((t) => t !== null);
  return record(
    op,
    y,
    [input, weight, bias, add],
    (grad, wanted, spare) => {
      const dy = contiguousElements(grad);
      const empty = (i: number, shape: readonly number[]): Tensor | null =>
        wanted[i] ? Tensor.empty(shape, dy.dtype) : null;
      // What passes the range is the gradient of what was added.
      const passed = kept === null || spare ? dy : Tensor.empty(dy.shape, dy.dtype);
      const dadd = wanted[3] ? passed : null;
      if (kept === null && !wanted[0] && !wanted[1] && !wanted[2]) return [null, null, null, dadd];
      const mayOverwrite = dadd === null && (spare || kept !== null);
      const dx = wanted[0] && mayOverwrite ? passed : empty(0, dy.shape);
      const [dweight, dbias] = [empty(1, [c]), empty(2, [c])];
      run(
        'batchNormBackward',
        { n, c, s, training: training ? 1 : 0, low, high },
        {
          x, dy, weight: w, bias: b, mean, invstd, y: kept, passed: kept === null ? null : passed, dx, dweight, dbias,
        },
      ); // prettier-ignore
      return [dx, dweight, dbias, dadd];
    },
    { saved, owned: [mean, invstd] },
  );
}

/**
 * Normalises every channel to mean `bias` and standard deviation `weight`.
 *
 * In training the running statistics are updated in place, the variance with n / (n - 1); they are constants to the
 * gradient. Source: Ioffe and Szegedy, "Batch Normalization", 2015; the contract is that of PyTorch's `batch_norm`.
 * `add` and `relu` are the end of a residual block: relu(batchNorm(input) + add) in one pass forward and no more than the
 * norm's own backward, the same numbers as in three.
 *
 * **Shape**: [n, c] or [n, c, ...], unchanged
 * @param runningMean [c], or null in training
 * @param runningVar [c], or null in training
 * @throws ShapeError if a parameter does not have one entry per channel, or in training with one value per channel, or
 *   if `add` has another shape than the input
 *
 * @example
 * const x = tensor([[1, 2], [3, 4], [5, 9]]);
 * F.batchNorm(x, null, null, { training: true }).toArray(); // columns of mean 0 and variance 1
 * F.batchNorm(x, null, null, { training: true, relu: true }).toArray(); // and 0 where they are negative
 */
export function batchNorm(
  input: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  options: BatchNormOptions = {},
): Tensor {
  const op = 'batchNorm';
  checkOptions(op, options);
  expectFloating(op, 'input', input);
  const { shape } = input;
  if (shape.length < 2 || shape[1] === 0) {
    throw shapeError(op, 'input', 'must be [n, c] or [n, c, ...] with at least one channel', shape);
  }
  const training = options.training === true;
  const momentum = real(op, 'momentum', options.momentum ?? 0.1, 'must be in 0..1', (v) => v >= 0 && v <= 1);
  const eps = checkEps(op, options.eps ?? 1e-5);
  const [n, c] = shape;
  const s = sizeOf(shape.slice(2));
  const vector = (argument: string, value: Tensor | null | undefined): Tensor | null =>
    channelVector(op, argument, value, input, c);
  const call = {
    op,
    n,
    c,
    s,
    weight: vector('weight', options.weight),
    bias: vector('bias', options.bias),
    runningMean: vector('runningMean', runningMean),
    runningVar: vector('runningVar', runningVar),
    training,
    momentum,
    eps,
  };
  if (!training && (call.runningMean === null || call.runningVar === null)) {
    throw new ShapeError({
      op,
      argument: call.runningMean === null ? 'runningMean' : 'runningVar',
      expected: `must have shape [${c}] in evaluation`,
      received: 'null',
    });
  }
  if (training && n * s <= 1) {
    throw new ShapeError({
      op,
      argument: 'input',
      expected: 'needs more than 1 value per channel in training',
      received: formatShape(shape),
      hint: 'call eval(), or use a larger batch',
    });
  }
  return normalizeChannels(input, call, options);
}
