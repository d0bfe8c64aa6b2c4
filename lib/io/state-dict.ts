/** State dictionaries in safetensors files, in the layout and with the keys that PyTorch's own writer uses. */
import { ModelFormatError } from '../errors';
import { contiguousStrides } from '../shape';
import { Storage } from '../tensor/storage';
import { Tensor } from '../tensor/tensor';
import {
  int32FromInt64,
  readSafetensorsFile,
  writeSafetensorsFile,
  type SafetensorsTensor,
} from './safetensors';

/** PyTorch keeps this counter as int64; here it is int32, which holds two billion batches. */
function isCounter(key: string, t: Tensor): boolean {
  return t.dtype === 'int32' && (key === 'num_batches_tracked' || key.endsWith('.num_batches_tracked'));
}

function toFile(key: string, t: Tensor): SafetensorsTensor {
  const { shape } = t;
  const data = t.toTypedArray();
  if (isCounter(key, t)) return { dtype: 'int64', shape, data: BigInt64Array.from(data, (v) => BigInt(v)) };
  if (data instanceof Float64Array) return { dtype: 'float64', shape, data };
  if (data instanceof Float32Array) return { dtype: 'float32', shape, data };
  if (data instanceof Int32Array) return { dtype: 'int32', shape, data };
  return { dtype: t.dtype === 'bool' ? 'bool' : 'uint8', shape, data };
}

/**
 * Writes tensors by name to a safetensors file, whole or not at all.
 *
 * @param metadata free text kept in the header
 * @throws LaminaeError ERR_DATA if the file cannot be written
 *
 * @example
 * saveSafetensors('lenet.safetensors', model.stateDict());
 */
export function saveSafetensors(
  path: string,
  state: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const tensors = new Map<string, SafetensorsTensor>();
  for (const [key, t] of state) tensors.set(key, toFile(key, t));
  writeSafetensorsFile(path, tensors, new Map(Object.entries(metadata)));
}

/** What a safetensors file holds. */
export interface LoadedSafetensors {
  readonly state: Map<string, Tensor>;
  readonly metadata: Map<string, string>;
}

/**
 * Reads a safetensors file. 16-bit floats are widened to float32; int64 becomes int32 where it fits.
 *
 * @throws ModelFormatError for anything that breaks the format
 *
 * @example
 * model.loadStateDict(loadSafetensors('lenet.safetensors').state);
 */
export function loadSafetensors(path: string): LoadedSafetensors {
  const { tensors, metadata } = readSafetensorsFile(path);
  const state = new Map<string, Tensor>();
  for (const [key, t] of tensors) {
    if (t.shape.length > 8) {
      throw new ModelFormatError(
        {
          op: 'safetensors',
          argument: `tensor "${key}"`,
          expected: 'must have rank <= 8',
          received: String(t.shape.length),
        },
        { path, node: key },
        'ERR_MODEL_UNSUPPORTED',
      );
    }
    const storage =
      t.dtype === 'int64'
        ? Storage.adopt('int32', int32FromInt64(t.data, key, path))
        : Storage.adopt(t.dtype, t.data);
    state.set(key, new Tensor(storage, t.shape, contiguousStrides(t.shape), 0));
  }
  return { state, metadata };
}
