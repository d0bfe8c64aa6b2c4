/** Making tensors from numbers. */
import type { DType, TypedArray } from '../dtype';
import { dtypes } from '../dtype';
import { ArgumentTypeError, ShapeError, describe, rangeError, typeError } from '../errors';
import {
  checkElementCount,
  checkOptions,
  checkShape,
  contiguousStrides,
  formatShape,
  maxRank,
  real,
  sizeOf,
} from '../shape';
import { cloneElements, fillElements } from './copy';
import { Storage, copyOf } from './storage';
import { Tensor, expectTensor } from './tensor';

/** What `tensor` takes: numbers and booleans, nested as deep as wanted. */
export type NestedValues = number | boolean | readonly NestedValues[];

export interface TensorOptions {
  /** Element type; float32 unless the source says otherwise. */
  readonly dtype?: DType;
  /** Record operations on this tensor for backward. */
  readonly requiresGrad?: boolean;
}

export interface FromValuesOptions extends TensorOptions {
  /** Shape of the result; by default that of the nested array, or one dimension for a typed array. */
  readonly shape?: readonly number[];
}

export function checkDType(op: string, dtype: unknown): DType {
  if (typeof dtype === 'string' && (dtypes as readonly string[]).includes(dtype)) return dtype as DType;
  throw typeError(op, 'dtype', `must be one of ${dtypes.join(', ')}`, dtype);
}

function finish(t: Tensor, options: TensorOptions): Tensor {
  if (options.requiresGrad === true) t.requiresGrad_(true);
  return t;
}

function dtypeOfArray(values: TypedArray): DType {
  if (values instanceof Float32Array) return 'float32';
  if (values instanceof Float64Array) return 'float64';
  return values instanceof Int32Array ? 'int32' : 'uint8';
}

function isSupportedArray(values: object): values is TypedArray {
  return (
    values instanceof Float32Array ||
    values instanceof Float64Array ||
    values instanceof Int32Array ||
    (values instanceof Uint8Array && !Buffer.isBuffer(values))
  );
}

/** Shape of a nested array; refuses ragged ones. */
function nestedShape(values: readonly unknown[]): number[] {
  const shape: number[] = [];
  for (let level: unknown = values; Array.isArray(level); level = level[0]) {
    shape.push(level.length);
    if (level.length === 0 || shape.length > maxRank) break; // an array may hold itself
  }
  return checkShape('tensor', shape, 'values');
}

/** Least and largest values of the integer types. */
const limits: Readonly<Partial<Record<DType, readonly [number, number]>>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint8: [0, 255],
};

/** A number for an array of `dtype`: fractions are cut off, what does not fit (and NaN) is refused. */
function fitted(value: number, dtype: DType, where: string): number {
  const range = limits[dtype];
  if (range === undefined) return value;
  const whole = Math.trunc(value);
  if (whole >= range[0] && whole <= range[1]) return whole;
  throw rangeError('tensor', `values${where}`, `must be in ${range[0]}..${range[1]} for ${dtype}`, value);
}

function flatten(values: readonly unknown[], shape: readonly number[], out: TypedArray, dtype: DType): void {
  let at = 0;
  const walk = (level: unknown, depth: number, where: string): void => {
    if (depth === shape.length) {
      if (typeof level === 'boolean') out[at++] = Number(level);
      else if (typeof level === 'number') out[at++] = fitted(level, dtype, where);
      else if (Array.isArray(level)) ragged(where, level.length, 'a number');
      else {
        const hint = typeof level === 'bigint' ? 'convert with Number(x)' : undefined;
        throw new ArgumentTypeError({
          op: 'tensor',
          argument: `values${where}`,
          expected: 'must be a number',
          received: describe(level),
          ...(hint === undefined ? {} : { hint }),
        });
      }
      return;
    }
    if (!Array.isArray(level)) {
      throw new ShapeError({
        op: 'tensor',
        argument: `values${where}`,
        expected: `must be an array of length ${shape[depth]}`,
        received: describe(level),
      });
    }
    if (level.length !== shape[depth]) ragged(where, level.length, String(shape[depth]));
    for (let i = 0; i < level.length; i++) walk(level[i], depth + 1, `${where}[${i}]`);
  };
  walk(values, 0, '');
}

