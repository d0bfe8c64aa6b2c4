// Elementwise ops: two operands that broadcast, comparisons, functions of one variable, clamp, where.
import { isTensor, numberOf, tensorOf } from './case-values';
import type { NdArray } from './nd-array';
import { broadcastOffset, broadcastShape, forEachIndex, mapped, zeros } from './nd-array';
import type { Gradients, Oracle } from './reference-core';

type Pair = (a: number, b: number) => number;

/** y = f(a, b); da and db are the partial derivatives. */
const binary =
  (f: Pair, da?: Pair, db?: Pair): Oracle =>
  (args) => {
    const [a, b] = [tensorOf(args, 'input'), tensorOf(args, 'other')];
    const output = zeros(broadcastShape(a.shape, b.shape));
    const [left, right] = [new Int32Array(output.data.length), new Int32Array(output.data.length)];
    forEachIndex(output.shape, (index, flat) => {
      left[flat] = broadcastOffset(index, a.shape);
      right[flat] = broadcastOffset(index, b.shape);
      output.data[flat] = f(a.data[left[flat]], b.data[right[flat]]);
    });
    if (!da || !db) return { output };
    const backward = (gradOutput: NdArray): Gradients => {
      const [input, other] = [zeros(a.shape), zeros(b.shape)];
      gradOutput.data.forEach((g, flat) => {
        const [x, y] = [a.data[left[flat]], b.data[right[flat]]];
        input.data[left[flat]] += g * da(x, y);
        other.data[right[flat]] += g * db(x, y);
      });
      return { input, other };
    };
    return { output, backward };
  };

const compare = (holds: (a: number, b: number) => boolean): Oracle => binary((a, b) => Number(holds(a, b)));

// Equal operands share the gradient.
const half = (wins: boolean, tie: boolean): number => (tie ? 0.5 : Number(wins));

export const binaryOps = {
  add: binary(
    (a, b) => a + b,
    () => 1,
    () => 1,
  ),
  sub: binary(
    (a, b) => a - b,
    () => 1,
    () => -1,
  ),
  mul: binary(
    (a, b) => a * b,
    (_, b) => b,
    (a) => a,
  ),
  div: binary(
    (a, b) => a / b,
    (_, b) => 1 / b,
    (a, b) => -a / b ** 2,
  ),
  pow: binary(
    (a, b) => a ** b,
    // x^0 is constant, also at 0, where b a^(b - 1) would be 0 times Infinity.
    (a, b) => (b === 0 ? 0 : b * a ** (b - 1)),
    // 0^b is constant for b >= 0, where log 0 would be -Infinity.
    (a, b) => (a === 0 && b >= 0 ? 0 : a ** b * Math.log(a)),
  ),
  maximum: binary(
    Math.max,
    (a, b) => half(a > b, a === b),
    (a, b) => half(b > a, a === b),
  ),
  minimum: binary(
    Math.min,
    (a, b) => half(a < b, a === b),
    (a, b) => half(b < a, a === b),
  ),
  eq: compare((a, b) => a === b),
  ne: compare((a, b) => a !== b),
  lt: compare((a, b) => a < b),
  le: compare((a, b) => a <= b),
  gt: compare((a, b) => a > b),
  ge: compare((a, b) => a >= b),
};

/** y = f(x) with derivative df(x). */
export const unary =
  (f: (x: number) => number, df: (x: number) => number): Oracle =>
  (args) => {
    const input = tensorOf(args, 'input');
    return {
      output: mapped(input, f),
      backward: (gradOutput) => ({ input: mapped(input, (x, i) => gradOutput.data[i] * df(x)) }),
    };
  };

/**
 * The error function: its power series near 0, the continued fraction of erfc further out. Both are good to
 * a few units of 1e-16 on their side of 2.
 */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (Number.isNaN(x) || size > 6) return Math.sign(x);
  if (size < 2) {
    let [sum, power] = [x, x];
    for (let n = 1; n < 60; n++) {
      power *= -(x * x) / n;
      sum += power / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = size;
  for (let n = 80; n > 0; n--) fraction = size + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * fraction));
}

const roundHalfEven = (x: number): number => {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
};

const zeroSlope = (): number => 0;

export const unaryOps = {
  neg: unary(
    (x) => -x,
    () => -1,
  ),
  abs: unary(Math.abs, Math.sign),
  exp: unary(Math.exp, Math.exp),
  expm1: unary(Math.expm1, Math.exp),
  log: unary(Math.log, (x) => 1 / x),
  log1p: unary(Math.log1p, (x) => 1 / (1 + x)),
  log2: unary(Math.log2, (x) => 1 / (x * Math.LN2)),
  sqrt: unary(Math.sqrt, (x) => 0.5 / Math.sqrt(x)),
  rsqrt: unary(
    (x) => 1 / Math.sqrt(x),
    (x) => -0.5 * x ** -1.5,
  ),
  reciprocal: unary(
    (x) => 1 / x,
    (x) => -1 / x ** 2,
  ),
  square: unary(
    (x) => x * x,
    (x) => 2 * x,
  ),
  sin: unary(Math.sin, Math.cos),
  cos: unary(Math.cos, (x) => -Math.sin(x)),
  erf: unary(erf, (x) => (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x)),
  sign: unary(Math.sign, zeroSlope),
  floor: unary(Math.floor, zeroSlope),
  ceil: unary(Math.ceil, zeroSlope),
  round: unary(roundHalfEven, zeroSlope),
};

/** min(max(x, options.min), options.max); a value on a border still passes its gradient. */
export const clamp: Oracle = (args, options) => {
  const [min, max] = [numberOf(options, 'min', -Infinity), numberOf(options, 'max', Infinity)];
  return unary(
    (x) => Math.min(Math.max(x, min), max),
    (x) => Number(x >= min && x <= max),
  )(args, options);
};

/** where(condition, input, other): each of the three broadcasts; input and other may be numbers. */
export const where: Oracle = (args) => {
  const condition = tensorOf(args, 'condition');
  const operand = (key: string): NdArray => {
    const value = args[key];
    return isTensor(value) ? value : { shape: [], data: Float64Array.of(numberOf(args, key)) };
  };
  const [a, b] = [operand('input'), operand('other')];
  const output = zeros(broadcastShape(condition.shape, a.shape, b.shape));
  const choose = (visit: (flat: number, fromInput: boolean, offset: number) => void): void =>
    forEachIndex(output.shape, (index, flat) => {
      const fromInput = condition.data[broadcastOffset(index, condition.shape)] !== 0;
      visit(flat, fromInput, broadcastOffset(index, fromInput ? a.shape : b.shape));
    });
  choose((flat, fromInput, offset) => (output.data[flat] = (fromInput ? a : b).data[offset]));
  const backward = (gradOutput: NdArray): Gradients => {
    const [input, other] = [zeros(a.shape), zeros(b.shape)];
    choose((flat, fromInput, offset) => ((fromInput ? input : other).data[offset] += gradOutput.data[flat]));
    return { input, other };
  };
  return { output, backward };
};
