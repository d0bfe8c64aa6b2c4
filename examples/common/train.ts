/** The training loop: one epoch after the other, with what it measured. */
import { data, noGrad, optim, nn, scope, type Tensor } from 'laminae';

export interface EpochMetrics {
  readonly epoch: number;
  /** Mean cross entropy over the epoch, while the weights were moving. */
  readonly loss: number;
  /** Share of training images classified correctly, while the weights were moving. */
  readonly trainAccuracy: number;
  /** Share of test images classified correctly after the epoch, in evaluation mode. */
  readonly testAccuracy: number;
  /** Training speed, without evaluation. */
  readonly examplesPerSecond: number;
}

export type Schedule = 'cosine' | 'constant';

const optimizers = { sgd: optim.SGD, adam: optim.Adam } as const;
export type OptimizerName = keyof typeof optimizers;

export interface TrainOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly lr: number;
  readonly schedule: Schedule;
  /** Default: sgd. */
  readonly optimizer?: OptimizerName;
}

/** Where the loop reports to, and how it is stopped. */
export interface TrainListener {
  /** After every batch. */
  batch(epoch: number, examples: number, loss: number): void;
  epoch(metrics: EpochMetrics): void;
  /** True ends the run after the current batch. */
  stopped(): boolean;
}

function countCorrect(logits: Tensor, labels: Tensor): number {
  return logits.argmax(1).eq(labels).sum().item();
}

/** The predicted class of every sample, in order. */
export function predictAll(model: nn.Module, dataset: data.Dataset, batchSize = 1000): Int32Array {
  const predicted = new Int32Array(dataset.length);
  model.eval();
  noGrad(() => {
    new data.DataLoader(dataset, { batchSize }).each(([x], i) => {
      predicted.set(model.forward(x).argmax(1).toTypedArray(), i * batchSize);
    });
  });
  model.train();
  return predicted;
}

function testAccuracy(model: nn.Module, test: data.ImageDataset): number {
  const predicted = predictAll(model, test);
  let correct = 0;
  for (let i = 0; i < test.length; i++) if (predicted[i] === test.label(i)) correct++;
  return correct / test.length;
}

/**
 * Trains `model` on the cross entropy. Yields to the event loop between batches, so signals and timers work.
 * The learning rate falls from `lr` to 0 along a half cosine over all steps, or stays constant.
 *
 * @returns the metrics of the epochs that were completed
 */
export async function train(
  model: nn.Module,
  trainSet: data.ImageDataset,
  testSet: data.ImageDataset,
  options: TrainOptions,
  listener: TrainListener,
): Promise<EpochMetrics[]> {
  const loader = new data.DataLoader(trainSet, { batchSize: options.batchSize, shuffle: true });
  const optimizer = new optimizers[options.optimizer ?? 'sgd'](model.parameters(), { lr: options.lr });
  const scheduler =
    options.schedule === 'cosine'
      ? new optim.CosineAnnealingLR(optimizer, options.epochs * loader.length)
      : null;
  const criterion = new nn.CrossEntropyLoss();
  const history: EpochMetrics[] = [];
  model.train();
  for (let epoch = 1; epoch <= options.epochs; epoch++) {
    let lossSum = 0;
    let correct = 0;
    let seen = 0;
    let seconds = 0;
    for (const indices of loader.indices()) {
      const start = performance.now();
      scope(() => {
        const [x, y] = trainSet.batch(indices);
        optimizer.zeroGrad();
        const logits = model.forward(x);
        const loss = criterion.forward(logits, y);
        loss.backward();
        optimizer.step();
        scheduler?.step();
        lossSum += loss.item() * indices.length;
        correct += countCorrect(logits.detach(), y);
        seen += indices.length;
      });
      seconds += (performance.now() - start) / 1000;
      listener.batch(epoch, seen, lossSum / seen);
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (listener.stopped()) return history;
    }
    const metrics: EpochMetrics = {
      epoch,
      loss: lossSum / seen,
      trainAccuracy: correct / seen,
      testAccuracy: testAccuracy(model, testSet),
      examplesPerSecond: seen / seconds,
    };
    history.push(metrics);
    listener.epoch(metrics);
  }
  return history;
}
