/**
 * Reading and writing whole files with typed errors.
 *
 * Files are read into memory, never mapped: a mapped file that is cut short by somebody else ends the process (SIGBUS).
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { isNativeError } from 'node:util/types';
import { AllocationError, LaminaeError, describe, isLaminaeError, typeError } from '../errors';
import { formatError, printablePath } from './format-error';

/** One system call moves less than 2 GiB. */
const chunkBytes = 2 ** 28;

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a pipe';
  if (stats.isSocket()) return 'a socket';
  if (stats.isCharacterDevice() || stats.isBlockDevice()) return 'a device';
  return 'something else';
}

/** `ENOENT: no such file or directory` out of Node's message, which goes on with the system call and the path. */
function systemReason(cause: unknown): string {
  return isNativeError(cause) ? cause.message.split(', ')[0] : describe(cause);
}

function checkPath(op: string, filePath: unknown): asserts filePath is string {
  if (typeof filePath !== 'string') {
    throw typeError(op, 'path', 'must be a string', filePath);
  }
}

function allocate(op: string, filePath: string, size: number): Uint8Array<ArrayBuffer> {
  try {
    // Unzeroed: every byte is read from the file. The plain view drops Buffer's own slice(), which does not copy.
    const buffer = Buffer.allocUnsafeSlow(size);
    return new Uint8Array(buffer.buffer, buffer.byteOffset, size);
  } catch (cause) {
    const details = {
      op,
      argument: 'file',
      expected: 'must fit in memory',
      received: `${size} bytes`,
      hint: printablePath(filePath),
    };
    throw new AllocationError(details, { cause });
  }
}

function readAll(op: string, filePath: string, fd: number, maxBytes: number): Uint8Array<ArrayBuffer> {
  const where = { path: filePath };
  const stats = fstatSync(fd);
  if (!stats.isFile()) {
    const received = `${kindOf(stats)}, not a regular file`;
    throw formatError({ op, argument: 'path', expected: 'must name a regular file', received }, where);
  }
  if (stats.size > maxBytes) {
    const details = {
      op,
      argument: 'file',
      expected: `must have at most ${maxBytes} bytes`,
      received: String(stats.size),
      hint: 'raise maxBytes if you trust it',
    };
    throw formatError(details, where, 'ERR_MODEL_LIMIT');
  }
  const bytes = allocate(op, filePath, stats.size);
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(fd, bytes, done, Math.min(bytes.length - done, chunkBytes), done);
    if (count === 0) {
      const details = {
        op,
        argument: 'file',
        expected: `must keep its ${bytes.length} bytes while it is read`,
        received: `only ${done}`,
      };
      throw formatError(details, { ...where, offset: done });
    }
    done += count;
  }
  return bytes;
}

/**
 * The bytes of a regular file of at most `maxBytes`.
 * @throws ModelFormatError if it cannot be opened, is no regular file, is larger, or shrinks while it is read.
 */
export function readRegularFile(op: string, filePath: string, maxBytes: number): Uint8Array<ArrayBuffer> {
  checkPath(op, filePath);
  let fd: number | undefined;
  try {
    // O_NONBLOCK: opening a pipe would otherwise wait for somebody to write. Regular files do not notice it.
    fd = openSync(filePath, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    return readAll(op, filePath, fd, maxBytes);
  } catch (cause) {
    if (isLaminaeError(cause)) throw cause;
    const details = { op, argument: 'file', expected: 'must be readable', received: systemReason(cause) };
    throw formatError(details, { path: filePath }, 'ERR_DATA', { cause });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function unlinkIfThere(filePath: string): void {
  try {
    unlinkSync(filePath);
  } catch {
    // The error that brought us here is the one to report.
  }
}

/**
 * Writes a file so that a reader, or a crash, sees either the old content or the new: a temporary file beside it, then
 * a rename.
 * @throws LaminaeError with code ERR_DATA if the file cannot be written; what was there stays.
 */
export function writeFileAtomically(op: string, filePath: string, bytes: Uint8Array): void {
  checkPath(op, filePath);
  const temporary = path.join(
    path.dirname(filePath),
    `.${path.basename(filePath)}.${process.pid}-${randomBytes(6).toString('hex')}.tmp`,
  );
  let fd: number | undefined;
  try {
    fd = openSync(temporary, 'wx');
    let done = 0;
    while (done < bytes.length) {
      done += writeSync(fd, bytes, done, Math.min(bytes.length - done, chunkBytes), done);
    }
    fsyncSync(fd);
    closeSync(fd);
    fd = undefined;
    renameSync(temporary, filePath);
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    unlinkIfThere(temporary);
    const details = {
      op,
      argument: `file ${printablePath(filePath)}`,
      expected: 'must be writable',
      received: systemReason(cause),
    };
    throw new LaminaeError('ERR_DATA', details, { cause });
  }
}
