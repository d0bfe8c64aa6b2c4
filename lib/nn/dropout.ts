/** Dropout layers: active in training, the identity in evaluation. The functions are in `functional/dropout.ts`. */
import {
  alphaDropout,
  dropout,
  dropout1d,
  dropout2d,
  dropout3d,
  featureAlphaDropout,
} from '../functional/dropout';
import { real } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { Module } from './module';

abstract class DropoutLayer extends Module {
  readonly p: number;

  constructor(p = 0.5) {
    super();
    this.p = real(this.constructor.name, 'p', p, 'must be in 0..1', (v) => v >= 0 && v <= 1);
  }

  protected override extraRepr(): string {
    return `p=${this.p}`;
  }
}

/** Zeroes elements with probability p and scales the rest by 1/(1-p) (Srivastava et al., "Dropout", 2014). */
export class Dropout extends DropoutLayer {
  override forward(input: Tensor): Tensor {
    return dropout(input, this.p, { training: this.training });
  }
}

/** Zeroes whole channels of [n, c, l]. */
export class Dropout1d extends DropoutLayer {
  override forward(input: Tensor): Tensor {
    return dropout1d(input, this.p, { training: this.training });
  }
}

/** Zeroes whole channels of [n, c, h, w]. */
export class Dropout2d extends DropoutLayer {
  override forward(input: Tensor): Tensor {
    return dropout2d(input, this.p, { training: this.training });
  }
}

/** Zeroes whole channels of [n, c, d, h, w]. */
export class Dropout3d extends DropoutLayer {
  override forward(input: Tensor): Tensor {
    return dropout3d(input, this.p, { training: this.training });
  }
}

/** Keeps mean and variance of SELU networks (Klambauer et al., 2017). */
export class AlphaDropout extends DropoutLayer {
  override forward(input: Tensor): Tensor {
    return alphaDropout(input, this.p, { training: this.training });
  }
}

/** {@link AlphaDropout} of whole channels of [n, c, ...]. */
export class FeatureAlphaDropout extends DropoutLayer {
  override forward(input: Tensor): Tensor {
    return featureAlphaDropout(input, this.p, { training: this.training });
  }
}
