/**
 * The windows of pooling: arguments checked, output size computed, and the descriptor of the native ops made. One rule
 * for one, two and three spatial dimensions.
 */
import { ArgumentRangeError, ShapeError } from '../errors';
import { integer, shapeError, sizeOf, sizeTuple, type Shape, type Size } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { Plans, withOwnShape } from './plans';
import {
  effectiveKernel,
  inThreeDimensions,
  maxSize,
  splitPlanes,
  timesText,
  type SpatialRank,
  type WindowSizes,
} from './spatial';

export interface WindowOptions {
  /** Distance between windows. Default: the kernel size. */
  readonly stride?: Size | null | undefined;
  /** Added on both sides of each dimension, at most half the kernel. Default 0. */
  readonly padding?: Size | undefined;
  /** Round the output size up: windows may reach beyond the padding. Default false. */
  readonly ceilMode?: boolean | undefined;
}

/** Planes and the windows on them, as the native ops take them, and the shape of the result. */
export interface PoolPlan {
  readonly fields: WindowSizes & { readonly planes: number };
  readonly shape: Shape;
  /** Cells of a window. */
  readonly cells: number;
}

/** The planes of a pool's input, which may lack the batch dimension. */
export function poolPlanes(op: string, input: Tensor, rank: SpatialRank): { lead: Shape; size: Shape } {
  const planes = splitPlanes(op, input.shape, rank);
  if (sizeOf(planes.size) <= maxSize) return planes;
  throw shapeError(op, 'input', 'must have fewer than 2^31 elements in a plane', input.shape);
}

/** A size that the native side can compute with. */
export function poolSize(op: string, argument: string, value: unknown, min: number): number {
  const v = integer(op, argument, value, min);
  if (v <= maxSize) return v;
  throw new ArgumentRangeError({
    op,
    argument,
    expected: `must be an integer in ${min}..${maxSize}`,
    received: String(v),
  });
}

function sizes(op: string, argument: string, value: Size, rank: number, min: number): number[] {
  return sizeTuple(op, argument, value, rank, min).map((v, i) => poolSize(op, `${argument}[${i}]`, v, min));
}

/** Number of windows of one dimension; PyTorch's formula. The last one must start within the input or left of it. */
function outputSize(size: number, reach: number, stride: number, padding: number, ceil: boolean): number {
  const room = size + 2 * padding - reach;
  const out = Math.floor((room + (ceil ? stride - 1 : 0)) / stride) + 1;
  return ceil && (out - 1) * stride >= size + padding ? out - 1 : out;
}

const plans = new Plans<PoolPlan>();

/**
 * Checks all arguments of a pool over windows.
 * @throws ShapeError, ArgumentRangeError, ArgumentTypeError
 */
export function planWindows(
  op: string,
  input: Tensor,
  rank: SpatialRank,
  kernelSize: Size,
  options: WindowOptions,
  dilation: Size = 1,
): PoolPlan {
  const { stride, padding, ceilMode } = options;
  const key = [rank, kernelSize, stride, padding, dilation, ceilMode, ...input.shape];
  const read = { stride, padding, ceilMode };
  return withOwnShape(plans.get(key, () => planNewWindows(op, input, rank, kernelSize, read, dilation)));
}

function planNewWindows(
  op: string,
  input: Tensor,
  rank: SpatialRank,
  kernelSize: Size,
  options: WindowOptions,
  dilationOption: Size,
): PoolPlan {
  const kernel = sizes(op, 'kernelSize', kernelSize, rank, 1);
  const stride = options.stride == null ? kernel : sizes(op, 'stride', options.stride, rank, 1);
  const padding = sizes(op, 'padding', options.padding ?? 0, rank, 0);
  const dilation = sizes(op, 'dilation', dilationOption, rank, 1);
  const reach = kernel.map((k, i) => effectiveKernel(k, dilation[i]));
  padding.forEach((p, i) => {
    if (2 * p > reach[i]) {
      throw new ArgumentRangeError({
        op,
        argument: `padding[${i}]`,
        expected: `padding must be <= half the effective kernel, ${Math.floor(reach[i] / 2)}`,
        received: String(p),
      });
    }
  });
  const { lead, size } = poolPlanes(op, input, rank);
  const ceil = options.ceilMode === true;
  const out = size.map((s, i) => outputSize(s, reach[i], stride[i], padding[i], ceil));
  if (out.some((o) => o < 1)) {
    throw new ShapeError({
      op,
      argument: `effective kernel ${timesText(reach)}`,
      expected: `is larger than the padded input ${timesText(size.map((s, i) => s + 2 * padding[i]))}`,
      received: `output size ${timesText(out.map((o) => Math.max(0, o)))} is too small`,
    });
  }
  return {
    fields: {
      planes: sizeOf(lead),
      ...inThreeDimensions({ in: size, kernel, out, stride, padding, dilation }),
    },
    shape: [...lead, ...out],
    cells: sizeOf(kernel),
  };
}
