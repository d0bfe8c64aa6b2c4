// One table entry per op drives everything that is checked about its numbers:
// - value and gradients in float64 and float32, against PyTorch (fixtures) and against the plain loops of
//   reference.ts (generated cases);
// - on every instruction set of this machine, with 1, 2 and 3 threads, whose results must be the same bits;
// - on contiguous inputs and on the same values behind strides with gaps;
// - gradients against central differences in float64, and from a gradient that is one number in memory.
import type fc from 'fast-check';

import { Tensor, cpuInfo, gradcheck, ones, setNumThreads } from '../../lib';
import { isFloating } from '../../lib/dtype';
import type { CaseRecord } from './case-values';
import { absolute, isTensor, tensorOf } from './case-values';
import type { Fixture } from './fixtures';
import type { NdArray } from './nd-array';
import { mapped } from './nd-array';
import type { CallRecord, Layout } from './op-values';
import { built, builtRecord, seededTensor, valuesOf } from './op-values';
import type { Gradients, Oracle } from './reference';
import { expectBitEqual, expectClose, expectDotProductClose, unitRoundoff } from './tolerance';
import { onEveryIsa } from './on-every-isa';

/** What a call returned. */
export type CallResult = Tensor | { readonly output: Tensor; readonly indices: Tensor };

/** Calls the op with the arguments and options of a case. */
export type OpCall = (args: CallRecord, options: CallRecord) => CallResult;

/**
 * How far from the exact result a value may be, in units of the dtype's roundoff:
 * - exact: only the last operation is rounded, or none
 * - relative: `units` times the value
 * - sums: `units` times the sum of the absolute terms (for what is linear in each of its inputs)
 * - scaled: `units` times the largest of all values and inputs (for what subtracts large numbers on its way)
 */
export type Accuracy =
  { readonly kind: 'exact' } | { readonly kind: 'relative' | 'sums' | 'scaled'; readonly units: number };

export const exact: Accuracy = { kind: 'exact' };
export const relative = (units: number): Accuracy => ({ kind: 'relative', units });
export const sums = (units = 4): Accuracy => ({ kind: 'sums', units });
export const scaled = (units: number): Accuracy => ({ kind: 'scaled', units });

export interface OpCase {
  readonly args: CaseRecord;
  readonly options: CaseRecord;
  /** Every sum of products is exact in float32 (see `grid` values): results must be equal. */
  readonly exact?: boolean;
}

export interface OpEntry {
  /** Name of the fixture file and of the reference op. */
  readonly op: string;
  readonly call: OpCall;
  readonly value: Accuracy;
  /** Of the gradients; the same as of the value if absent. */
  readonly gradient?: Accuracy;
  /** Random calls that the reference op understands. */
  readonly cases: fc.Arbitrary<OpCase>;
  /** A call with enough work to be split among threads; the values do not matter. */
  readonly large?: () => OpCase;
}

type FloatType = 'float32' | 'float64';

/** What comes out of a call. */
interface Outcome {
  readonly output: NdArray;
  readonly indices?: NdArray | undefined;
  readonly grads: Gradients;
  readonly after: Gradients;
}

/** A call and what has to come out of it. */
interface Expectation extends Outcome {
  readonly args: CaseRecord;
  readonly options: CaseRecord;
  readonly gradOutput?: NdArray | undefined;
  readonly exact: boolean;
}

const floatTypes: readonly FloatType[] = ['float64', 'float32'];
const layouts: readonly Layout[] = ['contiguous', 'strided'];
const threadCounts = [1, 2, 3];

/** The float64 reference was rounded too, in an order of its own. */
const float64Slack = 4;

/** Below about 1e-38 (1e-308) floats have an absolute spacing. */
const smallest = { float32: 2 ** -149, float64: 2 ** -1074 } as const;

/** Elements up to which gradients are also checked by differences: it takes two calls an element. */
const gradcheckLimit = 40;

export const counts = { fixtures: 0, generated: 0, gradchecks: new Map<string, number>() };

// ---- one call ----

function tensorsIn(...records: readonly CallRecord[]): Map<string, Tensor> {
  const found = new Map<string, Tensor>();
  for (const record of records) {
    for (const [name, value] of Object.entries(record)) if (value instanceof Tensor) found.set(name, value);
  }
  return found;
}

function tensorNamed(tensors: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const t = tensors.get(name);
  if (t === undefined) throw new Error(`the case has no tensor ${name}`);
  return t;
}

function gradientOf(t: Tensor, name: string): NdArray {
  if (t.grad === null) throw new Error(`no gradient reached ${name}`);
  if (t.grad.dtype !== t.dtype) throw new Error(`gradient of ${name} is ${t.grad.dtype}`);
  return valuesOf(t.grad);
}

