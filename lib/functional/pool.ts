/**
 * Max and average pooling over one, two or three spatial dimensions.
 *
 * Formulas and rules are PyTorch's: padding is -infinity for the maximum and zero for the average; of equal maxima the
 * first wins, NaN wins over everything. Source: https://pytorch.org/docs/stable/nn.functional.html#pooling-functions
 */
import { needsGrad, record } from '../autograd/graph';
import { typeError } from '../errors';
import { run } from '../native';
import { checkOptions, real, type Size } from '../shape';
import { contiguousElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import { expectFloating } from './checks';
import { scatterIntoPlanes } from './max-unpool';
import { planWindows, type PoolPlan, type WindowOptions } from './pool-shape';
import type { ValuesAndIndices } from './reduction';
import type { SpatialRank } from './spatial';

export interface MaxPoolOptions extends WindowOptions {
  /** Distance between the cells of a window. Default 1. */
  readonly dilation?: Size | undefined;
}

/** Asks for `[values, indices]`, see {@link maxPool2dWithIndices}. */
type WithIndices = MaxPoolOptions & { readonly returnIndices: true };
type AnyMaxPoolOptions = MaxPoolOptions & { readonly returnIndices?: boolean };

export interface AvgPoolOptions extends WindowOptions {
  /** Zeros of the padding count in the divisor. Default true. */
  readonly countIncludePad?: boolean | undefined;
  /** Divide by this instead of the number of elements. */
  readonly divisorOverride?: number | null | undefined;
}

/** Windows of at most this many cells save their winner in a byte. */
const maxByteCells = 255;

function checkFlag(op: string, argument: string, value: unknown): void {
  if (value === undefined || typeof value === 'boolean') return;
  throw typeError(op, argument, 'must be true or false', value);
}

// ---- maximum ----

/**
 * The pool, and the cell (uint8) or position (int32) of every winner if they were asked for or are needed.
 * @internal
 */
export function maxPool(
  rank: SpatialRank,
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolOptions,
  keepChosen: boolean,
): { values: Tensor; chosen: Tensor | null; plan: PoolPlan } {
  const op = `maxPool${rank}d`;
  checkOptions(op, options);
  expectFloating(op, 'input', input);
  checkFlag(op, 'ceilMode', options.ceilMode);
  const plan = planWindows(op, input, rank, kernelSize, options, options.dilation);
  const { fields } = plan;
  const bytes = plan.cells <= maxByteCells;
  const grad = needsGrad(input);
  const y = Tensor.empty(plan.shape, input.dtype);
  const chosen = grad || keepChosen ? Tensor.empty(plan.shape, bytes ? 'uint8' : 'int32') : null;
  run('maxPool', fields, { x: contiguousElements(input), y, chosen });
  if (chosen === null || !grad) return { values: y, chosen, plan };
  const values = record(
    op,
    y,
    [input],
    (dy) => {
      const g = contiguousElements(dy);
      if (!bytes) return [scatterIntoPlanes(g, chosen, input.shape, fields.planes)];
      const dx = Tensor.empty(input.shape, g.dtype);
      run('maxPoolBackward', fields, { dy: g, chosen, dx });
      return [dx];
    },
    // Positions that are handed out belong to the caller.
    { owned: bytes || !keepChosen ? [chosen] : [], saved: bytes || !keepChosen ? [] : [chosen] },
  );
  return { values, chosen, plan };
}

/** `maxPool1d` to `maxPool3d` with indices. @internal */
export function maxPoolWithIndices(
  rank: SpatialRank,
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolOptions,
): ValuesAndIndices {
  const { values, chosen, plan } = maxPool(rank, input, kernelSize, options, true);
  if (chosen?.dtype !== 'uint8') return { values, indices: chosen ?? Tensor.empty(plan.shape, 'int32') };
  const indices = Tensor.empty(plan.shape, 'int32');
  run('maxPoolIndices', plan.fields, { chosen, index: indices });
  if (values.gradFn === null) chosen.storage.release();
  return { values, indices };
}

function maxPoolAsAsked(
  rank: SpatialRank,
  input: Tensor,
  kernelSize: Size,
  options: AnyMaxPoolOptions = {},
): Tensor | [Tensor, Tensor] {
  const op = `maxPool${rank}d`;
  checkOptions(op, options);
  checkFlag(op, 'returnIndices', options.returnIndices);
  if (options.returnIndices !== true) return maxPool(rank, input, kernelSize, options, false).values;
  const { values, indices } = maxPoolWithIndices(rank, input, kernelSize, options);
  return [values, indices];
}

/**
 * The largest value of each window.
 *
 * @param input [n, c, l] or [c, l]
 * @param kernelSize size of the window
 * @throws ShapeError if a window does not fit, ArgumentRangeError for sizes that make no sense
 *
 * @example
 * F.maxPool1d(tensor([[[1, 3, 2, 5]]]), 2).toArray(); // [[[3, 5]]]
 */
export function maxPool1d(input: Tensor, kernelSize: Size, options: WithIndices): [Tensor, Tensor];
export function maxPool1d(input: Tensor, kernelSize: Size, options?: MaxPoolOptions): Tensor;
export function maxPool1d(
  input: Tensor,
  kernelSize: Size,
  options?: AnyMaxPoolOptions,
): Tensor | [Tensor, Tensor] {
  return maxPoolAsAsked(1, input, kernelSize, options);
}

/**
 * The largest value of each window.
 *
 * **Shape**: [n, c, h, w] or [c, h, w] -> floor((h + 2 padding - dilation (kernelSize - 1) - 1) / stride + 1) rows, and
 * columns likewise; ceil instead of floor in ceilMode
 * @param options.returnIndices gives `[values, indices]`, see {@link maxPool2dWithIndices}
 * @throws ShapeError if a window does not fit, ArgumentRangeError for sizes that make no sense
 *
 * @example
 * F.maxPool2d(arange(16).reshape([1, 1, 4, 4]), 3, { stride: 2, padding: 1 }).toArray(); // [[[[5, 7], [13, 15]]]]
 * const [y, indices] = F.maxPool2d(x, 2, { returnIndices: true });
 */
export function maxPool2d(input: Tensor, kernelSize: Size, options: WithIndices): [Tensor, Tensor];
export function maxPool2d(input: Tensor, kernelSize: Size, options?: MaxPoolOptions): Tensor;
export function maxPool2d(
  input: Tensor,
  kernelSize: Size,
  options?: AnyMaxPoolOptions,
): Tensor | [Tensor, Tensor] {
  return maxPoolAsAsked(2, input, kernelSize, options);
}

/** The largest value of each window of [n, c, d, h, w] or [c, d, h, w]; see {@link maxPool2d}. */
export function maxPool3d(input: Tensor, kernelSize: Size, options: WithIndices): [Tensor, Tensor];
export function maxPool3d(input: Tensor, kernelSize: Size, options?: MaxPoolOptions): Tensor;
export function maxPool3d(
  input: Tensor,
  kernelSize: Size,
  options?: AnyMaxPoolOptions,
): Tensor | [Tensor, Tensor] {
  return maxPoolAsAsked(3, input, kernelSize, options);
}

/**
 * {@link maxPool1d} that also tells where the values were: `indices` (int32) are positions within each plane, what
 * {@link maxUnpool1d} takes.
 */
export function maxPool1dWithIndices(
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolOptions = {},
): ValuesAndIndices {
  return maxPoolWithIndices(1, input, kernelSize, options);
}

/**
 * {@link maxPool2d} that also tells where the values were: `indices` (int32) are positions h * width + w within each
 * plane, what {@link maxUnpool2d} takes.
 *
 * @example
 * const { values, indices } = F.maxPool2dWithIndices(x, 2);
 */
export function maxPool2dWithIndices(
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolOptions = {},
): ValuesAndIndices {
  return maxPoolWithIndices(2, input, kernelSize, options);
}

/** {@link maxPool3d} that also tells where the values were, as positions (d * height + h) * width + w. */
export function maxPool3dWithIndices(
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolOptions = {},
): ValuesAndIndices {
  return maxPoolWithIndices(3, input, kernelSize, options);
}

// ---- average ----

/** `avgPool1d` to `avgPool3d`. @internal */
export function avgPool(rank: SpatialRank, input: Tensor, kernelSize: Size, options: AvgPoolOptions): Tensor {
  const op = `avgPool${rank}d`;
  checkOptions(op, options);
  expectFloating(op, 'input', input);
  checkFlag(op, 'ceilMode', options.ceilMode);
  checkFlag(op, 'countIncludePad', options.countIncludePad);
  const { divisorOverride } = options;
  const divisor =
    divisorOverride == null
      ? 0
      : real(
          op,
          'divisorOverride',
          divisorOverride,
          'divisor must be finite and non-zero',
          (v) => v !== 0 && Number.isFinite(v),
        );
  const plan = planWindows(op, input, rank, kernelSize, options);
  const fields = { countPadding: options.countIncludePad === false ? 0 : 1, divisor, ...plan.fields };
  const y = Tensor.empty(plan.shape, input.dtype);
  run('avgPool', fields, { x: contiguousElements(input), y });
  if (!needsGrad(input)) return y;
  return record(op, y, [input], (dy) => {
    const dx = Tensor.empty(input.shape, dy.dtype);
    run('avgPoolBackward', fields, { dy: contiguousElements(dy), dx });
    return [dx];
  });
}

/**
 * The mean of each window.
 *
 * @param input [n, c, l] or [c, l]
 * @param kernelSize size of the window
 * @throws ShapeError if a window does not fit, ArgumentRangeError for sizes that make no sense
 *
 * @example
 * F.avgPool1d(tensor([[[1, 3, 2, 4]]]), 2).toArray(); // [[[2, 3]]]
 */
export function avgPool1d(input: Tensor, kernelSize: Size, options: AvgPoolOptions = {}): Tensor {
  return avgPool(1, input, kernelSize, options);
}

/**
 * The mean of each window.
 *
 * **Shape**: [n, c, h, w] or [c, h, w] -> floor((h + 2 padding - kernelSize) / stride + 1) rows, and columns likewise;
 * ceil instead of floor in ceilMode
 * @throws ShapeError if a window does not fit, ArgumentRangeError for sizes that make no sense
 *
 * @example
 * F.avgPool2d(arange(16).reshape([1, 1, 4, 4]), 2).toArray(); // [[[[2.5, 4.5], [10.5, 12.5]]]]
 */
export function avgPool2d(input: Tensor, kernelSize: Size, options: AvgPoolOptions = {}): Tensor {
  return avgPool(2, input, kernelSize, options);
}

/** The mean of each window of [n, c, d, h, w] or [c, d, h, w]; see {@link avgPool2d}. */
export function avgPool3d(input: Tensor, kernelSize: Size, options: AvgPoolOptions = {}): Tensor {
  return avgPool(3, input, kernelSize, options);
}
