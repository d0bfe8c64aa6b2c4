/** Optimizer state in PyTorch's form, and back. */
import { StateDictError, describe } from '../errors';
import { formatShape, sameShape } from '../shape';
import { cloneElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import { ParamState, type CommonOptions, type ParamGroup } from './param-group';

/** An option of a group: numbers, flags, null, pairs such as the betas. */
export type OptionValue = number | boolean | null | readonly number[];

/** Options under PyTorch's names, with the indices of the parameters. */
export interface SavedGroup {
  readonly params: readonly number[];
  readonly [option: string]: OptionValue;
}

export interface OptimizerStateDict {
  /** By index of the parameter: `step`, `exp_avg`, `momentum_buffer`, ... */
  readonly state: Readonly<Record<string, Readonly<Record<string, Tensor | number>>>>;
  readonly param_groups: readonly SavedGroup[];
}

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** Array.isArray without narrowing to any[]. */
export const isList = (value: unknown): boolean => Array.isArray(value);

type States = Map<Tensor, ParamState>;

export function toStateDict<O extends CommonOptions>(
  groups: readonly ParamGroup<O>[],
  states: States,
  savesStep: boolean,
): OptimizerStateDict {
  const params = groups.flatMap((g) => g.params);
  const state: Record<string, Record<string, Tensor | number>> = {};
  params.forEach((param, i) => {
    const entry = states.get(param);
    if (entry === undefined) return;
    const saved: Record<string, Tensor | number> = savesStep ? { step: entry.step } : {};
    for (const [name, t] of Object.entries(entry.tensors)) if (t !== undefined) saved[name] = t;
    if (Object.keys(saved).length > 0) state[i] = saved;
  });
  let next = 0;
  const saved = groups.map((group) => {
    const { params: own, ...options } = group;
    const named = Object.entries(options).map(([name, value]) => [snakeCase(name), value] as const);
    return { ...Object.fromEntries(named), params: own.map(() => next++) };
  });
  return { state, param_groups: saved };
}

function refuse(
  op: string,
  argument: string,
  expected: string,
  received: string,
  wrong: readonly string[] = [],
): never {
  throw new StateDictError({ op: `${op}.loadStateDict`, argument, expected, received }, [], [], wrong);
}

function stepOf(value: Tensor | number | undefined): number {
  if (value === undefined) return 0;
  return typeof value === 'number' ? value : value.item();
}

/** Options of a saved group under our names; those we do not know are left out. */
function loadedOptions<O extends CommonOptions>(group: ParamGroup<O>, saved: SavedGroup): ParamGroup<O> {
  const known = [...Object.keys(group), 'initialLr'].filter((name) => name !== 'params');
  const given = known
    .map((name) => [name, saved[snakeCase(name)]] as const)
    .filter(([, value]) => value !== undefined);
  return { ...group, ...(Object.fromEntries(given) as Partial<ParamGroup<O>>) };
}

/** Checks everything before the first change. */
export function fromStateDict<O extends CommonOptions>(
  op: string,
  dict: OptimizerStateDict,
  groups: ParamGroup<O>[],
  states: States,
  checkOptions: (options: Readonly<O>) => void,
): void {
  if (
    typeof dict !== 'object' ||
    dict === null ||
    !isList(dict.param_groups) ||
    typeof dict.state !== 'object'
  ) {
    refuse(op, 'dict', 'must be { state, param_groups }', describe(dict));
  }
  const saved = dict.param_groups;
  if (saved.length !== groups.length) {
    refuse(op, 'param_groups', `must be ${groups.length} as in the optimizer`, String(saved.length));
  }
  const loaded = groups.map((group, i) => {
    const { params } = saved[i];
    if (!isList(params) || params.length !== group.params.length) {
      const count = isList(params) ? String(params.length) : describe(params);
      refuse(op, `param_groups[${i}].params`, `must be ${group.params.length} as in the optimizer`, count);
    }
    const options = loadedOptions(group, saved[i]);
    checkOptions(options);
    return options;
  });
  const fresh: { param: Tensor; step: number; tensors: [string, Tensor][] }[] = [];
  groups.forEach((group, g) => {
    group.params.forEach((param, p) => {
      const index = String(saved[g].params[p]);
      const entry = dict.state[index];
      if (entry === undefined) return;
      const tensors = Object.entries(entry).filter(
        (e): e is [string, Tensor] => e[0] !== 'step' && e[1] instanceof Tensor,
      );
      for (const [name, t] of tensors) {
        if (sameShape(t.shape, param.shape)) continue;
        const where = `state[${index}].${name}`;
        refuse(op, where, `must have shape ${formatShape(param.shape)}`, formatShape(t.shape), [where]);
      }
      fresh.push({ param, step: stepOf(entry.step), tensors });
    });
  });
  loaded.forEach((options, i) => Object.assign(groups[i], options));
  states.clear();
  for (const { param, step, tensors } of fresh) {
    const state = new ParamState();
    state.step = step;
    for (const [name, t] of tensors) state.set(name, cloneElements(t, param.dtype));
    states.set(param, state);
  }
}
