/** Inference of whole networks in evaluation mode. */
import type { Layer, Shape } from '../layer';
import { lenet, mobilenetV2, resnet18, resnet50, squeezenet, vgg16 } from '../models';
import type { Case } from '../types';

function networkCase(name: string, layers: readonly Layer[], input: Shape): Case {
  return {
    name: `${name} b${input[0]}`,
    kind: 'network',
    layers,
    input,
    passes: ['forward'],
    training: false,
  };
}

const imagenet: readonly (readonly [name: string, layers: readonly Layer[]])[] = [
  ['ResNet-18 @224', resnet18(3, 1000, false)],
  ['ResNet-50 @224', resnet50()],
  ['VGG-16 @224', vgg16],
  ['MobileNetV2 @224', mobilenetV2()],
  ['SqueezeNet @224', squeezenet],
];

export const networkCases: readonly Case[] = [
  ...[1, 256].map((batch) => networkCase('LeNet', lenet, [batch, 1, 28, 28])),
  ...imagenet.flatMap(([name, layers]) =>
    [1, 8].map((batch) => networkCase(name, layers, [batch, 3, 224, 224])),
  ),
];
