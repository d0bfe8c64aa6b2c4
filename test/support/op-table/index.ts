// All entries. An op is one entry in the file of its family.
import type { OpEntry } from '../op-cases';
import { activationEntries } from './activation';
import { arrangeEntries } from './arrange';
import { convEntries } from './conv';
import { elementwiseEntries } from './elementwise';
import { imageEntries } from './image';
import { linearEntries } from './linear';
import { lossEntries } from './loss';
import { normEntries } from './norm';
import { poolEntries } from './pool';
import { rearrangeEntries } from './rearrange';
import { reductionEntries } from './reduction';
import { sampleNormEntries } from './sample-norm';

export const opTable: readonly OpEntry[] = [
  ...activationEntries,
  ...arrangeEntries,
  ...convEntries,
  ...elementwiseEntries,
  ...imageEntries,
  ...linearEntries,
  ...lossEntries,
  ...normEntries,
  ...poolEntries,
  ...rearrangeEntries,
  ...reductionEntries,
  ...sampleNormEntries,
];
