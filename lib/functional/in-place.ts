/**
 * Edits of a tensor's own memory. Names end in `_`, except `set`.
 *
 * An edit that has to be recorded replaces the tensor's place in the graph by a node for the edit; its old value lives
 * on in a copy where backward needs it. Leaves that require gradients may only be edited inside noGrad.
 */
import { needsGrad, record } from '../autograd/graph';
import { isGradEnabled } from '../autograd/grad-mode';
import { isFloating, type DType } from '../dtype';
import { DTypeError, GraphError } from '../errors';
import { binaryFns, run, type BinaryFn } from '../native';
import { formatShape, real, sameShape, shapeError } from '../shape';
import { fillRandom } from '../random';
import { cloneElements, copyElements, fillElements } from '../tensor/copy';
import { Tensor, expectTensor } from '../tensor/tensor';
import { castTo, sumTo } from './broadcast';
import { expectFloating } from './checks';
import { clamp, type ClampOptions } from './clamp';
import { add, div, mul, sub, type Operand } from './elementwise';
import { scatter, scatterAdd } from './gather';
import { partOf, without, type Index } from './indexing';
import { maskedFill } from './logic';
import { expand } from './views';

function refuse(op: string, expected: string, hint: string): never {
  throw new GraphError('ERR_MODIFIED_IN_PLACE', { op, argument: 'tensor', expected, received: '', hint });
}

/** Throws where an edit of `t` would give wrong gradients. */
function checkEditable(op: string, t: Tensor, recorded: boolean): void {
  if (isGradEnabled() && t.isLeaf && t.requiresGrad) {
    refuse(op, 'is a leaf that requires gradients', 'edit it inside noGrad, or edit a clone()');
  }
  if (t.strides.some((step, d) => step === 0 && t.shape[d] > 1)) {
    refuse(op, 'was expanded: several elements lie in one place', 'edit a clone()');
  }
  if (recorded && t.isView) {
    refuse(
      op,
      'is a view: a recorded edit would not reach its base',
      'edit the base itself, as in base.set(index, v)',
    );
  }
}

/** Whether results of `from` may be written to `to` unasked: floats do not become integers, numbers not bools. */
function mayBecome(from: DType, to: DType): boolean {
  const kind = (dtype: DType): number => (isFloating(dtype) ? 2 : dtype === 'bool' ? 0 : 1);
  return kind(from) <= kind(to);
}

/** Replaces the values of `t` by those that `compute` makes of the old ones. */
function edit(op: string, t: Tensor, other: Operand, compute: (old: Tensor) => Tensor): Tensor {
  const recorded = needsGrad(t, other instanceof Tensor ? other : null);
  checkEditable(op, t, recorded);
  let old = t.detach();
  if (recorded) {
    old = cloneElements(t);
    old.gradFn = t.gradFn;
  }
  const y = compute(old);
  if (!sameShape(y.shape, t.shape)) {
    throw shapeError(op, 'other', `must broadcast to the tensor's shape ${formatShape(t.shape)}`, y.shape);
  }
  if (!mayBecome(y.dtype, t.dtype)) {
    throw new DTypeError({
      op,
      argument: 'the result',
      expected: `must fit the tensor's dtype ${t.dtype}`,
      received: y.dtype,
    });
  }
  copyElements(y, t);
  t.storage.version++;
  if (recorded) t.gradFn = y.gradFn;
  return t;
}

/** True if t = fn(t, other) is one pass over both, result and all. */
function isAlike(fn: BinaryFn, t: Tensor, other: Operand): boolean {
  if (!(other instanceof Tensor) || other.dtype !== t.dtype || !other.isContiguous) return false;
  if (t.dtype === 'bool' || (fn === 'div' && !isFloating(t.dtype))) return false;
  // Parts of one memory that overlap are read before they are written only by the general way.
  return sameShape(other.shape, t.shape) && (other.storage !== t.storage || other.offset === t.offset);
}

function arithmetic(
  op: string,
  fn: BinaryFn,
  t: Tensor,
  other: Operand,
  compute: (old: Tensor) => Tensor,
): Tensor {
  expectTensor(op, 'tensor', t);
  const direct = t.isContiguous && (typeof other === 'number' ? isFloating(t.dtype) : isAlike(fn, t, other));
  if (!direct || needsGrad(t, other instanceof Tensor ? other : null)) return edit(op, t, other, compute);
  if (typeof other === 'number') {
    run('binaryScalar', { fn: binaryFns[fn], n: t.numel, reversed: 0, value: other }, { x: t, y: t });
  } else {
    const unit = [1];
    run(
      'binary',
      { fn: binaryFns[fn], rank: 1, shape: [t.numel], aStrides: unit, bStrides: unit },
      { a: t, b: other, y: t },
    );
  }
  t.storage.version++;
  return t;
}

/** t += other */
export const add_ = (t: Tensor, other: Operand): Tensor =>
  arithmetic('add_', 'add', t, other, (old) => add(old, other));
/** t -= other */
export const sub_ = (t: Tensor, other: Operand): Tensor =>
  arithmetic('sub_', 'sub', t, other, (old) => sub(old, other));
