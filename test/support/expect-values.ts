// Comparing a tensor with nested numbers as they stand in a table, six decimals or so.
import { tensor, type Tensor } from '../../lib';
import { valuesOf } from './op-values';
import { expectClose } from './tolerance';

/** Passes if the tensor has the shape and values of `expected`, up to the decimals the values are given with. */
export function expectValues(
  actual: Tensor | null | undefined,
  expected: Parameters<typeof tensor>[0],
  atol = 2e-6,
): void {
  if (actual == null) throw new Error('expectValues: there is no tensor');
  const values = valuesOf(tensor(expected, { dtype: 'float64' }));
  expectClose(valuesOf(actual), values, { rtol: 1e-6, atol });
}
