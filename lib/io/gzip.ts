/**
 * One gzip member (RFC 1952), strictly:
 *
 *     1f 8b 08 flags mtime[4] xfl os [extra] [name\0] [comment\0] [crc16]   deflate data   crc32[4] size[4]
 *
 * zlib's own gunzip joins several members and drops zero padding silently, so two tools could see different data in one
 * file. Here the deflate part is inflated by itself and everything around it is checked.
 */
import { isNativeError } from 'node:util/types';
import { crc32, inflateRawSync } from 'node:zlib';
import { formatError } from './format-error';

const hasHeaderCrc = 2;
const hasExtra = 4;
const hasName = 8;
const hasComment = 16;
const reservedFlags = 0xe0;

const fixedHeaderBytes = 10;
const trailerBytes = 8;

/** What errors say about where the bytes came from. */
export interface GzipSource {
  readonly op: string;
  readonly path?: string | undefined;
}

export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function fail(
  source: GzipSource,
  offset: number,
  argument: string,
  expected: string,
  received: string,
): never {
  throw formatError({ op: source.op, argument, expected, received }, { path: source.path, offset });
}

/** Where the deflate data begins. */
function dataStart(bytes: Uint8Array, source: GzipSource): number {
  const truncated = (): never =>
    fail(
      source,
      bytes.length,
      'gzip header',
      'must be complete',
      `the end of the data after ${bytes.length} bytes`,
    );
  if (!isGzip(bytes))
    fail(
      source,
      0,
      'first bytes',
      'must be 0x1f8b (gzip)',
      `0x${Buffer.from(bytes.subarray(0, 2)).toString('hex')}`,
    );
  if (bytes.length < fixedHeaderBytes) truncated();
  if (bytes[2] !== 8) fail(source, 2, 'gzip method', 'must be 8 (deflate)', String(bytes[2]));
  const flags = bytes[3];
  if ((flags & reservedFlags) !== 0)
    fail(source, 3, 'gzip flags', 'must not set reserved bits', `0x${flags.toString(16)}`);
  let position = fixedHeaderBytes;
  if ((flags & hasExtra) !== 0) {
    if (position + 2 > bytes.length) truncated();
    position += 2 + bytes[position] + 256 * bytes[position + 1];
  }
  for (const flag of [hasName, hasComment]) {
    if ((flags & flag) === 0) continue;
    const end = bytes.indexOf(0, position);
    if (end < 0) truncated();
    position = end + 1;
  }
  if ((flags & hasHeaderCrc) !== 0) position += 2;
  if (position > bytes.length) truncated();
  return position;
}

interface Inflated {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

/** With `info: true` zlib returns the engine too, which its types do not say. */
function isInflated(value: object): value is Inflated {
  return 'engine' in value && 'buffer' in value && Buffer.isBuffer(value.buffer);
}

function inflate(bytes: Uint8Array, start: number, maxBytes: number, source: GzipSource): Inflated {
  try {
    const result: object = inflateRawSync(bytes.subarray(start), { info: true, maxOutputLength: maxBytes });
    if (isInflated(result)) return result;
  } catch (cause) {
    const where = { path: source.path, offset: start };
    const code = isNativeError(cause) && 'code' in cause ? cause.code : undefined;
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      const details = {
        op: source.op,
        argument: 'gzip data',
        expected: `must unpack to at most ${maxBytes} bytes`,
        received: `more, from ${bytes.length} packed bytes`,
        hint: 'raise maxBytes if you trust it',
      };
      throw formatError(details, where, 'ERR_MODEL_LIMIT', { cause });
    }
    const received = isNativeError(cause) ? cause.message : String(cause);
    const details = {
      op: source.op,
      argument: 'gzip data',
      expected: 'must be complete and valid',
      received,
    };
    throw formatError(details, where, 'ERR_MODEL_FORMAT', { cause });
  }
  throw new TypeError('inflateRawSync did not say how many bytes it used');
}

/**
 * Unpacks a gzip file of one member into at most `maxBytes` bytes.
 * @throws ModelFormatError if it is truncated, corrupt, followed by anything, or larger (ERR_MODEL_LIMIT).
 */
export function gunzip(bytes: Uint8Array, maxBytes: number, source: GzipSource): Uint8Array {
  const start = dataStart(bytes, source);
  const { buffer, engine } = inflate(bytes, start, maxBytes, source);
  const trailer = start + engine.bytesWritten;
  const end = trailer + trailerBytes;
  if (bytes.length < end) {
    fail(
      source,
      bytes.length,
      'gzip trailer',
      `must have ${trailerBytes} bytes`,
      String(bytes.length - trailer),
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stored = view.getUint32(trailer, true);
  const computed = crc32(buffer);
  if (stored !== computed) {
    const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;
    fail(source, trailer, 'gzip CRC', `must be ${hex(computed)} for the unpacked bytes`, hex(stored));
  }
  const size = view.getUint32(trailer + 4, true);
  if (size !== buffer.length % 2 ** 32) {
    fail(
      source,
      trailer + 4,
      'gzip size',
      `must be ${buffer.length}, the number of unpacked bytes`,
      String(size),
    );
  }
  if (bytes.length > end) {
    const next = isGzip(bytes.subarray(end)) ? ', a second member' : '';
    fail(source, end, 'gzip data', 'must end after one member', `${bytes.length - end} more bytes${next}`);
  }
  return buffer;
}
