// Shapes and parameter counts of the book's networks, made of the blocks in examples/book.
import { describe, expect, test } from '@jest/globals';
import {
  convBlock,
  DenseBlock,
  Inception,
  Residual,
  resnetBlock,
  transitionBlock,
} from '../../examples/book/blocks';
import { scratchBatchNormLeNet } from '../../examples/book/batch-norm-lenet';
import { batchNormLeNet, leNet } from '../../examples/common/models';
import { gradcheck, nn, noGrad, randn, zeros } from '../../lib';

/** Shapes after the children of `net`, without the batch. */
function trace(net: nn.Sequential, inputShape: readonly number[]): (readonly number[])[] {
  let x = zeros([1, ...inputShape]);
  net.eval();
  return noGrad(() => [...net].map((layer) => (x = layer.forward(x)).shape.slice(1)));
}

const stem = (channels: number): nn.Module[] => [
  new nn.Conv2d(1, channels, 7, { stride: 2, padding: 3 }),
  new nn.BatchNorm2d(channels),
  new nn.ReLU(),
  new nn.MaxPool2d(3, { stride: 2, padding: 1 }),
];
const head = (channels: number): nn.Module[] => [
  new nn.AdaptiveAvgPool2d([1, 1]),
  new nn.Flatten(),
  new nn.Linear(channels, 10),
];
const stage = (...layers: nn.Module[]): nn.Sequential => new nn.Sequential(...layers);

describe('LeNet', () => {
  test('shapes and parameters', () => {
    const { layers, parameters } = nn.summary(leNet(), [1, 1, 28, 28]);
    const shapes = layers.filter((l) => l.type !== 'Sigmoid').map((l) => l.outputShape.slice(1));
    expect(shapes).toEqual([[6, 28, 28], [6, 14, 14], [16, 10, 10], [16, 5, 5], [400], [120], [84], [10]]);
    expect(parameters).toBe(61_706);
  });

  test('with batch normalisation, concise and from scratch', () => {
    expect(batchNormLeNet().numParameters()).toBe(44_878);
    const scratch = scratchBatchNormLeNet();
    expect(scratch.numParameters()).toBe(44_878);
    expect(scratch.get(1).gamma.shape).toEqual([1, 6, 1, 1]);
    expect(scratch.get(13).beta.shape).toEqual([1, 84]);
  });
});

describe('residual blocks', () => {
  test('keep the shape, or change channels and halve the size', () => {
    const x = randn([4, 3, 6, 6]);
    expect(new Residual(3, 3).forward(x).shape).toEqual([4, 3, 6, 6]);
    expect(new Residual(3, 6, { use1x1conv: true, stride: 2 }).forward(x).shape).toEqual([4, 6, 3, 3]);
    expect(() => new Residual(3, 6).forward(x)).toThrow('add');
  });

  test('register their optional layer only where there is one', () => {
    const names = (block: Residual): string[] => [...block.namedChildren()].map(([name]) => name);
    expect(names(new Residual(3, 3))).toEqual(['conv1', 'conv2', 'bn1', 'bn2']);
    expect(names(new Residual(3, 6, { use1x1conv: true }))).toContain('conv3');
  });

  test('are differentiable', () => {
    const block = new Residual(2, 3, { use1x1conv: true, stride: 2 }).to('float64');
    const x = randn([2, 2, 4, 4], { dtype: 'float64', requiresGrad: true });
    expect(gradcheck((t) => block.forward(t), [x])).toBe(true);
  });

  test('ResNet-18: 11,178,378 parameters and the sizes at 224', () => {
    const net = stage(
      stage(...stem(64)),
      stage(...resnetBlock(64, 64, 2, true)),
      stage(...resnetBlock(64, 128, 2)),
      stage(...resnetBlock(128, 256, 2)),
      stage(...resnetBlock(256, 512, 2)),
      ...head(512),
    );
    expect(net.numParameters()).toBe(11_178_378);
    expect(trace(net, [1, 224, 224])).toEqual([
      [64, 56, 56],
      [64, 56, 56],
      [128, 28, 28],
      [256, 14, 14],
      [512, 7, 7],
      [512, 1, 1],
      [512],
      [10],
    ]);
  });
});

