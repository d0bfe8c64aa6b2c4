/** LeNet: the shape after every layer, then training on a part of MNIST. */
import { nn } from 'laminae';
import { leNet } from '../common/models';
import type { EpochMetrics } from '../common/train';
import { heading } from './show';
import { trainAndPrint, type TrainingSize } from './training';

export async function main(size: Partial<TrainingSize> = {}): Promise<EpochMetrics[]> {
  const net = leNet();
  heading('Output shapes for one image of 28 x 28');
  for (const layer of nn.summary(net, [1, 1, 28, 28]).layers) {
    console.log(`${layer.type.padEnd(10)} [${layer.outputShape.join(', ')}]`);
  }
  heading('Training');
  return trainAndPrint(net, {
    name: 'LeNet',
    // Plain SGD at the book's rate of 0.9 stays on the plateau where LeNet's sigmoids start for more steps than a part
    // of MNIST has; Adam leaves it within an epoch.
    optimizer: 'adam',
    lr: 0.005,
    batchSize: 64,
    images: 10000,
    testImages: 2000,
    epochs: 3,
    ...size,
  });
}

if (require.main === module) void main();
