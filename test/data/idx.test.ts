/** IDX files, plain and packed with gzip, and every way in which they can be wrong. */
import { describe, expect, test } from '@jest/globals';
import fs from 'node:fs';
import path from 'node:path';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { parseIdx, readIdxFile } from '../../lib/data/idx';
import { ArgumentTypeError, ModelFormatError } from '../../lib/errors';
import { temporaryDirectory } from '../support/temporary-directory';
import { thrownBy } from '../support/thrown-by';

const directory = temporaryDirectory();

/** An IDX file of `type` with these dimensions and value bytes. */
function idx(type: number, shape: readonly number[], values: Uint8Array | readonly number[]): Buffer {
  const sizes = Buffer.alloc(4 * shape.length);
  shape.forEach((size, i) => sizes.writeUInt32BE(size, 4 * i));
  return Buffer.concat([Buffer.from([0, 0, type, shape.length]), sizes, Buffer.from(values)]);
}

function refusal(bytes: Uint8Array, options: Parameters<typeof parseIdx>[1] = {}): ModelFormatError {
  return thrownBy(() => parseIdx(bytes, options), ModelFormatError);
}

const labels = idx(8, [3], [7, 2, 1]);

describe('reading', () => {
  test('the head of a label file, byte by byte', () => {
    const bytes = Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1);
    expect(parseIdx(bytes)).toEqual({ dtype: 'uint8', shape: [3], data: Uint8Array.of(7, 2, 1) });
  });

  test.each([
    ['int8', 0x09, [0xff, 0x7f, 0x80], 'int32', Int32Array.of(-1, 127, -128)],
    ['int16', 0x0b, [0xff, 0xfe, 0x01, 0x00, 0x80, 0x00], 'int32', Int32Array.of(-2, 256, -32768)],
    [
      'int32',
      0x0c,
      [0, 0, 1, 0, 0xff, 0xff, 0xff, 0xfd, 0x80, 0, 0, 0],
      'int32',
      Int32Array.of(256, -3, -(2 ** 31)),
    ],
    [
      'float32',
      0x0d,
      [0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0, 0x7f, 0x80, 0, 0],
      'float32',
      Float32Array.of(1, -2, Infinity),
    ],
    [
      'float64',
      0x0e,
      [0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0],
      'float64',
      Float64Array.of(1, -2, 0.5),
    ],
  ])('%s, big-endian', (_, type, values, dtype, data) => {
    // One byte further in, so that no value is aligned.
    const bytes = Buffer.concat([Buffer.alloc(1), idx(type, [3, 1], values)]).subarray(1);
    expect(parseIdx(bytes)).toEqual({ dtype, shape: [3, 1], data });
  });

  test('data is a plain Uint8Array, whatever the bytes were', () => {
    const { data } = parseIdx(labels);
    expect(Object.getPrototypeOf(data)).toBe(Uint8Array.prototype);
  });

  test('no items', () => {
    expect(parseIdx(idx(8, [0, 28, 28], []))).toEqual({
      dtype: 'uint8',
      shape: [0, 28, 28],
      data: new Uint8Array(0),
    });
  });

  test('packed with gzip, with and without the optional header fields', () => {
    const packed = gzipSync(labels);
    expect(parseIdx(packed)).toEqual(parseIdx(labels));
    const head = Buffer.concat([
      Buffer.from([0x1f, 0x8b, 8, 2 | 4 | 8 | 16, 0, 0, 0, 0, 0, 3]),
      Buffer.from([3, 0, 1, 2, 3]),
      Buffer.from('labels\0made by a test\0'),
      Buffer.from([0, 0]),
    ]);
    expect(parseIdx(Buffer.concat([head, packed.subarray(10)]))).toEqual(parseIdx(labels));
  });

  test('from a file', () => {
    const name = path.join(directory(), 'labels.gz');
    fs.writeFileSync(name, gzipSync(labels));
    expect(readIdxFile(name, { magic: 0x801 })).toEqual({
      dtype: 'uint8',
      shape: [3],
      data: Uint8Array.of(7, 2, 1),
    });
  });
});

