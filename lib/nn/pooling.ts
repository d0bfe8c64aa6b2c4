/** Pooling layers. The functions, with output sizes and rules, are in `functional/pool.ts` and `adaptive-pool.ts`. */
import { ArgumentTypeError } from '../errors';
import {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  type AdaptiveSize,
} from '../functional/adaptive-pool';
import { maxUnpool1d, maxUnpool2d, maxUnpool3d, type MaxUnpoolOptions } from '../functional/max-unpool';
import {
  avgPool1d,
  avgPool2d,
  avgPool3d,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  type AvgPoolOptions,
  type MaxPoolOptions,
} from '../functional/pool';
import { lpPool1d, lpPool2d, type LpPoolOptions } from '../functional/lp-pool';
import type { Size } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { Module } from './module';
import { checkOptions } from '../shape';

function text(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value);
}

/** A layer with windows: kernel size and options. */
abstract class WindowLayer<Options extends { readonly stride?: Size | null | undefined }> extends Module {
  readonly options: Options;

  constructor(
    readonly kernelSize: Size,
    options?: Options,
  ) {
    super();
    checkOptions(this.constructor.name, options ?? {});
    this.options = options ?? ({} as Options);
  }

  protected override extraRepr(): string {
    const { stride, ...rest } = this.options;
    const shown = Object.entries({ kernelSize: this.kernelSize, stride: stride ?? this.kernelSize, ...rest });
    return shown.map(([name, value]) => `${name}=${text(value)}`).join(', ');
  }
}

abstract class AdaptiveLayer extends Module {
  constructor(readonly outputSize: AdaptiveSize) {
    super();
  }

  protected override extraRepr(): string {
    return `outputSize=${text(this.outputSize)}`;
  }
}

/** A window layer whose values can be told the places of. */
abstract class MaxPoolLayer extends WindowLayer<MaxPoolOptions> {
  constructor(kernelSize: Size, options?: MaxPoolOptions) {
    super(kernelSize, options);
    if (options == null || !('returnIndices' in options) || options.returnIndices === false) return;
    throw new ArgumentTypeError({
      op: this.constructor.name,
      argument: 'returnIndices',
      expected: 'is no option of a layer, whose forward gives one tensor',
      received: '',
      hint: 'use forwardWithIndices(x), or F.maxPool2d(x, k, { returnIndices: true })',
    });
  }

  /** The values and their positions, for the unpooling layer: `[y, indices]`. */
  abstract forwardWithIndices(input: Tensor): [Tensor, Tensor];
}

/** Largest value of each window of [n, c, l], as in {@link MaxPool2d}. */
export class MaxPool1d extends MaxPoolLayer {
  override forwardWithIndices(input: Tensor): [Tensor, Tensor] {
    return maxPool1d(input, this.kernelSize, { ...this.options, returnIndices: true });
  }

  override forward(input: Tensor): Tensor {
    return maxPool1d(input, this.kernelSize, this.options);
  }
}

/**
 * Largest value of each window. The stride is the kernel size unless given; padding is -infinity.
 *
 * **Shape**: [n, c, h, w] or [c, h, w] -> floor((h + 2 padding - dilation (kernel - 1) - 1) / stride + 1) rows
 *
 * @example
 * new nn.MaxPool2d(3, { stride: 2, padding: 1 }).forward(randn([1, 64, 112, 112])).shape; // [1, 64, 56, 56]
 * const [y, indices] = new nn.MaxPool2d(2).forwardWithIndices(x);
 * new nn.MaxUnpool2d(2).forward(y, indices);
 */
export class MaxPool2d extends MaxPoolLayer {
  override forwardWithIndices(input: Tensor): [Tensor, Tensor] {
    return maxPool2d(input, this.kernelSize, { ...this.options, returnIndices: true });
  }

  override forward(input: Tensor): Tensor {
    return maxPool2d(input, this.kernelSize, this.options);
  }
}

/** Largest value of each window of [n, c, d, h, w], as in {@link MaxPool2d}. */
export class MaxPool3d extends MaxPoolLayer {
  override forwardWithIndices(input: Tensor): [Tensor, Tensor] {
    return maxPool3d(input, this.kernelSize, { ...this.options, returnIndices: true });
  }

  override forward(input: Tensor): Tensor {
    return maxPool3d(input, this.kernelSize, this.options);
  }
}

