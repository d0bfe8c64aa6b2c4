/**
 * Reads safetensors bytes strictly.
 *
 * The tensors must cover the data from the first byte to the last without holes or overlaps, so nothing can hide in a
 * file. Everything is copied out: a tensor may stand at any offset, and no result shares memory with the file's bytes.
 */
import { ArgumentTypeError, describe, printable } from '../errors';
import type { ErrorCode } from '../errors';
import { formatShape, maxElements, sizeOf } from '../shape';
import { formatError } from './format-error';
import { widenBfloat16, widenFloat16 } from './half';
import { bytesOf, lengthFieldBytes, maxHeaderBytes, op } from './safetensors-format';
import type { SafetensorsContent, SafetensorsTensor } from './safetensors-format';
import { parseHeader } from './safetensors-header';
import type { HeaderEntry } from './safetensors-header';

/** The dtypes we read, by the name in the file. F16 and BF16 become float32. */
const storedBytes: ReadonlyMap<string, number> = new Map([
  ['F64', 8],
  ['F32', 4],
  ['F16', 2],
  ['BF16', 2],
  ['I64', 8],
  ['I32', 4],
  ['U8', 1],
  ['BOOL', 1],
]);

/** The rest of the format's dtypes: valid in a file, but nothing here computes with them. */
const unsupported: ReadonlySet<string> = new Set(
  [
    'U64',
    'U32',
    'U16',
    'I16',
    'I8',
    'C64',
    'F8_E4M3',
    'F8_E5M2',
    'F8_E8M0',
    'F8_E4M3FNUZ',
    'F8_E5M2FNUZ',
  ].concat(['F6_E2M3', 'F6_E3M2', 'F4']),
);

/** Reads the parts of one file; remembers where errors are. */
class Reader {
  readonly #data: Uint8Array;
  readonly #dataStart: number;
  readonly #path: string | undefined;

  constructor(data: Uint8Array, dataStart: number, path: string | undefined) {
    this.#data = data;
    this.#dataStart = dataStart;
    this.#path = path;
  }

  /** Checks everything the header says about the data, before anything is allocated. */
  check(entries: readonly HeaderEntry[]): void {
    for (const entry of entries) this.#checkEntry(entry);
    const sorted = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
    let covered = 0;
    let previous: HeaderEntry | undefined;
    for (const entry of sorted) {
      if (entry.begin > covered) this.#failUnused(covered, entry.begin);
      if (entry.begin < covered) {
        const received = `bytes ${entry.begin}..${entry.end}, which overlaps ${printable(previous?.name ?? '')}`;
        this.#fail(entry, entry.offset, 'must have bytes of its own', received);
      }
      covered = entry.end;
      previous = entry;
    }
    if (covered < this.#data.length) this.#failUnused(covered, this.#data.length);
  }

  #checkEntry(entry: HeaderEntry): void {
    const { dtype, shape, begin, end, offset } = entry;
    const width = storedBytes.get(dtype);
    if (width === undefined) {
      const expected = `must have a dtype of ${[...storedBytes.keys()].join(', ')}`;
      const known = unsupported.has(dtype);
      const received = `${known ? '' : 'unknown '}${printable(dtype)}`;
      this.#fail(entry, offset, expected, received, known ? 'ERR_MODEL_UNSUPPORTED' : 'ERR_MODEL_FORMAT');
    }
    // Zeros are left out: strides are computed from the other dimensions and must stay exact.
    if (!(sizeOf(shape.filter((d) => d !== 0)) <= maxElements)) {
      this.#fail(entry, offset, 'must have at most 2^38 elements', `shape ${formatShape(shape)}`);
    }
    if (end < begin) this.#fail(entry, offset, 'must not end before it begins', `bytes ${begin}..${end}`);
    if (end > this.#data.length) {
      const received = `bytes ${begin}..${end}`;
      this.#fail(entry, offset, `must end within the ${this.#data.length} bytes of data`, received);
    }
    const size = sizeOf(shape) * width;
    if (end - begin !== size) {
      const expected = `must have ${size} bytes for ${dtype} ${formatShape(shape)}`;
      this.#fail(entry, offset, expected, `${end - begin} (${begin}..${end})`);
    }
  }

