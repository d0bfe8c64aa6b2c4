/**
 * Elementwise arithmetic with broadcasting.
 *
 * Operands are tensors or numbers. Two tensors of different dtypes meet in the wider kind (bool < uint8 < int32 <
 * float32 < float64); a number takes the tensor's dtype, except that a fraction turns integers into float32.
 */
import { needsGrad, record } from '../autograd/graph';
import { isFloating, promote, type DType } from '../dtype';
import { typeError } from '../errors';
import { binaryFns, compareFns, run, type BinaryFn, type CompareFn } from '../native';
import { broadcastShapes, broadcastStrides, sameShape, type Shape } from '../shape';
import { cloneElements, contiguousElements, fillElements } from '../tensor/copy';
import { Tensor, expectTensor } from '../tensor/tensor';
import { castTo, sumTo } from './broadcast';
import { checkOperand } from './checks';
import { unary } from './unary';

/** A tensor, or a number that is broadcast to any shape. */
export type Operand = Tensor | number;

// ---- unary ----

/** -x */
export const neg = (input: Tensor): Tensor => unary('neg', input);
/** |x|; derivative 0 at 0 */
export const abs = (input: Tensor): Tensor => unary('abs', input);
/** e^x */
export const exp = (input: Tensor): Tensor => unary('exp', input);
/** e^x - 1, accurate near 0 */
export const expm1 = (input: Tensor): Tensor => unary('expm1', input);
/** Natural logarithm. */
export const log = (input: Tensor): Tensor => unary('log', input);
/** Logarithm to base 2. */
export const log2 = (input: Tensor): Tensor => div(log(input), Math.LN2);
/** log(1 + x), accurate near 0 */
export const log1p = (input: Tensor): Tensor => unary('log1p', input);
/** Square root. */
export const sqrt = (input: Tensor): Tensor => unary('sqrt', input);
/** 1 / sqrt(x) */
export const rsqrt = (input: Tensor): Tensor => unary('rsqrt', input);
/** x^2 */
export const square = (input: Tensor): Tensor => unary('square', input);
/** 1 / x */
export const reciprocal = (input: Tensor): Tensor => unary('reciprocal', input);
/** Sine of radians. */
export const sin = (input: Tensor): Tensor => unary('sin', input);
/** Cosine of radians. */
export const cos = (input: Tensor): Tensor => unary('cos', input);
/** Error function. */
export const erf = (input: Tensor): Tensor => unary('erf', input);
/** -1, 0 or 1; no gradient. */
export const sign = (input: Tensor): Tensor => unary('sign', input);
/** Largest integer <= x; no gradient. */
export const floor = (input: Tensor): Tensor => unary('floor', input);
/** Smallest integer >= x; no gradient. */
export const ceil = (input: Tensor): Tensor => unary('ceil', input);
/** Nearest integer, ties to even; no gradient. */
export const round = (input: Tensor): Tensor => unary('round', input);
/** Integer part; no gradient. */
export const trunc = (input: Tensor): Tensor => unary('trunc', input);
/** max(x, 0); NaN stays NaN */
export const relu = (input: Tensor): Tensor => unary('relu', input);
/** 1 / (1 + e^-x) */
export const sigmoid = (input: Tensor): Tensor => unary('sigmoid', input);
/** Hyperbolic tangent. */
export const tanh = (input: Tensor): Tensor => unary('tanh', input);

// ---- binary ----

function scalarDType(dtype: DType, value: number): DType {
  if (isFloating(dtype)) return dtype;
  if (!Number.isInteger(value)) return 'float32';
  return dtype === 'bool' ? 'int32' : dtype;
}