/** Mean of each window of [n, c, l], as in {@link AvgPool2d}. */
export class AvgPool1d extends WindowLayer<AvgPoolOptions> {
  override forward(input: Tensor): Tensor {
    return avgPool1d(input, this.kernelSize, this.options);
  }
}

/**
 * Mean of each window. The stride is the kernel size unless given; zeros of the padding count unless
 * `countIncludePad` is false.
 *
 * **Shape**: [n, c, h, w] or [c, h, w] -> floor((h + 2 padding - kernel) / stride + 1) rows
 */
export class AvgPool2d extends WindowLayer<AvgPoolOptions> {
  override forward(input: Tensor): Tensor {
    return avgPool2d(input, this.kernelSize, this.options);
  }
}

/** Mean of each window of [n, c, d, h, w], as in {@link AvgPool2d}. */
export class AvgPool3d extends WindowLayer<AvgPoolOptions> {
  override forward(input: Tensor): Tensor {
    return avgPool3d(input, this.kernelSize, this.options);
  }
}

/** Puts values back to where max pooling over [n, c, l] took them from; zeros elsewhere. */
export class MaxUnpool1d extends WindowLayer<MaxUnpoolOptions> {
  override forward(input: Tensor, indices: Tensor): Tensor {
    return maxUnpool1d(input, indices, this.kernelSize, this.options);
  }
}

/** Puts values back to where max pooling over [n, c, h, w] took them from; zeros elsewhere. */
export class MaxUnpool2d extends WindowLayer<MaxUnpoolOptions> {
  override forward(input: Tensor, indices: Tensor): Tensor {
    return maxUnpool2d(input, indices, this.kernelSize, this.options);
  }
}

/** Puts values back to where max pooling over [n, c, d, h, w] took them from; zeros elsewhere. */
export class MaxUnpool3d extends WindowLayer<MaxUnpoolOptions> {
  override forward(input: Tensor, indices: Tensor): Tensor {
    return maxUnpool3d(input, indices, this.kernelSize, this.options);
  }
}

/** Mean over windows chosen so that [n, c, l] comes out with the spatial size `outputSize`. */
export class AdaptiveAvgPool1d extends AdaptiveLayer {
  override forward(input: Tensor): Tensor {
    return adaptiveAvgPool1d(input, this.outputSize);
  }
}

/** Mean over windows chosen so that [n, c, h, w] comes out with the spatial size `outputSize`. */
export class AdaptiveAvgPool2d extends AdaptiveLayer {
  override forward(input: Tensor): Tensor {
    return adaptiveAvgPool2d(input, this.outputSize);
  }
}

/** Mean over windows chosen so that [n, c, d, h, w] comes out with the spatial size `outputSize`. */
export class AdaptiveAvgPool3d extends AdaptiveLayer {
  override forward(input: Tensor): Tensor {
    return adaptiveAvgPool3d(input, this.outputSize);
  }
}

/** Largest value over windows chosen so that [n, c, l] comes out with the spatial size `outputSize`. */
export class AdaptiveMaxPool1d extends AdaptiveLayer {
  override forward(input: Tensor): Tensor {
    return adaptiveMaxPool1d(input, this.outputSize);
  }
}

/** Largest value over windows chosen so that [n, c, h, w] comes out with the spatial size `outputSize`. */
export class AdaptiveMaxPool2d extends AdaptiveLayer {
  override forward(input: Tensor): Tensor {
    return adaptiveMaxPool2d(input, this.outputSize);
  }
}

/** Largest value over windows chosen so that [n, c, d, h, w] comes out with the spatial size `outputSize`. */
export class AdaptiveMaxPool3d extends AdaptiveLayer {
  override forward(input: Tensor): Tensor {
    return adaptiveMaxPool3d(input, this.outputSize);
  }
}

/** The p-norm of each window. */
export class LPPool1d extends WindowLayer<LpPoolOptions> {
  constructor(
    readonly normType: number,
    kernelSize: Size,
    options?: LpPoolOptions,
  ) {
    super(kernelSize, options);
  }

  override forward(input: Tensor): Tensor {
    return lpPool1d(input, this.normType, this.kernelSize, this.options);
  }
}

/** The p-norm of each window. */
export class LPPool2d extends WindowLayer<LpPoolOptions> {
  constructor(
    readonly normType: number,
    kernelSize: Size,
    options?: LpPoolOptions,
  ) {
    super(kernelSize, options);
  }

  override forward(input: Tensor): Tensor {
    return lpPool2d(input, this.normType, this.kernelSize, this.options);
  }
}
