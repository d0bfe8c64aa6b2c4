// Losses. All have the form  value = sum of scale(r) loss(r)  over rows or elements r, with
// scale 1 for "none" (one value each) and "sum", 1 / divisor for "mean".
import type { CaseRecord } from './case-values';
import { flagOf, numberOf, optionalTensorOf, tensorOf, textOf } from './case-values';
import type { NdArray } from './nd-array';
import { broadcastTo, mapped, reshaped, sizeOf, zeros } from './nd-array';
import { logSoftmaxGradient, logSoftmaxOf, sigmoid, softplus } from './reference-activation';
import type { Gradients, Oracle, OracleResult } from './reference-core';

/** Reduces losses; `spread` gives each loss its share of the gradient of the result. */
function reduce(
  losses: NdArray,
  reduction: string,
  divisor: number,
): { output: NdArray; spread: (gradOutput: NdArray) => NdArray } {
  if (reduction === 'none') return { output: losses, spread: (gradOutput) => gradOutput };
  const scale = reduction === 'sum' ? 1 : 1 / divisor;
  const sum = losses.data.reduce((total, loss) => total + loss, 0);
  // No row counts: the mean of nothing is NaN, though no row receives a gradient.
  const output = { shape: [], data: Float64Array.of(reduction === 'sum' ? sum : sum / divisor) };
  return { output, spread: (gradOutput) => mapped(losses, () => gradOutput.data[0] * scale) };
}

/** Rows of class scores: [n, c, ...] or [c] seen as [n, c, inner], one row per (n, inner). */
interface Rows {
  readonly n: number;
  readonly classes: number;
  readonly inner: number;
  /** Shape of one loss a row. */
  readonly shape: readonly number[];
}

function rowsOf(input: NdArray): Rows {
  if (input.shape.length === 1) return { n: 1, classes: input.shape[0], inner: 1, shape: [] };
  const [n, classes, ...rest] = input.shape;
  return { n, classes, inner: sizeOf(rest), shape: [n, ...rest] };
}

/**
 * loss(row) = -sum over c of coefficient[row, c] logP[row, c]; everything about targets, class weights,
 * smoothing and ignored rows is in the coefficients. `weights` is what the mean divides by.
 */
interface Coefficients {
  readonly values: NdArray;
  readonly weights: number;
}

function classCoefficients(target: NdArray, rows: Rows, options: CaseRecord): Coefficients {
  const weight = optionalTensorOf(options, 'weight');
  const smoothing = numberOf(options, 'labelSmoothing', 0);
  const ignoreIndex = numberOf(options, 'ignoreIndex', -100);
  const { n, classes, inner } = rows;
  const values = zeros([n, classes, inner]);
  let weights = 0;
  target.data.forEach((label, row) => {
    if (label === ignoreIndex) return;
    weights += weight?.data[label] ?? 1;
    for (let c = 0; c < classes; c++) {
      const share = (c === label ? 1 - smoothing : 0) + smoothing / classes;
      values.data[at(rows, row, c)] = share * (weight?.data[c] ?? 1);
    }
  });
  return { values, weights };
}

const at = ({ classes, inner }: Rows, row: number, c: number): number =>
  (Math.floor(row / inner) * classes + c) * inner + (row % inner);

function probabilityCoefficients(target: NdArray, rows: Rows, options: CaseRecord): Coefficients {
  const weight = optionalTensorOf(options, 'weight');
  const smoothing = numberOf(options, 'labelSmoothing', 0);
  const { n, classes, inner } = rows;
  const values = mapped(reshaped(target, [n, classes, inner]), (p, i) => {
    const share = p * (1 - smoothing) + smoothing / classes;
    return share * (weight?.data[Math.floor(i / inner) % classes] ?? 1);
  });
  return { values, weights: n * inner };
}

function weightedLogLoss(
  logP: NdArray,
  coefficients: Coefficients,
  rows: Rows,
  reduction: string,
): OracleResult & { gradients: (gradOutput: NdArray) => { logP: NdArray; spread: NdArray } } {
  const losses = zeros(rows.shape);
  for (let row = 0; row < losses.data.length; row++) {
    for (let c = 0; c < rows.classes; c++) {
      const i = at(rows, row, c);
      // An ignored or impossible class costs nothing, even where its logarithm is -Infinity.
      if (coefficients.values.data[i] !== 0) losses.data[row] -= coefficients.values.data[i] * logP.data[i];
    }
  }
  const { output, spread } = reduce(losses, reduction, coefficients.weights);
  const gradients = (gradOutput: NdArray): { logP: NdArray; spread: NdArray } => {
    const perRow = spread(gradOutput);
    const grad = zeros(logP.shape);
    for (let row = 0; row < losses.data.length; row++) {
      for (let c = 0; c < rows.classes; c++) {
        const i = at(rows, row, c);
        const coefficient = coefficients.values.data[i];
        grad.data[i] = coefficient === 0 ? 0 : -coefficient * perRow.data[row];
      }
    }
    return { logP: grad, spread: perRow };
  };
  return { output, gradients };
}

