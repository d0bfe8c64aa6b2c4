/**
 * IDX, the format of MNIST and its relatives:
 *
 *     0 0 type rank | rank dimensions, u32 big-endian | values, row-major, big-endian
 *
 * Types: 0x08 uint8, 0x09 int8, 0x0b int16, 0x0c int32, 0x0d float32, 0x0e float64. int8 and int16 are widened to
 * int32. Files packed with gzip are recognised by their first bytes.
 */
import { ArgumentTypeError, describe } from '../errors';
import type { ErrorCode } from '../errors';
import { readRegularFile } from '../io/file';
import { formatError } from '../io/format-error';
import { gunzip, isGzip } from '../io/gzip';
import { formatShape, maxElements, maxRank, sizeOf } from '../shape';
import type { Shape } from '../shape';

const op = 'idx';

/** Twice the largest file of MNIST's size; a gzip bomb of 261 KB unpacks to 256 MiB. */
const defaultMaxBytes = 2 ** 27;

/** An n-dimensional array out of an IDX file. */
export type IdxArray =
  | { readonly dtype: 'uint8'; readonly shape: Shape; readonly data: Uint8Array }
  | { readonly dtype: 'int32'; readonly shape: Shape; readonly data: Int32Array }
  | { readonly dtype: 'float32'; readonly shape: Shape; readonly data: Float32Array }
  | { readonly dtype: 'float64'; readonly shape: Shape; readonly data: Float64Array };

export interface IdxOptions {
  /** Where the bytes came from, for errors. */
  readonly path?: string | undefined;
  /** The only magic number to accept: `0x00000801` for labels, `0x00000803` for images. */
  readonly magic?: number | undefined;
  /** The largest size to read or to unpack to; 128 MiB unless told. */
  readonly maxBytes?: number | undefined;
}

interface IdxType {
  readonly name: string;
  readonly bytes: number;
}

const types: ReadonlyMap<number, IdxType> = new Map([
  [0x08, { name: 'uint8', bytes: 1 }],
  [0x09, { name: 'int8', bytes: 1 }],
  [0x0b, { name: 'int16', bytes: 2 }],
  [0x0c, { name: 'int32', bytes: 4 }],
  [0x0d, { name: 'float32', bytes: 4 }],
  [0x0e, { name: 'float64', bytes: 8 }],
]);

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

/** `values.length` big-endian values of `size` bytes each. */
function fill<T extends { readonly length: number; [index: number]: number }>(
  values: T,
  size: number,
  get: (offset: number) => number,
): T {
  for (let i = 0; i < values.length; i++) values[i] = get(i * size);
  return values;
}

function checkHeader(
  bytes: Uint8Array,
  options: IdxOptions,
): { readonly type: IdxType; readonly shape: number[] } {
  const fail = (
    offset: number,
    argument: string,
    expected: string,
    received: string,
    code?: ErrorCode,
  ): never => {
    throw formatError({ op, argument, expected, received }, { path: options.path, offset }, code);
  };
  if (bytes.length < 4) fail(bytes.length, 'file', 'must have at least 4 bytes', String(bytes.length));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  if (options.magic !== undefined && magic !== options.magic) {
    fail(0, 'magic', `must be ${hex(options.magic, 8)}`, hex(magic, 8));
  }
  if (magic >>> 16 !== 0)
    fail(0, 'magic', 'must be 0x0000, type and rank: 0x00000801 or the like', hex(magic, 8));
  const type = types.get(bytes[2]);
  if (type === undefined) {
    const known = [...types].map(([code, { name }]) => `${hex(code, 2)} ${name}`).join(', ');
    return fail(2, 'type', `must be one of ${known}`, hex(bytes[2], 2));
  }
  const rank = bytes[3];
  if (rank < 1 || rank > maxRank) fail(3, 'rank', `must be in 1..${maxRank}`, String(rank));
  const headerBytes = 4 + 4 * rank;
  if (bytes.length < headerBytes) {
    fail(bytes.length, 'header', `must have ${headerBytes} bytes for rank ${rank}`, String(bytes.length));
  }
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  // Zeros are left out: strides are computed from the other dimensions and must stay exact.
  if (!(sizeOf(shape.filter((d) => d !== 0)) <= maxElements)) {
    fail(4, 'shape', 'must have at most 2^38 elements', formatShape(shape));
  }
  const size = headerBytes + sizeOf(shape) * type.bytes;
  if (bytes.length !== size) {
    const end = Math.min(bytes.length, size);
    fail(end, 'file', `must have ${size} bytes for ${type.name} ${formatShape(shape)}`, String(bytes.length));
  }
  return { type, shape };
}

