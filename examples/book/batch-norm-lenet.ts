/** LeNet with batch normalisation on a part of MNIST: from scratch and with the library's layers. */
import type { nn } from 'laminae';
import { batchNormLeNet, normalizedLeNet } from '../common/models';
import type { EpochMetrics } from '../common/train';
import { BatchNorm } from './batch-norm-scratch';
import { heading, show } from './show';
import { trainAndPrint, type TrainingSize } from './training';

/** The network with the layer of this book section. */
export function scratchBatchNormLeNet() {
  return normalizedLeNet((features, dims) => new BatchNorm(features, dims));
}

/** History of both, from scratch first. */
export async function main(size: Partial<TrainingSize> = {}): Promise<[EpochMetrics[], EpochMetrics[]]> {
  const run = (model: nn.Module, name: string): Promise<EpochMetrics[]> =>
    trainAndPrint(model, {
      name,
      optimizer: 'sgd',
      lr: 1.0,
      batchSize: 256,
      images: 6000,
      testImages: 2000,
      epochs: 2,
      ...size,
    });
  heading('From scratch');
  const scratch = scratchBatchNormLeNet();
  const first = await run(scratch, 'BN-LeNet from scratch');
  show('gamma of the first batch norm', scratch.get(1).gamma.data.reshape(-1));
  show('beta of the first batch norm', scratch.get(1).beta.data.reshape(-1));
  heading('Concise');
  return [first, await run(batchNormLeNet(), 'BN-LeNet concise')];
}

if (require.main === module) void main();
