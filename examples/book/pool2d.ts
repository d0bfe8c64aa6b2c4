/** Pooling written out. */
import { F, slice, stack, zeros, type Tensor } from 'laminae';

export type PoolMode = 'max' | 'avg';

export interface Pool2dOptions {
  /** Rows and columns from one window to the next. Default [1, 1]. */
  readonly stride?: readonly [number, number];
  /** Rows added above and below, columns added left and right. Default [0, 0]. */
  readonly padding?: readonly [number, number];
}

/**
 * The largest value or the mean of every window, of each channel by itself. What padding adds can never be the largest
 * value, and counts as 0 in the mean.
 *
 * **Shape**: [..., h, w] -> [..., h', w']
 */
export function pool2d(
  X: Tensor,
  window: readonly [number, number],
  mode: PoolMode = 'max',
  options: Pool2dOptions = {},
): Tensor {
  if (X.ndim > 2) return stack([...X].map((x) => pool2d(x, window, mode, options)));
  const [ph, pw] = options.padding ?? [0, 0];
  const [sh, sw] = options.stride ?? [1, 1];
  const padded = F.pad(X, [pw, pw, ph, ph], { value: mode === 'max' ? -Infinity : 0 });
  const height = Math.floor((padded.shape[0] - window[0]) / sh) + 1;
  const width = Math.floor((padded.shape[1] - window[1]) / sw) + 1;
  const Y = zeros([height, width], { dtype: X.dtype });
  for (let i = 0; i < Y.shape[0]; i++) {
    for (let j = 0; j < Y.shape[1]; j++) {
      const part = padded.at(slice(i * sh, i * sh + window[0]), slice(j * sw, j * sw + window[1]));
      Y.set([i, j], mode === 'max' ? part.max() : part.mean());
    }
  }
  return Y;
}
