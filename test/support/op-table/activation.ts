// Activations, softmax and its kin.
import fc from 'fast-check';

import * as F from '../../../lib/functional';
import type { CaseRecord } from '../case-values';
import type { Accuracy, OpCase, OpEntry } from '../op-cases';
import { exact, relative, scaled, sums } from '../op-cases';
import type { Domain } from '../op-values';
import { dims, seededTensor, seeds, shapes, tensors } from '../op-values';
import { positional } from './call';

const values: Domain = [-6, 6];

type Elementwise =
  | 'relu6' | 'leakyRelu' | 'elu' | 'selu' | 'celu' | 'gelu' | 'silu' | 'mish' | 'hardswish' | 'hardsigmoid' | 'hardtanh'
  | 'softplus' | 'softsign' | 'logSigmoid'; // prettier-ignore

/** One tensor and, now and then, an option. Values are never where the pieces of a function meet. */
function elementwise(
  op: Elementwise,
  value: Accuracy,
  gradient: Accuracy,
  options: readonly CaseRecord[] = [],
): OpEntry {
  const cases = fc
    .tuple(shapes(0, 4, 0), seeds, fc.constantFrom<CaseRecord>({}, ...options))
    .map(([shape, seed, chosen]) => ({
      args: { input: seededTensor(shape, seed, values) },
      options: chosen,
    }));
  return {
    op,
    call: positional(F[op]),
    value,
    gradient,
    cases,
    large: () => ({ args: { input: seededTensor([3, 20_001], 1, values, 'real') }, options: {} }),
  };
}

const elementwiseEntries = [
  elementwise('relu6', exact, exact),
  // the slope itself is rounded to float32
  elementwise('leakyRelu', relative(2), relative(2), [{ negativeSlope: 0.3 }]),
  elementwise('elu', relative(6), relative(4), [{ alpha: 0.5 }]),
  elementwise('selu', relative(8), relative(6)),
  elementwise('celu', relative(8), relative(8), [{ alpha: 0.5 }, { alpha: 3 }]),
  // half of the value of a term that cancels with one next to 1: accurate as a part of x
  elementwise('gelu', scaled(4), scaled(8), [{ approximate: 'none' }, { approximate: 'tanh' }]),
  // e^x times x: for x far below 0 the first is a denormal, which has few digits
  elementwise('silu', scaled(4), scaled(8)),
  elementwise('mish', scaled(6), scaled(8)),
  elementwise('hardswish', relative(4), scaled(4)),
  // the reference adds 1/2 to x / 6, which cancels
  elementwise('hardsigmoid', scaled(2), relative(2)),
  elementwise('hardtanh', exact, exact, [{ minVal: -2, maxVal: 3.25 }]),
  elementwise('softplus', relative(6), relative(6), [{ beta: 2, threshold: 4 }, { beta: 0.5 }]),
  // PyTorch's derivative is the difference of two terms
  elementwise('softsign', relative(2), scaled(4)),
  elementwise('logSigmoid', relative(6), relative(4)),
];

const preluCases: fc.Arbitrary<OpCase> = shapes(1, 4).chain((shape) => {
  const channels = shape.length >= 2 ? shape[1] : 1;
  return fc
    .tuple(tensors(shape, values), tensors([1], [0, 1]), tensors([channels], [-1, 1]), fc.boolean())
    .map(([input, one, each, shared]) => ({ args: { input, weight: shared ? one : each }, options: {} }));
});

/** A tensor and one of its dimensions. */
const alongDim = (double: boolean): fc.Arbitrary<OpCase> =>
  shapes(1, 4)
    .chain((shape) => fc.tuple(fc.constant(shape), seeds, dims(shape.length)))
    .map(([shape, seed, dim]) => {
      const at = dim < 0 ? dim + shape.length : dim;
      const doubled = shape.map((d, i) => (double && i === at ? 2 * d : d));
      return { args: { input: seededTensor(doubled, seed, values, 'real'), dim }, options: {} };
    });

/** Classes next to each other, or far apart. */
const lines = (op: 'softmax' | 'logSoftmax', dim: number, value: Accuracy, gradient: Accuracy): OpEntry => ({
  op,
  call: positional(F[op]),
  value,
  gradient,
  cases: alongDim(false),
  large: () => ({ args: { input: seededTensor([40, 30, 70], 1, values, 'real'), dim }, options: {} }),
});

export const activationEntries: readonly OpEntry[] = [
  ...elementwiseEntries,
  { op: 'prelu', call: positional(F.prelu), value: exact, gradient: sums(8), cases: preluCases },
  lines('softmax', -1, relative(12), scaled(8)),
  lines('logSoftmax', 1, scaled(4), scaled(12)),
  { op: 'glu', call: positional(F.glu), value: relative(4), gradient: scaled(8), cases: alongDim(true) },
];
