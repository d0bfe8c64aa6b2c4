/** How the losses of many elements become one. */
import type { Tensor } from '../tensor/tensor';
import { oneOf } from './checks';
import { mean, sum } from './reduction';

/** `none` keeps one loss per element, `mean` averages them, `sum` adds them up. */
export type Reduction = 'none' | 'mean' | 'sum';

export interface ReductionOption {
  /** Default `'mean'`. */
  readonly reduction?: Reduction;
}

/** Codes of the native ops. */
export const reductionCode: Readonly<Record<Reduction, number>> = { none: 0, mean: 1, sum: 2 };

export function checkReduction(op: string, value: unknown): Reduction {
  return value === undefined ? 'mean' : oneOf(op, 'reduction', value, ['none', 'mean', 'sum']);
}

/** Applies `reduction` to the losses of the elements. */
export function reduced(losses: Tensor, reduction: Reduction): Tensor {
  if (reduction === 'none') return losses;
  return reduction === 'mean' ? mean(losses) : sum(losses);
}
