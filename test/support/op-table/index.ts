// All entries. An op is one entry in the file of its family.
import type { OpEntry } from '../op-cases';
import { convEntries } from './conv';
import { elementwiseEntries } from './elementwise';
import { normEntries } from './norm';
import { poolEntries } from './pool';

export const opTable: readonly OpEntry[] = [
  ...convEntries,
  ...elementwiseEntries,
  ...normEntries,
  ...poolEntries,
];
