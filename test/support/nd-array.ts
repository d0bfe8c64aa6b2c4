// Dense row-major arrays of doubles: what fixtures are read into and what the reference ops compute with.

export interface NdArray {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function zeros(shape: readonly number[]): NdArray {
  return { shape: [...shape], data: new Float64Array(sizeOf(shape)) };
}

/** An array of the given shape; the number of values must fit. */
export function ndArray(shape: readonly number[], values: ArrayLike<number>): NdArray {
  if (values.length !== sizeOf(shape)) {
    throw new RangeError(`shape [${shape.join(', ')}] needs ${sizeOf(shape)} values, got ${values.length}`);
  }
  return { shape: [...shape], data: Float64Array.from(values) };
}

/** The same values under another shape; shares the data. */
export function reshaped(array: NdArray, shape: readonly number[]): NdArray {
  if (sizeOf(shape) !== array.data.length) {
    throw new RangeError(`cannot reshape [${array.shape.join(', ')}] to [${shape.join(', ')}]`);
  }
  return { shape: [...shape], data: array.data };
}

export function mapped(array: NdArray, f: (value: number, flat: number) => number): NdArray {
  return { shape: array.shape, data: array.data.map(f) };
}

/** Row-major position of `index` in an array of this shape. */
export function flatIndex(index: readonly number[], shape: readonly number[]): number {
  return shape.reduce((flat, size, d) => flat * size + index[d], 0);
}

/** Calls `visit` once for every index of the shape, in row-major order; a scalar has one, empty, index. */
export function forEachIndex(
  shape: readonly number[],
  visit: (index: readonly number[], flat: number) => void,
): void {
  const count = sizeOf(shape);
  const index = shape.map(() => 0);
  for (let flat = 0; flat < count; flat++) {
    visit(index, flat);
    for (let d = shape.length - 1; d >= 0 && ++index[d] === shape[d]; d--) index[d] = 0;
  }
}

/** A dimension counted from the front, whatever sign it was given with. */
export function dimension(dim: number, rank: number): number {
  const positive = dim < 0 ? dim + rank : dim;
  if (positive < 0 || positive >= Math.max(rank, 1)) throw new RangeError(`dim ${dim} of rank ${rank}`);
  return positive;
}

/** [outer, size, inner] around one dimension: element (o, i, k) lies at (o * size + i) * inner + k. */
export function around(shape: readonly number[], dim: number): [number, number, number] {
  return [sizeOf(shape.slice(0, dim)), shape[dim], sizeOf(shape.slice(dim + 1))];
}

/** Calls visit once for every line along dim, with the positions of its elements. */
export function forEachLine(shape: readonly number[], dim: number, visit: (line: number[]) => void): void {
  const [outer, size, inner] = around(shape, dimension(dim, shape.length));
  for (let o = 0; o < outer; o++) {
    for (let k = 0; k < inner; k++) {
      visit(Array.from({ length: size }, (_, i) => (o * size + i) * inner + k));
    }
  }
}

export function broadcastShape(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, d) => {
    const sizes = shapes.map((shape) => shape[d - rank + shape.length] ?? 1);
    const size = sizes.find((s) => s !== 1) ?? 1;
    if (sizes.some((s) => s !== 1 && s !== size)) {
      throw new RangeError(`shapes [${shapes.map((s) => `[${s.join(', ')}]`).join(', ')}] do not broadcast`);
    }
    return size;
  });
}

/** Where the element of a broadcast result comes from in one operand. */
export function broadcastOffset(index: readonly number[], shape: readonly number[]): number {
  const skipped = index.length - shape.length;
  return shape.reduce((flat, size, d) => flat * size + (size === 1 ? 0 : index[d + skipped]), 0);
}

/** The elements of `array` (ones without it) that meet those of an array of this shape. */
export function broadcastTo(array: NdArray | null, shape: readonly number[]): Float64Array {
  const values = new Float64Array(sizeOf(shape)).fill(1);
  if (array) forEachIndex(shape, (index, i) => (values[i] = array.data[broadcastOffset(index, array.shape)]));
  return values;
}
