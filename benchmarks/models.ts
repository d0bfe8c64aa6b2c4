/**
 * The networks of the suites: the one-channel, ten-class forms of the book for training, and the usual three-channel,
 * thousand-class ones for inference.
 *
 * LeNet: LeCun et al. 1998; NiN: Lin et al. 2013; VGG: Simonyan and Zisserman 2014; ResNet: He et al. 2015;
 * SqueezeNet 1.1: Iandola et al. 2016; MobileNetV2: Sandler et al. 2018.
 */
import {
  avgPool,
  batchNorm1d,
  batchNorm2d,
  branches,
  conv,
  dropout,
  flatten,
  globalAvgPool,
  linear,
  maxPool,
  relu,
  relu6,
  residual,
  sigmoid,
  type ConvSettings,
  type Layer,
} from './layer';

/** Input [n, 1, 28, 28]. */
// prettier-ignore
export const lenet: readonly Layer[] = [
  conv(1, 6, 5, { padding: 2 }), sigmoid, avgPool(2),
  conv(6, 16, 5), sigmoid, avgPool(2), flatten,
  linear(400, 120), sigmoid, linear(120, 84), sigmoid, linear(84, 10),
];

/**
 * Input [n, 1, 28, 28]. With `frozenDense` the batch norms after the dense layers stay in evaluation mode: a single
 * example has no statistics, and training mode refuses it, here as in PyTorch.
 */
export function bnLenet(frozenDense = false): Layer[] {
  // prettier-ignore
  return [
    conv(1, 6, 5), batchNorm2d(6), sigmoid, avgPool(2),
    conv(6, 16, 5), batchNorm2d(16), sigmoid, avgPool(2), flatten,
    linear(256, 120), batchNorm1d(120, frozenDense), sigmoid,
    linear(120, 84), batchNorm1d(84, frozenDense), sigmoid,
    linear(84, 10),
  ];
}

function convBn(inChannels: number, out: number, kernel: number, settings: ConvSettings): Layer[] {
  return [conv(inChannels, out, kernel, settings), batchNorm2d(out)];
}

function basicBlock(inChannels: number, out: number, stride: number, bias: boolean): Layer[] {
  const body = [
    ...convBn(inChannels, out, 3, { stride, padding: 1, bias }),
    relu,
    ...convBn(out, out, 3, { padding: 1, bias }),
  ];
  if (stride === 1) return [residual(body), relu];
  // The book puts no batch norm behind the 1x1 convolution, the later reference code does.
  const shortcut = bias
    ? [conv(inChannels, out, 1, { stride })]
    : convBn(inChannels, out, 1, { stride, bias });
  return [residual(body, shortcut), relu];
}

/** Stages of two basic blocks with 64, 128, 256 and 512 channels; `bias` as in the book. */
export function resnet18(channels: number, classes: number, bias: boolean): Layer[] {
  const stem = [...convBn(channels, 64, 7, { stride: 2, padding: 3, bias }), relu, maxPool(3, 2, 1)];
  const stages = [64, 128, 256, 512].flatMap((out, i) => [
    ...basicBlock(i === 0 ? 64 : out / 2, out, i === 0 ? 1 : 2, bias),
    ...basicBlock(out, out, 1, bias),
  ]);
  return [...stem, ...stages, globalAvgPool, flatten, linear(512, classes)];
}

export function resnet50(): Layer[] {
  const bias = false;
  const layers: Layer[] = [...convBn(3, 64, 7, { stride: 2, padding: 3, bias }), relu, maxPool(3, 2, 1)];
  let inChannels = 64;
  for (const [stage, blocks] of [3, 4, 6, 3].entries()) {
    const width = 64 * 2 ** stage;
    for (let i = 0; i < blocks; i++) {
      const stride = i === 0 && stage > 0 ? 2 : 1;
      // prettier-ignore
      const body = [
        ...convBn(inChannels, width, 1, { bias }), relu,
        ...convBn(width, width, 3, { stride, padding: 1, bias }), relu,
        ...convBn(width, 4 * width, 1, { bias }),
      ];
      const shortcut = i === 0 ? convBn(inChannels, 4 * width, 1, { stride, bias }) : [];
      layers.push(residual(body, shortcut), relu);
      inChannels = 4 * width;
    }
  }
  return [...layers, globalAvgPool, flatten, linear(2048, 1000)];
}

