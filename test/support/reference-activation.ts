// Activations: elementwise ones with their derivatives, prelu, softmax, logSoftmax, glu.
import type { CaseRecord } from './case-values';
import { numberOf, tensorOf, textOf } from './case-values';
import type { NdArray } from './nd-array';
import { around, dimension, forEachLine, mapped, zeros } from './nd-array';
import type { Gradients, Oracle } from './reference-core';
import { erf, unary } from './reference-elementwise';

type Curve = readonly [f: (x: number) => number, df: (x: number) => number];

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** log(1 + exp(x)) without overflow. */
export const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

const eluCurve = (alpha: number, scale: number, inputScale: number): Curve => [
  (x) => scale * (x > 0 ? x : alpha * Math.expm1(x * inputScale)),
  (x) => scale * (x > 0 ? 1 : alpha * inputScale * Math.exp(x * inputScale)),
];

/** Straight between two borders, flat outside; on a border the derivative is 0. */
const clipped = (min: number, max: number, slope = 1, middle = 0): Curve => [
  (x) => slope * Math.min(Math.max(x, min), max) + middle,
  (x) => (x > min && x < max ? slope : 0),
];

const normalDensity = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
const normalBelow = (x: number): number => 0.5 * (1 + erf(x / Math.SQRT2));

function geluCurve(options: CaseRecord): Curve {
  if (textOf(options, 'approximate', 'none') === 'none') {
    return [(x) => x * normalBelow(x), (x) => normalBelow(x) + x * normalDensity(x)];
  }
  const inner = (x: number): number => Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
  const slope = (x: number): number => Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x ** 2);
  return [
    (x) => 0.5 * x * (1 + Math.tanh(inner(x))),
    (x) => 0.5 * (1 + Math.tanh(inner(x))) + 0.5 * x * (1 - Math.tanh(inner(x)) ** 2) * slope(x),
  ];
}

function softplusCurve(options: CaseRecord): Curve {
  const [beta, threshold] = [numberOf(options, 'beta', 1), numberOf(options, 'threshold', 20)];
  return [
    (x) => (x * beta > threshold ? x : softplus(x * beta) / beta),
    (x) => (x * beta > threshold ? 1 : sigmoid(x * beta)),
  ];
}

function hardswishCurve(): Curve {
  return [(x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6, (x) => (x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5)];
}

const curves: Readonly<Record<string, (options: CaseRecord) => Curve>> = {
  relu: () => [(x) => Math.max(x, 0), (x) => Number(x > 0)],
  relu6: () => clipped(0, 6),
  leakyRelu: (options) => {
    const slope = numberOf(options, 'negativeSlope', 0.01);
    return [(x) => (x > 0 ? x : x * slope), (x) => (x > 0 ? 1 : slope)];
  },
  elu: (options) => eluCurve(numberOf(options, 'alpha', 1), 1, 1),
  selu: () => eluCurve(1.6732632423543772, 1.0507009873554805, 1),
  celu: (options) => {
    const alpha = numberOf(options, 'alpha', 1);
    return eluCurve(alpha, 1, 1 / alpha);
  },
  gelu: geluCurve,
  silu: () => [(x) => x * sigmoid(x), (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x)))],
  mish: () => [
    (x) => x * Math.tanh(softplus(x)),
    (x) => Math.tanh(softplus(x)) + x * (1 - Math.tanh(softplus(x)) ** 2) * sigmoid(x),
  ],
  hardswish: hardswishCurve,
  hardsigmoid: () => clipped(-3, 3, 1 / 6, 0.5),
  hardtanh: (options) => clipped(numberOf(options, 'minVal', -1), numberOf(options, 'maxVal', 1)),
  softplus: softplusCurve,
  softsign: () => [(x) => x / (1 + Math.abs(x)), (x) => 1 / (1 + Math.abs(x)) ** 2],
  sigmoid: () => [sigmoid, (x) => sigmoid(x) * sigmoid(-x)],
  logSigmoid: () => [(x) => -softplus(-x), (x) => sigmoid(-x)],
  tanh: () => [Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
};

export const activationOps: Readonly<Record<string, Oracle>> = Object.fromEntries(
  Object.entries(curves).map(([op, curve]): [string, Oracle] => [
    op,
    (args, options) => unary(...curve(options))(args, options),
  ]),
);

