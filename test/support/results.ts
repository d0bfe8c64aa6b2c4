/** What a module computes, to be compared bit by bit. */
import type { Tensor, nn } from '../../lib';

/** Output and gradients, as numbers. */
export function results(forward: (x: Tensor) => Tensor, module: nn.Module, x: Tensor): number[][] {
  module.zeroGrad();
  x.grad = null;
  const y = forward(x);
  y.mul(y).sum().backward();
  const all = [y, x.grad, ...[...module.parameters()].map((p) => p.grad)];
  return all.map((t) => [...(t?.toTypedArray() ?? [])]);
}
