/** The table of all cases by suite. */
import type { Case, Suite } from '../types';
import { layerCases } from './layers';
import { networkCases } from './networks';
import { overheadCases } from './overhead';
import { trainCases } from './train';

/** Cases of a suite. The roofline places the layers under the roofs of the machine. */
export const casesOf: Readonly<Record<Suite, readonly Case[]>> = {
  layers: layerCases,
  networks: networkCases,
  train: trainCases,
  overhead: overheadCases,
  roofline: layerCases.map((c) => ({ ...c, passes: ['forward'] })),
};

/** What a suite runs unless a filter says otherwise: everything, save for training, where a first look takes a minute. */
export const defaultFilter: Readonly<Partial<Record<Suite, RegExp>>> = { train: /LeNet b256/ };
