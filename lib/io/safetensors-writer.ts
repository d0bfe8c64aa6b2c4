/** Writes safetensors bytes: only what the reader takes, and equal bytes for equal content. */
import { ArgumentRangeError, ArgumentTypeError, ShapeError, describe, printable, typeError } from '../errors';
import type { ErrorDetails } from '../errors';
import { checkShape, formatShape, sizeOf } from '../shape';
import {
  bytesOf,
  hasLoneSurrogate,
  lengthFieldBytes,
  maxEntries,
  maxHeaderBytes,
  metadataKey,
  op,
} from './safetensors-format';
import type { SafetensorsDType, SafetensorsTensor } from './safetensors-format';

/**
 * How we write each dtype. The order of the list is the order in the file: wide elements first keeps every tensor
 * aligned to its element, and within a width it is the reference implementation's, so the same tensors give its bytes.
 */
const writtenAs: readonly (readonly [SafetensorsDType, string, (data: unknown) => boolean])[] = [
  ['int64', 'I64', (data) => data instanceof BigInt64Array],
  ['float64', 'F64', (data) => data instanceof Float64Array],
  ['float32', 'F32', (data) => data instanceof Float32Array],
  ['int32', 'I32', (data) => data instanceof Int32Array],
  ['uint8', 'U8', (data) => data instanceof Uint8Array],
  ['bool', 'BOOL', (data) => data instanceof Uint8Array],
];

interface Written {
  readonly name: string;
  readonly nameBytes: Buffer;
  readonly order: number;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

function checkText(argument: string, value: unknown): asserts value is string {
  if (typeof value !== 'string') {
    throw typeError(op, argument, 'must be a string', value);
  }
  if (hasLoneSurrogate(value)) {
    const expected = 'must pair its surrogates (UTF-8 has no others)';
    throw new ArgumentRangeError({ op, argument, expected, received: printable(value) });
  }
}

function checkTensor(name: string, tensor: SafetensorsTensor): Written {
  checkText('tensor name', name);
  const argument = `tensor ${printable(name)}`;
  const refuse = (details: Omit<ErrorDetails, 'op' | 'argument'>): never => {
    throw new ArgumentRangeError({ op, argument, ...details });
  };
  if (name === metadataKey)
    refuse({ expected: 'must have another name', received: 'the name of the metadata' });
  const order = writtenAs.findIndex(([dtype]) => dtype === tensor.dtype);
  if (order < 0 || !writtenAs[order][2](tensor.data)) {
    const names = writtenAs.map(([dtype]) => dtype).join(', ');
    const expected = `must have a dtype of ${names} and data of that type`;
    const received = `${describe(tensor.dtype)} with ${describe(tensor.data)}`;
    throw new ArgumentTypeError({ op, argument, expected, received });
  }
  const shape = checkShape(op, tensor.shape, `shape of ${argument}`);
  if (tensor.data.length !== sizeOf(shape)) {
    const expected = `must have ${sizeOf(shape)} values for shape ${formatShape(shape)}`;
    throw new ShapeError({ op, argument, expected, received: String(tensor.data.length) });
  }
  if (tensor.dtype === 'bool') {
    const wrong = tensor.data.find((value) => value > 1);
    if (wrong !== undefined) refuse({ expected: 'must hold only 0 and 1 as bool', received: String(wrong) });
  }
  const nameBytes = Buffer.from(name);
  return { name, nameBytes, order, dtype: writtenAs[order][1], shape, bytes: bytesOf(tensor.data) };
}

function headerText(written: readonly Written[], metadata: ReadonlyMap<string, string>): string {
  const members: string[] = [];
  if (metadata.size > 0) {
    const pairs = [...metadata].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const [key, value] of pairs) {
      checkText('metadata key', key);
      checkText(`metadata value of ${printable(key)}`, value);
    }
    const text = pairs.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    members.push(`"${metadataKey}":{${text.join(',')}}`);
  }
  let begin = 0;
  for (const { name, dtype, shape, bytes } of written) {
    const end = begin + bytes.length;
    const range = `[${begin},${end}]`;
    members.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":${range}}`,
    );
    begin = end;
  }
  return `{${members.join(',')}}`;
}

function checkLimit(argument: string, size: number, limit: number): void {
  if (size > limit) {
    const details = { op, argument, expected: `must be at most ${limit}`, received: String(size) };
    throw new ArgumentRangeError(details, 'ERR_MODEL_LIMIT');
  }
}

/**
 * The bytes of a safetensors file with these tensors and texts. Equal content gives equal bytes, whatever the order of
 * the maps: tensors stand by falling element size, then by name; metadata by name.
 *
 * @throws ShapeError, ArgumentRangeError or ArgumentTypeError for content that {@link parseSafetensors} would refuse.
 * @example
 * const bias = { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) } as const;
 * serializeSafetensors(new Map([['bias', bias]]), new Map([['format', 'pt']]));
 */
export function serializeSafetensors(
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array<ArrayBuffer> {
  checkLimit('number of tensors', tensors.size, maxEntries - 1);
  checkLimit('number of metadata entries', metadata.size, maxEntries);
  const written = Array.from(tensors, ([name, tensor]) => checkTensor(name, tensor));
  // Names in the order of their bytes: that of UTF-16 units, JavaScript's own, differs beyond U+FFFF.
  written.sort((a, b) => a.order - b.order || Buffer.compare(a.nameBytes, b.nameBytes));

  const header = Buffer.from(headerText(written, metadata));
  const headerBytes = Math.ceil(header.length / 8) * 8;
  checkLimit('header length', headerBytes, maxHeaderBytes);
  let position = lengthFieldBytes + headerBytes;
  const out = new Uint8Array(written.reduce((sum, { bytes }) => sum + bytes.length, position));
  new DataView(out.buffer).setBigUint64(0, BigInt(headerBytes), true);
  out.fill(0x20, lengthFieldBytes, position);
  out.set(header, lengthFieldBytes);
  for (const { bytes } of written) {
    out.set(bytes, position);
    position += bytes.length;
  }
  return out;
}
