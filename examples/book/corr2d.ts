/** Cross-correlation written out: one channel, several channels in, several channels out, 1x1 kernels. */
import { matmul, nn, randn, slice, stack, zeros, type Tensor } from 'laminae';

/** Pairs of what two iterables give, as long as both do. */
export function zip<A, B>(a: Iterable<A>, b: Iterable<B>): [A, B][] {
  const others = [...b];
  return [...a].slice(0, others.length).map((first, i) => [first, others[i]]);
}

/**
 * Slides K over X and sums the products under it: Y[i, j] = sum over a, b of X[i + a, j + b] K[a, b].
 * Differentiable, because writing into part of a tensor is.
 *
 * **Shape**: X [h, w], K [kh, kw] -> [h - kh + 1, w - kw + 1]
 */
export function corr2d(X: Tensor, K: Tensor): Tensor {
  const [kh, kw] = K.shape;
  const Y = zeros([X.shape[0] - kh + 1, X.shape[1] - kw + 1], { dtype: X.dtype });
  for (let i = 0; i < Y.shape[0]; i++) {
    for (let j = 0; j < Y.shape[1]; j++) {
      Y.set(
        [i, j],
        X.at(slice(i, i + kh), slice(j, j + kw))
          .mul(K)
          .sum(),
      );
    }
  }
  return Y;
}

/** Sum of the cross-correlations channel by channel. **Shape**: X [ci, h, w], K [ci, kh, kw] -> [h', w'] */
export function corr2dMultiIn(X: Tensor, K: Tensor): Tensor {
  return zip(X, K)
    .map(([x, k]) => corr2d(x, k))
    .reduce((sum, y) => sum.add(y));
}

/** One output channel per kernel. **Shape**: X [ci, h, w], K [co, ci, kh, kw] -> [co, h', w'] */
export function corr2dMultiInOut(X: Tensor, K: Tensor): Tensor {
  return stack(
    [...K].map((k) => corr2dMultiIn(X, k)),
    0,
  );
}

/** A 1x1 kernel mixes the channels of each pixel: a matrix product. **Shape**: X [ci, h, w], K [co, ci, 1, 1] -> [co, h, w] */
export function corr1x1(X: Tensor, K: Tensor): Tensor {
  const [ci, h, w] = X.shape;
  const co = K.shape[0];
  return matmul(K.reshape(co, ci), X.reshape(ci, h * w)).reshape(co, h, w);
}

/** A layer of one kernel over one channel: `corr2d` with a learnt kernel and bias. **Shape**: [h, w] -> [h', w'] */
export class Conv2D extends nn.Module {
  /** [kh, kw] */
  weight: nn.Parameter;
  /** [1] */
  bias: nn.Parameter;

  constructor(kernelSize: readonly [number, number]) {
    super();
    this.weight = new nn.Parameter(randn(kernelSize));
    this.bias = new nn.Parameter(zeros([1]));
  }

  override forward(X: Tensor): Tensor {
    return corr2d(X, this.weight).add(this.bias);
  }
}
