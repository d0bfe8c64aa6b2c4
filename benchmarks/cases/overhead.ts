/** Calls so small that only the way to the kernel and back counts. */
import { conv } from '../layer';
import type { Case } from '../types';

export const overheadCases: readonly Case[] = [
  {
    name: 'add 4 elements',
    kind: 'add',
    layers: [],
    input: [4],
    passes: ['forward', 'record'],
    training: true,
  },
  {
    name: 'conv2d 3x3 1x1x8x8',
    kind: 'network',
    layers: [conv(1, 1, 3, { bias: false })],
    input: [1, 1, 8, 8],
    passes: ['forward', 'record'],
    training: true,
  },
];
