/** Batch normalisation from scratch beside the library's layers, in training and in prediction mode. */
import { arange, nn, noGrad, tensor, type Tensor } from 'laminae';
import { BatchNorm } from './batch-norm-scratch';
import { heading, show } from './show';

function compare(X: Tensor, scratch: BatchNorm, concise: nn.BatchNorm): void {
  show('X', X);
  const Y = scratch.forward(X);
  show('from scratch, training: every channel with mean 0 and variance 1', Y.data);
  const difference = Y.sub(concise.forward(X)).abs().amax().item();
  console.log(`largest difference from the layer of the library: ${difference.toExponential(1)}`);
  show('moving mean', scratch.movingMean.reshape(-1));
  show('moving variance: from scratch with 1/n', scratch.movingVar.reshape(-1));
  if (concise.runningVar !== null) show('in the library with 1/(n - 1), as in PyTorch', concise.runningVar);
  concise.eval();
  show(
    'from scratch, prediction: gradients are off',
    noGrad(() => scratch.forward(X)),
  );
  show('in the library, prediction: after eval()', concise.forward(X).data);
}

export function main(): void {
  heading('2-D input: statistics per feature');
  compare(
    tensor([
      [1, 2],
      [3, 4],
      [5, 9],
    ]),
    new BatchNorm(2, 2),
    new nn.BatchNorm1d(2),
  );
  heading('4-D input: statistics per channel, over images, rows and columns');
  compare(arange(16).reshape(2, 2, 2, 2), new BatchNorm(2, 4), new nn.BatchNorm2d(2));
}

if (require.main === module) main();
