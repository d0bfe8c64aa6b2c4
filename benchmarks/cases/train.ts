/** Whole training steps: zero gradients, forward, cross entropy, backward, SGD with momentum. */
import type { Layer, Shape } from '../layer';
import { bnLenet, lenet, nin, resnet18, vgg11Quarter } from '../models';
import type { Case } from '../types';

/**
 * The optimiser of all steps. The rate is small, so that hundreds of steps on one batch neither diverge nor drive the
 * gradients to denormals.
 */
export const trainingOptimizer = { lr: 1e-3, momentum: 0.9 } as const;

function trainCase(name: string, layers: readonly Layer[], input: Shape): Case {
  return { name: `${name} b${input[0]}`, kind: 'network', layers, input, passes: ['step'], training: true };
}

export const trainCases: readonly Case[] = [
  trainCase('LeNet', lenet, [256, 1, 28, 28]),
  trainCase('BN-LeNet', bnLenet(), [256, 1, 28, 28]),
  trainCase('BN-LeNet', bnLenet(), [16, 1, 28, 28]),
  trainCase('BN-LeNet', bnLenet(true), [1, 1, 28, 28]),
  trainCase('ResNet-18 @96', resnet18(1, 10, true), [32, 1, 96, 96]),
  trainCase('VGG-11/4 @64', vgg11Quarter, [32, 1, 64, 64]),
  trainCase('NiN @96', nin, [16, 1, 96, 96]),
];
