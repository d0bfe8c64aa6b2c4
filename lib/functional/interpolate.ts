/**
 * Resizing of the spatial dimensions. Both modes work on one dimension after the other: nearest selects source rows,
 * bilinear mixes two of them, y = (1 - w) x[i] + w x[i + 1].
 */
import { ShapeError, describe, typeError } from '../errors';
import {
  checkElementCount,
  checkOptions,
  formatShape,
  numberList,
  real,
  shapeError,
  sizeTuple,
  type Size,
} from '../shape';
import { tensor } from '../tensor/create';
import type { Tensor } from '../tensor/tensor';
import { expectFloating, oneOf } from './checks';
import { add, mul } from './elementwise';
import { indexSelect } from './indexing';

export interface InterpolateOptions {
  /** Spatial size of the result: this or `scaleFactor`. */
  readonly size?: Size;
  /** Factor by which sizes grow, one for all or one per dimension. */
  readonly scaleFactor?: Size;
  /** Default `nearest`; `bilinear` is for images (linear in both directions). */
  readonly mode?: 'nearest' | 'bilinear';
  /** Bilinear only: let the corner pixels coincide, instead of the outer edges. Default false. */
  readonly alignCorners?: boolean;
}

interface Axis {
  readonly dim: number;
  readonly from: number;
  readonly to: number;
  /** Source distance of neighbouring outputs. */
  readonly step: number;
}

function axes(op: string, input: Tensor, options: InterpolateOptions): Axis[] {
  const spatial = input.shape.slice(2);
  const rank = spatial.length;
  if ((options.size === undefined) === (options.scaleFactor === undefined)) {
    throw typeError(op, 'options', 'must have exactly one of size and scaleFactor', Object.keys(options));
  }
  const { size, scaleFactor } = options;
  if (size !== undefined) {
    const target = sizeTuple(op, 'size', size, rank, 1);
    return spatial.map((from, i) => ({ dim: i + 2, from, to: target[i], step: from / target[i] }));
  }
  const list =
    typeof scaleFactor === 'number'
      ? new Array<number>(rank).fill(scaleFactor)
      : numberList(op, 'scaleFactor', scaleFactor ?? []);
  if (list.length !== rank) {
    throw typeError(
      op,
      'scaleFactor',
      `must be a number or one per spatial dimension of ${formatShape(input.shape)}`,
      scaleFactor,
    );
  }
  return spatial.map((from, i) => {
    const factor = real(
      op,
      `scaleFactor[${i}]`,
      list[i],
      'must be finite and > 0',
      (v) => v > 0 && Number.isFinite(v),
    );
    const to = Math.floor(from * factor);
    if (to < 1) {
      throw new ShapeError({
        op,
        argument: 'scaleFactor',
        expected: 'must leave a size >= 1',
        received: describe(list),
      });
    }
    return { dim: i + 2, from, to, step: 1 / factor };
  });
}

function nearest(input: Tensor, { dim, from, to, step }: Axis): Tensor {
  const at = Int32Array.from({ length: to }, (_, i) => Math.min(Math.floor(i * step), from - 1));
  return indexSelect(input, dim, tensor(at));
}

function linearMix(input: Tensor, { dim, from, to, step }: Axis, alignCorners: boolean): Tensor {
  const low = new Int32Array(to);
  const high = new Int32Array(to);
  const share = new Float64Array(to);
  for (let i = 0; i < to; i++) {
    const corner = to > 1 ? (i * (from - 1)) / (to - 1) : 0;
    const source = alignCorners ? corner : Math.max(0, (i + 0.5) * step - 0.5);
    low[i] = Math.min(Math.floor(source), from - 1);
    high[i] = Math.min(low[i] + 1, from - 1);
    share[i] = source - low[i];
  }
  const shape = input.shape.map((_, d) => (d === dim ? to : 1));
  const weight = (values: Float64Array): Tensor => tensor(values, { shape, dtype: input.dtype });
  return add(
    mul(indexSelect(input, dim, tensor(low)), weight(share.map((w) => 1 - w))),
    mul(indexSelect(input, dim, tensor(high)), weight(share)),
  );
}

/**
 * Resizes the spatial dimensions.
 *
 * **Shape**: [n, c, ...sizes] -> [n, c, ...newSizes]; a scale factor f gives floor(size * f)
 * @throws ShapeError or ArgumentTypeError for sizes that make no sense
 *
 * @example
 * F.interpolate(x, { scaleFactor: 2 });                                  // every pixel four times
 * F.interpolate(x, { size: [224, 224], mode: 'bilinear', alignCorners: false });
 */
export function interpolate(input: Tensor, options: InterpolateOptions): Tensor {
  const op = 'interpolate';
  checkOptions(op, options);
  expectFloating(op, 'input', input);
  const mode = oneOf(op, 'mode', options.mode ?? 'nearest', ['nearest', 'bilinear']);
  const fits = mode === 'bilinear' ? input.ndim === 4 : input.ndim >= 3 && input.ndim <= 5;
  if (!fits || input.shape.slice(1).includes(0)) {
    throw shapeError(
      op,
      'input',
      mode === 'bilinear'
        ? 'must be [N, C, H, W], not empty'
        : 'must be [N, C, L], [N, C, H, W] or [N, C, D, H, W], not empty',
      input.shape,
    );
  }
  const list = axes(op, input, options);
  checkElementCount(op, [...input.shape.slice(0, 2), ...list.map((a) => a.to)], 'size');
  return list.reduce((t, axis) => {
    if (axis.from === axis.to && axis.step === 1) return t;
    return mode === 'nearest' ? nearest(t, axis) : linearMix(t, axis, options.alignCorners === true);
  }, input);
}
