/**
 * The typed face of the native addon: loads it, and runs one op. Nothing else touches the addon.
 *
 * The types of `run` are derived from the table of ops (native-ops.ts), which is compared at load with what the addon
 * reports.
 */
import path from 'node:path';
import loadAddon from 'node-gyp-build';
import type { TypedArray } from './dtype';
import { ArgumentRangeError, LaminaeError, rangeError } from './errors';
import { opTable } from './native-ops';

export type OpName = keyof typeof opTable;

/** Ops that are done to many items at once, see {@link runList}. */
export type ListOpName = {
  [N in OpName]: (typeof opTable)[N] extends { readonly list: true } ? N : never;
}[OpName];

type FieldNames<N extends OpName> = (typeof opTable)[N]['fields'][number];
type BufferNames<N extends OpName> = (typeof opTable)[N]['buffers'][number];

/** The descriptor of op `N`. */
export type OpFields<N extends OpName> = {
  readonly [
    F in FieldNames<N> as F extends `${infer Base}:${string}` ? Base : F
  ]: F extends `${string}:${string}` ? readonly number[] : number;
};

/** Something with memory, and the element it starts at: a tensor. */
export interface NativeBuffer {
  readonly storage: { readonly data: TypedArray };
  readonly offset: number;
}

/** A tensor as {@link runList} takes it: contiguous, of float32 or float64. */
export interface NativeList {
  readonly storage: { readonly dtype: string; readonly buffer: ArrayBufferLike; readonly start: number };
  readonly offset: number;
  readonly numel: number;
}

/** The buffers of op `N`, by name; optional ones may be null. */
export type OpBuffers<N extends OpName> = { readonly [B in BufferNames<N>]: NativeBuffer | null };

interface Addon {
  opTable(): { name: string; fields: string; buffers: string; list: boolean }[];
  bind(slots: Float64Array): void;
  run(opCode: number, ...buffers: (TypedArray | null)[]): void;
  runList(opCode: number, ...buffers: (ArrayBufferLike | null)[]): void;
  placeBlock(buffer: ArrayBufferLike, bytes: number): number;
  functionNames(): { unary: string[]; binary: string[]; compare: string[]; activation: string[] };
  cpuInfo(): CpuInfo;
  setIsa(name: string): boolean;
  numThreads(): number;
  setNumThreads(n: number): void;
  startupError(): string;
  /**
   * Set here at the first load. Test runners and development servers may load this file twice in one process, over
   * one addon, and both copies go on working.
   */
  shared?: Shared;
}

interface Shared {
  /** Where ops find their fields. Shared memory, because it cannot be detached or shrunk while an op reads it. */
  readonly slots: Float64Array;
  isaChanges: number;
}

/** Instruction sets the kernels were compiled for. */
export type Isa = 'portable' | 'avx2' | 'avx512' | 'neon';

export interface CpuInfo {
  /** The instruction set in use. */
  readonly isa: Isa;
  /** All that this machine can run, best last. */
  readonly available: readonly Isa[];
}

const root = path.join(__dirname, '..');

function load(): Addon {
  try {
    return loadAddon(root) as Addon;
  } catch (cause) {
    throw new LaminaeError(
      'ERR_NATIVE',
      {
        op: 'laminae',
        argument: 'native addon',
        expected: `must be loadable for ${process.platform}-${process.arch}, Node ${process.versions.node}`,
        received: cause instanceof Error ? cause.message.split('\n')[0] : String(cause),
        hint: `looked in ${path.join(root, 'prebuilds')} and ${path.join(root, 'build')}; from a clone run "npm run build"`,
      },
      { cause },
    );
  }
}

const addon = load();

interface Entry {
  readonly code: number;
  readonly fields: readonly { readonly name: string; readonly count: number }[];
  readonly buffers: readonly string[];
}

/** Enough for the descriptor of any op, and for a list op on 500 parameters with three or four buffers each. */
const slotCapacity = 3072;

const shared = (addon.shared ??= {
  slots: new Float64Array(new SharedArrayBuffer(slotCapacity * 8)),
  isaChanges: 0,
});
const { slots } = shared;

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
}

