/** What a network costs: shapes, parameters, multiply-adds and activation memory, layer by layer. */
import { noGrad } from '../autograd/grad-mode';
import { bytesPerElement } from '../dtype';
import { checkShape, formatShape, sizeOf } from '../shape';
import { zeros } from '../tensor/create';
import { scope } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { PlainConv, TransposedConv } from './conv';
import { Linear } from './linear';
import type { Module } from './module';

export interface LayerSummary {
  /** Path of the layer, as in `namedModules`. */
  readonly name: string;
  /** Class of the layer. */
  readonly type: string;
  readonly outputShape: readonly number[];
  /** Elements of the layer's own parameters. */
  readonly parameters: number;
  /** Multiply-adds of one call: one each for a product with a weight. */
  readonly multiplyAdds: number;
}

export interface Summary {
  readonly layers: readonly LayerSummary[];
  readonly parameters: number;
  readonly multiplyAdds: number;
  /** Bytes of all layer outputs together. */
  readonly activationBytes: number;
  toString(): string;
}

function multiplyAdds(layer: Module, input: Tensor, output: Tensor): number {
  if (layer instanceof Linear) return output.numel * layer.inFeatures;
  if (layer instanceof PlainConv) return output.numel * sizeOf(layer.weight.shape.slice(1));
  if (layer instanceof TransposedConv) return input.numel * sizeOf(layer.weight.shape.slice(1));
  return 0;
}

/**
 * Runs `model` once on zeros, in evaluation mode and without gradients, and reports every layer it called.
 *
 * @param inputShape shape of the input, batch dimension included
 *
 * @example
 * console.log(String(nn.summary(net, [1, 1, 28, 28])));
 */
export function summary(model: Module, inputShape: readonly number[]): Summary {
  const shape = checkShape('summary', inputShape, 'inputShape');
  const layers: LayerSummary[] = [];
  let activationBytes = 0;
  const modes = [...model.modules()].map((m) => [m, m.training] as const);
  const handles = [...model.namedModules()]
    .filter(([, m]) => [...m.children()].length === 0)
    .map(([name, m]) =>
      m.registerForwardHook((layer, [input], output) => {
        activationBytes += output.numel * bytesPerElement[output.dtype];
        layers.push({
          name,
          type: layer.constructor.name,
          outputShape: output.shape,
          parameters: layer.parameters().reduce((n, p) => n + p.numel, 0),
          multiplyAdds: multiplyAdds(layer, input, output),
        });
      }),
    );
  try {
    model.eval();
    scope(() => {
      noGrad(() => model.forward(zeros(shape)));
    });
  } finally {
    for (const handle of handles) handle.remove();
    for (const [m, training] of modes) m.training = training;
  }
  const total = layers.reduce((n, l) => n + l.multiplyAdds, 0);
  const parameters = model.numParameters();
  return {
    layers,
    parameters,
    multiplyAdds: total,
    activationBytes,
    toString: () => table(layers, parameters, total, activationBytes),
  };
}

function table(layers: readonly LayerSummary[], parameters: number, total: number, bytes: number): string {
  const number = (n: number): string => n.toLocaleString('en');
  const rows = [
    ['layer', 'type', 'output', 'parameters', 'multiply-adds'],
    ...layers.map((l) => [
      l.name,
      l.type,
      formatShape(l.outputShape),
      number(l.parameters),
      number(l.multiplyAdds),
    ]),
  ];
  const widths = rows[0].map((_, c) => Math.max(...rows.map((r) => r[c].length)));
  const lines = rows.map((r) =>
    r.map((cell, c) => (c < 3 ? cell.padEnd(widths[c]) : cell.padStart(widths[c]))).join('  '),
  );
  return [
    ...lines,
    `${number(parameters)} parameters, ${number(total)} multiply-adds, ${(bytes / 1e6).toFixed(2)} MB of activations`,
  ].join('\n');
}