/** y = fn(a, b) for tensors of one dtype, not recorded. */
function binaryValues(fn: BinaryFn, a: Tensor, b: Tensor): Tensor {
  if (sameShape(a.shape, b.shape) && a.isContiguous && b.isContiguous) {
    const y = Tensor.empty(a.shape, a.dtype);
    const flat = [a.numel];
    run('binary', { fn: binaryFns[fn], rank: 1, shape: flat, aStrides: one, bStrides: one }, { a, b, y });
    return y;
  }
  const shape = broadcastShapes(fn, a.shape, b.shape);
  const y = Tensor.empty(shape, a.dtype);
  run(
    'binary',
    {
      fn: binaryFns[fn],
      rank: shape.length,
      shape,
      aStrides: broadcastStrides(a.shape, a.strides, shape),
      bStrides: broadcastStrides(b.shape, b.strides, shape),
    },
    { a, b, y },
  );
  return y;
}

const one = [1];

/** y = fn(x, value) or fn(value, x), not recorded. */
function scalarValues(fn: BinaryFn, x: Tensor, value: number, reversed: boolean): Tensor {
  const source = contiguousElements(x);
  const y = Tensor.empty(x.shape, x.dtype);
  run('binaryScalar', { fn: binaryFns[fn], n: x.numel, reversed: reversed ? 1 : 0, value }, { x: source, y });
  return y;
}

type BinaryGradient = (grad: Tensor, a: Tensor, b: Tensor, y: Tensor) => Tensor;

/** Derivatives with respect to the first and the second operand; before summing over broadcast dimensions. */
interface BinaryDerivatives {
  readonly a: BinaryGradient;
  readonly b: BinaryGradient;
  /** What the formulas read, for the in-place check. */
  readonly reads: 'nothing' | 'operands' | 'all';
}

/** Nothing to the side that lost, half to each at ties; NaN loses to nobody. As in PyTorch. */
function extremeGradient(grad: Tensor, mine: Tensor, other: Tensor, loses: CompareFn): Tensor {
  return where(compare(loses, mine, other), 0, where(eq(mine, other), mul(grad, 0.5), grad));
}

const derivatives: Readonly<Record<BinaryFn, BinaryDerivatives>> = {
  add: { a: (g) => g, b: (g) => g, reads: 'nothing' },
  sub: { a: (g) => g, b: (g) => neg(g), reads: 'nothing' },
  mul: { a: (g, _a, b) => mul(g, b), b: (g, a) => mul(g, a), reads: 'operands' },
  div: { a: (g, _a, b) => div(g, b), b: (g, a, b) => neg(div(mul(g, div(a, b)), b)), reads: 'operands' },
  max: {
    a: (g, a, b) => extremeGradient(g, a, b, 'lt'),
    b: (g, a, b) => extremeGradient(g, b, a, 'lt'),
    reads: 'operands',
  },
  min: {
    a: (g, a, b) => extremeGradient(g, a, b, 'gt'),
    b: (g, a, b) => extremeGradient(g, b, a, 'gt'),
    reads: 'operands',
  },
  pow: {
    // d/da a^b = b a^(b-1), 0 where b is 0; d/db = a^b ln a, 0 where a is 0 and b >= 0
    a: (g, a, b) => mul(g, mul(b, pow(a, where(eq(b, 0), 1, sub(b, 1))))),
    b: (g, a, b, y) => mul(g, where(logicalAnd(eq(a, 0), ge(b, 0)), 0, mul(y, log(a)))),
    reads: 'all',
  },
};

const names: Readonly<Record<BinaryFn, string>> = {
  add: 'add',
  sub: 'sub',
  mul: 'mul',
  div: 'div',
  max: 'maximum',
  min: 'minimum',
  pow: 'pow',
};

function binary(fn: BinaryFn, a: Operand, b: Operand): Tensor {
  const op = names[fn];
  if (a instanceof Tensor && b instanceof Tensor) return tensorBinary(fn, a, b);
  checkOperand(op, 'input', a);
  checkOperand(op, 'other', b);
  if (a instanceof Tensor) return scalarBinary(fn, a, b as number, false);
  if (b instanceof Tensor) return scalarBinary(fn, b, a, true);
  throw typeError(op, 'input', 'must be a Tensor', a);
}

