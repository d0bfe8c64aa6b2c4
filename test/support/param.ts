/** A parameter as a backward pass leaves it. */
import { tensor, type Tensor } from '../../lib';

export function param(values: number[] | number[][], grad?: number[] | number[][]): Tensor {
  const p = tensor(values, { requiresGrad: true });
  if (grad !== undefined) p.grad = tensor(grad);
  return p;
}