describe('row 97: broken IDX', () => {
  test.each([
    ['0x01000801', 0x01000801],
    ['0x00010801', 0x00010801],
    ['text', 0x3c21444f],
    ['little-endian', 0x01080000],
  ])('magic %s', (_, magic) => {
    const bytes = Buffer.from(labels);
    bytes.writeUInt32BE(magic);
    const error = refusal(bytes, { path: 'labels' });
    expect(error).toMatchObject({ argument: 'magic', offset: 0, path: 'labels', code: 'ERR_MODEL_FORMAT' });
    expect(error.received).toBe(`0x${magic.toString(16).padStart(8, '0')}`);
  });

  test('images where labels are expected', () => {
    const error = refusal(idx(8, [1, 1, 1], [0]), { magic: 0x801, path: '/data/labels' });
    expect(error.message).toBe('idx: magic must be 0x00000801, got 0x00000803 (at byte 0 of "/data/labels")');
  });

  test.each([0x00, 0x07, 0x0a, 0x0f, 0xff])('type byte %i', (type) => {
    const error = refusal(idx(type, [1], [0]));
    expect(error).toMatchObject({
      argument: 'type',
      offset: 2,
      received: `0x${type.toString(16).padStart(2, '0')}`,
    });
    expect(error.expected).toContain('0x08 uint8');
  });

  test.each([0, 9, 255])('rank %i', (rank) => {
    const bytes = Buffer.concat([Buffer.from([0, 0, 8, rank]), Buffer.alloc(4 * 255)]);
    expect(refusal(bytes)).toMatchObject({ argument: 'rank', offset: 3, received: String(rank) });
  });

  test('product that wraps 2^32 to the number of bytes there are', () => {
    expect(refusal(idx(8, [65536, 65537], new Uint8Array(65536)))).toMatchObject({
      expected: 'must have 4295032844 bytes for uint8 [65536, 65537]',
      received: '65548',
    });
  });

  test.each([
    ['2^64', [65536, 65536, 65536, 65536]],
    ['2^256', new Array<number>(8).fill(2 ** 32 - 1)],
    ['much hidden behind a zero', [0, 2 ** 31, 2 ** 31]],
  ])('product of %s', (_, shape) => {
    expect(refusal(idx(8, shape, []))).toMatchObject({
      argument: 'shape',
      expected: 'must have at most 2^38 elements',
    });
  });

  test.each([
    ['too few', [1, 2], 'must have 11 bytes for uint8 [3]', '10', 10],
    ['too many', [1, 2, 3, 4], 'must have 11 bytes for uint8 [3]', '12', 11],
  ])('%s values', (_, values, expected, received, offset) => {
    expect(refusal(idx(8, [3], values))).toMatchObject({ argument: 'file', expected, received, offset });
  });

  test('cut at every byte', () => {
    const bytes = idx(0x0d, [2, 1], [0, 0, 0, 0, 0, 0, 0, 0]);
    for (let size = 0; size < bytes.length; size++) {
      expect(refusal(bytes.subarray(0, size))).toMatchObject({ offset: size, code: 'ERR_MODEL_FORMAT' });
    }
  });

  test('bytes that are no Uint8Array', () => {
    const parse: (bytes: never) => unknown = parseIdx;
    expect(() => parse('labels' as never)).toThrow(ArgumentTypeError);
    expect(() => parse(new Float32Array(3) as never)).toThrow(
      'idx: bytes must be a Uint8Array, got Float32Array',
    );
  });
});

