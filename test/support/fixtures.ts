// Reads test/fixtures/<op>.json, the numbers computed by PyTorch (see the README beside them).
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { CaseRecord, CaseTensor, CaseValue } from './case-values';
import { isRecord, isTensor, numbersOf } from './case-values';
import { ndArray } from './nd-array';

type Tensors = Readonly<Record<string, CaseTensor>>;

/** One call and what PyTorch made of it. */
export interface Fixture {
  readonly op: string;
  readonly name: string;
  /** Positional arguments in order. */
  readonly args: CaseRecord;
  readonly options: CaseRecord;
  readonly output: CaseTensor;
  readonly indices?: CaseTensor;
  /** What was sent back; absent where PyTorch has no derivative. */
  readonly gradOutput?: CaseTensor;
  /** Gradients by name of argument or option; empty without gradOutput. */
  readonly grads: Tensors;
  /** Tensors the call changes in place, afterwards. */
  readonly after: Tensors;
  /** Results are the same numbers in float32, whatever the order of summation. */
  readonly exact: boolean;
}

/** A case in a form of its own: optimisers, schedulers, initialisers, clipping, module sequences. */
export type FixtureRecord = CaseRecord & { readonly op: string; readonly name: string };

const folder = join(__dirname, '..', 'fixtures');
const numbers: Readonly<Partial<Record<string, number>>> = { NaN, Infinity, '-Infinity': -Infinity };

function decode(value: unknown): CaseValue {
  if (Array.isArray(value)) return value.map(decode);
  if (typeof value === 'string') return numbers[value] ?? value;
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  if (typeof value !== 'object') throw new TypeError(`unexpected ${typeof value} in a fixture`);
  const record = Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, decode(entry)]));
  if (!Array.isArray(record.shape) || !Array.isArray(record.data)) return record;
  const array = ndArray(numbersOf(record, 'shape'), numbersOf(record, 'data'));
  return record.dtype === 'int32' || record.dtype === 'bool' ? { ...array, dtype: record.dtype } : array;
}

/** Names of all fixture files. */
export function fixtureNames(): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort();
}

/** Cases in whatever form the file has: for optimisers, schedulers and other files without `output`. */
export function loadFixtureRecords(op: string): FixtureRecord[] {
  const parsed: unknown = JSON.parse(readFileSync(join(folder, `${op}.json`), 'utf8'));
  const file = decode(parsed);
  if (!isRecord(file) || !Array.isArray(file.cases)) throw new TypeError(`${op}.json: no list of cases`);
  return file.cases.map((entry: CaseValue) => {
    if (!isRecord(entry) || typeof entry.op !== 'string' || typeof entry.name !== 'string') {
      throw new TypeError(`${op}.json: a case without op or name`);
    }
    return { ...entry, op: entry.op, name: entry.name };
  });
}

function tensors(value: CaseValue | undefined): Tensors {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, CaseTensor] => isTensor(entry[1])),
  );
}

/** All cases of one op. Throws for a file whose cases are not plain calls: see loadFixtureRecords. */
export function loadFixtures(op: string): Fixture[] {
  return loadFixtureRecords(op).map((entry) => {
    const { args, options, output, indices, gradOutput } = entry;
    if (!isRecord(args) || !isRecord(options) || !isTensor(output)) {
      throw new TypeError(`${op}.json: "${entry.name}" is not a plain call`);
    }
    return {
      op: entry.op,
      name: entry.name,
      args,
      options,
      output,
      ...(isTensor(indices) && { indices }),
      ...(isTensor(gradOutput) && { gradOutput }),
      grads: tensors(entry.grads),
      after: tensors(entry.after),
      exact: entry.exact === true,
    };
  });
}
