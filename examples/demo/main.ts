/**
 * The main job: trains a LeNet on handwritten digits and shows what it learnt.
 *
 *     npm run demo -- --epochs 5 --seed 1
 *     npm run demo -- predict demo-output/weights.safetensors --image 7
 */
import fs from 'node:fs';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import {
  cpuInfo,
  data,
  getNumThreads,
  isLaminaeError,
  manualSeed,
  saveSafetensors,
  setNumThreads,
} from 'laminae';
import { integerArgument } from '../common/arguments';
import { makeModel, models, type ModelName } from '../common/models';
import { predictAll, train, type EpochMetrics, type Schedule } from '../common/train';
import { curvesSvg } from './curves';
import { predictText } from './predict';
import { makeProgress } from './progress';
import { reportHtml } from './report';

interface DataOptions {
  readonly data: data.MnistName;
  readonly dataDir?: string;
  readonly download?: boolean;
}

interface TrainCommandOptions extends DataOptions {
  readonly model: ModelName;
  readonly epochs: number;
  readonly batchSize: number;
  readonly lr?: number;
  readonly schedule: Schedule;
  readonly seed: number;
  readonly threads?: number;
  readonly output: string;
}

/** The book's learning rates. */
const defaultLr: Readonly<Record<ModelName, number>> = { 'bn-lenet': 1.0, lenet: 0.9 };

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

async function loadData(options: DataOptions): Promise<data.MnistData> {
  const dir = options.dataDir;
  if (options.download === true) {
    if (options.data !== 'fashion-mnist' || dir === undefined) {
      throw new InvalidArgumentError(
        '--download fetches fashion-mnist and needs --data-dir, the folder to put it in.',
      );
    }
    await data.downloadFashionMnist(dir);
  }
  return data.loadMnist(options.data, { dir, resolveFrom: __dirname });
}

async function trainCommand(options: TrainCommandOptions): Promise<void> {
  if (options.threads !== undefined) setNumThreads(options.threads);
  const set = await loadData(options);
  const trainSet = new data.ImageDataset(set.train);
  const testSet = new data.ImageDataset(set.test);
  manualSeed(options.seed);
  const model = makeModel(options.model);
  const lr = options.lr ?? defaultLr[options.model];
  console.log(
    `${options.model} (${model.numParameters()} parameters) on ${options.data}, ${trainSet.length} images, ` +
      `${options.epochs} epochs of batch ${options.batchSize}, lr ${lr} ${options.schedule}, seed ${options.seed}, ` +
      `${getNumThreads()} threads, ${cpuInfo().isa}`,
  );

  let stopped = false;
  let stoppedAt = 0;
  const onInterrupt = (): void => {
    // One Ctrl-C may arrive twice: from the terminal, and passed on by the process that started this one.
    if (stopped && Date.now() - stoppedAt > 500) process.exit(130);
    if (stopped) return;
    stopped = true;
    stoppedAt = Date.now();
    console.log('\nstopping after this batch; once more ends at once');
  };
  process.on('SIGINT', onInterrupt);

  const progress = makeProgress(trainSet.length, options.epochs);
  let current = 0;
  const history = await train(
    model,
    trainSet,
    testSet,
    { ...options, lr },
    {
      batch(epoch, examples, loss) {
        if (epoch !== current) progress.startEpoch((current = epoch));
        progress.batch(examples, loss);
      },
      epoch: (metrics) => progress.finishEpoch(metrics),
      stopped: () => stopped,
    },
  );
  progress.close();
  writeResults(options, lr, history, set.classNames, model, testSet);
  process.off('SIGINT', onInterrupt);
  if (stopped) process.exitCode = 130;
}

function writeResults(
  options: TrainCommandOptions,
  lr: number,
  history: readonly EpochMetrics[],
  classNames: readonly string[],
  model: ReturnType<typeof makeModel>,
  test: data.ImageDataset,
): void {
  const dir = path.resolve(options.output);
  fs.mkdirSync(dir, { recursive: true });
  const file = (name: string): string => path.join(dir, name);
  saveSafetensors(file('weights.safetensors'), model.stateDict(), {
    model: options.model,
    data: options.data,
  });
  fs.writeFileSync(file('metrics.json'), `${JSON.stringify(history, null, 2)}\n`);
  const written = ['weights.safetensors', 'metrics.json'];
  if (history.length > 0) {
    const title = `${options.model} on ${options.data}`;
    const curves = curvesSvg(history, title);
    fs.writeFileSync(file('curves.svg'), curves);
    const facts = {
      network: `${options.model}, ${model.numParameters().toLocaleString('en')} parameters`,
      training: `batch ${options.batchSize}, SGD, learning rate ${lr} (${options.schedule}), seed ${options.seed}`,
      result: `${(history[history.length - 1].testAccuracy * 100).toFixed(2)} % of the test images are classified correctly`,
    };
    const predicted = predictAll(model, test);
    const page = reportHtml({ title, facts, history, curves, classNames, test, predicted, model });
    fs.writeFileSync(file('report.html'), page);
    written.push('curves.svg', 'report.html');
  }
  console.log(`wrote ${written.join(', ')} to ${dir}`);
}

function dataOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--data <name>', 'images to use').choices(['mnist', 'fashion-mnist']).default('mnist'),
    )
    .option(
      '--data-dir <folder>',
      'folder of the four IDX files, .gz or not (default: where their package puts them)',
    )
    .option('--download', 'fetch fashion-mnist into --data-dir first');
}

const program = dataOptions(
  new Command('demo').description('Trains a LeNet on handwritten digits and shows what it learnt.'),
)
  .addOption(new Option('--model <name>', 'network').choices(Object.keys(models)).default('bn-lenet'))
  .option('--epochs <n>', 'passes over the training images', integerArgument(1, 10000), 5)
  .option('--batch-size <n>', 'images per step', integerArgument(2, 60000), 256)
  .option('--lr <rate>', 'learning rate (default: 1.0 for bn-lenet, 0.9 for lenet)', positiveNumber)
  .addOption(
    new Option('--schedule <name>', 'course of the learning rate')
      .choices(['cosine', 'constant'])
      .default('cosine'),
  )
  .option('--seed <n>', 'start of the random numbers', integerArgument(0, Number.MAX_SAFE_INTEGER), 0)
  .option(
    '--threads <n>',
    'threads to use (default: what the machine or container allows)',
    integerArgument(1, 256),
  )
  .option('--output <folder>', 'where the results go', 'demo-output')
  .showHelpAfterError('(--help lists the options)')
  .enablePositionalOptions() // what comes after `predict` is its own, also under a name that training has
  .action(trainCommand);

dataOptions(
  program.command('predict <file>').description('Shows a test image and what saved weights say of it.'),
)
  .requiredOption('--image <n>', 'number of the test image', integerArgument(0, 9999))
  .action(async (file: string, options: DataOptions & { readonly image: number }) => {
    const set = await loadData(options);
    console.log(predictText(file, new data.ImageDataset(set.test), set.classNames, options.image));
  });

program.parseAsync().catch((error: unknown) => {
  if (!isLaminaeError(error) && !(error instanceof RangeError) && !(error instanceof InvalidArgumentError))
    throw error;
  console.error(`demo: ${error.message}`);
  process.exitCode = 1;
});
