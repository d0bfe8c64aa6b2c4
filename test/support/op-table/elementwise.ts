// Arithmetic, comparisons and functions of one variable.
import fc from 'fast-check';

import { clamp as clampTensor } from '../../../lib';
import * as F from '../../../lib/functional';
import type { Accuracy, OpCase, OpEntry } from '../op-cases';
import { exact, relative, scaled, sums } from '../op-cases';
import type { Domain } from '../op-values';
import { broadcastable, seededMask, seededTensor, seeds, shapes, tensors } from '../op-values';
import { positional } from './call';

const wide: Domain = [-4, 4];
const positive: Domain = [0.25, 8];

// ---- one variable ----

const oneTensor = (domain: Domain): fc.Arbitrary<OpCase> =>
  shapes(0, 4, 0).chain((shape) => tensors(shape, domain).map((input) => ({ args: { input }, options: {} })));

/** exact, or units of roundoff for the value and for the gradient. */
function unary(
  op: 'neg' | 'abs' | 'exp' | 'expm1' | 'log' | 'log1p' | 'log2' | 'sqrt' | 'rsqrt' | 'square' | 'reciprocal' | 'sin' | 'cos'
    | 'erf' | 'sign' | 'floor' | 'ceil' | 'round' | 'relu' | 'sigmoid' | 'tanh', // prettier-ignore
  value: Accuracy,
  gradient: Accuracy,
  domain: Domain = wide,
): OpEntry {
  return {
    op,
    call: positional(F[op]),
    value,
    gradient,
    cases: oneTensor(domain),
    large: () => ({ args: { input: seededTensor([2, 50_001], 1, domain, 'real') }, options: {} }),
  };
}

const unaryEntries = [
  unary('neg', exact, exact),
  unary('abs', exact, exact),
  unary('exp', relative(2), relative(3)),
  unary('expm1', relative(4), scaled(4)),
  unary('log', relative(3), relative(2), positive),
  unary('log2', relative(4), relative(4), positive),
  unary('log1p', relative(3), relative(3), [-0.75, 8]),
  unary('sqrt', exact, relative(3), positive),
  unary('rsqrt', relative(3), relative(9), positive),
  unary('square', exact, exact),
  unary('reciprocal', exact, relative(4), positive),
  unary('sin', relative(4), relative(4)),
  unary('cos', relative(4), relative(4)),
  unary('erf', relative(4), relative(6)),
  unary('sign', exact, exact),
  unary('floor', exact, exact),
  unary('ceil', exact, exact),
  unary('round', exact, exact),
  unary('relu', exact, exact),
  unary('sigmoid', relative(4), scaled(4)),
  unary('tanh', relative(4), scaled(4)),
];

// ---- two operands ----

const twoTensors = (a: Domain, b: Domain): fc.Arbitrary<OpCase> =>
  shapes(0, 4, 0)
    .chain((shape) => fc.tuple(broadcastable(shape), broadcastable(shape), seeds, seeds))
    .map(([left, right, seedA, seedB]) => ({
      args: { input: seededTensor(left, seedA, a), other: seededTensor(right, seedB, b) },
      options: {},
    }));

function binary(
  op: 'add' | 'sub' | 'mul' | 'div' | 'pow' | 'maximum' | 'minimum' | 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge',
  value: Accuracy,
  gradient: Accuracy,
  a: Domain = wide,
  b: Domain = wide,
): OpEntry {
  return {
    op,
    call: positional(F[op]),
    value,
    gradient,
    cases: twoTensors(a, b),
    large: () => ({
      args: { input: seededTensor([5, 300, 67], 1, a, 'real'), other: seededTensor([300, 1], 2, b, 'real') },
      options: {},
    }),
  };
}

const binaryEntries = [
  binary('add', exact, exact),
  binary('sub', exact, exact),
  binary('mul', exact, exact),
  binary('div', exact, sums(), wide, positive),
  binary('pow', relative(8), scaled(16), positive, [-2, 2]),
  binary('maximum', exact, exact, wide, [-3.96875, 4.03125]),
  binary('minimum', exact, exact, wide, [-3.96875, 4.03125]),
  ...(['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const).map((op) => binary(op, exact, exact)),
];

// ---- choice ----

const where: OpEntry = {
  op: 'where',
  call: positional(F.where),
  value: exact,
  cases: shapes(0, 4, 0)
    .chain((shape) =>
      fc.tuple(broadcastable(shape), broadcastable(shape), broadcastable(shape), seeds, seeds, seeds),
    )
    .map(([c, a, b, seedC, seedA, seedB]) => ({
      args: { condition: seededMask(c, seedC), input: seededTensor(a, seedA), other: seededTensor(b, seedB) },
      options: {},
    })),
};

const clamp: OpEntry = {
  op: 'clamp',
  call: positional(clampTensor),
  value: exact,
  cases: fc
    .tuple(
      shapes(0, 4, 0),
      seeds,
      fc.constantFrom({ min: -1 }, { max: 1.5 }, { min: -2, max: 0 }, { min: 1, max: -1 }),
    )
    .map(([shape, seed, options]) => ({ args: { input: seededTensor(shape, seed) }, options })),
};

export const elementwiseEntries: readonly OpEntry[] = [...unaryEntries, ...binaryEntries, where, clamp];
