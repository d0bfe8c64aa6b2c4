// All entries. An op is one entry in the file of its family.
import type { OpEntry } from '../op-cases';
import { activationEntries } from './activation';
import { convEntries } from './conv';
import { elementwiseEntries } from './elementwise';
import { lossEntries } from './loss';
import { normEntries } from './norm';
import { poolEntries } from './pool';

export const opTable: readonly OpEntry[] = [
  ...activationEntries,
  ...convEntries,
  ...elementwiseEntries,
  ...lossEntries,
  ...normEntries,
  ...poolEntries,
];
