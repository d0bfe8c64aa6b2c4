/** Single layers at the sizes of ResNet, VGG, MobileNet and LeNet: forward alone, and with all gradients. */
import {
  avgPool,
  batchNorm1d,
  batchNorm2d,
  conv,
  linear,
  maxPool,
  relu,
  type ConvSettings,
  type Layer,
  type Shape,
} from '../layer';
import type { Case, Pass } from '../types';

const bothPasses: readonly Pass[] = ['forward', 'forward+backward'];

function layerCase(name: string, layer: Layer, input: Shape, passes = bothPasses): Case {
  return { name, kind: 'network', layers: [layer], input, passes, training: true };
}

type ConvRow = readonly [
  inChannels: number,
  out: number,
  size: number,
  kernel: number,
  batches: readonly number[],
  settings?: ConvSettings,
  passes?: readonly Pass[],
];

// What is first in a network has no use for the gradient of its input: these rows are there both ways.
const firstLayer: readonly Pass[] = [...bothPasses, 'forward+backward (weights)'];

const convolutions: readonly ConvRow[] = [
  [64, 64, 56, 3, [1, 8], { padding: 1 }],
  [128, 128, 28, 3, [1, 8], { padding: 1 }],
  [256, 256, 14, 3, [1, 8], { padding: 1 }],
  [512, 512, 7, 3, [1, 8], { padding: 1 }],
  [64, 128, 56, 3, [8], { stride: 2, padding: 1 }],
  [64, 256, 56, 1, [8]],
  [1024, 256, 14, 1, [8]],
  [3, 64, 224, 7, [8], { stride: 2, padding: 3 }, firstLayer],
  [144, 144, 56, 3, [8], { padding: 1, groups: 144 }],
  [144, 144, 56, 3, [8], { stride: 2, padding: 1, groups: 144 }],
  [1, 6, 28, 5, [256], { padding: 2 }, firstLayer],
  [6, 16, 14, 5, [256]],
];

function convName(
  inChannels: number,
  out: number,
  size: number,
  kernel: number,
  settings: ConvSettings,
): string {
  const { stride = 1, groups = 1 } = settings;
  const step = kernel === 1 && stride === 1 ? '' : ` s${stride}`;
  const channels = groups === 1 ? `${inChannels}→${out}` : String(out);
  return `${groups === 1 ? 'conv' : 'depthwise'} ${kernel}x${kernel}${step} ${channels}@${size}`;
}

const others: readonly Case[] = [
  layerCase('max pool 3/2/1 64@112 b8', maxPool(3, 2, 1), [8, 64, 112, 112]),
  layerCase('avg pool 2/2 6@28 b256', avgPool(2), [256, 6, 28, 28]),
  layerCase('batch norm 64@56 b8', batchNorm2d(64), [8, 64, 56, 56]),
  layerCase('batch norm 6@28 b256', batchNorm2d(6), [256, 6, 28, 28]),
  layerCase('batch norm 120 b256', batchNorm1d(120), [256, 120]),
  layerCase('linear 512→1000 b8', linear(512, 1000), [8, 512]),
  layerCase('linear 4096→4096 b1', linear(4096, 4096), [1, 4096]),
  layerCase('linear 400→120 b256', linear(400, 120), [256, 400]),
  layerCase('relu 64@56 b8', relu, [8, 64, 56, 56]),
  {
    name: 'add 64@56 b8',
    kind: 'add',
    layers: [],
    input: [8, 64, 56, 56],
    passes: bothPasses,
    training: true,
  },
  {
    name: 'cross entropy 10 b256',
    kind: 'crossEntropy',
    layers: [],
    input: [256, 10],
    passes: bothPasses,
    training: true,
  },
];

export const layerCases: readonly Case[] = [
  ...convolutions.flatMap(([inChannels, out, size, kernel, batches, settings = {}, passes]) =>
    batches.map((batch) =>
      layerCase(
        `${convName(inChannels, out, size, kernel, settings)} b${batch}`,
        conv(inChannels, out, kernel, settings),
        [batch, inChannels, size, size],
        passes,
      ),
    ),
  ),
  ...others,
];