describe('row 98: gzip bombs', () => {
  test('256 MiB of zeros in 261 KB are not unpacked', () => {
    const bomb = gzipSync(Buffer.alloc(2 ** 28), { level: 9 });
    expect(bomb.length).toBeLessThan(300_000);
    const rss = process.memoryUsage().rss;
    const error = refusal(bomb, { path: 'bomb.gz' });
    expect(error).toMatchObject({ code: 'ERR_MODEL_LIMIT', path: 'bomb.gz' });
    expect(error.expected).toBe(`must unpack to at most ${2 ** 27} bytes`);
    expect(error.cause).toMatchObject({ code: 'ERR_BUFFER_TOO_LARGE' });
    expect(process.memoryUsage().rss - rss).toBeLessThan(2 ** 28);
  });

  test('maxBytes is what it says', () => {
    expect(parseIdx(gzipSync(labels), { maxBytes: 11 }).shape).toEqual([3]);
    expect(refusal(gzipSync(labels), { maxBytes: 10 }).code).toBe('ERR_MODEL_LIMIT');
    const name = path.join(directory(), 'limit');
    fs.writeFileSync(name, labels);
    const error = thrownBy(() => readIdxFile(name, { maxBytes: 10 }), ModelFormatError);
    expect(error).toMatchObject({ code: 'ERR_MODEL_LIMIT', path: name, received: '11' });
  });
});

describe('row 99: broken gzip', () => {
  const packed = gzipSync(labels);
  const changed = (position: number, value: number): Buffer => {
    const bytes = Buffer.from(packed);
    bytes[position] = value;
    return bytes;
  };
  const end = packed.length;

  test('cut at every byte', () => {
    for (let size = 2; size < end; size++) {
      expect(refusal(packed.subarray(0, size), { path: 'x.gz' })).toMatchObject({
        code: 'ERR_MODEL_FORMAT',
        path: 'x.gz',
      });
    }
  });

  test.each([
    ['CRC', changed(end - 8, packed[end - 8] ^ 1), 'gzip CRC', end - 8],
    ['size', changed(end - 4, packed[end - 4] ^ 1), 'gzip size', end - 4],
    ['method', changed(2, 7), 'gzip method', 2],
    ['reserved flag', changed(3, 0x20), 'gzip flags', 3],
    ['deflate block', changed(10, 0xff), 'gzip data', 10],
    ['trailing junk', Buffer.concat([packed, Buffer.from('junk')]), 'gzip data', end],
    ['trailing zeros', Buffer.concat([packed, Buffer.alloc(512)]), 'gzip data', end],
    ['two members', Buffer.concat([packed, packed]), 'gzip data', end],
    [
      'endless name',
      Buffer.concat([changed(3, 8).subarray(0, 10), Buffer.alloc(100, 97)]),
      'gzip header',
      110,
    ],
    [
      'extra field past the end',
      Buffer.concat([changed(3, 4).subarray(0, 10), Buffer.from([255, 255, 1])]),
      'gzip header',
      13,
    ],
  ])('%s', (_, bytes, argument, offset) => {
    expect(refusal(bytes)).toMatchObject({ argument, offset, code: 'ERR_MODEL_FORMAT' });
  });

  test('a second member is named', () => {
    const error = refusal(Buffer.concat([packed, packed]));
    expect(error.message).toContain(`must end after one member, got ${end} more bytes, a second member`);
  });

  test('gzip in gzip is not unpacked twice', () => {
    expect(refusal(gzipSync(packed))).toMatchObject({ argument: 'magic' });
  });

  test('what unpacks must still be IDX of the right size', () => {
    const short = labels.subarray(0, 10);
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(crc32(short));
    trailer.writeUInt32LE(short.length, 4);
    const bytes = Buffer.concat([packed.subarray(0, 10), deflateRawSync(short), trailer]);
    expect(refusal(bytes, { path: 'short.gz' })).toMatchObject({
      argument: 'file',
      received: '10',
      path: 'short.gz',
    });
  });
});

test('files that are not there, or no files', () => {
  const read = (name: string): ModelFormatError => thrownBy(() => readIdxFile(name), ModelFormatError);
  expect(read(path.join(directory(), 'none'))).toMatchObject({
    code: 'ERR_DATA',
    received: 'ENOENT: no such file or directory',
  });
  expect(read(directory()).received).toBe('a directory, not a regular file');
});