/** Blocks of 3x3 convolutions that each end in a pool. */
function vgg(channels: number, blocks: readonly (readonly [count: number, out: number])[]): Layer[] {
  let inChannels = channels;
  return blocks.flatMap(([count, out]) => {
    const layers = Array.from({ length: count }, () => {
      const layer = conv(inChannels, out, 3, { padding: 1 });
      inChannels = out;
      return [layer, relu];
    });
    return [...layers.flat(), maxPool(2, 2)];
  });
}

function vggHead(inFeatures: number, classes: number): Layer[] {
  return [
    flatten,
    linear(inFeatures, 4096),
    relu,
    dropout(0.5),
    linear(4096, 4096),
    relu,
    dropout(0.5),
    linear(4096, classes),
  ];
}

/** VGG-11 with a quarter of the channels; input [n, 1, 64, 64]. */
// prettier-ignore
export const vgg11Quarter: readonly Layer[] = [
  ...vgg(1, [[1, 16], [1, 32], [2, 64], [2, 128], [2, 128]]), ...vggHead(128 * 2 * 2, 10),
];

// prettier-ignore
export const vgg16: readonly Layer[] = [
  ...vgg(3, [[2, 64], [2, 128], [3, 256], [3, 512], [3, 512]]), ...vggHead(512 * 7 * 7, 1000),
];

function ninBlock(inChannels: number, out: number, kernel: number, settings: ConvSettings): Layer[] {
  return [conv(inChannels, out, kernel, settings), relu, conv(out, out, 1), relu, conv(out, out, 1), relu];
}

/** Input [n, 1, 96, 96]. */
// prettier-ignore
export const nin: readonly Layer[] = [
  ...ninBlock(1, 96, 11, { stride: 4 }), maxPool(3, 2),
  ...ninBlock(96, 256, 5, { padding: 2 }), maxPool(3, 2),
  ...ninBlock(256, 384, 3, { padding: 1 }), maxPool(3, 2), dropout(0.5),
  ...ninBlock(384, 10, 3, { padding: 1 }), globalAvgPool, flatten,
];

function invertedResidual(inChannels: number, out: number, stride: number, expand: number): Layer[] {
  const wide = inChannels * expand;
  // prettier-ignore
  const body = [
    ...(expand === 1 ? [] : [...convBn(inChannels, wide, 1, { bias: false }), relu6]),
    ...convBn(wide, wide, 3, { stride, padding: 1, groups: wide, bias: false }), relu6,
    ...convBn(wide, out, 1, { bias: false }),
  ];
  return stride === 1 && inChannels === out ? [residual(body)] : body;
}

export function mobilenetV2(): Layer[] {
  // prettier-ignore
  const rows = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];
  const layers: Layer[] = [...convBn(3, 32, 3, { stride: 2, padding: 1, bias: false }), relu6];
  let inChannels = 32;
  for (const [expand, out, count, stride] of rows) {
    for (let i = 0; i < count; i++) {
      layers.push(...invertedResidual(inChannels, out, i === 0 ? stride : 1, expand));
      inChannels = out;
    }
  }
  return [
    ...layers,
    ...convBn(320, 1280, 1, { bias: false }),
    relu6,
    globalAvgPool,
    flatten,
    linear(1280, 1000),
  ];
}

function fire(inChannels: number, squeeze: number, expand: number): Layer[] {
  // prettier-ignore
  return [
    conv(inChannels, squeeze, 1), relu,
    branches([conv(squeeze, expand, 1), relu], [conv(squeeze, expand, 3, { padding: 1 }), relu]),
  ];
}

// prettier-ignore
export const squeezenet: readonly Layer[] = [
  conv(3, 64, 3, { stride: 2 }), relu, maxPool(3, 2, 0, true),
  ...fire(64, 16, 64), ...fire(128, 16, 64), maxPool(3, 2, 0, true),
  ...fire(128, 32, 128), ...fire(256, 32, 128), maxPool(3, 2, 0, true),
  ...fire(256, 48, 192), ...fire(384, 48, 192), ...fire(384, 64, 256), ...fire(512, 64, 256),
  conv(512, 1000, 1), relu, globalAvgPool, flatten,
];