/** The bytes as they are, or unpacked if they begin as gzip does. */
export function unpackIdx(bytes: Uint8Array, options: IdxOptions = {}): Uint8Array {
  return isGzip(bytes)
    ? gunzip(bytes, options.maxBytes ?? defaultMaxBytes, { op, path: options.path })
    : bytes;
}

/**
 * Reads the bytes of an IDX file, packed with gzip or not. The values of a uint8 file are a view of the bytes, not a
 * copy; those of other types are new.
 *
 * @throws ModelFormatError with file and byte; its code is ERR_MODEL_LIMIT if it unpacks to more than `maxBytes`.
 * @example
 * parseIdx(Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 7, 9)); // { dtype: 'uint8', shape: [2], data: Uint8Array [7, 9] }
 */
export function parseIdx(bytes: Uint8Array, options: IdxOptions = {}): IdxArray {
  if (!(bytes instanceof Uint8Array)) {
    const details = { op, argument: 'bytes', expected: 'must be a Uint8Array', received: describe(bytes) };
    throw new ArgumentTypeError({ ...details, hint: 'wrap an ArrayBuffer: new Uint8Array(buffer)' });
  }
  const unpacked = unpackIdx(bytes, options);
  const { type, shape } = checkHeader(unpacked, options);
  const start = 4 + 4 * shape.length;
  const count = sizeOf(shape);
  const values = new DataView(unpacked.buffer, unpacked.byteOffset + start, count * type.bytes);
  switch (type.name) {
    case 'int8':
      return { dtype: 'int32', shape, data: fill(new Int32Array(count), 1, (i) => values.getInt8(i)) };
    case 'int16':
      return { dtype: 'int32', shape, data: fill(new Int32Array(count), 2, (i) => values.getInt16(i)) };
    case 'int32':
      return { dtype: 'int32', shape, data: fill(new Int32Array(count), 4, (i) => values.getInt32(i)) };
    case 'float32':
      return { dtype: 'float32', shape, data: fill(new Float32Array(count), 4, (i) => values.getFloat32(i)) };
    case 'float64':
      return { dtype: 'float64', shape, data: fill(new Float64Array(count), 8, (i) => values.getFloat64(i)) };
    default:
      return { dtype: 'uint8', shape, data: new Uint8Array(values.buffer, values.byteOffset, count) };
  }
}

/**
 * Reads an IDX file, packed with gzip or not.
 *
 * @throws ModelFormatError as {@link parseIdx}, and for anything that is not a readable regular file.
 * @example
 * const { shape, data } = readIdxFile('t10k-labels-idx1-ubyte.gz', { magic: 0x00000801 });
 */
export function readIdxFile(path: string, options: Omit<IdxOptions, 'path'> = {}): IdxArray {
  return parseIdx(readIdxBytes(path, options), { ...options, path });
}

/** The bytes of an IDX file, unpacked. */
export function readIdxBytes(path: string, options: Omit<IdxOptions, 'path'> = {}): Uint8Array {
  return unpackIdx(readRegularFile(op, path, options.maxBytes ?? defaultMaxBytes), { ...options, path });
}