function readTable(): Record<OpName, Entry> {
  const problem = addon.startupError();
  if (problem !== '') {
    throw new ArgumentRangeError({ op: 'laminae', argument: '', expected: problem, received: '' });
  }
  const reported = new Map(addon.opTable().map((row, code) => [row.name, { ...row, code }]));
  const entries: Partial<Record<OpName, Entry>> = {};
  for (const name of Object.keys(opTable) as OpName[]) {
    const fields = (opTable[name].fields as readonly string[]).map((f) => {
      const [base, count] = f.split(':');
      return { name: base, count: count === undefined ? 1 : Number(count) };
    });
    const buffers: readonly string[] = opTable[name].buffers;
    const row = reported.get(snakeCase(name));
    const ours = fields.map((f) => `${snakeCase(f.name)}:${f.count}`).join(' ');
    const theirs = row?.fields
      .split(';')
      .filter((f) => f !== '')
      .map((f) => f.replace(/:[ir]$/, ':1').replace(/:i/, ':'))
      .join(' ');
    const theirBuffers = row?.buffers.replace(/;$/, '').replaceAll(';', ' ');
    const alike = ours === theirs && buffers.map(snakeCase).join(' ') === theirBuffers;
    if (row === undefined || !alike || row.list !== 'list' in opTable[name]) {
      throw new LaminaeError('ERR_NATIVE', {
        op: 'laminae',
        argument: `op ${name}`,
        expected: `must be declared alike in ops.def and native-ops.ts: ${ours} (${buffers.join(' ')})`,
        received: row === undefined ? 'no such op in the addon' : `${theirs} (${theirBuffers})`,
        hint: 'rebuild the addon',
      });
    }
    reported.delete(snakeCase(name));
    entries[name] = { code: row.code, fields, buffers };
  }
  if (reported.size > 0) {
    throw new LaminaeError('ERR_NATIVE', {
      op: 'laminae',
      argument: 'opTable',
      expected: 'must list every op of the addon',
      received: `none of ${[...reported.keys()].join(', ')}`,
    });
  }
  addon.bind(slots);
  return entries as Record<OpName, Entry>;
}

const entries = readTable();

/** Elementwise functions of one tensor. */
export type UnaryFn =
  | 'neg' | 'abs' | 'exp' | 'expm1' | 'log' | 'log1p' | 'sqrt' | 'rsqrt' | 'square' | 'reciprocal' | 'sin' | 'cos'
  | 'relu' | 'sigmoid' | 'tanh' | 'erf' | 'gelu' | 'silu' | 'sign' | 'floor' | 'ceil' | 'round' | 'trunc'; // prettier-ignore
export type BinaryFn = 'add' | 'sub' | 'mul' | 'div' | 'max' | 'min' | 'pow';
export type CompareFn = 'gt' | 'ge' | 'lt' | 'le' | 'eq' | 'ne';
/** Activations with parameters, under the names of the addon. */
export type ActivationFn =
  | 'leaky_relu' | 'elu' | 'gelu_tanh' | 'mish' | 'hardswish' | 'hardsigmoid' | 'hardtanh' | 'softplus' | 'softsign'
  | 'log_sigmoid'; // prettier-ignore

/** What the derivative of a unary function is computed from. */
export interface UnaryInfo {
  readonly code: number;
  readonly saved: 'x' | 'y' | 'none';
}

const functionNames = addon.functionNames();

function codes<F extends string>(names: readonly string[]): Readonly<Record<F, number>> {
  return Object.fromEntries(names.map((name, code) => [name, code])) as Record<F, number>;
}

export const unaryFns = Object.fromEntries(
  functionNames.unary.map((row, code) => {
    const [name, saved] = row.split(':');
    return [name, { code, saved }];
  }),
) as Readonly<Record<UnaryFn, UnaryInfo>>;
export const binaryFns = codes<BinaryFn>(functionNames.binary);
export const compareFns = codes<CompareFn>(functionNames.compare);
export const activationFns = codes<ActivationFn>(functionNames.activation);

/** Writes the descriptor to the slots from `at` on; returns where it ends. */
function putFields(entry: Entry, fields: object, at: number): number {
  const values = fields as Readonly<Record<string, number | readonly number[]>>;
  for (let i = 0; i < entry.fields.length; i++) {
    const field = entry.fields[i];
    const value = values[field.name];
    if (typeof value === 'number') slots[at] = value;
    else {
      for (let j = 0; j < value.length; j++) slots[at + j] = value[j];
      // What an earlier op left behind may be no integer, which the native side refuses.
      for (let j = value.length; j < field.count; j++) slots[at + j] = 0;
    }
    at += field.count;
  }
  return at;
}

/**
 * Runs one native op. Callers have checked shapes and types; the native side re-checks whatever would corrupt memory.
 * Every run of every op passes here or through {@link runList}: this is where a tracer or a compiled plan takes over.
 *
 * Extend fields as `{ more, ...fields }`: V8 makes a new hidden class at every `{ ...fields, more }`, which costs
 * microseconds and leaves garbage that only a full collection removes.
 */
