/**
 * Batch normalisation written out, with the book's conventions, which are not those of `nn.BatchNorm2d`: `momentum` is
 * the share of the old statistics that is kept, the variance that is stored is the biased one, and prediction mode is
 * "gradients are off" instead of `eval()`.
 */
import { isGradEnabled, keep, nn, ones, zeros, type Tensor } from 'laminae';

/**
 * Normalises every feature of [n, c], or every channel of [n, c, h, w], then scales by gamma and shifts by beta.
 *
 * @returns the output, and the moving mean and variance as they are after this batch
 */
export function batchNorm(
  X: Tensor,
  gamma: Tensor,
  beta: Tensor,
  movingMean: Tensor,
  movingVar: Tensor,
  eps: number,
  momentum: number,
): [Tensor, Tensor, Tensor] {
  let XHat: Tensor;
  if (!isGradEnabled()) {
    XHat = X.sub(movingMean).div(movingVar.add(eps).sqrt());
  } else {
    const dims = X.ndim === 2 ? [0] : [0, 2, 3];
    const mean = X.mean(dims, { keepdim: true });
    const variance = X.sub(mean).pow(2).mean(dims, { keepdim: true });
    XHat = X.sub(mean).div(variance.add(eps).sqrt());
    movingMean = movingMean.mul(momentum).add(mean.mul(1 - momentum));
    movingVar = movingVar.mul(momentum).add(variance.mul(1 - momentum));
  }
  // `.data`: the statistics must not drag the graphs of all earlier steps along.
  return [gamma.mul(XHat).add(beta), movingMean.data, movingVar.data];
}

/** The layer: gamma and beta are learnt, the moving statistics are plain tensors and not part of the state. */
export class BatchNorm extends nn.Module {
  gamma: nn.Parameter;
  beta: nn.Parameter;
  movingMean: Tensor;
  movingVar: Tensor;

  /** @param numDims 2 for the output of a linear layer, 4 for that of a convolution */
  constructor(numFeatures: number, numDims: 2 | 4) {
    super();
    const shape = numDims === 2 ? [1, numFeatures] : [1, numFeatures, 1, 1];
    this.gamma = new nn.Parameter(ones(shape));
    this.beta = new nn.Parameter(zeros(shape));
    this.movingMean = zeros(shape);
    this.movingVar = ones(shape);
  }

  override forward(X: Tensor): Tensor {
    const [Y, mean, variance] = batchNorm(
      X,
      this.gamma,
      this.beta,
      this.movingMean,
      this.movingVar,
      1e-5,
      0.9,
    );
    // The training loop gives back the memory of every step: what must outlive the step says so.
    this.movingMean = keep(mean);
    this.movingVar = keep(variance);
    return Y;
  }
}
