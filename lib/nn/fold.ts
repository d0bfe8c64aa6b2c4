/**
 * A convolution and the batch norm behind it as one convolution, for evaluation without gradients: with s = weight /
 * sqrt(runningVar + eps) per channel,
 *
 *     norm(conv(x; W, b)) = conv(x; s W, s (b - runningMean) + bias)
 *
 * which saves a pass over the largest tensors there are. PyTorch's `fuse_conv_bn_weights` does the same for good; here
 * both layers stay as they are, and the product is made again when one of the six tensors has changed.
 */
import { noGrad } from '../autograd/grad-mode';
import { needsGrad } from '../autograd/graph';
import { isExactConv } from '../functional/conv-exact';
import type { Ending } from '../functional/ending';
import { mul } from '../functional/elementwise';
import { reshape } from '../functional/views';
import { tensor } from '../tensor/create';
import { keep } from '../tensor/scope';
import type { Storage } from '../tensor/storage';
import type { Tensor } from '../tensor/tensor';
import { BatchNorm } from './batch-norm';
import { PlainConv } from './conv';
import { takesEnding } from './ending';
import type { Module } from './module';

/** The parameters of the one convolution. */
export interface Folded {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

interface Source {
  readonly tensor: Tensor | null;
  readonly storage: Storage | null;
  readonly version: number;
}

interface Entry extends Folded {
  readonly norm: BatchNorm;
  readonly sources: readonly Source[];
}

const entries = new WeakMap<PlainConv, Entry>();

function sourcesOf(conv: PlainConv, norm: BatchNorm): (Tensor | null)[] {
  return [conv.weight, conv.bias, norm.weight, norm.bias, norm.runningMean, norm.runningVar];
}

function isCurrent(entry: Entry, conv: PlainConv, norm: BatchNorm): boolean {
  if (entry.norm !== norm) return false;
  return sourcesOf(conv, norm).every((t, i) => {
    const { tensor: before, storage, version } = entry.sources[i];
    return t === before && (t === null || (t.storage === storage && t.storage.version === version));
  });
}

function fold(conv: PlainConv, norm: BatchNorm, mean: Tensor, variance: Tensor): Folded {
  const { dtype } = conv.weight;
  const channels = conv.outChannels;
  const [m, v] = [mean.toTypedArray(), variance.toTypedArray()];
  const [gain, shift, bias] = [norm.weight, norm.bias, conv.bias].map((t) => t?.toTypedArray());
  const scale = Float64Array.from(v, (value, c) => (gain?.[c] ?? 1) / Math.sqrt(value + norm.eps));
  const offset = Float64Array.from(scale, (s, c) => s * ((bias?.[c] ?? 0) - m[c]) + (shift?.[c] ?? 0));
  const perRow = [channels, ...conv.kernelSize.map(() => 1), 1];
  return noGrad(() => ({
    weight: keep(mul(conv.weight, reshape(tensor(scale, { dtype }), perRow))),
    bias: keep(tensor(offset, { dtype })),
  }));
}

/**
 * The parameters of `conv` with `norm` folded in, for an input of `rank` dimensions; null where that is not the same: if
 * `norm` uses the statistics of the batch, or the two do not fit together (the norm itself has the better message).
 */
export function foldedInto(conv: PlainConv, norm: BatchNorm, rank: number): Folded | null {
  const { runningMean, runningVar } = norm;
  if (norm.training || runningMean === null || runningVar === null) return null;
  if (rank !== conv.kernelSize.length + 2 || !norm.accepts(rank)) return null;
  const known = entries.get(conv);
  if (known !== undefined && isCurrent(known, conv, norm)) return known;
  const sources = sourcesOf(conv, norm);
  // A lazy layer may still be without its weights.
  const fits = sources.every(
    (t, i) =>
      t === null || (t.dtype === conv.weight.dtype && (i === 0 ? t.shape[0] : t.numel) === conv.outChannels),
  );
  if (!fits || norm.numFeatures !== conv.outChannels) return null;
  const entry: Entry = {
    ...fold(conv, norm, runningMean, runningVar),
    norm,
    sources: sources.map((t) => ({
      tensor: t,
      storage: t?.storage ?? null,
      version: t?.storage.version ?? 0,
    })),
  };
  entries.set(conv, entry);
  return entry;
}

/** `layer` and `next` as one convolution of `input`, in lanes if not 0; null if that is not what they are. */
export function asOneConv(
  layer: Module,
  next: Module | undefined,
  input: Tensor,
  lanes: number,
): ((t: Tensor, ending: Ending) => Tensor) | null {
  if (!(layer instanceof PlainConv && next instanceof BatchNorm) || isExactConv()) return null;
  if (!takesEnding(layer) || !takesEnding(next)) return null;
  if (needsGrad(input, layer.weight, layer.bias, next.weight, next.bias)) return null;
  const folded = foldedInto(layer, next, input.ndim);
  return folded && ((t, ending) => layer.convolve(t, folded.weight, folded.bias, ending, lanes));
}
