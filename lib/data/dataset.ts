/** Collections of samples. */
import { ShapeError, typeError } from '../errors';
import { stack } from '../functional/views';
import { integer, shapeError, sizeOf } from '../shape';
import { Tensor } from '../tensor/tensor';

/** Samples by number; each is a tuple of tensors, such as image and label. */
export abstract class Dataset {
  /** Number of samples. */
  abstract get length(): number;

  /** Sample `index`. */
  abstract get(index: number): readonly Tensor[];

  /** The samples `indices`, each part stacked along a new first dimension. Override it where a faster way exists. */
  batch(indices: ArrayLike<number>): readonly Tensor[] {
    const samples = Array.from(indices, (i) => this.get(i));
    return (samples[0] ?? []).map((_, part) => stack(samples.map((s) => s[part])));
  }
}

/** Rows `indices` of a contiguous tensor. */
function gatherRows(t: Tensor, indices: ArrayLike<number>): Tensor {
  const row = sizeOf(t.shape.slice(1));
  const out = Tensor.empty([indices.length, ...t.shape.slice(1)], t.dtype);
  const from = t.storage.data;
  const to = out.storage.data;
  for (let i = 0; i < indices.length; i++) {
    const at = t.offset + indices[i] * row;
    to.set(from.subarray(at, at + row), i * row);
  }
  return out;
}

/**
 * Samples that are rows of tensors of equal length.
 *
 * @example
 * const dataset = new TensorDataset(features, labels);
 */
export class TensorDataset extends Dataset {
  private readonly tensors: readonly Tensor[];

  constructor(...tensors: readonly Tensor[]) {
    super();
    if (tensors.length === 0 || !tensors.every((t) => t instanceof Tensor && t.ndim > 0)) {
      throw typeError(
        'TensorDataset',
        'tensors',
        'must be at least one tensor with a first dimension',
        tensors,
      );
    }
    tensors.forEach((t, i) => {
      if (t.shape[0] !== tensors[0].shape[0]) {
        throw shapeError('TensorDataset', `tensors[${i}]`, `must have ${tensors[0].shape[0]} rows`, t.shape);
      }
    });
    this.tensors = tensors.map((t) => t.contiguous());
  }

  override get length(): number {
    return this.tensors[0].shape[0];
  }

  override get(index: number): readonly Tensor[] {
    integer('TensorDataset', 'index', index, 0, this.length - 1);
    return this.tensors.map((t) => t.at(index));
  }

  override batch(indices: ArrayLike<number>): readonly Tensor[] {
    return this.tensors.map((t) => gatherRows(t, indices));
  }
}

/** Bytes of images and their labels, as IDX files hold them. */
export interface ImageData {
  /** [n, height, width], row-major */
  readonly images: Uint8Array;
  /** [n] */
  readonly labels: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/**
 * Grey images with labels, kept as bytes and converted batch by batch.
 *
 * A batch is `[images, labels]`: float32 [n, 1, height, width] in [0, 1], and int32 [n].
 */
export class ImageDataset extends Dataset {
  readonly height: number;
  readonly width: number;
  private readonly images: Uint8Array;
  private readonly labels: Uint8Array;
  /** byte -> value / 255 */
  private static readonly scale = Float32Array.from({ length: 256 }, (_, i) => i / 255);

  constructor(data: ImageData) {
    super();
    const { images, labels, height, width } = data;
    if (images.length !== labels.length * height * width) {
      throw new ShapeError({
        op: 'ImageDataset',
        argument: 'images',
        expected: `must hold ${labels.length} images of ${height}x${width} bytes, one per label`,
        received: `${images.length} bytes`,
      });
    }
    this.images = images;
    this.labels = labels;
    this.height = height;
    this.width = width;
  }

  override get length(): number {
    return this.labels.length;
  }

  /** The class of sample `index`. */
  label(index: number): number {
    return this.labels[integer('ImageDataset', 'index', index, 0, this.length - 1)];
  }

  /** The bytes of image `index`, row-major. */
  pixels(index: number): Uint8Array {
    const size = this.height * this.width;
    const at = integer('ImageDataset', 'index', index, 0, this.length - 1) * size;
    return this.images.subarray(at, at + size);
  }

  override get(index: number): readonly Tensor[] {
    const [x, y] = this.batch([index]);
    return [x.at(0), y.at(0)];
  }

  override batch(indices: ArrayLike<number>): readonly [Tensor, Tensor] {
    const n = indices.length;
    const x = Tensor.empty([n, 1, this.height, this.width], 'float32');
    const y = Tensor.empty([n], 'int32');
    const values = x.storage.data;
    const classes = y.storage.data;
    const { scale } = ImageDataset;
    const size = this.height * this.width;
    for (let i = 0; i < n; i++) {
      const index = integer('ImageDataset', 'index', indices[i], 0, this.length - 1);
      classes[i] = this.labels[index];
      const from = index * size;
      const to = i * size;
      for (let p = 0; p < size; p++) values[to + p] = scale[this.images[from + p]];
    }
    return [x, y];
  }
}

/** The first `count` samples of a dataset, or those of `indices`. */
export class Subset extends Dataset {
  private readonly indices: Int32Array;

  constructor(
    private readonly source: Dataset,
    indices: number | ArrayLike<number>,
  ) {
    super();
    if (typeof indices === 'number') {
      integer('Subset', 'indices', indices, 0, source.length);
      this.indices = Int32Array.from({ length: indices }, (_, i) => i);
    } else {
      this.indices = Int32Array.from(indices);
    }
  }

  override get length(): number {
    return this.indices.length;
  }

  override get(index: number): readonly Tensor[] {
    return this.source.get(this.indices[integer('Subset', 'index', index, 0, this.length - 1)]);
  }

  override batch(indices: ArrayLike<number>): readonly Tensor[] {
    return this.source.batch(Int32Array.from(indices, (i) => this.indices[i]));
  }
}