/** t *= other */
export const mul_ = (t: Tensor, other: Operand): Tensor =>
  arithmetic('mul_', 'mul', t, other, (old) => mul(old, other));
/** t /= other */
export const div_ = (t: Tensor, other: Operand): Tensor =>
  arithmetic('div_', 'div', t, other, (old) => div(old, other));

/** Limits the elements to a range, see clamp. */
export const clamp_ = (t: Tensor, options: ClampOptions): Tensor =>
  edit('clamp_', t, 0, (old) => clamp(old, options));

/** Sets the elements where `mask` is true to `value`. */
export const maskedFill_ = (t: Tensor, mask: Tensor, value: Operand): Tensor =>
  edit('maskedFill_', t, value, (old) => maskedFill(old, mask, value));

/** Writes `src` to the positions `index` along `dim`, see scatter. */
export const scatter_ = (t: Tensor, dim: number, index: Tensor, src: Operand): Tensor =>
  edit('scatter_', t, src, (old) => scatter(old, dim, index, src));

/** Adds `src` at the positions `index` along `dim`, see scatterAdd. */
export const scatterAdd_ = (t: Tensor, dim: number, index: Tensor, src: Tensor): Tensor =>
  edit('scatterAdd_', t, src, (old) => scatterAdd(old, dim, index, src));

/** Sets every element to `value`. */
export function fill_(t: Tensor, value: number): Tensor {
  real('fill_', 'value', value, 'must be a number', () => true);
  if (t.isContiguous && !needsGrad(t)) {
    checkEditable('fill_', t, false);
    fillElements(t, value);
    t.storage.version++;
    return t;
  }
  return edit('fill_', t, 0, (old) => {
    const y = Tensor.empty(old.shape, old.dtype);
    fillElements(y, value);
    return y;
  });
}

/** Sets every element to 0. */
export const zero_ = (t: Tensor): Tensor => fill_(t, 0);

/** Takes over the values of `source`, broadcast and converted. */
export function copy_(t: Tensor, source: Tensor): Tensor {
  expectTensor('copy_', 'source', source);
  return edit('copy_', t, source, (old) => expand(castTo(source, old.dtype), old.shape));
}

/** Fills with normal numbers. */
export function normal_(t: Tensor, mean = 0, std = 1): Tensor {
  expectFloating('normal_', 'tensor', t);
  real('normal_', 'mean', mean, 'must be finite', Number.isFinite);
  real('normal_', 'std', std, 'must be finite and >= 0', (v) => v >= 0 && Number.isFinite(v));
  return edit('normal_', t, 0, (old) => {
    const y = Tensor.empty(old.shape, old.dtype);
    fillRandom(y, 'normal', mean, std);
    return y;
  });
}

/** Fills with uniform numbers in [from, to). */
export function uniform_(t: Tensor, from = 0, to = 1): Tensor {
  expectFloating('uniform_', 'tensor', t);
  real('uniform_', 'from', from, 'must be finite', Number.isFinite);
  real('uniform_', 'to', to, `must be finite and >= from`, (v) => v >= from && Number.isFinite(v));
  return edit('uniform_', t, 0, (old) => {
    const y = Tensor.empty(old.shape, old.dtype);
    fillRandom(y, 'uniform', from, to);
    return y;
  });
}

/**
 * Writes `value` (a number or a tensor that broadcasts) into the part of `t` that `indices` select. Differentiable in
 * both: gradients of the overwritten part stop, those of the written part flow to `value`.
 *
 * @example
 * const y = zeros([2, 2]);
 * y.set([0, 1], x.mul(k).sum());
 * y.set([':', slice(0, 1)], 0);
 */
export function set(t: Tensor, indices: readonly Index[], value: Operand): Tensor {
  const op = 'set';
  const source =
    typeof value === 'number' ? scalar(value, t) : castTo(expectTensor(op, 'value', value), t.dtype);
  const recorded = needsGrad(t, source);
  checkEditable(op, t, recorded);
  const part = partOf(op, t, indices);
  const lead = source.ndim - part.shape.length;
  const fits = source.shape.every((d, i) => d === 1 || (i >= lead && d === part.shape[i - lead]));
  if (!fits) {
    throw shapeError(
      op,
      'value',
      `must broadcast to the selected part ${formatShape(part.shape)}`,
      source.shape,
    );
  }
  const old = t.detach();
  old.gradFn = t.gradFn;
  part.fill(t, expand(withoutLeading(source.detach(), lead), part.shape));
  t.storage.version++;
  if (!recorded) return t;
  t.gradFn = null;
  t.viewVersion = -1;
  return record(op, t, [old, source], (grad, wanted) => [
    wanted[0] ? without(part, grad) : null,
    wanted[1] ? sumTo(part.of(grad), source.shape) : null,
  ]);
}

/** Takes off `count` dimensions of size 1 in front. */
function withoutLeading(t: Tensor, count: number): Tensor {
  return count > 0 ? t.viewAs(t.shape.slice(count), t.strides.slice(count), t.offset) : t;
}

function scalar(value: number, like: Tensor): Tensor {
  const t = Tensor.empty([], like.dtype);
  t.storage.data[0] = value;
  return t;
}
