// Ways to call an op with the arguments of a case.
import { Tensor } from '../../../lib';
import type { CallResult, OpCall } from '../op-cases';
import type { CallRecord } from '../op-values';

/** What ops with several results return. */
type Returned = Tensor | { readonly values: Tensor; readonly indices: Tensor };

const resultOf = (returned: Returned): CallResult =>
  returned instanceof Tensor ? returned : { output: returned.values, indices: returned.indices };

/**
 * Passes the arguments in the order of the case, then the options where there are any. The case table, not the compiler,
 * vouches for their types: values come from files and generators.
 */
export function positional(fn: (...args: never[]) => Returned): OpCall {
  return (args, options) => {
    const values: readonly unknown[] = [...Object.values(args), ...optionsOf(options)];
    return resultOf(fn(...(values as never[])));
  };
}

/** The same, with `undefined` for an argument that is null: "not given". */
export function positionalOrOmitted(fn: (...args: never[]) => Returned): OpCall {
  return (args, options) => {
    const values: readonly unknown[] = [
      ...Object.values(args).map((v) => v ?? undefined),
      ...optionsOf(options),
    ];
    return resultOf(fn(...(values as never[])));
  };
}

const optionsOf = (options: CallRecord): CallRecord[] => (Object.keys(options).length > 0 ? [options] : []);
