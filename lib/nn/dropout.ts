import { dropout } from '../functional/dropout';
import { real } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { Module } from './module';

/**
 * Zeroes elements with probability p in training and scales the rest by 1/(1-p); the identity in evaluation
 * (Srivastava et al., "Dropout", 2014).
 */
export class Dropout extends Module {
  readonly p: number;

  constructor(p = 0.5) {
    super();
    this.p = real('Dropout', 'p', p, 'must be in 0..1', (v) => v >= 0 && v <= 1);
  }

  override forward(input: Tensor): Tensor {
    return dropout(input, this.p, { training: this.training });
  }

  protected override extraRepr(): string {
    return `p=${this.p}`;
  }
}