export function run<N extends Exclude<OpName, ListOpName>>(
  name: N,
  fields: OpFields<N>,
  buffers: OpBuffers<N>,
): void {
  const entry = entries[name];
  const named = buffers as Readonly<Record<string, NativeBuffer | null>>;
  const n = entry.buffers.length;
  putFields(entry, fields, n);
  const list = entry.buffers;
  const b0 = named[list[0]];
  const b1 = n > 1 ? named[list[1]] : null;
  const b2 = n > 2 ? named[list[2]] : null;
  const b3 = n > 3 ? named[list[3]] : null;
  slots[0] = b0 === null ? 0 : b0.offset;
  if (b1 !== null) slots[1] = b1.offset;
  if (b2 !== null) slots[2] = b2.offset;
  if (b3 !== null) slots[3] = b3.offset;
  const d0 = b0 === null ? null : b0.storage.data;
  const d1 = b1 === null ? null : b1.storage.data;
  const d2 = b2 === null ? null : b2.storage.data;
  // Fixed arities first: a spread call costs several times as much.
  if (n <= 3) {
    addon.run(entry.code, d0, d1, d2);
    return;
  }
  const d3 = b3 === null ? null : b3.storage.data;
  if (n === 4) {
    addon.run(entry.code, d0, d1, d2, d3);
    return;
  }
  if (n === 5) {
    const b4 = named[list[4]];
    if (b4 !== null) slots[4] = b4.offset;
    addon.run(entry.code, d0, d1, d2, d3, b4 === null ? null : b4.storage.data);
    return;
  }
  const rest: (TypedArray | null)[] = [d0, d1, d2, d3];
  for (let i = 4; i < n; i++) {
    const b = named[list[i]];
    if (b !== null) slots[i] = b.offset;
    rest.push(b === null ? null : b.storage.data);
  }
  addon.run(entry.code, ...rest);
}

/**
 * Runs one list op on `items`: the buffers of the first item in the order of the table, then those of the second, and so
 * on. All buffers of an item have its first one's number of elements and type.
 */
export function runList<N extends ListOpName>(
  name: N,
  fields: OpFields<N>,
  items: readonly (NativeList | null)[],
): void {
  const entry = entries[name];
  const first = putFields(entry, fields, 0);
  const count = entry.buffers.length;
  let args: (ArrayBufferLike | null)[] = [];
  let at = first;
  for (let i = 0; i < items.length; i += count) {
    if (at + count + 2 > slots.length) {
      addon.runList(entry.code, ...args);
      args = [];
      at = first;
    }
    const leader = items[i];
    if (leader === null) throw new Error(`${name}: the first buffer of an item is required`);
    const { dtype } = leader.storage;
    slots[at] = leader.numel;
    slots[at + 1] = dtype === 'float32' ? 0 : 1;
    for (let j = 0; j < count; j++) {
      const t = items[i + j];
      if (t === null) {
        args.push(null);
        continue;
      }
      const { storage } = t;
      if (storage.dtype !== dtype || t.numel !== leader.numel) {
        throw new Error(`${name}: ${entry.buffers[j]} must be like ${entry.buffers[0]}`);
      }
      args.push(storage.buffer);
      slots[at + 2 + j] = storage.start + t.offset * (dtype === 'float32' ? 4 : 8);
    }
    at += count + 2;
  }
  addon.runList(entry.code, ...args);
}

/** Where in `buffer` a block of `bytes` begins: at a boundary of 64 bytes. A large block asks for huge pages. */
export function placeBlock(buffer: ArrayBufferLike, bytes: number): number {
  return addon.placeBlock(buffer, bytes);
}

/**
 * The instruction set in use and those this machine can run. `LAMINAE_ISA=portable|avx2|avx512` in the environment
 * lowers the choice at load.
 *
 * @example
 * console.log(cpuInfo().isa); // 'avx512'
 */
export function cpuInfo(): CpuInfo {
  return addon.cpuInfo();
}

/** How many times the instruction set was switched: what is laid out for one is of no use to another. */
export function isaGeneration(): number {
  return shared.isaChanges;
}

/** Switches the kernels to another instruction set of this machine: for tests and benchmarks. */
export function setIsa(isa: Isa): void {
  shared.isaChanges++;
  if (!addon.setIsa(isa)) {
    throw rangeError('setIsa', 'isa', `must be one of ${cpuInfo().available.join(', ')}`, isa);
  }
}

/**
 * Threads that one op may use, the calling one included: at first the smallest of the CPU affinity, the container's
 * quota (rounded down) and the cores, or `LAMINAE_THREADS`.
 */
export function getNumThreads(): number {
  return addon.numThreads();
}

/**
 * Sets the number of threads of the process-wide pool. Results do not depend on it, bit for bit.
 * @throws ArgumentRangeError unless `n` is an integer in 1..256.
 */
export function setNumThreads(n: number): void {
  if (!Number.isInteger(n) || n < 1 || n > 256) {
    throw rangeError('setNumThreads', 'n', 'must be an integer in 1..256', n);
  }
  addon.setNumThreads(n);
}
