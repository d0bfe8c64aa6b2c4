/**
 * Convolution weights in the form that the native algorithms read. Bringing them into it takes 0.1 ms (3x3, 128->128)
 * to 1.5 ms (512->512), as much as a small batch takes to compute. So it is kept as soon as the same weights come twice
 * without having changed: in inference, while training packs into scratch memory. It is dropped with the weights.
 */
import { isaGeneration, run, type NativeBuffer } from '../native';
import { alignedMemory, type Storage } from '../tensor/storage';
import type { Tensor } from '../tensor/tensor';
import type { ConvDescriptor } from './conv-shape';

/** Weights of fewer elements are packed in no time. */
const minElements = 2048;

type Pass = 'conv' | 'convBackwardInput';

/** The last use of some weights. */
interface Use {
  readonly descriptor: ConvDescriptor;
  readonly offset: number;
  readonly version: number;
  readonly isa: number;
  /** Memory for the packed form, from the second use on. */
  packed: NativeBuffer | null;
  ready: boolean;
}

const lastUse: Readonly<Record<Pass, WeakMap<Storage, Use>>> = {
  conv: new WeakMap(),
  convBackwardInput: new WeakMap(),
};

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.every((value, i) => value === b[i]);
}

/** Whether the packed form of one serves the other. */
function sameForm(a: ConvDescriptor, b: ConvDescriptor): boolean {
  return (
    a === b ||
    (a.n === b.n &&
      a.groups === b.groups &&
      a.cIn === b.cIn &&
      a.cOut === b.cOut &&
      a.exact === b.exact &&
      a.lanes === b.lanes &&
      sameNumbers(a.in, b.in) &&
      sameNumbers(a.kernel, b.kernel) &&
      sameNumbers(a.out, b.out) &&
      sameNumbers(a.stride, b.stride) &&
      sameNumbers(a.padding, b.padding) &&
      sameNumbers(a.dilation, b.dilation))
  );
}

/** Memory for the packed form; null if the algorithm has none, or there is no memory to keep it. */
function allocate(pass: Pass, descriptor: ConvDescriptor): NativeBuffer | null {
  const result = new Float64Array(1);
  const fields = { ...descriptor, backwardInput: Number(pass === 'convBackwardInput') };
  run('convPackedSize', fields, { size: { storage: { data: result }, offset: 0 } });
  const size = result[0];
  if (size === 0) return null;
  try {
    const { buffer, start } = alignedMemory(4 * size);
    return { storage: { data: new Float32Array(buffer, start, size) }, offset: 0 };
  } catch {
    return null; // the weights are packed again every time, into memory that is reused
  }
}

/**
 * What to pass as `packed` and `packedReady`. Once the op has run, the caller sets `ready` of the result.
 */
export function packedWeights(
  pass: Pass,
  descriptor: ConvDescriptor,
  weight: Tensor,
): { readonly packed: NativeBuffer | null; ready: boolean } {
  const { storage, offset } = weight;
  if (weight.numel < minElements || weight.dtype !== 'float32') return { packed: null, ready: false };
  const isa = isaGeneration();
  const last = lastUse[pass].get(storage);
  if (
    last?.version === storage.version &&
    last.offset === offset &&
    last.isa === isa &&
    sameForm(last.descriptor, descriptor)
  ) {
    last.packed ??= allocate(pass, descriptor);
    return last;
  }
  const use = { descriptor, offset, version: storage.version, isa, packed: null, ready: false };
  lastUse[pass].set(storage, use);
  return use;
}
