/**
 * safetensors files: named tensors.
 *
 *     u64 little-endian length n | n bytes of JSON header, padded with spaces to a multiple of 8 | data
 *
 * Typed arrays are read and written as they lie in memory, which is little-endian on every machine this package has
 * kernels for (x64, arm64).
 */
import { readRegularFile, writeFileAtomically } from './file';
import { op } from './safetensors-format';
import type { SafetensorsContent, SafetensorsTensor } from './safetensors-format';
import { parseSafetensors } from './safetensors-reader';
import { serializeSafetensors } from './safetensors-writer';

export type { SafetensorsContent, SafetensorsTensor } from './safetensors-format';
export { int32FromInt64, parseSafetensors } from './safetensors-reader';
export { serializeSafetensors } from './safetensors-writer';

const defaultMaxFileBytes = 2 ** 32;

/**
 * Reads a safetensors file of at most `maxBytes` (default 4 GiB).
 * @throws ModelFormatError as {@link parseSafetensors}, and for anything that is not a readable regular file.
 * @example
 * const { tensors } = readSafetensorsFile('lenet.safetensors');
 * for (const [name, { dtype, shape }] of tensors) console.log(name, dtype, shape);
 */
export function readSafetensorsFile(
  path: string,
  options: { readonly maxBytes?: number } = {},
): SafetensorsContent {
  return parseSafetensors(readRegularFile(op, path, options.maxBytes ?? defaultMaxFileBytes), path);
}

/**
 * Writes a safetensors file; a reader sees either the old file or the whole new one.
 * @throws as {@link serializeSafetensors}, or LaminaeError with code ERR_DATA if the file cannot be written.
 * @example
 * const bias = { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) } as const;
 * writeSafetensorsFile('layer.safetensors', new Map([['bias', bias]]));
 */
export function writeSafetensorsFile(
  path: string,
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata?: ReadonlyMap<string, string>,
): void {
  writeFileAtomically(op, path, serializeSafetensors(tensors, metadata));
}
