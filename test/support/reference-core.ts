// The forms most reference ops take: a list of terms, from which value and gradients follow.
//
// An op that is linear in its input is fully described by its terms  out[o] += w in[i];  its gradient is the
// same list read backwards,  din[i] += w dout[o].  A bilinear one (convolution, matrix product) by the terms
// out[o] += a[i] b[j]  likewise. Each op then only says which elements meet.
import type { CaseRecord } from './case-values';
import type { NdArray } from './nd-array';
import { zeros } from './nd-array';

export type Gradients = Readonly<Record<string, NdArray>>;

export interface OracleResult {
  readonly output: NdArray;
  readonly indices?: NdArray;
  /** Tensors the call would change in place, afterwards. */
  readonly after?: Gradients;
  /** Gradients by name of argument or option; absent where there is no derivative. */
  readonly backward?: (gradOutput: NdArray) => Gradients;
}

/** The gradients of a result that must have them. */
export function gradientsOf(result: OracleResult, gradOutput: NdArray): Gradients {
  if (!result.backward) throw new TypeError('this op has no derivative');
  return result.backward(gradOutput);
}

/** A plain-loop op in double: called with the arguments and options of the package's own function. */
export type Oracle = (args: CaseRecord, options: CaseRecord) => OracleResult;

export type LinearTerm = (out: number, input: number, weight: number) => void;

/** out[o] += weight * input[i] over all terms; `start` holds what is added to (a constant). */
export function linearOp(
  key: string,
  input: NdArray,
  start: NdArray,
  visit: (term: LinearTerm) => void,
): Required<Pick<OracleResult, 'output' | 'backward'>> {
  const output = { shape: start.shape, data: start.data.slice() };
  visit((o, i, weight) => {
    output.data[o] += weight * input.data[i];
  });
  const backward = (gradOutput: NdArray): Gradients => {
    const grad = zeros(input.shape);
    visit((o, i, weight) => {
      grad.data[i] += weight * gradOutput.data[o];
    });
    return { [key]: grad };
  };
  return { output, backward };
}

export type BilinearTerm = (out: number, a: number, b: number) => void;

/** out[o] += a[i] * b[j] over all terms, plus a bias if there is one: biasOf(o) is its element for out[o]. */
export function bilinearOp(
  [keyA, keyB]: readonly [string, string],
  a: NdArray,
  b: NdArray,
  outputShape: readonly number[],
  visit: (term: BilinearTerm) => void,
  bias: NdArray | null = null,
  biasOf: (out: number) => number = () => 0,
): OracleResult {
  const output = zeros(outputShape);
  visit((o, i, j) => {
    output.data[o] += a.data[i] * b.data[j];
  });
  if (bias) for (let o = 0; o < output.data.length; o++) output.data[o] += bias.data[biasOf(o)];

  const backward = (gradOutput: NdArray): Gradients => {
    const [gradA, gradB] = [zeros(a.shape), zeros(b.shape)];
    visit((o, i, j) => {
      gradA.data[i] += gradOutput.data[o] * b.data[j];
      gradB.data[j] += gradOutput.data[o] * a.data[i];
    });
    if (!bias) return { [keyA]: gradA, [keyB]: gradB };
    const gradBias = zeros(bias.shape);
    for (let o = 0; o < output.data.length; o++) gradBias.data[biasOf(o)] += gradOutput.data[o];
    return { [keyA]: gradA, [keyB]: gradB, bias: gradBias };
  };
  return { output, backward };
}
