/** What reading and writing safetensors files share: the types of their tensors, and limits. */
import type { Shape } from '../shape';

/** Names errors of this format. */
export const op = 'safetensors';

export const metadataKey = '__metadata__';

/** The length field before the header. Offsets in errors count from the start of the file. */
export const lengthFieldBytes = 8;

/** The reference allows 100 MB; names and sizes of {@link maxEntries} tensors need a tenth of this. */
export const maxHeaderBytes = 16 * 2 ** 20;

/** A header of very many names is the known way to make a reader work for nothing. No real model comes near. */
export const maxEntries = 32_768;

interface Arrays {
  float64: Float64Array;
  float32: Float32Array;
  int64: BigInt64Array;
  int32: Int32Array;
  uint8: Uint8Array;
  /** 0 or 1 each. */
  bool: Uint8Array;
}

export type SafetensorsDType = keyof Arrays;

/**
 * A tensor of a safetensors file. `int64` is what PyTorch writes for `num_batches_tracked`; see {@link int32FromInt64}.
 */
export type SafetensorsTensor = {
  [D in SafetensorsDType]: { readonly dtype: D; readonly shape: Shape; readonly data: Arrays[D] };
}[SafetensorsDType];

export interface SafetensorsContent {
  readonly metadata: Map<string, string>;
  /** In the order of the file's header. */
  readonly tensors: Map<string, SafetensorsTensor>;
}

/** The memory of a typed array as bytes. */
export function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Half of a surrogate pair without its other half: a string that UTF-8 cannot hold. */
export function hasLoneSurrogate(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}
