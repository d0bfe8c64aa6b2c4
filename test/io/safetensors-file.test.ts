/** Safetensors on disk: reading what is no proper file, writing whole or not at all, refusing what could not be read. */
import { describe, expect, jest, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { ModelFormatError } from '../../lib/errors';
import {
  parseSafetensors,
  readSafetensorsFile,
  serializeSafetensors,
  writeSafetensorsFile,
} from '../../lib/io/safetensors';
import { float32 } from '../support/safetensors';
import { temporaryDirectory } from '../support/temporary-directory';
import { thrownBy } from '../support/thrown-by';

const directory = temporaryDirectory();

describe('row 79: files', () => {
  const good = serializeSafetensors(new Map([['w', float32([1000], new Array<number>(1000).fill(1))]]));
  const read = (name: string): ModelFormatError =>
    thrownBy(() => readSafetensorsFile(name), ModelFormatError);

  test('a file that is there', () => {
    const name = path.join(directory(), 'good.safetensors');
    fs.writeFileSync(name, good);
    expect(readSafetensorsFile(name).tensors.get('w')?.shape).toEqual([1000]);
  });

  test('a directory', () => {
    expect(read(directory()).message).toContain(
      'path must name a regular file, got a directory, not a regular file',
    );
  });

  test('a pipe nobody writes to does not hang', () => {
    const name = path.join(directory(), 'pipe');
    execFileSync('mkfifo', [name]);
    expect(read(name)).toMatchObject({ received: 'a pipe, not a regular file', path: name });
  });

  test('/dev/zero', () => {
    expect(read('/dev/zero')).toMatchObject({ received: 'a device, not a regular file', path: '/dev/zero' });
  });

  test('no such file', () => {
    const name = path.join(directory(), 'missing.safetensors');
    const error = read(name);
    expect(error.message).toBe(
      `safetensors: file must be readable, got ENOENT: no such file or directory (in ${JSON.stringify(name)})`,
    );
    expect(error).toMatchObject({ code: 'ERR_DATA', path: name });
    expect(error.cause).toMatchObject({ code: 'ENOENT' });
  });

  test('a file that shrinks while it is read', () => {
    const name = path.join(directory(), 'shrinking.safetensors');
    fs.writeFileSync(name, good);
    const readSync = jest.spyOn(fs, 'readSync').mockImplementationOnce((fd, buffer) => {
      fs.truncateSync(name, 100);
      return fs.readSync(fd, buffer, 0, buffer.byteLength, 0);
    });
    const error = read(name);
    readSync.mockRestore();
    expect(error).toMatchObject({ received: 'only 100', offset: 100, path: name });
    expect(error.expected).toBe(`must keep its ${good.length} bytes while it is read`);
  });

  test('a file above the limit is not even read', () => {
    const name = path.join(directory(), 'large.safetensors');
    fs.writeFileSync(name, '');
    fs.truncateSync(name, 2 ** 33);
    expect(read(name)).toMatchObject({ code: 'ERR_MODEL_LIMIT', received: String(2 ** 33) });
    fs.writeFileSync(name, good);
    const error = thrownBy(() => readSafetensorsFile(name, { maxBytes: 1000 }), ModelFormatError);
    expect(error).toMatchObject({ code: 'ERR_MODEL_LIMIT', expected: 'must have at most 1000 bytes' });
  });
});

describe('writing', () => {
  const one = new Map([['w', float32([1], [1])]]);

  test('replaces a file whole and leaves nothing beside it', () => {
    const name = path.join(directory(), 'sub', 'w.safetensors');
    fs.mkdirSync(path.dirname(name));
    fs.writeFileSync(name, 'old');
    writeSafetensorsFile(name, one, new Map([['format', 'pt']]));
    expect(readSafetensorsFile(name)).toEqual({ tensors: one, metadata: new Map([['format', 'pt']]) });
    expect(fs.readdirSync(path.dirname(name))).toEqual(['w.safetensors']);
  });

  test('a write that fails keeps the old file and removes its own', () => {
    const name = path.join(directory(), 'full', 'w.safetensors');
    fs.mkdirSync(path.dirname(name));
    fs.writeFileSync(name, 'old');
    const writeSync = jest.spyOn(fs, 'writeSync').mockImplementationOnce(() => {
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    });
    expect(() => writeSafetensorsFile(name, one)).toThrow(
      `safetensors: file ${JSON.stringify(name)} must be writable, got ENOSPC: no space left on device`,
    );
    writeSync.mockRestore();
    expect(fs.readFileSync(name, 'utf8')).toBe('old');
    expect(fs.readdirSync(path.dirname(name))).toEqual(['w.safetensors']);
  });

  test('into a folder that is not there, and over a folder', () => {
    expect(() => writeSafetensorsFile(path.join(directory(), 'no', 'w.safetensors'), one)).toThrow(
      expect.objectContaining({ code: 'ERR_DATA', received: 'ENOENT: no such file or directory' }),
    );
    expect(() => writeSafetensorsFile(directory(), one)).toThrow(
      expect.objectContaining({ code: 'ERR_DATA' }),
    );
  });

  test.each([
    [
      'too few values',
      'w',
      { dtype: 'float32', shape: [2, 3], data: new Float32Array(5) },
      'ShapeError',
      '5',
    ],
    [
      'data of another type',
      'w',
      { dtype: 'float64', shape: [1], data: new Float32Array(1) },
      'TypeError',
      '"float64" with Float32Array',
    ],
    [
      'no such dtype',
      'w',
      { dtype: 'int8', shape: [1], data: new Int8Array(1) },
      'TypeError',
      '"int8" with Int8Array',
    ],
    ['negative shape', 'w', { dtype: 'uint8', shape: [-1], data: new Uint8Array(1) }, 'RangeError', '-1'],
    ['bool 2', 'w', { dtype: 'bool', shape: [1], data: Uint8Array.of(2) }, 'RangeError', '2'],
    [
      'name of the metadata',
      '__metadata__',
      { dtype: 'uint8', shape: [1], data: new Uint8Array(1) },
      'RangeError',
      'the name of the metadata',
    ],
    [
      'lone surrogate',
      '\ud800',
      { dtype: 'uint8', shape: [1], data: new Uint8Array(1) },
      'RangeError',
      '"\\ud800"',
    ],
  ])('refuses what the reader would refuse: %s', (_, name, tensor, kind, received) => {
    const write: (tensors: never) => unknown = serializeSafetensors;
    expect(() => write(new Map([[name, tensor]]) as never)).toThrow(
      expect.objectContaining({ name: kind, received }),
    );
  });

  test('refuses metadata that is no text', () => {
    const write: (tensors: typeof one, metadata: never) => unknown = serializeSafetensors;
    expect(() => write(one, new Map([['a', 1]]) as never)).toThrow(
      'metadata value of "a" must be a string, got 1',
    );
    expect(() => serializeSafetensors(one, new Map([['\udc00', '']]))).toThrow(
      'metadata key must pair its surrogates',
    );
  });

  test('refuses more tensors than the reader takes', () => {
    const tensor = float32([0], []);
    const many = new Map(Array.from({ length: 32_768 }, (_, i) => [String(i), tensor]));
    expect(() => serializeSafetensors(many)).toThrow(expect.objectContaining({ code: 'ERR_MODEL_LIMIT' }));
    expect(() => serializeSafetensors(one, new Map([['a', 'x'.repeat(2 ** 24)]]))).toThrow(
      'header length must be at most',
    );
  });

  test('views are written without their surroundings', () => {
    const data = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
    const bytes = serializeSafetensors(new Map([['w', { dtype: 'float32', shape: [2], data }]]));
    expect(parseSafetensors(bytes).tensors.get('w')?.data).toEqual(Float32Array.of(1, 2));
  });
});