function ragged(where: string, length: number, expected: string): never {
  const row = /\[(\d+)\]$/.exec(where)?.[1];
  throw new ShapeError({
    op: 'tensor',
    argument: `values${where}`,
    expected: `is ragged: ${row === undefined ? 'it' : `row ${row}`} has length ${length}, expected ${expected}`,
    received: '',
  });
}

/** Every number but 0 is true, also 0.5. */
function asBools({ data: values }: Storage): Storage {
  const storage = Storage.allocate('bool', values.length);
  const bools = storage.data;
  for (let i = 0; i < values.length; i++) bools[i] = Number(values[i] !== 0);
  return storage;
}

/** Values in memory of their own dtype: bools are made of whatever came. */
const storedAs = (dtype: DType, source: DType): DType =>
  dtype === 'bool' && source !== 'bool' ? source : dtype;

/**
 * A tensor with a copy of `values`.
 *
 * @param values a number, nested arrays of numbers or booleans, a Float32Array, Float64Array, Int32Array or
 *   Uint8Array, or a Tensor, which is converted as by its `to`
 * @param options.shape for flat values; their product must be the number of values
 * @param options.dtype default: float32 for numbers and nested arrays, the array's own type for a typed array
 * @throws ShapeError for ragged arrays or a shape that does not fit; ArgumentRangeError for numbers that an integer dtype
 *   cannot hold; ArgumentTypeError for anything else
 *
 * @example
 * const x = tensor([[0, 1, 2], [3, 4, 5]]);
 * const labels = tensor(new Int32Array([3, 1]));
 * const image = tensor(pixels, { shape: [1, 1, 28, 28], dtype: 'float32' });
 */
export function tensor(values: NestedValues | TypedArray | Tensor, options: FromValuesOptions = {}): Tensor {
  checkOptions('tensor', options);
  const dtype = options.dtype === undefined ? undefined : checkDType('tensor', options.dtype);
  let storage: Storage;
  let shape: number[];
  let own: DType;
  if (values instanceof Tensor) {
    own = values.dtype;
    shape = [...values.shape];
    storage = cloneElements(values, dtype ?? own).storage;
  } else if (typeof values === 'number' || typeof values === 'boolean') {
    own = typeof values === 'boolean' ? 'bool' : 'float32';
    shape = [];
    storage = Storage.allocate(storedAs(dtype ?? own, 'float64'), 1);
    storage.data[0] = fitted(Number(values), dtype ?? own, '');
  } else if (Array.isArray(values)) {
    own = 'float32';
    shape = nestedShape(values);
    storage = Storage.allocate(storedAs(dtype ?? own, 'float64'), sizeOf(shape));
    flatten(values, shape, storage.data, dtype ?? own);
  } else if (typeof values === 'object' && values !== null && isSupportedArray(values)) {
    own = dtypeOfArray(values);
    shape = [values.length];
    storage = copyOf('tensor', 'values', values, storedAs(dtype ?? own, own));
  } else {
    throw new ArgumentTypeError({
      op: 'tensor',
      argument: 'values',
      expected:
        'must be a number, nested arrays, a Float32Array, Float64Array, Int32Array, Uint8Array or a Tensor',
      received: describe(values),
      hint: Buffer.isBuffer(values)
        ? 'for bytes use new Uint8Array(buffer), for floats new Float32Array(buffer.buffer, buffer.byteOffset, n)'
        : 'copy the values into one of these, as in Float32Array.from(values)',
    });
  }
  if ((dtype ?? own) === 'bool' && storage.dtype !== 'bool') storage = asBools(storage);
  if (options.shape !== undefined) {
    const wanted = checkShape('tensor', options.shape);
    if (sizeOf(wanted) !== storage.length) {
      throw new ShapeError({
        op: 'tensor',
        argument: '',
        expected: `shape ${formatShape(wanted)} needs ${sizeOf(wanted)} values`,
        received: String(storage.length),
      });
    }
    shape = wanted;
  }
  return finish(new Tensor(storage, shape, contiguousStrides(shape), 0), options);
}

