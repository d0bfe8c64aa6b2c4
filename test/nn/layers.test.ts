import { describe, expect, test } from '@jest/globals';
import { F, gradcheck, nn, noGrad, ones, randn, tensor, zeros, type Tensor } from '../../lib';
import { recordOf, tensorOf } from '../support/case-values';
import { loadFixtureRecords, loadFixtures } from '../support/fixtures';
import { expectClose } from '../support/tolerance';
import type { NdArray } from '../support/nd-array';

const f64 = (a: NdArray): Tensor => tensor(new Float64Array(a.data), { shape: [...a.shape] });
const plain = (t: Tensor): NdArray => ({ shape: t.shape, data: new Float64Array(t.toTypedArray()) });

describe('convolution with a border of its own', () => {
  const classes = { 1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d };

  test.each(loadFixtures('convPaddingMode').map((c) => [c.name, c] as const))('PyTorch: %s', (_, c) => {
    const weight = f64(tensorOf(c.args, 'weight'));
    const input = f64(tensorOf(c.args, 'input')).requiresGrad_();
    const [out, perGroup, ...kernelSize] = weight.shape;
    const rank = kernelSize.length as 1 | 2 | 3;
    const options = c.options as nn.ConvLayerOptions;
    const inChannels = perGroup * (options.groups ?? 1);
    const layer = new classes[rank](inChannels, out, kernelSize, options).to('float64');
    layer.loadStateDict(
      new Map([
        ['weight', weight],
        ['bias', f64(tensorOf(c.args, 'bias'))],
      ]),
    );
    const y = layer.forward(input);
    expectClose(plain(y), c.output, { rtol: 1e-12, atol: 1e-12 });
    if (c.gradOutput === undefined) throw new Error('fixture without gradient');
    y.backward(f64(c.gradOutput));
    const grads: Record<string, Tensor | null> = {
      input: input.grad,
      weight: layer.weight.grad,
      bias: layer.bias?.grad ?? null,
    };
    for (const [name, expected] of Object.entries(c.grads)) {
      const got = grads[name];
      if (got === null) throw new Error(`no gradient of ${name}`);
      expectClose(plain(got), expected, { rtol: 1e-12, atol: 1e-12, label: name });
    }
  });

  test('a transposed convolution has none', () => {
    const options = JSON.parse('{"paddingMode":"reflect"}') as { paddingMode: 'zeros' };
    expect(() => new nn.ConvTranspose2d(2, 2, 3, options)).toThrow(
      'ConvTranspose2d: paddingMode must be one of zeros, got "reflect"',
    );
  });

  test('refuses unknown modes', () => {
    expect(() => new nn.Conv2d(1, 1, 3, { paddingMode: 'mirror' as 'reflect' })).toThrow(
      'Conv2d: paddingMode must be one of zeros, reflect, replicate, circular, got "mirror"',
    );
  });
});

describe('batch norm layer', () => {
  test.each(loadFixtureRecords('batchNormModule').map((c) => [c.name, c] as const))('PyTorch: %s', (_, c) => {
    const args = recordOf(c, 'args');
    const options = recordOf(c, 'options') as nn.BatchNormOptions;
    const x = f64(tensorOf(args, 'evaluation'));
    const make = x.ndim <= 3 ? nn.BatchNorm1d : x.ndim === 4 ? nn.BatchNorm2d : nn.BatchNorm3d;
    const layer = new make(x.shape[1], options).to('float64');
    const training = recordOf(c, 'training');
    const close = { rtol: 1e-12, atol: 1e-12 };
    for (const key of Object.keys(training)) {
      const y = layer.forward(f64(tensorOf(args, key)));
      expectClose(plain(y), tensorOf(training, key), { ...close, label: key });
    }
    layer.eval();
    expectClose(plain(layer.forward(x)), tensorOf(c, 'output'), close);
    const state = layer.stateDict();
    for (const [key, value] of Object.entries(recordOf(c, 'after'))) {
      const own = state.get(key);
      if (own === undefined) throw new Error(`no ${key}`);
      expectClose(plain(own), value as NdArray, { ...close, label: key });
    }
  });
});

