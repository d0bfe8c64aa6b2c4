import { describe, expect, test } from '@jest/globals';
import { casesOf } from '../../benchmarks/cases';
import { costOf } from '../../benchmarks/cost';
import { conv, maxPool, sizeOf, trace, type Layer, type Shape } from '../../benchmarks/layer';
import * as models from '../../benchmarks/models';
import { suites, type Case, type Suite } from '../../benchmarks/types';

function parameters(layers: readonly Layer[], input: Shape): number {
  return trace(layers, input)
    .state.filter((entry) => !entry.path.includes('running_'))
    .reduce((n, entry) => n + sizeOf(entry.shape), 0);
}

function caseNamed(suite: Suite, name: string): Case {
  const found = casesOf[suite].find((c) => c.name === name);
  if (found === undefined) throw new Error(`no case ${name}`);
  return found;
}

describe('networks as data', () => {
  // Counts published with the networks (the book; torchvision for those with 1000 classes).
  test.each<[string, readonly Layer[], Shape, Shape, number]>([
    ['LeNet', models.lenet, [2, 1, 28, 28], [2, 10], 61_706],
    ['BN-LeNet', models.bnLenet(), [2, 1, 28, 28], [2, 10], 44_426 + 2 * (6 + 16 + 120 + 84)],
    ['ResNet-18 of the book', models.resnet18(1, 10, true), [2, 1, 96, 96], [2, 10], 11_178_378],
    ['NiN', models.nin, [2, 1, 96, 96], [2, 10], 1_992_166],
    ['VGG-11/4', models.vgg11Quarter, [2, 1, 64, 64], [2, 10], 43_093_322 - (6272 - 512) * 4096],
    ['ResNet-18', models.resnet18(3, 1000, false), [1, 3, 224, 224], [1, 1000], 11_689_512],
    ['ResNet-50', models.resnet50(), [1, 3, 224, 224], [1, 1000], 25_557_032],
    ['VGG-16', models.vgg16, [1, 3, 224, 224], [1, 1000], 138_357_544],
    ['MobileNetV2', models.mobilenetV2(), [1, 3, 224, 224], [1, 1000], 3_504_872],
    ['SqueezeNet 1.1', models.squeezenet, [1, 3, 224, 224], [1, 1000], 1_235_496],
  ])('%s', (_, layers, input, output, count) => {
    expect(trace(layers, input).output).toEqual(output);
    expect(parameters(layers, input)).toBe(count);
  });

  test('paths are those of nested Sequentials', () => {
    const { state } = trace(models.resnet18(1, 10, true), [1, 1, 96, 96]);
    const paths = state.map((entry) => entry.path);
    expect(paths).toContain('0.weight');
    expect(paths).toContain('4.body.1.running_mean');
    expect(paths).toContain('8.shortcut.0.bias');
    expect(new Set(paths).size).toBe(paths.length);
  });

  test('a pool with ceil keeps its last window inside', () => {
    expect(trace([maxPool(3, 2, 0, true)], [1, 1, 6, 5]).output).toEqual([1, 1, 3, 2]);
    expect(trace([maxPool(2, 2, 1, true)], [1, 1, 3, 3]).output).toEqual([1, 1, 2, 2]);
  });
});

describe('cases', () => {
  test.each(suites)('%s: names are unique and shapes fit', (suite) => {
    const names = casesOf[suite].map((c) => c.name);
    expect(new Set(names).size).toBe(names.length);
    for (const c of casesOf[suite]) {
      expect(trace(c.layers, c.input).output.every((d) => Number.isInteger(d) && d > 0)).toBe(true);
    }
  });

  test('cost of a convolution: operations of the direct algorithm', () => {
    const c = caseNamed('layers', 'conv 3x3 s1 64→64@56 b1');
    const forward = 2 * 64 * 64 * 9 * 56 * 56;
    expect(costOf(c, 'forward')).toMatchObject({ flops: forward, unit: 'GFLOP/s' });
    expect(costOf(c, 'forward+backward').flops).toBe(3 * forward);
    expect(costOf(c, 'forward+backward (weights)').flops).toBe(2 * forward);
  });

  test('cost of what only moves memory', () => {
    const n = 8 * 64 * 56 * 56;
    expect(costOf(caseNamed('layers', 'relu 64@56 b8'), 'forward')).toEqual({
      flops: 0,
      bytes: 8 * n,
      workingSet: 8 * n,
      unit: 'GB/s',
    });
    expect(costOf(caseNamed('layers', 'add 64@56 b8'), 'forward')).toMatchObject({
      bytes: 12 * n,
      unit: 'GB/s',
    });
    // One example: the weights are read for two operations each.
    expect(costOf(caseNamed('layers', 'linear 4096→4096 b1'), 'forward').unit).toBe('GB/s');
    expect(costOf(caseNamed('layers', 'linear 400→120 b256'), 'forward').unit).toBe('GFLOP/s');
  });

  test('the first layer of a training step needs no gradient of its input', () => {
    const two: Case = {
      name: 'two',
      kind: 'network',
      layers: [conv(1, 4, 3), conv(4, 4, 3)],
      input: [1, 1, 9, 9],
      passes: ['step'],
      training: true,
    };
    const first = 2 * 4 * 9 * 49;
    const second = 2 * 4 * 4 * 9 * 25;
    expect(costOf(two, 'step').flops).toBe(2 * first + 3 * second);
  });
});