/** Calls the op on fresh tensors, and backward where a gradient is sent back. */
function outcome(
  entry: OpEntry,
  wanted: Expectation,
  dtype: FloatType,
  layout: Layout,
  gradOutput = wanted.gradOutput && built(wanted.gradOutput, dtype, layout),
): Outcome {
  const args = builtRecord(wanted.args, dtype, layout);
  const options = builtRecord(wanted.options, dtype, layout);
  const tensors = tensorsIn(args, options);
  const names = Object.keys(wanted.grads);
  for (const name of names) tensorNamed(tensors, name).requiresGrad_();
  const result = entry.call(args, options);
  const { output, indices } = result instanceof Tensor ? { output: result, indices: undefined } : result;
  if (isFloating(output.dtype) && output.dtype !== dtype) throw new Error(`output is ${output.dtype}`);
  if (indices !== undefined && indices.dtype !== 'int32') throw new Error(`indices are ${indices.dtype}`);
  const after = Object.keys(wanted.after).map(
    (name) => [name, valuesOf(tensorNamed(tensors, name))] as const,
  );
  if (names.length > 0 && gradOutput) output.backward(gradOutput);
  return {
    output: valuesOf(output),
    indices: indices && valuesOf(indices),
    grads: Object.fromEntries(names.map((name) => [name, gradientOf(tensorNamed(tensors, name), name)])),
    after: Object.fromEntries(after),
  };
}

// ---- comparing ----

/** All arrays that came out, under labels. */
function arraysOf({ output, indices, grads, after }: Outcome): Map<string, NdArray> {
  const arrays = new Map([['output', output]]);
  if (indices) arrays.set('indices', indices);
  for (const [name, array] of Object.entries(after)) arrays.set(`after.${name}`, array);
  for (const [name, array] of Object.entries(grads)) arrays.set(`grads.${name}`, array);
  return arrays;
}

function eachPair(
  actual: Outcome,
  expected: Outcome,
  check: (label: string, actual: NdArray, expected: NdArray) => void,
): void {
  const found = arraysOf(actual);
  for (const [label, array] of arraysOf(expected)) {
    const other = found.get(label);
    if (other === undefined) throw new Error(`the call returned no ${label}`);
    check(label, other, array);
  }
}

/** The largest finite absolute value of all tensors of a case and of `more`. */
function scaleOf({ args, options, gradOutput }: Expectation, more: NdArray): number {
  let scale = 0;
  for (const value of [...Object.values(args), ...Object.values(options), gradOutput, more]) {
    if (!isTensor(value)) continue;
    for (const v of value.data) if (Number.isFinite(v)) scale = Math.max(scale, Math.abs(v));
  }
  return scale;
}

/** Sums of absolute terms, by the label of what they belong to. */
function magnitudesOf(oracle: Oracle, wanted: Expectation): Map<string, NdArray> {
  const { output, backward } = oracle(absolute(wanted.args), absolute(wanted.options));
  const grads = wanted.gradOutput && backward ? backward(mapped(wanted.gradOutput, Math.abs)) : {};
  const arrays = arraysOf({ output, grads, after: {} });
  return new Map([...arrays].map(([label, array]) => [label, mapped(array, Math.abs)]));
}

function compare(
  entry: OpEntry,
  oracle: Oracle,
  wanted: Expectation,
  got: Outcome,
  dtype: FloatType,
  where: string,
): void {
  const unit = unitRoundoff[dtype] * (dtype === 'float64' ? float64Slack : 1);
  let magnitudes: Map<string, NdArray> | undefined;
  eachPair(got, wanted, (what, a, e) => {
    const label = `${where}, ${what}`;
    const accuracy = what.startsWith('grads.') ? (entry.gradient ?? entry.value) : entry.value;
    if (what === 'indices' || wanted.exact) {
      expectClose(a, e, { rtol: 0, atol: 0, label });
    } else if (accuracy.kind === 'exact') {
      expectClose(a, dtype === 'float32' ? mapped(e, Math.fround) : e, { rtol: 0, atol: 0, label });
    } else if (accuracy.kind === 'relative') {
      expectClose(a, e, { rtol: accuracy.units * unit, atol: accuracy.units * smallest[dtype], label });
    } else if (accuracy.kind === 'scaled') {
      expectClose(a, e, { rtol: 0, atol: accuracy.units * unit * scaleOf(wanted, e), label });
    } else {
      magnitudes ??= magnitudesOf(oracle, wanted);
      const magnitude = magnitudes.get(what);
      if (magnitude === undefined) throw new Error(`no magnitude for ${what}`);
      expectDotProductClose(a, e, magnitude, accuracy.units, label, unit);
    }
  });
}

// ---- everywhere ----

