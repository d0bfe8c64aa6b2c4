/** A hand-made kernel finds the edges of an image; then the same kernel is learnt from the result. */
import { arange, nn, ones, slice, tensor, type Tensor } from 'laminae';
import { Conv2D, corr2d } from './corr2d';
import { heading, show } from './show';

/** 6 x 8 pixels: white (1) with a black band (0) down the middle. */
export function bandImage(): Tensor {
  const X = ones([6, 8]);
  X.set([':', slice(2, 6)], 0);
  return X;
}

/** [[1, -1]]: 0 on even ground, 1 from white to black, -1 from black to white. */
export function edgeKernel(): Tensor {
  return tensor([[1, -1]]);
}

/** Gradient descent on the squared error between `layer(X)` and Y. Returns the loss before each step. */
export function learnKernel(layer: nn.Module, X: Tensor, Y: Tensor, steps: number, lr: number): number[] {
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const loss = layer.forward(X).sub(Y).pow(2).sum();
    layer.zeroGrad();
    loss.backward();
    for (const p of layer.parameters()) if (p.grad !== null) p.data.sub_(p.grad.mul(lr));
    losses.push(loss.item());
  }
  return losses;
}

function printLosses(losses: readonly number[], every: number): void {
  losses.forEach((loss, i) => {
    if ((i + 1) % every === 0) console.log(`step ${i + 1}, loss ${loss.toFixed(3)}`);
  });
}

export function main(): void {
  heading('Cross-correlation');
  show(
    'corr2d of 0..8 as 3 x 3 with [[0, 1], [2, 3]]',
    corr2d(
      arange(9).reshape(3, 3),
      tensor([
        [0, 1],
        [2, 3],
      ]),
    ),
  );

  heading('Edges of an image');
  const X = bandImage();
  const K = edgeKernel();
  const Y = corr2d(X, K);
  show('image', X);
  show('with [[1, -1]]: 1 from white to black, -1 from black to white', Y);
  show('the same kernel on the image turned over its diagonal', corr2d(X.T, K));

  heading('The kernel learnt by nn.Conv2d');
  const conv2d = new nn.Conv2d(1, 1, [1, 2], { bias: false });
  printLosses(learnKernel(conv2d, X.reshape(1, 1, 6, 8), Y.reshape(1, 1, 6, 7), 10, 3e-2), 2);
  show('learnt kernel', conv2d.weight.data.reshape(1, 2));

  heading('The kernel learnt by Conv2D from scratch, through the assignments in corr2d');
  const scratch = new Conv2D([1, 2]);
  printLosses(learnKernel(scratch, X, Y, 20, 1e-2), 5);
  show('learnt kernel', scratch.weight.data);
  show('learnt bias', scratch.bias.data);
}

if (require.main === module) main();
