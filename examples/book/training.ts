/** What the sections that train have in common: a part of MNIST, the loop, the numbers that the book prints. */
import { data, type nn } from 'laminae';
import { startWithXavier } from '../common/models';
import { train, type EpochMetrics, type OptimizerName } from '../common/train';

/** How much is trained. A section has its own defaults. */
export interface TrainingSize {
  /** Training images, taken from the front of MNIST. */
  readonly images: number;
  /** Test images, likewise. */
  readonly testImages: number;
  readonly epochs: number;
}

export interface Run extends TrainingSize {
  readonly name: string;
  readonly optimizer: OptimizerName;
  readonly lr: number;
  readonly batchSize: number;
}

function firstImages(split: data.MnistSplit, count: number): data.ImageDataset {
  const { images, labels, height, width } = split;
  const n = Math.min(count, labels.length);
  return new data.ImageDataset({
    images: images.subarray(0, n * height * width),
    labels: labels.subarray(0, n),
    height,
    width,
  });
}

/** Trains `model` from Xavier weights and prints loss, accuracies and speed. */
export async function trainAndPrint(model: nn.Module, run: Run): Promise<EpochMetrics[]> {
  const mnist = data.loadMnist('mnist', { resolveFrom: __dirname });
  const trainSet = firstImages(mnist.train, run.images);
  const testSet = firstImages(mnist.test, run.testImages);
  console.log(
    `${run.name}: ${model.numParameters()} parameters, ${trainSet.length} images, ${run.epochs} epochs of batch ` +
      `${run.batchSize}, ${run.optimizer}, lr ${run.lr}`,
  );
  const history = await train(
    startWithXavier(model),
    trainSet,
    testSet,
    { ...run, schedule: 'constant' },
    {
      batch: () => undefined,
      epoch: (m) => {
        console.log(
          `epoch ${m.epoch}: loss ${m.loss.toFixed(3)}, train acc ${m.trainAccuracy.toFixed(3)}, ` +
            `test acc ${m.testAccuracy.toFixed(3)}, ${m.examplesPerSecond.toFixed(1)} examples/sec`,
        );
      },
      stopped: () => false,
    },
  );
  return history;
}