/** Calls `body` on every instruction set that matters to `dtype`; within, `setNumThreads` may be called freely. */
/** float64 runs on the portable kernels whatever is chosen. */
function everywhere(dtype: FloatType, body: (isa: string) => void): void {
  if (dtype === 'float64') body(cpuInfo().isa);
  else onEveryIsa(body);
}

/** The outcome with one thread, after checking that more threads give the same bits. */
function threadIndependent(where: string, run: () => Outcome): Outcome {
  const [first, ...others] = threadCounts.map((threads) => {
    setNumThreads(threads);
    return run();
  });
  for (const other of others)
    eachPair(other, first, (what, a, e) => expectBitEqual(a, e, `${where}, threads, ${what}`));
  return first;
}

function checkEverywhere(entry: OpEntry, oracle: Oracle, wanted: Expectation): void {
  for (const dtype of floatTypes) {
    everywhere(dtype, (isa) => {
      for (const layout of layouts) {
        const where = `${entry.op} ${dtype} ${isa} ${layout}`;
        const got = threadIndependent(where, () => outcome(entry, wanted, dtype, layout));
        compare(entry, oracle, wanted, got, dtype, where);
      }
    });
  }
}

/** A gradient that is one number in memory, as `sum` sends it back, gives what the same numbers in full give. */
function checkExpandedGradient(entry: OpEntry, wanted: Expectation): void {
  const { shape } = wanted.output;
  const run = (gradOutput: Tensor): Outcome => outcome(entry, wanted, 'float32', 'contiguous', gradOutput);
  const full = run(ones(shape));
  eachPair(run(ones([]).expand(shape)), full, (what, a, e) => {
    expectBitEqual(a, e, `${entry.op}, expanded gradient, ${what}`);
  });
}

/** Central differences for every element of every input that has a gradient. */
function checkGradient(entry: OpEntry, wanted: Expectation, layout: Layout): void {
  const args = builtRecord(wanted.args, 'float64', layout);
  const options = builtRecord(wanted.options, 'float64', layout);
  const inputs = [...tensorsIn(args, options)].filter(([name]) => name in wanted.grads);
  for (const [, t] of inputs) t.requiresGrad_();
  gradcheck(
    () => {
      const result = entry.call(args, options);
      return result instanceof Tensor ? result : result.output;
    },
    inputs.map(([, t]) => t),
  );
  counts.gradchecks.set(entry.op, (counts.gradchecks.get(entry.op) ?? 0) + 1);
}

// ---- cases ----

/** A case computed by PyTorch. */
export function checkFixture(entry: OpEntry, oracle: Oracle, fixture: Fixture): void {
  checkEverywhere(entry, oracle, { ...fixture, indices: fixture.indices });
  counts.fixtures++;
}

function expectationOf(oracle: Oracle, { args, options, exact: isExact = false }: OpCase): Expectation {
  const { output, indices, after = {}, backward } = oracle(args, options);
  const gradOutput = backward && seededTensor(output.shape, output.data.length, [-2, 2]);
  const grads = gradOutput ? backward(gradOutput) : {};
  return { args, options, output, indices, after, gradOutput, grads, exact: isExact };
}

/** A generated case, against the reference op. */
export function checkGenerated(entry: OpEntry, oracle: Oracle, generated: OpCase): void {
  const wanted = expectationOf(oracle, generated);
  checkEverywhere(entry, oracle, wanted);
  if (wanted.gradOutput) checkExpandedGradient(entry, wanted);
  const elements = Object.values(wanted.grads).reduce((sum, { data }) => sum + data.length, 0);
  if (elements > 0 && elements <= gradcheckLimit) {
    checkGradient(entry, wanted, layouts[counts.generated % layouts.length]);
  }
  counts.generated++;
}

/** A call that threads share: the same bits for any number of them; `gradients` names the inputs that have one. */
export function checkLarge(entry: OpEntry, { args, options }: OpCase, gradients: readonly string[]): void {
  const shown = entry.call(
    builtRecord(args, 'float32', 'contiguous'),
    builtRecord(options, 'float32', 'contiguous'),
  );
  const { shape } = shown instanceof Tensor ? shown : shown.output;
  const gradOutput = seededTensor(shape, 1, [-2, 2], 'real');
  const inputs = { ...args, ...options };
  const isFloat = (name: string): boolean =>
    isTensor(inputs[name]) && tensorOf(inputs, name).dtype === undefined;
  const grads = Object.fromEntries(gradients.filter(isFloat).map((name) => [name, gradOutput]));
  const wanted = { args, options, gradOutput, grads, after: {}, output: gradOutput, exact: false };
  for (const dtype of floatTypes) {
    everywhere(dtype, (isa) => {
      threadIndependent(`${entry.op} ${dtype} ${isa} large`, () =>
        outcome(entry, wanted, dtype, 'contiguous'),
      );
    });
  }
}
