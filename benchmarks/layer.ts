/**
 * Networks as data. A case or a network is written down once, as a list of layers, and every contender builds its own
 * modules from it: laminae and tfjs here, PyTorch in torch_worker.py. Paths of the weights are those of nested
 * Sequentials ("0.weight", "3.body.1.running_mean"), so one set of initial values serves all.
 */

export type Layer =
  | {
      readonly type: 'conv';
      readonly in: number;
      readonly out: number;
      readonly kernel: number;
      readonly stride: number;
      readonly padding: number;
      readonly groups: number;
      readonly bias: boolean;
    }
  | { readonly type: 'batchNorm'; readonly channels: number; readonly rank: 2 | 4; readonly frozen: boolean }
  | { readonly type: 'linear'; readonly in: number; readonly out: number }
  | { readonly type: 'relu' | 'relu6' | 'sigmoid' | 'flatten' | 'globalAvgPool' }
  | {
      readonly type: 'maxPool';
      readonly kernel: number;
      readonly stride: number;
      readonly padding: number;
      readonly ceil: boolean;
    }
  | { readonly type: 'avgPool'; readonly kernel: number }
  | { readonly type: 'dropout'; readonly p: number }
  /** body(x) + shortcut(x); an empty shortcut is the identity. */
  | { readonly type: 'residual'; readonly body: readonly Layer[]; readonly shortcut: readonly Layer[] }
  /** Outputs of all branches, joined along the channels. */
  | { readonly type: 'branches'; readonly branches: readonly (readonly Layer[])[] };

export type LayerType = Layer['type'];

export interface ConvSettings {
  readonly stride?: number;
  readonly padding?: number;
  readonly groups?: number;
  readonly bias?: boolean;
}

export function conv(inChannels: number, out: number, kernel: number, settings: ConvSettings = {}): Layer {
  const { stride = 1, padding = 0, groups = 1, bias = true } = settings;
  return { type: 'conv', in: inChannels, out, kernel, stride, padding, groups, bias };
}

export const relu: Layer = { type: 'relu' };
export const relu6: Layer = { type: 'relu6' };
export const sigmoid: Layer = { type: 'sigmoid' };
export const flatten: Layer = { type: 'flatten' };
export const globalAvgPool: Layer = { type: 'globalAvgPool' };

export const linear = (inFeatures: number, out: number): Layer => ({ type: 'linear', in: inFeatures, out });
export const dropout = (p: number): Layer => ({ type: 'dropout', p });
export const avgPool = (kernel: number): Layer => ({ type: 'avgPool', kernel });

export function maxPool(kernel: number, stride: number, padding = 0, ceil = false): Layer {
  return { type: 'maxPool', kernel, stride, padding, ceil };
}

/** Of images. */
export const batchNorm2d = (channels: number): Layer => ({
  type: 'batchNorm',
  channels,
  rank: 4,
  frozen: false,
});

/** Of vectors; `frozen` keeps it in evaluation mode, as one example has no statistics. */
export function batchNorm1d(channels: number, frozen = false): Layer {
  return { type: 'batchNorm', channels, rank: 2, frozen };
}

export function residual(body: readonly Layer[], shortcut: readonly Layer[] = []): Layer {
  return { type: 'residual', body, shortcut };
}

export const branches = (...lists: readonly (readonly Layer[])[]): Layer => ({
  type: 'branches',
  branches: lists,
});

export type Shape = readonly number[];

export const sizeOf = (shape: Shape): number => shape.reduce((n, d) => n * d, 1);

/** A weight or a statistic: where it lives, and how it starts. */
export interface StateEntry {
  readonly path: string;
  readonly shape: Shape;
  /** Uniform in [low, high). */
  readonly low: number;
  readonly high: number;
}

/** One layer as it is met when the network runs. */
export interface Step {
  readonly layer: Layer;
  readonly input: Shape;
  readonly output: Shape;
  /** Multiplications and additions of the forward pass; 0 for layers without a matrix product. */
  readonly flops: number;
}

export interface Trace {
  readonly output: Shape;
  readonly steps: readonly Step[];
  readonly state: readonly StateEntry[];
}

function pooled(size: number, kernel: number, stride: number, padding: number, ceil = false): number {
  const span = (size + 2 * padding - kernel) / stride;
  // With ceil the last window may hang over the end, but must begin inside.
  const n = (ceil ? Math.ceil(span) : Math.floor(span)) + 1;
  return ceil && (n - 1) * stride >= size + padding ? n - 1 : n;
}