/** A tensor of `shape` filled with `value`. */
export function full(shape: readonly number[], value: number, options: TensorOptions = {}): Tensor {
  return filled('full', shape, value, options);
}

function filled(op: string, shape: readonly number[], value: number, options: TensorOptions): Tensor {
  checkOptions(op, options);
  const dtype = checkDType(op, options.dtype ?? 'float32');
  const t = Tensor.empty(checkShape(op, shape), dtype);
  fillElements(
    t,
    real(op, 'value', value, 'must be a number', () => true),
  );
  return finish(t, options);
}

/** Options with the dtype of `t`, unless they say another. */
function optionsLike(t: Tensor, options: TensorOptions): TensorOptions {
  return { dtype: t.dtype, ...options };
}

/** A tensor of zeros. @example zeros([2, 3]) */
export function zeros(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return filled('zeros', shape, 0, options);
}

/** A tensor of ones. @example ones([6, 8]) */
export function ones(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return filled('ones', shape, 1, options);
}

/** Zeros of the shape and dtype of `t`. */
export function zerosLike(t: Tensor, options: TensorOptions = {}): Tensor {
  return filled('zerosLike', expectTensor('zerosLike', 'input', t).shape, 0, optionsLike(t, options));
}

/** Ones of the shape and dtype of `t`. */
export function onesLike(t: Tensor, options: TensorOptions = {}): Tensor {
  return filled('onesLike', expectTensor('onesLike', 'input', t).shape, 1, optionsLike(t, options));
}

/** `value` everywhere, in the shape and dtype of `t`. */
export function fullLike(t: Tensor, value: number, options: TensorOptions = {}): Tensor {
  return filled('fullLike', expectTensor('fullLike', 'input', t).shape, value, optionsLike(t, options));
}

/** A tensor of the shape and dtype of `t` whose elements are not set. */
export function emptyLike(t: Tensor, options: TensorOptions = {}): Tensor {
  return empty(expectTensor('emptyLike', 'input', t).shape, optionsLike(t, options));
}

/** A tensor of `shape` whose elements are not set. */
export function empty(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return finish(
    Tensor.empty(checkShape('empty', shape), checkDType('empty', options.dtype ?? 'float32')),
    options,
  );
}

/**
 * Evenly spaced values from `start` (0) up to but not including `end`.
 *
 * @example
 * arange(4);          // tensor([0., 1., 2., 3.])
 * arange(-8, 8, 0.1); // 160 values
 */
export function arange(end: number, options?: TensorOptions): Tensor;
export function arange(start: number, end: number, options?: TensorOptions): Tensor;
export function arange(start: number, end: number, step: number, options?: TensorOptions): Tensor;
export function arange(first: number, ...rest: (number | TensorOptions | undefined)[]): Tensor {
  const numbers = rest.filter((v) => typeof v === 'number');
  const options = rest.find((v) => typeof v === 'object') ?? {};
  const start = numbers.length === 0 ? 0 : first;
  const end = numbers.length === 0 ? first : numbers[0];
  const step = numbers[1] ?? 1;
  for (const [name, v] of Object.entries({ start, end, step }))
    real('arange', name, v, 'must be finite', Number.isFinite);
  if (step === 0 || (end - start) / step < 0) {
    throw rangeError('arange', 'step', `must lead from ${start} towards ${end}`, step);
  }
  const n = Math.ceil((end - start) / step);
  const dtype = checkDType('arange', options.dtype ?? 'float32');
  checkElementCount('arange', [n]);
  const t = Tensor.empty([n], dtype);
  const { data } = t.storage;
  for (let i = 0; i < n; i++) data[i] = start + i * step;
  return finish(t, options);
}
