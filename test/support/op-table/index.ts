// All entries. An op is one entry in the file of its family.
import type { OpEntry } from '../op-cases';
import { convEntries } from './conv';
import { elementwiseEntries } from './elementwise';

export const opTable: readonly OpEntry[] = [...convEntries, ...elementwiseEntries];