  read(entry: HeaderEntry): SafetensorsTensor {
    const { shape } = entry;
    const count = sizeOf(shape);
    switch (entry.dtype) {
      case 'F64':
        return { dtype: 'float64', shape, data: this.#copy(entry, new Float64Array(count)) };
      case 'F32':
        return { dtype: 'float32', shape, data: this.#copy(entry, new Float32Array(count)) };
      case 'F16':
        return { dtype: 'float32', shape, data: widenFloat16(this.#copy(entry, new Uint16Array(count))) };
      case 'BF16':
        return { dtype: 'float32', shape, data: widenBfloat16(this.#copy(entry, new Uint16Array(count))) };
      case 'I64':
        return { dtype: 'int64', shape, data: this.#copy(entry, new BigInt64Array(count)) };
      case 'I32':
        return { dtype: 'int32', shape, data: this.#copy(entry, new Int32Array(count)) };
      case 'U8':
        return { dtype: 'uint8', shape, data: this.#copy(entry, new Uint8Array(count)) };
      default:
        return { dtype: 'bool', shape, data: this.#bools(entry, count) };
    }
  }

  #copy<T extends ArrayBufferView>(entry: HeaderEntry, target: T): T {
    bytesOf(target).set(this.#data.subarray(entry.begin, entry.end));
    return target;
  }

  #bools(entry: HeaderEntry, count: number): Uint8Array {
    const data = this.#copy(entry, new Uint8Array(count));
    const wrong = data.findIndex((value) => value > 1);
    if (wrong >= 0) {
      const offset = this.#dataStart + entry.begin + wrong;
      this.#fail(entry, offset, 'must hold only 0 and 1 as BOOL', String(data[wrong]));
    }
    return data;
  }

  #failUnused(begin: number, end: number): never {
    const details = {
      op,
      argument: 'data',
      expected: 'must belong to a tensor to the last byte',
      received: `bytes ${begin}..${end} unused`,
    };
    throw formatError(details, { path: this.#path, offset: this.#dataStart + begin });
  }

  #fail(entry: HeaderEntry, offset: number, expected: string, received: string, code?: ErrorCode): never {
    const details = { op, argument: `tensor ${printable(entry.name)}`, expected, received };
    throw formatError(details, { path: this.#path, offset, node: entry.name }, code);
  }
}

function headerLength(bytes: Uint8Array, path: string | undefined): number {
  const fail = (argument: string, expected: string, received: string, code?: ErrorCode): never => {
    throw formatError({ op, argument, expected, received }, { path, offset: 0 }, code);
  };
  if (bytes.length < lengthFieldBytes) {
    fail('file', `must have at least ${lengthFieldBytes} bytes`, String(bytes.length));
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, lengthFieldBytes).getBigUint64(0, true);
  if (length > BigInt(bytes.length - lengthFieldBytes)) {
    const received = `one whose header length ${length} exceeds file size ${bytes.length}`;
    fail('file', 'must hold its whole header', received);
  }
  if (length > BigInt(maxHeaderBytes)) {
    fail('header length', `must be at most ${maxHeaderBytes}`, String(length), 'ERR_MODEL_LIMIT');
  }
  return Number(length);
}

/**
 * Reads the bytes of a safetensors file. `path` is only used in errors.
 *
 * F16 and BF16 tensors are widened to float32.
 * @throws ModelFormatError with the byte and the tensor; its code is ERR_MODEL_FORMAT for a file that breaks the format,
 * ERR_MODEL_UNSUPPORTED for a dtype we lack, ERR_MODEL_LIMIT for more than 32,768 tensors or a header above 16 MiB.
 * @example
 * const { tensors, metadata } = parseSafetensors(await readFile('model.safetensors'));
 * tensors.get('weight')?.shape; // [6, 1, 5, 5]
 */
export function parseSafetensors(bytes: Uint8Array, path?: string): SafetensorsContent {
  if (!(bytes instanceof Uint8Array)) {
    const details = { op, argument: 'bytes', expected: 'must be a Uint8Array', received: describe(bytes) };
    throw new ArgumentTypeError({ ...details, hint: 'wrap an ArrayBuffer: new Uint8Array(buffer)' });
  }
  const dataStart = lengthFieldBytes + headerLength(bytes, path);
  // A copy, so that shared memory cannot change between checking and use.
  const { metadata, entries } = parseHeader(
    new Uint8Array(bytes.subarray(lengthFieldBytes, dataStart)),
    path,
  );
  const reader = new Reader(bytes.subarray(dataStart), dataStart, path);
  reader.check(entries);
  const tensors = new Map<string, SafetensorsTensor>();
  for (const entry of entries) tensors.set(entry.name, reader.read(entry));
  return { metadata, tensors };
}

/**
 * An int64 tensor's values as int32.
 * @throws ModelFormatError with code ERR_MODEL_UNSUPPORTED if one does not fit.
 */
export function int32FromInt64(data: BigInt64Array, name: string, path?: string): Int32Array {
  const narrow = new Int32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    narrow[i] = Number(data[i]);
    if (BigInt(narrow[i]) !== data[i]) {
      const argument = `value ${i} of tensor ${printable(name)}`;
      const details = { op, argument, expected: 'must fit in 32 bits', received: String(data[i]) };
      throw formatError(details, { path, node: name }, 'ERR_MODEL_UNSUPPORTED');
    }
  }
  return narrow;
}
