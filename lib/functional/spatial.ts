/** Inputs with one, two or three spatial dimensions. The native ops always get three, with sizes 1 in front. */
import { shapeError, type Shape } from '../shape';

/** Number of spatial dimensions. */
export type SpatialRank = 1 | 2 | 3;

/** Largest size of one dimension, padding included. */
export const maxSize = 2 ** 31 - 1;

const letters = { 1: 'L', 2: 'H,W', 3: 'D,H,W' } as const;

/** An input [...lead, ...size] with lead [n, c] or [c]. @throws ShapeError if it is none, or empty but for n */
export function splitPlanes(op: string, shape: Shape, rank: SpatialRank): { lead: number[]; size: number[] } {
  if (shape.length !== rank + 1 && shape.length !== rank + 2) {
    throw shapeError(op, 'input', `expects [C,${letters[rank]}] or [N,C,${letters[rank]}]`, shape);
  }
  if (shape.slice(-rank - 1).some((size) => size < 1)) {
    throw shapeError(op, 'input', 'channel/spatial size must be >= 1', shape);
  }
  return { lead: shape.slice(0, -rank), size: shape.slice(-rank) };
}

/** Windows on an input of size `in`, and how many they are: one number per dimension each. */
export interface WindowSizes {
  readonly in: readonly number[];
  readonly kernel: readonly number[];
  readonly out: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
}

/** The same with three dimensions. */
export function inThreeDimensions(sizes: WindowSizes): WindowSizes {
  return {
    in: triple(sizes.in, 1),
    kernel: triple(sizes.kernel, 1),
    out: triple(sizes.out, 1),
    stride: triple(sizes.stride, 1),
    padding: triple(sizes.padding, 0),
    dilation: triple(sizes.dilation, 1),
  };
}

/** Three entries, `fill` in front. */
export function triple(values: readonly number[], fill: number): readonly number[] {
  return [...new Array<number>(3 - values.length).fill(fill), ...values];
}

/** `1x3x3` */
export const timesText = (sizes: readonly number[]): string => sizes.join('x');

/** Elements that a dilated kernel spans. */
export function effectiveKernel(kernel: number, dilation: number): number {
  return dilation * (kernel - 1) + 1;
}