/** x > 0 ? x : weight[channel] x, channels along dimension 1; one weight serves all. */
export const prelu: Oracle = (args) => {
  const [input, weight] = [tensorOf(args, 'input'), tensorOf(args, 'weight')];
  const inner = weight.data.length === 1 ? input.data.length : around(input.shape, 1)[2];
  const slopeOf = (i: number): number => Math.floor(i / inner) % weight.data.length;
  const output = mapped(input, (x, i) => (x > 0 ? x : weight.data[slopeOf(i)] * x));
  const backward = (gradOutput: NdArray): Gradients => {
    const grad = zeros(weight.shape);
    input.data.forEach((x, i) => {
      if (x <= 0) grad.data[slopeOf(i)] += gradOutput.data[i] * x;
    });
    const slope = (x: number, i: number): number => (x > 0 ? 1 : weight.data[slopeOf(i)]);
    return { input: mapped(input, (x, i) => gradOutput.data[i] * slope(x, i)), weight: grad };
  };
  return { output, backward };
};

/** log softmax along dim, shifted by the maximum of each line. */
export function logSoftmaxOf(input: NdArray, dim: number): NdArray {
  const output = zeros(input.shape);
  forEachLine(input.shape, dim, (line) => {
    const max = Math.max(...line.map((i) => input.data[i]));
    const sum = line.reduce((s, i) => s + Math.exp(input.data[i] - max), 0);
    for (const i of line) output.data[i] = input.data[i] - max - Math.log(sum);
  });
  return output;
}

/** dx = p (dy - sum p dy) along each line. */
export const softmax: Oracle = (args) => {
  const [input, dim] = [tensorOf(args, 'input'), numberOf(args, 'dim')];
  const output = mapped(logSoftmaxOf(input, dim), Math.exp);
  const backward = (gradOutput: NdArray): Gradients => {
    const grad = zeros(input.shape);
    forEachLine(input.shape, dim, (line) => {
      const dot = line.reduce((s, i) => s + output.data[i] * gradOutput.data[i], 0);
      for (const i of line) grad.data[i] = output.data[i] * (gradOutput.data[i] - dot);
    });
    return { input: grad };
  };
  return { output, backward };
};

/** dx = dy - p sum dy along each line. */
export const logSoftmax: Oracle = (args) => {
  const [input, dim] = [tensorOf(args, 'input'), numberOf(args, 'dim')];
  const output = logSoftmaxOf(input, dim);
  return { output, backward: (gradOutput) => ({ input: logSoftmaxGradient(output, gradOutput, dim) }) };
};

export function logSoftmaxGradient(output: NdArray, gradOutput: NdArray, dim: number): NdArray {
  const grad = zeros(output.shape);
  forEachLine(output.shape, dim, (line) => {
    const sum = line.reduce((s, i) => s + gradOutput.data[i], 0);
    for (const i of line) grad.data[i] = gradOutput.data[i] - Math.exp(output.data[i]) * sum;
  });
  return grad;
}

/** First half times the sigmoid of the second half along dim. */
export const glu: Oracle = (args) => {
  const input = tensorOf(args, 'input');
  const dim = dimension(numberOf(args, 'dim'), input.shape.length);
  const [outer, size, inner] = around(input.shape, dim);
  const half = (size / 2) * inner;
  const output = zeros(input.shape.map((s, d) => (d === dim ? s / 2 : s)));
  // Positions of value and gate for every output element.
  const value = (out: number): number => out + Math.floor(out / half) * half;
  const gate = (out: number): number => value(out) + half;
  for (let out = 0; out < outer * half; out++) {
    output.data[out] = input.data[value(out)] * sigmoid(input.data[gate(out)]);
  }
  const backward = (gradOutput: NdArray): Gradients => {
    const grad = zeros(input.shape);
    gradOutput.data.forEach((g, out) => {
      const [a, b] = [input.data[value(out)], sigmoid(input.data[gate(out)])];
      grad.data[value(out)] = g * b;
      grad.data[gate(out)] = g * a * b * (1 - b);
    });
    return { input: grad };
  };
  return { output, backward };
};
