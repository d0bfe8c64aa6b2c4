/** Elements limited to a range. */
import { needsGrad, record } from '../autograd/graph';
import { typeError } from '../errors';
import { real } from '../shape';
import { type Tensor, expectTensor } from '../tensor/tensor';
import { ge, le, logicalAnd, maximum, minimum, where } from './elementwise';

export interface ClampOptions {
  readonly min?: number | null;
  readonly max?: number | null;
}

function limited(op: string, input: Tensor, min: number | null, max: number | null): Tensor {
  expectTensor(op, 'input', input);
  for (const [name, bound] of [
    ['min', min],
    ['max', max],
  ] as const) {
    if (bound !== null) real(op, name, bound, 'must be a number', (v) => !Number.isNaN(v));
  }
  let x = input.detach();
  if (min !== null) x = maximum(x, min);
  const y = max === null ? x : minimum(x, max);
  if (!needsGrad(input)) return y;
  const values = input.detach();
  return record(
    op,
    y,
    [input],
    (grad) => {
      const inside = logicalAnd(ge(values, min ?? -Infinity), le(values, max ?? Infinity));
      return [where(inside, grad, 0)];
    },
    { saved: [values] },
  );
}

/**
 * min(max(x, options.min), options.max); one of the two may be left out. NaN stays NaN; a value on a border still passes
 * its gradient.
 *
 * @example
 * clamp(tensor([-2, 0.5, 3]), { min: -1, max: 1 }); // tensor([-1.0000, 0.5000, 1.0000])
 */
export function clamp(input: Tensor, options: ClampOptions): Tensor {
  const { min = null, max = null } = options ?? {};
  if (min === null && max === null) {
    throw typeError('clamp', 'options', 'must have min, max or both', options);
  }
  return limited('clamp', input, min, max);
}

/** Elements smaller than `min` become `min`. */
export const clampMin = (input: Tensor, min: number): Tensor => limited('clampMin', input, min, null);
/** Elements larger than `max` become `max`. */
export const clampMax = (input: Tensor, max: number): Tensor => limited('clampMax', input, null, max);
