/**
 * Batch normalisation: y = (x - mean) / sqrt(var + eps) * weight + bias per channel.
 *
 * Training uses the mean and the biased variance of the batch over everything but the channels, and moves the running
 * statistics towards them; evaluation uses the running statistics. The gradient of training takes into account that
 * mean and variance depend on x.
 */
import { needsGrad, record } from '../autograd/graph';
import { ShapeError } from '../errors';
import { run, unaryFns } from '../native';
import { checkOptions, formatShape, real, sizeOf } from '../shape';
import { contiguousElements, copyElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import { expectDTypeOf, expectFloating, expectShape } from './checks';
import { memoryFor } from './unary';

export interface BatchNormOptions {
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
  /** Of the input's shape; added to the result in the same pass. */
  readonly add?: Tensor | null | undefined;
  /** Then put through a ReLU, still in the same pass. Default false. */
  readonly relu?: boolean | undefined;
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
    throw new ShapeError({
      op,
      argument,
      expected: `must have shape [${channels}], one entry per channel of input ${formatShape(input.shape)}`,
      received: formatShape(t.shape),
    });
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

/** What is done to the result as it is written. */
export interface NormEnding {
  /** Added, if not null; of the input's shape and dtype. */
  readonly add: Tensor | null;
  /** Then a ReLU. */
  readonly relu: boolean;
}

const plain: NormEnding = { add: null, relu: false };

/** Batch normalisation of checked arguments. */
export function normalizeChannels(input: Tensor, call: NormCall, ending = plain): Tensor {
  const { op, n, c, s, weight, bias, runningMean, runningVar, training, momentum, eps } = call;
  const { add } = ending;
  const relu = ending.relu ? 1 : 0;
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
    run('batchNormTrain', { n, c, s, momentum, eps, relu }, buffers);
    for (const [own, used] of [
      [runningMean, rm],
      [runningVar, rv],
    ]) {
      if (own === null || used === null) continue;
      if (used.storage !== own.storage) copyElements(used, own);
      own.storage.version++;
    }
  } else {
    run('batchNormEval', { n, c, s, eps, relu }, buffers);
  }
  if (!recorded) {
    mean.storage.release();
    invstd.storage.release();
    return y;
  }
  // The ReLU's part of backward needs the sign of y: x tells it if nothing was added in between.
  const kept = ending.relu && add !== null ? y : null;
  const reluLast = ending.relu && add === null;
  const saved = [input, weight, reluLast ? bias : null, kept].filter((t) => t !== null);
  return record(
    op,
    y,
    [input, weight, bias, add],
    (grad, wanted, spare) => {
      let dy = contiguousElements(grad);
      let isOwn = spare;
      if (kept !== null) {
        const passed = isOwn ? dy : Tensor.empty(dy.shape, dy.dtype);
        run('unaryBackward', { fn: unaryFns.relu.code, n: dy.numel }, { saved: kept, dy, dx: passed });
        dy = passed;
        isOwn = true;
      }
      const dadd = wanted[3] ? dy : null;
      if (!wanted[0] && !wanted[1] && !wanted[2]) return [null, null, null, dadd];
      const ownDx = (): Tensor => (isOwn && dadd === null ? dy : Tensor.empty(dy.shape, dy.dtype));
      const dx = wanted[0] ? ownDx() : null;
      const dweight = wanted[1] ? Tensor.empty([c], dy.dtype) : null;
      const dbias = wanted[2] ? Tensor.empty([c], dy.dtype) : null;
      run(
        'batchNormBackward',
        { n, c, s, training: training ? 1 : 0, relu: reluLast ? 1 : 0 },
        { x, dy, weight: w, bias: b, mean, invstd, dx, dweight, dbias },
      );
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
 * `add` and `relu` are the end of a residual block: relu(batchNorm(input) + add) in one pass, the same numbers as in
 * three.
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
    throw new ShapeError({
      op,
      argument: 'input',
      expected: 'must be [n, c] or [n, c, ...] with at least one channel',
      received: formatShape(shape),
    });
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
  const add = options.add == null ? null : expectDTypeOf(op, 'add', options.add, input, 'input');
  if (add !== null) expectShape(op, 'add', add, shape, 'that of input');
  return normalizeChannels(input, call, { add, relu: options.relu === true });
}