function tensorBinary(fn: BinaryFn, a: Tensor, b: Tensor): Tensor {
  let dtype = promote(a.dtype, b.dtype);
  if (!isFloating(dtype) && (fn === 'div' || dtype === 'bool')) dtype = fn === 'div' ? 'float32' : 'int32';
  const x = castTo(a, dtype);
  const z = castTo(b, dtype);
  const y = binaryValues(fn, x, z);
  if (!needsGrad(x, z)) return y;
  const d = derivatives[fn];
  const saved = d.reads === 'nothing' ? [] : d.reads === 'operands' ? [x, z] : [x, z, y];
  return record(
    names[fn],
    y,
    [x, z],
    (grad, wanted) => [
      wanted[0] ? sumTo(d.a(grad, x, z, y), x.shape) : null,
      wanted[1] ? sumTo(d.b(grad, x, z, y), z.shape) : null,
    ],
    { saved },
  );
}

function scalarBinary(fn: BinaryFn, t: Tensor, value: number, reversed: boolean): Tensor {
  const dtype = fn === 'div' && !isFloating(t.dtype) ? 'float32' : scalarDType(t.dtype, value);
  const x = castTo(t, dtype);
  const y = scalarValues(fn, x, value, reversed);
  if (!needsGrad(x)) return y;
  return record(names[fn], y, [x], scalarBackward(fn, x, value, reversed, y), {
    saved: fn === 'add' || fn === 'sub' || fn === 'mul' || (fn === 'div' && !reversed) ? [] : [x, y],
  });
}

function scalarBackward(fn: BinaryFn, x: Tensor, value: number, reversed: boolean, y: Tensor) {
  return (grad: Tensor): readonly Tensor[] => {
    switch (fn) {
      case 'add':
        return [grad];
      case 'sub':
        return [reversed ? neg(grad) : grad];
      case 'mul':
        return [mul(grad, value)];
      case 'div':
        return [reversed ? neg(mul(grad, div(y, x))) : div(grad, value)];
      case 'pow':
        // 0^x is constant for x >= 0, where log 0 would be -Infinity.
        if (reversed && value === 0) return [where(ge(x, 0), 0, mul(grad, mul(y, -Infinity)))];
        if (reversed) return [mul(grad, mul(y, Math.log(value)))];
        return value === 0 ? [mul(grad, 0)] : [mul(grad, mul(pow(x, value - 1), value))];
      case 'max':
        return [extremeGradient(grad, x, fullLike(x, value), 'lt')];
      case 'min':
        return [extremeGradient(grad, x, fullLike(x, value), 'gt')];
    }
  };
}

function fullLike(x: Tensor, value: number): Tensor {
  const t = Tensor.empty(x.shape, x.dtype);
  fillElements(t, value);
  return t;
}

/** a + b. @example add(tensor([1, 2]), 10) // tensor([11., 12.]) */
export const add = (input: Operand, other: Operand): Tensor => binary('add', input, other);
/** a - b */
export const sub = (input: Operand, other: Operand): Tensor => binary('sub', input, other);
/** a * b */
export const mul = (input: Operand, other: Operand): Tensor => binary('mul', input, other);
/** a / b; integers give float32 */
export const div = (input: Operand, other: Operand): Tensor => binary('div', input, other);
/** a ^ b */
export const pow = (input: Operand, exponent: Operand): Tensor => binary('pow', input, exponent);
/** Elementwise larger value; a NaN on either side wins. */
export const maximum = (input: Operand, other: Operand): Tensor => binary('max', input, other);
/** Elementwise smaller value; a NaN on either side wins. */
export const minimum = (input: Operand, other: Operand): Tensor => binary('min', input, other);

// ---- comparisons and choice: no gradient flows through conditions ----

/** The dtype of a number beside a tensor of `dtype`, wide enough to hold it: x > 300 is false for bytes, not x > 44. */
function comparedDType(dtype: DType, value: number): DType {
  const own = scalarDType(dtype, value);
  if (isFloating(own)) return own;
  if (own === 'uint8' && value >= 0 && value <= 255) return own;
  return value >= -(2 ** 31) && value < 2 ** 31 ? 'int32' : 'float64';
}

