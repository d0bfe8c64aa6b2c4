/**
 * Random numbers: one counter-based stream per JavaScript thread. Element i of a draw depends only on the seed, the
 * position in the stream and i, so results are the same for any number of threads.
 */
import { isFloating, type DType } from './dtype';
import { DTypeError, typeError } from './errors';
import { run } from './native';
import { checkOptions, checkShape, integer, real } from './shape';
import { checkDType, type TensorOptions } from './tensor/create';
import { Tensor, expectTensor } from './tensor/tensor';

type Kind = 'uniform' | 'normal' | 'bernoulli';
const kindCode: Readonly<Record<Kind, number>> = { uniform: 0, normal: 1, bernoulli: 2 };

/**
 * A stream of random numbers.
 *
 * @example
 * const loader = new DataLoader(dataset, { batchSize: 256, shuffle: true, generator: new Generator(1) });
 */
export class Generator {
  private seed: number;
  private position = 0;

  /** @param seed an integer in 0..2^53-1; without one the stream starts anywhere */
  constructor(seed?: number) {
    this.seed =
      seed === undefined
        ? Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)
        : integer('Generator', 'seed', seed, 0);
  }

  /** Restarts the stream: the same calls then give the same numbers. */
  manualSeed(seed: number): this {
    this.seed = integer('manualSeed', 'seed', seed, 0);
    this.position = 0;
    return this;
  }

  /** Fills a contiguous float tensor: uniform [a, b), normal (mean a, std b), or b with probability a, else 0. */
  fill(t: Tensor, kind: Kind, a: number, b: number): void {
    const { seed, position } = this;
    run('random', { kind: kindCode[kind], n: t.numel, seed, offset: position, a, b }, { y: t });
    this.position += t.numel;
  }
}

/** The stream that everything draws from unless it is given its own. */
export const defaultGenerator = new Generator();

/**
 * Restarts the default stream: the same calls then give the same numbers.
 *
 * @param seed an integer in 0..2^53-1
 */
export function manualSeed(seed: number): void {
  defaultGenerator.manualSeed(seed);
}

/** Fills a contiguous float tensor from the default stream, see {@link Generator.fill}. */
export function fillRandom(t: Tensor, kind: Kind, a: number, b: number): void {
  defaultGenerator.fill(t, kind, a, b);
}

function made(
  op: string,
  shape: readonly number[],
  kind: Kind,
  a: number,
  b: number,
  options: TensorOptions,
): Tensor {
  checkOptions(op, options);
  const dtype: DType = checkDType(op, options.dtype ?? 'float32');
  if (!isFloating(dtype)) {
    throw new DTypeError({ op, argument: 'dtype', expected: 'must be float32 or float64', received: dtype });
  }
  const t = Tensor.empty(checkShape(op, shape), dtype);
  fillRandom(t, kind, a, b);
  return options.requiresGrad === true ? t.requiresGrad_(true) : t;
}

/** Uniform numbers in [0, 1). */
export function rand(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return made('rand', shape, 'uniform', 0, 1, options);
}

/** Normal numbers, mean 0, standard deviation 1. */
export function randn(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return made('randn', shape, 'normal', 0, 1, options);
}

/** Uniform numbers in [0, 1), in the shape and dtype of `t`. */
export function randLike(t: Tensor, options: TensorOptions = {}): Tensor {
  expectTensor('randLike', 'input', t);
  return rand(t.shape, { dtype: t.dtype, ...options });
}

/** Normal numbers, mean 0, standard deviation 1, in the shape and dtype of `t`. */
export function randnLike(t: Tensor, options: TensorOptions = {}): Tensor {
  expectTensor('randnLike', 'input', t);
  return randn(t.shape, { dtype: t.dtype, ...options });
}

/** Normal numbers of a given mean and standard deviation. */
export function normal(
  mean: number,
  std: number,
  shape: readonly number[],
  options: TensorOptions = {},
): Tensor {
  real('normal', 'mean', mean, 'must be finite', Number.isFinite);
  real('normal', 'std', std, 'must be finite and >= 0', (v) => v >= 0 && Number.isFinite(v));
  return made('normal', shape, 'normal', mean, std, options);
}

/** The integers 0..n-1 in random order (Fisher-Yates). */
export function randperm(n: number, generator: Generator = defaultGenerator): Int32Array {
  integer('randperm', 'n', n, 0, 2 ** 31 - 1);
  if (!(generator instanceof Generator)) {
    throw typeError('randperm', 'generator', 'must be a Generator', generator);
  }
  const order = Int32Array.from({ length: n }, (_, i) => i);
  const draws = Tensor.empty([n], 'float64');
  generator.fill(draws, 'uniform', 0, 1);
  const u = draws.storage.data;
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(u[i] * (i + 1));
    const t = order[i];
    order[i] = order[j];
    order[j] = t;
  }
  return order;
}
