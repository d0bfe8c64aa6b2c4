/** How convolutions may round. */
import { typeError } from '../errors';

let exact = process.env.LAMINAE_EXACT_CONV === '1';

/**
 * Whether convolutions keep to algorithms that round like a plain sum of products. Otherwise 3x3 and 5x5 convolutions
 * of stride 1, and 3x3 of stride 2, with 16 and more channels and much to do may use Winograd's algorithm in float32,
 * forward and for both gradients: up to 4, 4.6 and 1.8 times fewer multiplications, an error of 0.5e-6 to 2.5e-6 of the
 * root mean square of the result (2.8e-5 for the worst element seen, 3e-5 is tested), integers that are not exact, and a
 * NaN or infinity that spreads over the outputs of a tile. A first layer, of few input channels and a large kernel, may
 * use it along columns: 9 products instead of 14 for 7 rows at stride 2. Lines of 5 taps at stride 1 with few channels,
 * many examples and much to do may use it along lines: 8 products instead of 20 or 9 instead of 25, errors as above
 * (2.1e-5 for the worst of 6 million elements, 1.1e-6 of the root mean square). 1x1 convolutions of
 * 256 and more channels may use Strassen's algorithm: 7 products instead of 8, twice the error of a plain sum (1e-6 of
 * the root mean square for 1024 channels, 2e-5 for the worst element of 4096), and what is not finite or much larger
 * than the rest shows in other pixels and channels of its image, never in another image.
 * In evaluation without gradients a Sequential computes a convolution and the batch norm behind it as one convolution,
 * whose weights are rounded once more.
 * Default `false`, or `LAMINAE_EXACT_CONV=1`.
 *
 * Sources: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015 (arXiv:1509.09308); Strassen, Gaussian
 * Elimination is not Optimal, 1969 (doi:10.1007/BF02165411), in Winograd's form with 15 sums.
 * @throws ArgumentTypeError unless `value` is a boolean
 *
 * @example
 * setExactConv(true);
 */
export function setExactConv(value: boolean): void {
  if (typeof value !== 'boolean') {
    throw typeError('setExactConv', 'value', 'must be a boolean', value);
  }
  exact = value;
}

/** Whether {@link setExactConv} is on. */
export function isExactConv(): boolean {
  return exact;
}
