// Arguments and options of one call, as fixtures and case tables hold them, and typed access to them.
import type { NdArray } from './nd-array';

/** A tensor argument; `dtype` is absent for floating point. */
export interface CaseTensor extends NdArray {
  readonly dtype?: 'int32' | 'bool';
}

export type CaseValue =
  | null
  | boolean
  | number
  | string
  | CaseTensor
  | readonly CaseValue[]
  | { readonly [key: string]: CaseValue };

export type CaseRecord = Readonly<Partial<Record<string, CaseValue>>>;

export function isTensor(value: CaseValue | undefined): value is CaseTensor {
  return typeof value === 'object' && value !== null && 'data' in value && value.data instanceof Float64Array;
}

export function isRecord(value: CaseValue | undefined): value is { readonly [key: string]: CaseValue } {
  return typeof value === 'object' && value !== null && !isList(value) && !isTensor(value);
}

function wrongType(key: string, wanted: string, value: CaseValue | undefined): TypeError {
  return new TypeError(`${key} must be ${wanted}, got ${JSON.stringify(value) ?? 'undefined'}`);
}

/** The tensor under `key`; a call that has none is a mistake in the case. */
export function tensorOf(record: CaseRecord, key: string): CaseTensor {
  const value = record[key];
  if (!isTensor(value)) throw wrongType(key, 'a tensor', value);
  return value;
}

export function optionalTensorOf(record: CaseRecord, key: string): CaseTensor | null {
  return record[key] == null ? null : tensorOf(record, key);
}

export function numberOf(record: CaseRecord, key: string, otherwise?: number): number {
  const value = record[key] ?? otherwise;
  if (typeof value !== 'number') throw wrongType(key, 'a number', value);
  return value;
}

export function flagOf(record: CaseRecord, key: string, otherwise: boolean): boolean {
  const value = record[key] ?? otherwise;
  if (typeof value !== 'boolean') throw wrongType(key, 'a boolean', value);
  return value;
}

export function textOf(record: CaseRecord, key: string, otherwise: string): string {
  const value = record[key] ?? otherwise;
  if (typeof value !== 'string') throw wrongType(key, 'a string', value);
  return value;
}

export function listOf(record: CaseRecord, key: string): readonly CaseValue[] {
  const value = record[key];
  if (!isList(value)) throw wrongType(key, 'a list', value);
  return value;
}

// Array.isArray alone gives any[] here.
function isList(value: CaseValue | undefined): value is readonly CaseValue[] {
  return Array.isArray(value);
}

export function numbersOf(record: CaseRecord, key: string): number[] {
  return listOf(record, key).map((entry, i) => numberOf({ [`${key}[${i}]`]: entry }, `${key}[${i}]`));
}

/** A list of tensors: the gradients or the trajectory of an optimiser. */
export function tensorsOf(record: CaseRecord, key: string): CaseTensor[] {
  return listOf(record, key).map((entry, i) => tensorOf({ [`${key}[${i}]`]: entry }, `${key}[${i}]`));
}

/** A nested record: the args, options or expected values of a fixture in a form of its own. */
export function recordOf(record: CaseRecord, key: string): CaseRecord {
  const value = record[key];
  if (!isRecord(value)) throw wrongType(key, 'an object', value);
  return value;
}

/** One number per spatial dimension, from a number for all of them or a list. */
export function sizesOf(
  record: CaseRecord,
  key: string,
  rank: number,
  otherwise: number | readonly number[],
): number[] {
  const value = record[key] ?? otherwise;
  if (typeof value === 'number') return new Array<number>(rank).fill(value);
  const list = numbersOf({ [key]: value }, key);
  if (list.length !== rank) throw wrongType(key, `a number or ${rank} numbers`, value);
  return list;
}

/** The same call on absolute values: gives sum |x w|, the scale that rounding errors are measured by. */
export function absolute(record: CaseRecord): CaseRecord {
  return Object.fromEntries(
    Object.entries(record).map(([key, value]) => [
      key,
      isTensor(value) ? { ...value, data: value.data.map(Math.abs) } : value,
    ]),
  );
}
