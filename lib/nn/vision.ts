/** Layers that resize and rearrange images; the functions are in `functional/`. */
import { interpolate, type InterpolateOptions } from '../functional/interpolate';
import { pixelShuffle, pixelUnshuffle } from '../functional/pixel-shuffle';
import { fold, unfold, type UnfoldOptions } from '../functional/unfold';
import { integer, type Size } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { Module } from './module';

/**
 * Resizes images by a factor or to a size.
 *
 * @example
 * new nn.Upsample({ scaleFactor: 2 }).forward(randn([1, 3, 8, 8])).shape; // [1, 3, 16, 16]
 */
export class Upsample extends Module {
  constructor(readonly options: InterpolateOptions) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return interpolate(input, this.options);
  }
}

/** [..., c r^2, h, w] -> [..., c, h r, w r] */
export class PixelShuffle extends Module {
  readonly upscaleFactor: number;

  constructor(upscaleFactor: number) {
    super();
    this.upscaleFactor = integer('PixelShuffle', 'upscaleFactor', upscaleFactor, 1);
  }

  override forward(input: Tensor): Tensor {
    return pixelShuffle(input, this.upscaleFactor);
  }
}

/** [..., c, h r, w r] -> [..., c r^2, h, w] */
export class PixelUnshuffle extends Module {
  readonly downscaleFactor: number;

  constructor(downscaleFactor: number) {
    super();
    this.downscaleFactor = integer('PixelUnshuffle', 'downscaleFactor', downscaleFactor, 1);
  }

  override forward(input: Tensor): Tensor {
    return pixelUnshuffle(input, this.downscaleFactor);
  }
}

/** Every window of an image as a column (im2col). */
export class Unfold extends Module {
  constructor(
    readonly kernelSize: Size,
    readonly options: UnfoldOptions = {},
  ) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return unfold(input, this.kernelSize, this.options);
  }
}

/** Adds columns back into an image (col2im). */
export class Fold extends Module {
  constructor(
    readonly outputSize: Size,
    readonly kernelSize: Size,
    readonly options: UnfoldOptions = {},
  ) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return fold(input, this.outputSize, this.kernelSize, this.options);
  }
}