/** Integer targets [n, ...] or probabilities of the input's shape [n, c, ...]. */
export const crossEntropy: Oracle = (args, options) => {
  const [input, target] = [tensorOf(args, 'input'), tensorOf(args, 'target')];
  const rows = rowsOf(input);
  const asRows = reshaped(input, [rows.n, rows.classes, rows.inner]);
  const logP = logSoftmaxOf(asRows, 1);
  const probabilities = target.dtype === undefined;
  const coefficients = (probabilities ? probabilityCoefficients : classCoefficients)(target, rows, options);
  const { output, gradients } = weightedLogLoss(
    logP,
    coefficients,
    rows,
    textOf(options, 'reduction', 'mean'),
  );
  const backward = (gradOutput: NdArray): Gradients => {
    const { logP: gradLogP, spread } = gradients(gradOutput);
    const grad = reshaped(logSoftmaxGradient(logP, gradLogP, 1), input.shape);
    if (!probabilities) return { input: grad };
    const weight = optionalTensorOf(options, 'weight');
    const smoothing = numberOf(options, 'labelSmoothing', 0);
    const gradTarget = zeros(target.shape);
    for (let row = 0; row < spread.data.length; row++) {
      for (let c = 0; c < rows.classes; c++) {
        const i = at(rows, row, c);
        gradTarget.data[i] = -spread.data[row] * (1 - smoothing) * (weight?.data[c] ?? 1) * logP.data[i];
      }
    }
    return { input: grad, target: gradTarget };
  };
  return { output, backward };
};

/** Cross entropy of log probabilities that are given. */
export const nllLoss: Oracle = (args, options) => {
  const [input, target] = [tensorOf(args, 'input'), tensorOf(args, 'target')];
  const rows = rowsOf(input);
  const coefficients = classCoefficients(target, rows, options);
  const { output, gradients } = weightedLogLoss(
    input,
    coefficients,
    rows,
    textOf(options, 'reduction', 'mean'),
  );
  return { output, backward: (gradOutput) => ({ input: gradients(gradOutput).logP }) };
};

/** x and t are the elements of input and target, i their position. */
type Loss = (x: number, t: number, i: number) => number;
type LossCurve = readonly [f: Loss, byInput: Loss, byTarget?: Loss];

/** A loss of one element of input and target; an optional weight broadcasts to the input. */
const elementLoss =
  (curve: (options: CaseRecord, shape: readonly number[]) => LossCurve): Oracle =>
  (args, options) => {
    const [input, target] = [tensorOf(args, 'input'), tensorOf(args, 'target')];
    const [f, byInput, byTarget] = curve(options, input.shape);
    const weights = broadcastTo(optionalTensorOf(options, 'weight'), input.shape);
    const losses = mapped(input, (x, i) => weights[i] * f(x, target.data[i], i));
    const reduction = textOf(options, 'reduction', 'mean');
    const divisor = reduction === 'batchmean' ? input.shape[0] : input.data.length;
    const { output, spread } = reduce(losses, reduction, divisor);
    const backward = (gradOutput: NdArray): Gradients => {
      const share = spread(gradOutput);
      const by = (slope: Loss): NdArray =>
        mapped(input, (x, i) => share.data[i] * weights[i] * slope(x, target.data[i], i));
      return { input: by(byInput), ...(byTarget && { target: by(byTarget) }) };
    };
    return { output, backward };
  };

/** Losses of the difference alone: the derivative by the target is the negative one. */
const differenceLoss = (
  curve: (options: CaseRecord) => [(d: number) => number, (d: number) => number],
): Oracle =>
  elementLoss((options) => {
    const [f, df] = curve(options);
    return [(x, t) => f(x - t), (x, t) => df(x - t), (x, t) => -df(x - t)];
  });

/** d^2 / 2 up to the border, straight beyond it, both times `scale`. */
const rounded = (border: number, scale: number): [(d: number) => number, (d: number) => number] => [
  (d) => scale * (Math.abs(d) < border ? (d * d) / 2 : border * (Math.abs(d) - border / 2)),
  (d) => scale * (Math.abs(d) < border ? d : border * Math.sign(d)),
];

export const mseLoss = differenceLoss(() => [(d) => d * d, (d) => 2 * d]);
export const l1Loss = differenceLoss(() => [Math.abs, Math.sign]);
export const huberLoss = differenceLoss((options) => rounded(numberOf(options, 'delta', 1), 1));
export const smoothL1Loss = differenceLoss((options) => {
  const beta = numberOf(options, 'beta', 1);
  return beta === 0 ? [Math.abs, Math.sign] : rounded(beta, 1 / beta);
});

/** PyTorch's 1e-12 is a float32 number, also where it computes in double. */
const smallestDivisor = Math.fround(1e-12);

/** -(t log p + (1 - t) log(1 - p)), logarithms cut at -100. */
export const binaryCrossEntropy = elementLoss(() => {
  const log = (p: number): number => Math.max(Math.log(p), -100);
  return [
    (p, t) => -(t * log(p) + (1 - t) * log(1 - p)),
    (p, t) => (p - t) / Math.max(p * (1 - p), smallestDivisor),
  ];
});

/** The same of p = sigmoid(x), with t log p scaled by posWeight, which broadcasts to the input. */
export const binaryCrossEntropyWithLogits = elementLoss((options, shape) => {
  const positive = broadcastTo(optionalTensorOf(options, 'posWeight'), shape);
  return [
    (x, t, i) => positive[i] * t * softplus(-x) + (1 - t) * softplus(x),
    (x, t, i) => -positive[i] * t * sigmoid(-x) + (1 - t) * sigmoid(x),
  ];
});

/** t (log t - x), with t itself a logarithm if logTarget. */
export const klDiv = elementLoss((options) =>
  flagOf(options, 'logTarget', false)
    ? [(x, t) => Math.exp(t) * (t - x), (_, t) => -Math.exp(t)]
    : [(x, t) => (t === 0 ? 0 : t * (Math.log(t) - x)), (_, t) => -t],
);
