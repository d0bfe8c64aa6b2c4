/** Convolution layers. The functions, with output sizes, are in `functional/conv.ts`. */
import { rangeError } from '../errors';
import {
  convolution,
  type ConvOptions,
  transposedConvolution,
  type ConvTransposeOptions,
} from '../functional/conv';
import { oneOf } from '../functional/checks';
import { paddingPairs } from '../functional/conv-options';
import { noEnding, type Ending } from '../functional/ending';
import { pad } from '../functional/pad';
import type { SpatialRank } from '../functional/spatial';
import { checkOptions, integer, sizeOf, sizeTuple, type Size } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { freshParameter } from './init';
import { LayerWithEnding } from './ending';
import { UninitializedParameter, type Parameter } from './parameter';

interface LayerOptions {
  /** Learn an additive bias per output channel. Default true. */
  readonly bias?: boolean;
}

/** An options object that also holds the kernel: `new Conv2d(1, 6, { kernelSize: 5, padding: 2 })`. */
type WithKernel<Options> = Options & { readonly kernelSize: Size };

/** What lies around the input where the padding reaches beyond it. */
export type ConvPaddingMode = 'zeros' | 'reflect' | 'replicate' | 'circular';

export type ConvLayerOptions = ConvOptions &
  LayerOptions & {
    /** Default `zeros`. */
    readonly paddingMode?: ConvPaddingMode;
  };
export type ConvTransposeLayerOptions = ConvTransposeOptions &
  LayerOptions & {
    /** Zeros alone: the padding of a transposed convolution is cut off its output. */
    readonly paddingMode?: 'zeros';
  };

const paddingModes: readonly ConvPaddingMode[] = ['zeros', 'reflect', 'replicate', 'circular'];

function isOptions<Options>(kernel: Size | WithKernel<Options> | null): kernel is WithKernel<Options> {
  return typeof kernel === 'object' && kernel !== null && !Array.isArray(kernel);
}

/**
 * What all convolution layers share. Weights and bias start uniform within +-1/sqrt(fan in), the fan in being the
 * channels and kernel cells of one weight row.
 */
export abstract class ConvLayer<
  Options extends ConvLayerOptions | ConvTransposeLayerOptions,
> extends LayerWithEnding {
  /** [outChannels, inChannels / groups, ...kernel], or [inChannels, outChannels / groups, ...kernel] if transposed */
  weight: Parameter;
  /** [outChannels] */
  bias: Parameter | null;
  readonly kernelSize: readonly number[];
  readonly options: Options;

  inChannels: number;

  constructor(inChannels: number, outChannels: number, kernelSize: Size, options?: Options);
  constructor(inChannels: number, outChannels: number, options: WithKernel<Options>);
  constructor(
    inChannels: number,
    readonly outChannels: number,
    kernel: Size | WithKernel<Options>,
    options?: Options,
  ) {
    super();
    const op = this.constructor.name;
    integer(op, 'outChannels', outChannels, 1);
    this.options = isOptions(kernel) ? kernel : (options ?? ({} as Options));
    this.kernelSize = this.perDimension('kernelSize', isOptions(kernel) ? kernel.kernelSize : kernel);
    checkOptions(op, this.options);
    integer(op, 'groups', this.options.groups ?? 1, 1);
    const modes = this.isTransposed ? paddingModes.slice(0, 1) : paddingModes;
    oneOf(op, 'paddingMode', this.options.paddingMode ?? 'zeros', modes);
    this.inChannels = inChannels;
    [this.weight, this.bias] = this.fresh(inChannels);
  }

  /** Number of spatial dimensions. The constructor asks, so it is no field. */
  protected abstract get rank(): SpatialRank;

  /** Whether it is the input gradient of a convolution. */
  protected get isTransposed(): boolean {
    return false;
  }

  /** A size as a number per dimension. */
  protected perDimension(argument: string, value: unknown): number[] {
    return sizeTuple(this.constructor.name, argument, value, this.rank, 1);
  }

  /** Starts again with new weights, for `inChannels` channels. */
  reset(inChannels: number): void {
    [this.weight, this.bias] = this.fresh(inChannels);
    this.inChannels = inChannels;
  }

  private fresh(inChannels: number): [Parameter, Parameter | null] {
    const op = this.constructor.name;
    const { outChannels, kernelSize } = this;
    const { groups = 1, bias = true } = this.options;
    integer(op, 'inChannels', inChannels, 1);
    for (const [argument, channels] of Object.entries({ inChannels, outChannels })) {
      if (channels % groups !== 0) {
        throw rangeError(op, argument, `must be divisible by groups ${groups}`, channels);
      }
    }
    const [first, second] = this.isTransposed ? [inChannels, outChannels] : [outChannels, inChannels];
    const shape = [first, second / groups, ...kernelSize];
    const bound = 1 / Math.sqrt(sizeOf(shape.slice(1)));
    // In the constructor there are no old ones yet.
    return [
      freshParameter(shape, bound, this.weight),
      bias ? freshParameter([outChannels], bound, this.bias) : null,
    ];
  }

  protected override compute(input: Tensor, ending: Ending): Tensor {
    if (this.weight instanceof UninitializedParameter) {
      const channelDim = input.ndim - this.rank - 1; // if it is neither 0 nor 1, the input is refused below
      if (channelDim === 0 || channelDim === 1) this.reset(input.shape[channelDim]);
    }
    return this.convolve(input, this.weight, this.bias, ending);
  }

  /** What `forwardThen` does, with other parameters. @internal */
  abstract convolve(input: Tensor, weight: Tensor, bias: Tensor | null, ending?: Ending): Tensor;

  protected override extraRepr(): string {
    const text = (v: unknown): string => (Array.isArray(v) ? `[${v.join(', ')}]` : String(v));
    const shown = Object.entries({ stride: 1, ...this.options })
      .filter(([name]) => name !== 'kernelSize' && name !== 'bias')
      .map(([name, value]) => `${name}=${text(value)}`);
    const bias = this.bias === null ? ['bias=false'] : [];
    return [
      `${this.inChannels}, ${this.outChannels}`,
      `kernelSize=${text(this.kernelSize)}`,
      ...shown,
      ...bias,
    ].join(', ');
  }
}

