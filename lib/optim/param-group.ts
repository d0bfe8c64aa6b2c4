/** Parameters with options, and what an optimizer remembers of a parameter. */
import { fillElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';

/** Options every optimizer has. */
export interface CommonOptions {
  /** Learning rate. */
  lr: number;
}

/** Parameters that share options. Schedulers and callers may change the options between steps. */
export type ParamGroup<O extends CommonOptions> = O & {
  readonly params: Tensor[];
  /** The rate before any scheduler changed it. */
  initialLr?: number;
};

/** A group as it is given: options left out are the optimizer's own. */
export type ParamGroupInput<O extends CommonOptions> = Partial<O> & {
  readonly params: Tensor | Iterable<Tensor>;
};

/** Parameters, or groups of them. */
export type ParamsInput<O extends CommonOptions> = Iterable<Tensor> | Iterable<ParamGroupInput<O>>;

/** What an optimizer remembers of one parameter; tensors under PyTorch's names. */
export class ParamState {
  /** Steps taken. */
  step = 0;
  readonly tensors: Partial<Record<string, Tensor>> = {};

  /** The state tensor `name` of the shape of `param`, filled with `initial` when it is first asked for. */
  tensor(name: string, param: Tensor, initial = 0): Tensor {
    const known = this.tensors[name];
    if (known !== undefined) return known;
    const t = Tensor.empty(param.shape, param.dtype);
    fillElements(t, initial);
    this.set(name, t);
    return t;
  }

  set(name: string, t: Tensor): void {
    t.storage.keep(); // lives as long as the optimizer, whatever scope the step runs in
    this.tensors[name] = t;
  }
}