describe('NiN', () => {
  test('1,992,166 parameters and the sizes at 224', () => {
    const nin = (from: number, to: number, kernel: number, stride: number, padding: number): nn.Module =>
      stage(
        new nn.Conv2d(from, to, kernel, { stride, padding }),
        new nn.ReLU(),
        new nn.Conv2d(to, to, 1),
        new nn.ReLU(),
        new nn.Conv2d(to, to, 1),
        new nn.ReLU(),
      );
    const net = stage(
      nin(1, 96, 11, 4, 0),
      new nn.MaxPool2d(3, { stride: 2 }),
      nin(96, 256, 5, 1, 2),
      new nn.MaxPool2d(3, { stride: 2 }),
      nin(256, 384, 3, 1, 1),
      new nn.MaxPool2d(3, { stride: 2 }),
      new nn.Dropout(0.5),
      nin(384, 10, 3, 1, 1),
      new nn.AdaptiveAvgPool2d([1, 1]),
      new nn.Flatten(),
    );
    expect(net.numParameters()).toBe(1_992_166);
    expect(trace(net, [1, 224, 224])).toEqual([
      [96, 54, 54],
      [96, 26, 26],
      [256, 26, 26],
      [256, 12, 12],
      [384, 12, 12],
      [384, 5, 5],
      [384, 5, 5],
      [10, 5, 5],
      [10, 1, 1],
      [10],
    ]);
  });
});

describe('Inception', () => {
  test('joins four branches along the channels', () => {
    const block = new Inception(4, 2, [2, 3], [1, 2], 5);
    expect(block.forward(randn([2, 4, 6, 6])).shape).toEqual([2, 2 + 3 + 2 + 5, 6, 6]);
    expect([...block.namedParameters()].map(([name]) => name)).toContain('p2.1.0.weight');
  });

  test('GoogLeNet: 5,977,530 parameters and the sizes at 96', () => {
    const pool = (): nn.Module => new nn.MaxPool2d(3, { stride: 2, padding: 1 });
    const conv = (from: number, to: number, kernel: number, stride = 1): nn.Module[] => [
      new nn.Conv2d(from, to, kernel, { stride, padding: (kernel - 1) / 2 }),
      new nn.ReLU(),
    ];
    const net = stage(
      stage(...conv(1, 64, 7, 2), pool()),
      stage(...conv(64, 64, 1), ...conv(64, 192, 3), pool()),
      stage(
        new Inception(192, 64, [96, 128], [16, 32], 32),
        new Inception(256, 128, [128, 192], [32, 96], 64),
        pool(),
      ),
      stage(
        new Inception(480, 192, [96, 208], [16, 48], 64),
        new Inception(512, 160, [112, 224], [24, 64], 64),
        new Inception(512, 128, [128, 256], [24, 64], 64),
        new Inception(512, 112, [144, 288], [32, 64], 64),
        new Inception(528, 256, [160, 320], [32, 128], 128),
        pool(),
      ),
      stage(
        new Inception(832, 256, [160, 320], [32, 128], 128),
        new Inception(832, 384, [192, 384], [48, 128], 128),
        new nn.AdaptiveAvgPool2d([1, 1]),
        new nn.Flatten(),
      ),
      new nn.Linear(1024, 10),
    );
    expect(net.numParameters()).toBe(5_977_530);
    expect(trace(net, [1, 96, 96])).toEqual([
      [64, 24, 24],
      [192, 12, 12],
      [480, 6, 6],
      [832, 3, 3],
      [1024],
      [10],
    ]);
  });
});

describe('dense blocks', () => {
  test('add channels; transitions take them away and halve the size', () => {
    const y = new DenseBlock(2, 3, 10).forward(randn([4, 3, 8, 8]));
    expect(y.shape).toEqual([4, 23, 8, 8]);
    expect(transitionBlock(23, 10).forward(y).shape).toEqual([4, 10, 4, 4]);
    expect(convBlock(3, 5).forward(randn([2, 3, 4, 4])).shape).toEqual([2, 5, 4, 4]);
  });

  test('are differentiable', () => {
    const block = new DenseBlock(2, 2, 2).to('float64');
    const x = randn([2, 2, 3, 3], { dtype: 'float64', requiresGrad: true });
    expect(gradcheck((t) => block.forward(t), [x])).toBe(true);
  });

  test('DenseNet: 758,226 parameters and the channels after every block', () => {
    const growth = 32;
    const body: nn.Module[] = [];
    let channels = 64;
    for (let i = 0; i < 4; i++) {
      body.push(new DenseBlock(4, channels, growth));
      channels += 4 * growth;
      if (i === 3) break;
      body.push(transitionBlock(channels, channels / 2));
      channels /= 2;
    }
    const net = stage(
      stage(...stem(64)),
      ...body,
      new nn.BatchNorm2d(channels),
      new nn.ReLU(),
      ...head(channels),
    );
    expect(net.numParameters()).toBe(758_226);
    const shapes = trace(net, [1, 96, 96]);
    expect(shapes.slice(0, 8).map(([c]) => c)).toEqual([64, 192, 96, 224, 112, 240, 120, 248]);
    expect(shapes.at(-1)).toEqual([10]);
  });
});
