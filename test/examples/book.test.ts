// npm run book: the command line, and every section with little data.
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import * as batchNormLeNet from '../../examples/book/batch-norm-lenet';
import { book } from '../../examples/book/main';
import { sections } from '../../examples/book/sections';
import { batchNormLeNet as conciseLeNet, startWithXavier } from '../../examples/common/models';
import { data, manualSeed, nn, optim, tensor } from '../../lib';

let out: string[];
let err: string[];

beforeEach(() => {
  out = [];
  err = [];
  jest.spyOn(console, 'log').mockImplementation((...values: unknown[]) => void out.push(values.join(' ')));
  jest.spyOn(console, 'error').mockImplementation((...values: unknown[]) => void err.push(values.join(' ')));
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0);
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => err.push(String(text)) > 0);
});
afterEach(() => {
  jest.restoreAllMocks();
});

const names = [
  'edge-detection',
  'padding-and-stride',
  'multiple-input-channels',
  'multiple-output-channels',
  'one-by-one-convolution',
  'pooling',
  'lenet',
  'batch-norm',
  'batch-norm-lenet',
];

describe('command line', () => {
  test('--list and --help name every section', async () => {
    expect(sections.map((s) => s.name)).toEqual(names);
    expect(await book(['--list'])).toBe(0);
    expect(
      out
        .join('\n')
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ).toEqual(names);
    out = [];
    expect(await book(['--help'])).toBe(0);
    for (const name of names) expect(out.join('')).toContain(name);
  });

  test.each([
    [['pooling2'], 'unknown section "pooling2"'],
    [[], 'no section given'],
  ])('%j is refused in one line that lists the sections', async (args, problem) => {
    expect(await book(args)).toBe(2);
    expect(err.join('')).toBe(`book: ${problem}; the sections are ${[...names, 'all'].join(', ')}\n`);
    expect(out).toEqual([]);
  });

  test.each([[['pooling', '--seed', '-1']], [['--nothing']], [['pooling', 'lenet']]])(
    '%j exits with 2',
    async (args) => {
      expect(await book(args)).toBe(2);
      expect(err.join('')).not.toBe('');
    },
  );
});

describe('sections', () => {
  test.each([
    [
      'edge-detection',
      ['[19., 25.]', '[ 0.,  1.,  0.,  0.,  0., -1.,  0.]', 'step 10, loss', 'step 20, loss'],
    ],
    ['padding-and-stride', ['8 x 8 -> 4 x 4', '8 x 8 -> 2 x 2', '[0., 8.]']],
    ['multiple-input-channels', ['[ 56.,  72.]', '[104., 120.]']],
    ['multiple-output-channels', ['[3, 2, 2, 2]', '[148., 172.]', '[192., 224.]']],
    ['one-by-one-convolution', ['below 1e-6: true']],
    ['pooling', ['[4., 5.]', '[2., 3.]', '[[[[10.]]]]', '[14., 16.]']],
    ['batch-norm', ['-1.0190', '[1.1667, 1.7667]', '[1.3000, 2.2000]', '[2.6250, 2.6250]']],
  ])('%s', async (name, printed) => {
    expect(await book([name])).toBe(0);
    const text = out.join('\n');
    for (const part of printed) expect(text).toContain(part);
    expect(err).toEqual([]);
  });

  const metrics = /^epoch 1: loss \d\.\d{3}, train acc 0\.\d{3}, test acc 0\.\d{3}, \d+\.\d examples\/sec$/;

  test('lenet', async () => {
    expect(await book(['lenet', '--images', '256', '--epochs', '1'])).toBe(0);
    expect(out.some((line) => line.includes('[1, 16, 5, 5]'))).toBe(true);
    expect(out.filter((line) => metrics.test(line))).toHaveLength(1);
  });

  test('batch-norm-lenet: both networks learn, and alike', async () => {
    manualSeed(0);
    const [scratch, concise] = await batchNormLeNet.main({ images: 1280, testImages: 100, epochs: 3 });
    for (const history of [scratch, concise]) {
      expect(history).toHaveLength(3);
      expect(history[2].loss).toBeLessThan(history[0].loss);
      expect(history[2].trainAccuracy).toBeGreaterThan(0.5);
    }
    expect(out.filter((line) => metrics.test(line))).toHaveLength(2);
    expect(out.join('\n')).toMatch(/gamma of the first batch norm:\ntensor\(\[/);
  });
});

test('the heart of the training loop, written with for await', async () => {
  manualSeed(1);
  const { train } = data.loadMnist('mnist', { resolveFrom: __dirname });
  const loader = new data.DataLoader(new data.Subset(new data.ImageDataset(train), 512), { batchSize: 128 });
  const net = startWithXavier(conciseLeNet());
  const optimizer = new optim.SGD(net.parameters(), { lr: 1 });
  const loss = new nn.CrossEntropyLoss();
  const totals: number[] = [];
  for (let epoch = 0; epoch < 3; epoch++) {
    let total = 0;
    for await (const [X, y] of loader) {
      optimizer.zeroGrad();
      const yHat = net.forward(X);
      const l = loss.forward(yHat, y);
      l.backward();
      optimizer.step();
      total += l.item() * X.shape[0];
    }
    totals.push(total / 512);
  }
  expect(totals[2]).toBeLessThan(totals[0]);
  // Trap 13: only that the scale moved from 1 is certain.
  const gamma = net.get(1).weight;
  expect(gamma?.isfinite().all().item()).toBe(1);
  expect(gamma?.eq(tensor(1)).all().item()).toBe(0);
});
