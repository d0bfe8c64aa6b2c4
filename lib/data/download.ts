/** Fetches Fashion-MNIST, only when asked: four files, each checked by its sum before it gets its name. */
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { isNativeError } from 'node:util/types';
import { LaminaeError, ModelFormatError, isLaminaeError } from '../errors';
import { readRegularFile, writeFileAtomically } from '../io/file';
import { gunzip } from '../io/gzip';
import { checkDigest, mnistFiles, mnistSets } from './mnist';
import type { MnistDigests, MnistFile } from './mnist';

const op = 'downloadFashionMnist';

const fashionMnistUrl =
  'https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/';

/** The largest file has 26 MB packed and 47 MB unpacked. */
const maxFileBytes = 2 ** 26;

export interface DownloadOptions {
  /** Where the four `.gz` files are. */
  readonly baseUrl?: string | undefined;
  /** Sums of the unpacked files; those of Fashion-MNIST unless told. */
  readonly digests?: MnistDigests | undefined;
  /** Ends the download early. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each file. */
  readonly onFile?: ((file: string, state: 'kept' | 'downloaded') => void) | undefined;
}

function failed(url: string, expected: string, received: string, cause?: unknown): LaminaeError {
  const hint = `on a machine without network, use the files of Debian's package dataset-fashion-mnist, or copy them`;
  return new LaminaeError('ERR_DATA', { op, argument: url, expected, received, hint }, { cause });
}

/** fetch() hides the reason ("fetch failed") behind one or two causes. */
function networkReason(error: unknown): string {
  let reason = error;
  while (isNativeError(reason) && isNativeError(reason.cause)) reason = reason.cause;
  if (!isNativeError(reason)) return String(reason);
  const code = 'code' in reason && typeof reason.code === 'string' ? reason.code : reason.name;
  return reason.message === '' ? code : `${code}: ${reason.message}`;
}

async function readBody(url: string, response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const body: AsyncIterable<Uint8Array> | null = response.body;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxFileBytes) throw failed(url, `must have at most ${maxFileBytes} bytes`, 'more');
  }
  return Buffer.concat(chunks, size);
}

async function fetchBytes(url: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  try {
    const response = await fetch(url, { signal: signal ?? null });
    if (!response.ok)
      throw failed(url, 'must be there', `status ${response.status} ${response.statusText}`.trim());
    return await readBody(url, response);
  } catch (cause) {
    if (signal?.aborted === true || isLaminaeError(cause)) throw cause;
    throw failed(url, 'must be reachable', networkReason(cause), cause);
  }
}

function check(bytes: Uint8Array, digest: string, source: string): void {
  checkDigest(op, gunzip(bytes, maxFileBytes, { op, path: source }), digest, source);
}

function isRight(filePath: string, digest: string): boolean {
  if (!existsSync(filePath)) return false;
  try {
    check(readRegularFile(op, filePath, maxFileBytes), digest, filePath);
    return true;
  } catch (error) {
    if (error instanceof ModelFormatError) return false;
    throw error;
  }
}

async function downloadFile(
  dir: string,
  file: MnistFile,
  digest: string,
  options: DownloadOptions,
): Promise<void> {
  const filePath = path.join(dir, `${file}.gz`);
  if (isRight(filePath, digest)) {
    options.onFile?.(file, 'kept');
    return;
  }
  const url = new URL(`${file}.gz`, options.baseUrl ?? fashionMnistUrl).href;
  const bytes = await fetchBytes(url, options.signal);
  check(bytes, digest, url);
  writeFileAtomically(op, filePath, bytes);
  options.onFile?.(file, 'downloaded');
}

/**
 * Fetches the four packed files of Fashion-MNIST into `dir`, which is made if need be. Files that are there and right
 * are kept. A file gets its name only after its SHA-256 fits, so what is there is right.
 *
 * @throws LaminaeError with code ERR_DATA if a file cannot be fetched or written; ModelFormatError if what came is not
 * the file.
 * @example
 * await downloadFashionMnist('data/fashion');
 * const { train } = loadMnist('fashion-mnist', { dir: 'data/fashion' });
 */
export async function downloadFashionMnist(dir: string, options: DownloadOptions = {}): Promise<void> {
  try {
    mkdirSync(dir, { recursive: true });
  } catch (cause) {
    const received = isNativeError(cause) ? cause.message : String(cause);
    throw new LaminaeError(
      'ERR_DATA',
      { op, argument: 'dir', expected: 'must be a directory', received },
      { cause },
    );
  }
  const digests = options.digests ?? mnistSets['fashion-mnist'].digests;
  // One after the other: four files are few, and the first failure is then the only one.
  for (const file of mnistFiles) await downloadFile(dir, file, digests[file], options);
}
