/** Layers that do what follows them together with their own work; see `forwardThen`. */
import { noEnding, type Ending } from '../functional/ending';
import { checkOptions } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { Module, forwardOf } from './module';

export abstract class LayerWithEnding extends Module {
  /** What `forward` does, and `ending`. */
  protected abstract compute(input: Tensor, ending: Ending): Tensor;

  override forward(input: Tensor): Tensor {
    return this.compute(input, noEnding);
  }

  override forwardThen(input: Tensor, ending: Ending): Tensor {
    if (!takesEnding(this)) return super.forwardThen(input, ending);
    checkOptions('forwardThen', ending);
    return this.compute(input, ending);
  }
}

/** True for such a layer without hooks or a `forward` of its own. */
export function takesEnding(layer: Module): layer is LayerWithEnding {
  return layer instanceof LayerWithEnding && forwardOf(layer) === forwardOf(LayerWithEnding.prototype);
}
