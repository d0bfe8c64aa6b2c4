/** Runs layer lists with TensorFlow.js, whose images are [n, h, w, c]: weights and arrays are turned once, outside of the timing. */
import type { Layer, Shape } from '../layer';
import type { Tf, TfTensor, TfVariable } from './tfjs-api';

/** Row-major values with their dimensions in the order `order` of the old ones. */
export function permute(
  values: ArrayLike<number>,
  shape: Shape,
  order: readonly number[],
): { values: Float32Array; shape: number[] } {
  const strides = shape.map((_, d) => shape.slice(d + 1).reduce((n, size) => n * size, 1));
  const newShape = order.map((d) => shape[d]);
  const steps = order.map((d) => strides[d]);
  const out = new Float32Array(values.length);
  const index = new Array<number>(order.length).fill(0);
  let from = 0;
  for (let to = 0; to < out.length; to++) {
    out[to] = values[from];
    for (let d = order.length - 1; d >= 0; d--) {
      from += steps[d];
      if (++index[d] < newShape[d]) break;
      from -= steps[d] * newShape[d];
      index[d] = 0;
    }
  }
  return { values: out, shape: newShape };
}

const toNhwc = [0, 2, 3, 1];
const toNchw = [0, 3, 1, 2];

export function imagesToTf(tf: Tf, values: Float32Array, shape: Shape): TfTensor {
  if (shape.length !== 4) return tf.tensor(values, shape);
  const turned = permute(values, shape, toNhwc);
  return tf.tensor(turned.values, turned.shape);
}

export function imagesFromTf(t: TfTensor): Float32Array {
  const values = t.dataSync();
  return t.shape.length === 4 ? permute(values, t.shape, toNchw).values : values.slice();
}

/** Convolution weights [out, in, h, w] become [h, w, in, out], those of depthwise layers [h, w, channels, 1]. */
const toTfWeight = [2, 3, 1, 0];
const toTfDepthwise = [2, 3, 0, 1];
const isDepthwise = (shape: Shape): boolean =>
  shape.length === 4 && shape[1] === 1 && shape[0] > 1 && shape[2] === 3;

export interface TfSettings {
  readonly training: boolean;
  dropout: boolean;
}

export class TfModel {
  readonly variables = new Map<string, TfVariable>();
  private readonly turned = new Map<string, readonly number[]>();

  constructor(
    private readonly tf: Tf,
    private readonly layers: readonly Layer[],
    state: ReadonlyMap<string, Float32Array>,
    shapes: ReadonlyMap<string, Shape>,
    readonly settings: TfSettings,
    prefix: string,
  ) {
    for (const [path, values] of state) {
      const shape = shapes.get(path) ?? [];
      const order = isDepthwise(shape) ? toTfDepthwise : toTfWeight;
      const turned = shape.length === 4 ? permute(values, shape, order) : { values, shape };
      if (shape.length === 4) this.turned.set(path, order);
      const initial = tf.tensor(turned.values, turned.shape);
      this.variables.set(path, tf.variable(initial, !path.includes('running_'), `${prefix}.${path}`));
      initial.dispose();
    }
  }

  /** Values of a weight, or of its gradient, in PyTorch's layout. */
  values(path: string, t: TfTensor): Float32Array {
    const order = this.turned.get(path);
    if (order === undefined) return t.dataSync().slice();
    const inverse = order.map((_, d) => order.indexOf(d));
    return permute(t.dataSync(), t.shape, inverse).values;
  }

  private weight(path: string): TfVariable {
    const variable = this.variables.get(path);
    if (variable === undefined) throw new Error(`no weight ${path}`);
    return variable;
  }

  forward(x: TfTensor): TfTensor {
    return this.run(this.layers, x, '');
  }

  private run(layers: readonly Layer[], input: TfTensor, prefix: string): TfTensor {
    let x = input;
    layers.forEach((layer, i) => {
      x = this.layer(layer, x, prefix === '' ? String(i) : `${prefix}.${i}`);
    });
    return x;
  }

  private layer(layer: Layer, x: TfTensor, path: string): TfTensor {
    const { tf } = this;
    switch (layer.type) {
      case 'conv': {
        const w = this.weight(`${path}.weight`);
        const { stride, padding } = layer;
        const y =
          layer.groups === 1
            ? tf.conv2d(x, w, stride, padding, 'NHWC', 1, 'floor')
            : tf.depthwiseConv2d(x, w, stride, padding, 'NHWC', 1, 'floor');
        return layer.bias ? tf.add(y, this.weight(`${path}.bias`)) : y;
      }
      case 'linear':
        return tf.add(tf.matMul(x, this.weight(`${path}.weight`), false, true), this.weight(`${path}.bias`));
      case 'batchNorm':
        return this.batchNorm(layer.frozen, x, path);
      case 'relu':
        return tf.relu(x);
      case 'relu6':
        return tf.relu6(x);
      case 'sigmoid':
        return tf.sigmoid(x);
      case 'flatten': {
        const plain = x.shape.length === 4 && x.shape[1] * x.shape[2] > 1 ? tf.transpose(x, toNchw) : x;
        return tf.reshape(plain, [x.shape[0], -1]);
      }
      case 'globalAvgPool':
        return tf.mean(x, [1, 2], true);
      case 'maxPool':
        return tf.maxPool(x, layer.kernel, layer.stride, layer.padding, layer.ceil ? 'ceil' : 'floor');
      case 'avgPool':
        return tf.avgPool(x, layer.kernel, layer.kernel, 'valid');
      case 'dropout':
        return this.settings.dropout ? tf.dropout(x, layer.p) : x;
      case 'residual':
        return tf.add(
          this.run(layer.body, x, `${path}.body`),
          this.run(layer.shortcut, x, `${path}.shortcut`),
        );
      case 'branches': {
        const outputs = layer.branches.map((branch, b) => this.run(branch, x, `${path}.branches.${b}`));
        return tf.concat(outputs, 3);
      }
    }
  }

  private batchNorm(frozen: boolean, x: TfTensor, path: string): TfTensor {
    const { tf } = this;
    const axes = x.shape.length === 4 ? [0, 1, 2] : [0];
    const batch = this.settings.training && !frozen ? tf.moments(x, axes) : null;
    const mean = batch?.mean ?? this.weight(`${path}.running_mean`);
    const variance = batch?.variance ?? this.weight(`${path}.running_var`);
    return tf.batchNorm(x, mean, variance, this.weight(`${path}.bias`), this.weight(`${path}.weight`), 1e-5);
  }

  dispose(): void {
    for (const variable of this.variables.values()) variable.dispose();
  }
}