/** The weights and statistics of one layer at `path`. Weights start as for a ReLU (He et al., 2015), which keeps values in range. */
function stateOf(layer: Layer, path: string): StateEntry[] {
  const entry = (name: string, shape: Shape, low: number, high: number): StateEntry => ({
    path: `${path}.${name}`,
    shape,
    low,
    high,
  });
  const weights = (shape: Shape, fanIn: number, out: number, bias: boolean): StateEntry[] => {
    const bound = Math.sqrt(6 / fanIn);
    return [entry('weight', shape, -bound, bound), ...(bias ? [entry('bias', [out], -0.1, 0.1)] : [])];
  };
  switch (layer.type) {
    case 'conv': {
      const perGroup = layer.in / layer.groups;
      const fanIn = perGroup * layer.kernel ** 2;
      return weights([layer.out, perGroup, layer.kernel, layer.kernel], fanIn, layer.out, layer.bias);
    }
    case 'linear':
      return weights([layer.out, layer.in], layer.in, layer.out, true);
    case 'batchNorm':
      return [
        entry('weight', [layer.channels], 0.8, 1.2),
        entry('bias', [layer.channels], -0.1, 0.1),
        entry('running_mean', [layer.channels], -0.1, 0.1),
        entry('running_var', [layer.channels], 0.9, 1.1),
      ];
    default:
      return [];
  }
}

function outputOf(layer: Layer, x: Shape): Shape {
  switch (layer.type) {
    case 'conv': {
      const size = (d: number): number => pooled(d, layer.kernel, layer.stride, layer.padding);
      return [x[0], layer.out, size(x[2]), size(x[3])];
    }
    case 'maxPool': {
      const size = (d: number): number => pooled(d, layer.kernel, layer.stride, layer.padding, layer.ceil);
      return [x[0], x[1], size(x[2]), size(x[3])];
    }
    case 'avgPool':
      return [
        x[0],
        x[1],
        pooled(x[2], layer.kernel, layer.kernel, 0),
        pooled(x[3], layer.kernel, layer.kernel, 0),
      ];
    case 'globalAvgPool':
      return [x[0], x[1], 1, 1];
    case 'linear':
      return [x[0], layer.out];
    case 'flatten':
      return [x[0], sizeOf(x.slice(1))];
    default:
      return x;
  }
}

function flopsOf(layer: Layer, output: Shape): number {
  if (layer.type === 'conv') return 2 * sizeOf(output) * (layer.in / layer.groups) * layer.kernel ** 2;
  if (layer.type === 'linear') return 2 * sizeOf(output) * layer.in;
  return 0;
}

/** Follows the shapes through the layers, and lists what is computed and which state there is. */
export function trace(layers: readonly Layer[], input: Shape, prefix = ''): Trace {
  const steps: Step[] = [];
  const state: StateEntry[] = [];
  let x = input;
  const nested = (list: readonly Layer[], path: string): Shape => {
    const inner = trace(list, x, path);
    steps.push(...inner.steps);
    state.push(...inner.state);
    return inner.output;
  };
  layers.forEach((layer, i) => {
    const path = prefix === '' ? String(i) : `${prefix}.${i}`;
    let output: Shape;
    if (layer.type === 'residual') {
      output = nested(layer.body, `${path}.body`);
      nested(layer.shortcut, `${path}.shortcut`);
    } else if (layer.type === 'branches') {
      const outputs = layer.branches.map((list, b) => nested(list, `${path}.branches.${b}`));
      const channels = outputs.reduce((n, shape) => n + shape[1], 0);
      output = [x[0], channels, ...outputs[0].slice(2)];
    } else {
      output = outputOf(layer, x);
      state.push(...stateOf(layer, path));
    }
    steps.push({ layer, input: x, output, flops: flopsOf(layer, output) });
    x = output;
  });
  return { output: x, steps, state };
}

/** The types of layers that occur, nested ones included. */
export function layerTypes(layers: readonly Layer[]): Set<LayerType> {
  const types = new Set<LayerType>();
  for (const layer of layers) {
    types.add(layer.type);
    const inner =
      layer.type === 'residual'
        ? [layer.body, layer.shortcut]
        : layer.type === 'branches'
          ? layer.branches
          : [];
    for (const list of inner) for (const type of layerTypes(list)) types.add(type);
  }
  return types;
}