describe('layers that wrap functions', () => {
  const image = randn([2, 4, 6, 6]);

  test.each<[string, nn.Module, () => Tensor]>([
    ['ZeroPad2d', new nn.ZeroPad2d([1, 2, 0, 1]), () => F.pad(image, [1, 2, 0, 1])],
    ['ConstantPad2d', new nn.ConstantPad2d(1, 3), () => F.pad(image, [1, 1, 1, 1], { value: 3 })],
    ['ReflectionPad2d', new nn.ReflectionPad2d(2), () => F.pad(image, [2, 2, 2, 2], { mode: 'reflect' })],
    ['ReplicationPad2d', new nn.ReplicationPad2d(2), () => F.pad(image, [2, 2, 2, 2], { mode: 'replicate' })],
    ['CircularPad2d', new nn.CircularPad2d(2), () => F.pad(image, [2, 2, 2, 2], { mode: 'circular' })],
    ['Upsample', new nn.Upsample({ scaleFactor: 2 }), () => F.interpolate(image, { scaleFactor: 2 })],
    ['PixelShuffle', new nn.PixelShuffle(2), () => F.pixelShuffle(image, 2)],
    ['PixelUnshuffle', new nn.PixelUnshuffle(2), () => F.pixelUnshuffle(image, 2)],
    ['Unfold', new nn.Unfold(3, { padding: 1 }), () => F.unfold(image, 3, { padding: 1 })],
    ['MaxPool2d', new nn.MaxPool2d(2), () => F.maxPool2d(image, 2)],
    [
      'AvgPool2d',
      new nn.AvgPool2d(3, { stride: 1, padding: 1 }),
      () => F.avgPool2d(image, 3, { stride: 1, padding: 1 }),
    ],
    ['AdaptiveAvgPool2d', new nn.AdaptiveAvgPool2d([3, 2]), () => F.adaptiveAvgPool2d(image, [3, 2])],
    ['AdaptiveMaxPool2d', new nn.AdaptiveMaxPool2d(1), () => F.adaptiveMaxPool2d(image, 1)],
    ['LeakyReLU', new nn.LeakyReLU({ negativeSlope: 0.2 }), () => F.leakyRelu(image, { negativeSlope: 0.2 })],
    ['GELU', new nn.GELU({ approximate: 'tanh' }), () => F.gelu(image, { approximate: 'tanh' })],
    ['Softmax', new nn.Softmax(1), () => F.softmax(image, 1)],
    ['GLU', new nn.GLU(1), () => F.glu(image, 1)],
    ['PReLU', new nn.PReLU(), () => F.leakyRelu(image, { negativeSlope: 0.25 })],
    ['Identity', new nn.Identity(), () => image],
    ['Flatten', new nn.Flatten(), () => image.reshape(2, -1)],
    ['Unflatten', new nn.Unflatten(1, [2, 2]), () => image.reshape(2, 2, 2, 6, 6)],
  ])('%s', (_, layer, expected) => {
    const y = layer.forward(image);
    expect(y.shape).toEqual(expected().shape);
    expect(y.toTypedArray()).toEqual(expected().toTypedArray());
  });

  test('Fold is the adjoint of Unfold', () => {
    const columns = randn([2, 36, 36]);
    const folded = new nn.Fold(6, 3, { padding: 1 }).forward(columns);
    const left = F.unfold(image, 3, { padding: 1 }).mul(columns).sum().item();
    expect(left).toBeCloseTo(image.mul(folded).sum().item(), 3);
  });

  test('pixelUnshuffle is the inverse of pixelShuffle, with its gradient', () => {
    expect(F.pixelUnshuffle(F.pixelShuffle(image, 2), 2).toTypedArray()).toEqual(image.toTypedArray());
    const x = randn([1, 1, 4, 4], { dtype: 'float64', requiresGrad: true });
    expect(gradcheck((t) => F.pixelUnshuffle(t, 2).mul(F.pixelUnshuffle(t, 2)), [x])).toBe(true);
    expect(() => F.pixelUnshuffle(image, 4)).toThrow(
      'pixelUnshuffle: input must be [..., C, H, W] with H and W divisible by 4, got [2, 4, 6, 6]',
    );
  });

  test('MaxUnpool2d puts values back', () => {
    const { values, indices } = F.maxPool2dWithIndices(image, 2);
    const back = new nn.MaxUnpool2d(2).forward(values, indices);
    expect(back.shape).toEqual(image.shape);
    expect(back.sum().item()).toBeCloseTo(values.sum().item(), 4);
  });

  test('Embedding: the padding row starts as zeros and gets no gradient', () => {
    const table = new nn.Embedding(5, 3, { paddingIdx: 0 });
    expect(table.weight.at(0).toArray()).toEqual([0, 0, 0]);
    table
      .forward(tensor([0, 2, 2], { dtype: 'int32' }))
      .sum()
      .backward();
    expect(table.weight.grad?.toArray()).toEqual([
      [0, 0, 0],
      [0, 0, 0],
      [2, 2, 2],
      [0, 0, 0],
      [0, 0, 0],
    ]);
  });

  test('dropout layers do nothing in evaluation', () => {
    for (const layer of [new nn.Dropout(), new nn.Dropout2d(), new nn.AlphaDropout()]) {
      layer.eval();
      expect(layer.forward(image)).toBe(image);
      layer.train();
      expect(layer.forward(image).toTypedArray()).not.toEqual(image.toTypedArray());
    }
  });

  test('losses', () => {
    const logits = randn([4, 3]);
    const labels = tensor([0, 2, 1, 1], { dtype: 'int32' });
    const target = randn([4, 3]);
    expect(new nn.CrossEntropyLoss().forward(logits, labels).item()).toBe(
      F.crossEntropy(logits, labels).item(),
    );
    expect(new nn.MSELoss({ reduction: 'sum' }).forward(logits, target).item()).toBe(
      F.mseLoss(logits, target, { reduction: 'sum' }).item(),
    );
    expect(new nn.L1Loss().forward(logits, target).item()).toBe(F.l1Loss(logits, target).item());
    expect(new nn.HuberLoss().forward(logits, target).item()).toBe(F.huberLoss(logits, target).item());
    expect(new nn.SmoothL1Loss().forward(logits, target).item()).toBe(F.smoothL1Loss(logits, target).item());
    const p = logits.sigmoid();
    expect(new nn.BCELoss().forward(p, ones([4, 3])).item()).toBe(
      F.binaryCrossEntropy(p, ones([4, 3])).item(),
    );
    expect(new nn.BCEWithLogitsLoss().forward(logits, zeros([4, 3])).item()).toBe(
      F.binaryCrossEntropyWithLogits(logits, zeros([4, 3])).item(),
    );
    const logp = noGrad(() => F.logSoftmax(logits, 1));
    expect(new nn.NLLLoss().forward(logp, labels).item()).toBe(F.nllLoss(logp, labels).item());
    expect(new nn.KLDivLoss({ reduction: 'batchmean' }).forward(logp, p).item()).toBe(
      F.klDiv(logp, p, { reduction: 'batchmean' }).item(),
    );
  });
});