/** Plain convolution layers: cross-correlation, with a border of the chosen kind. */
export abstract class PlainConv extends ConvLayer<ConvLayerOptions> {
  /** `lanes`: if the images lie in lanes; for padding with zeros only. @internal */
  override convolve(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | null,
    ending = noEnding,
    lanes = 0,
  ): Tensor {
    const { options } = this;
    const mode = options.paddingMode ?? 'zeros';
    if (mode === 'zeros' || (options.padding ?? 0) === 0) {
      return convolution(this.rank, input, weight, bias, options, ending, lanes);
    }
    const pairs = paddingPairs(
      this.constructor.name,
      options.padding ?? 0,
      this.kernelSize,
      this.perDimension('stride', options.stride ?? 1),
      this.perDimension('dilation', options.dilation ?? 1),
    );
    const bordered = pad(input, pairs.reverse().flat(), { mode });
    return convolution(this.rank, bordered, weight, bias, { ...options, padding: 0 }, ending);
  }
}

/** Transposed convolution layers. */
export abstract class TransposedConv extends ConvLayer<ConvTransposeLayerOptions> {
  protected override get isTransposed(): boolean {
    return true;
  }

  override convolve(input: Tensor, weight: Tensor, bias: Tensor | null, ending = noEnding): Tensor {
    return transposedConvolution(this.rank, input, weight, bias, this.options, ending);
  }
}

/**
 * Cross-correlation of sequences with learnt kernels.
 *
 * **Shape**: [n, inChannels, l] or [inChannels, l] -> [n, outChannels, lOut] or [outChannels, lOut] with
 * lOut = floor((l + 2 padding - dilation (kernel - 1) - 1) / stride) + 1
 */
export class Conv1d extends PlainConv {
  protected override get rank(): SpatialRank {
    return 1;
  }
}

/**
 * Cross-correlation of images with learnt kernels.
 *
 * **Shape**: [n, inChannels, h, w] or [inChannels, h, w] -> hOut and wOut as in {@link Conv1d}
 *
 * @example
 * const conv = new nn.Conv2d(1, 6, 5, { padding: 2 });
 * conv.forward(randn([32, 1, 28, 28])).shape; // [32, 6, 28, 28]
 */
export class Conv2d extends PlainConv {
  protected override get rank(): SpatialRank {
    return 2;
  }
}

/**
 * Cross-correlation of volumes with learnt kernels.
 *
 * **Shape**: [n, inChannels, d, h, w] or [inChannels, d, h, w] -> sizes as in {@link Conv1d}
 */
export class Conv3d extends PlainConv {
  protected override get rank(): SpatialRank {
    return 3;
  }
}

/**
 * Transposed convolution of sequences: the map that the input gradient of {@link Conv1d} is.
 *
 * **Shape**: [n, inChannels, l] or [inChannels, l] ->
 * lOut = (l - 1) stride - 2 padding + dilation (kernel - 1) + outputPadding + 1
 */
export class ConvTranspose1d extends TransposedConv {
  protected override get rank(): SpatialRank {
    return 1;
  }
}

/**
 * Transposed convolution of images, sizes as in {@link ConvTranspose1d}.
 *
 * @example
 * new nn.ConvTranspose2d(8, 4, 2, { stride: 2 }).forward(randn([1, 8, 7, 7])).shape; // [1, 4, 14, 14]
 */
export class ConvTranspose2d extends TransposedConv {
  protected override get rank(): SpatialRank {
    return 2;
  }
}

/** Transposed convolution of volumes, sizes as in {@link ConvTranspose1d}. */
export class ConvTranspose3d extends TransposedConv {
  protected override get rank(): SpatialRank {
    return 3;
  }
}