function operandTensor(value: Operand, like: DType): Tensor {
  if (value instanceof Tensor) return value;
  const t = Tensor.empty([], comparedDType(like, value));
  t.storage.data[0] = value;
  return t;
}

function compare(fn: CompareFn, input: Operand, other: Operand): Tensor {
  checkOperand(fn, 'input', input);
  checkOperand(fn, 'other', other);
  const left = operandTensor(input, other instanceof Tensor ? other.dtype : 'float32');
  const right = operandTensor(other, left.dtype);
  const dtype = promote(left.dtype, right.dtype);
  const a = castTo(left.detach(), dtype);
  const b = castTo(right.detach(), dtype);
  const shape = broadcastShapes(fn, a.shape, b.shape);
  const y = Tensor.empty(shape, 'bool');
  run(
    'compare',
    {
      fn: compareFns[fn],
      rank: shape.length,
      shape,
      aStrides: broadcastStrides(a.shape, a.strides, shape),
      bStrides: broadcastStrides(b.shape, b.strides, shape),
    },
    { a, b, y },
  );
  return y;
}

/** a > b, as a bool tensor */
export const gt = (input: Operand, other: Operand): Tensor => compare('gt', input, other);
/** a >= b, as a bool tensor */
export const ge = (input: Operand, other: Operand): Tensor => compare('ge', input, other);
/** a < b, as a bool tensor */
export const lt = (input: Operand, other: Operand): Tensor => compare('lt', input, other);
/** a <= b, as a bool tensor */
export const le = (input: Operand, other: Operand): Tensor => compare('le', input, other);
/** a == b, as a bool tensor */
export const eq = (input: Operand, other: Operand): Tensor => compare('eq', input, other);
/** a != b, as a bool tensor */
export const ne = (input: Operand, other: Operand): Tensor => compare('ne', input, other);

/** Both are non-zero, as a bool tensor. */
export function logicalAnd(input: Tensor, other: Tensor): Tensor {
  return ne(mul(castTo(ne(input, 0), 'int32'), castTo(ne(other, 0), 'int32')), 0);
}

function broadcast3(a: Shape, b: Shape, c: Shape): number[] {
  return broadcastShapes('where', broadcastShapes('where', a, b), c);
}

/**
 * `input` where `condition` is non-zero, else `other`, with broadcasting. Gradients flow to the chosen side.
 *
 * @example where(x.gt(0), x, 0)
 */
export function where(condition: Tensor, input: Operand, other: Operand): Tensor {
  expectTensor('where', 'condition', condition);
  checkOperand('where', 'input', input);
  checkOperand('where', 'other', other);
  const like = input instanceof Tensor ? input.dtype : other instanceof Tensor ? other.dtype : 'float32';
  const left = operandTensor(input, like);
  const right = operandTensor(other, like);
  const dtype = promote(left.dtype, right.dtype);
  const a = castTo(left, dtype);
  const b = castTo(right, dtype);
  const c = condition.dtype === 'bool' || condition.dtype === 'uint8' ? condition : ne(condition, 0);
  const shape = broadcast3(c.shape, a.shape, b.shape);
  const y = Tensor.empty(shape, dtype);
  run(
    'where',
    {
      rank: shape.length,
      shape,
      cStrides: broadcastStrides(c.shape, c.strides, shape),
      aStrides: broadcastStrides(a.shape, a.strides, shape),
      bStrides: broadcastStrides(b.shape, b.strides, shape),
    },
    { condition: c, a, b, y },
  );
  if (!needsGrad(a, b)) return y;
  return record(
    'where',
    y,
    [a, b],
    (grad, wanted) => [
      wanted[0] ? sumTo(where(c, grad, 0), a.shape) : null,
      wanted[1] ? sumTo(where(c, 0, grad), b.shape) : null,
    ],
    { saved: [c] },
  );
}

/** A copy with its own memory; gradients flow through. */
export function clone(input: Tensor): Tensor {
  expectTensor('clone', 'input', input);
  return record('clone', cloneElements(input), [input], (grad) => [grad]);
}
