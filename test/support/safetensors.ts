/** Safetensors files made by hand, for tests. */
import { ModelFormatError } from '../../lib/errors';
import { parseSafetensors } from '../../lib/io/safetensors';
import type { SafetensorsTensor } from '../../lib/io/safetensors';
import { thrownBy } from './thrown-by';

/** A file with this header text (unpadded) and data. */
export function file(header: string | Uint8Array, data: Uint8Array | readonly number[] = []): Uint8Array {
  const bytes = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return new Uint8Array(Buffer.concat([length, bytes, Buffer.from(data)]));
}

export function entry(dtype: string, shape: string, offsets: string): string {
  return `{"dtype":${JSON.stringify(dtype)},"shape":${shape},"data_offsets":${offsets}}`;
}

export const oneByte = entry('U8', '[1]', '[0,1]');

export function refusal(bytes: Uint8Array, filePath?: string): ModelFormatError {
  return thrownBy(() => parseSafetensors(bytes, filePath), ModelFormatError);
}

export const float32 = (shape: number[], values: number[]): SafetensorsTensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});
