/**
 * The base of all layers and networks.
 *
 * Registration is by plain fields: a field that holds a Parameter is a parameter, one that holds a Module is a child;
 * null and everything else is ignored, so is what hides in `#private` fields. Tensors that are state without being
 * learnt are announced with `registerBuffer`. Paths and state keys are PyTorch's: field names in snake_case joined by
 * dots ("0.weight", "bn1.running_mean").
 */
import { StateDictError, describe } from '../errors';
import { noGrad } from '../autograd/grad-mode';
import type { DType } from '../dtype';
import { finish, type Ending } from '../functional/ending';
import { checkOptions, formatShape, sameShape } from '../shape';
import { cloneElements, copyElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import { Parameter } from './parameter';

/** State by PyTorch key. */
export type StateDict = Map<string, Tensor>;

export interface LoadStateDictOptions {
  /** Refuse missing and unexpected keys (default). Shapes must fit in any case. */
  readonly strict?: boolean;
}

/** Called with a module, its inputs and its output; a returned tensor replaces the output. */
export type ForwardHook = (module: Module, inputs: readonly Tensor[], output: Tensor) => Tensor | undefined;

/** Called with a module and its inputs before it runs. */
export type ForwardPreHook = (module: Module, inputs: readonly Tensor[]) => void;

/** A registration that can be taken back. */
export interface HookHandle {
  remove(): void;
}

/** Keys that did not match in a non-strict load. */
export interface LoadReport {
  readonly missingKeys: readonly string[];
  readonly unexpectedKeys: readonly string[];
}

/** The method that runs: that of a subclass, or the wrapper of hooks, is another than that of a known class. */
export function forwardOf(module: { readonly forward: unknown }): unknown {
  return module.forward;
}

function snakeCase(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
}

type Forward = (input: Tensor, ...others: Tensor[]) => Tensor;
type HookWrapper = (forward: Forward) => Forward;

const hookWrappers = new WeakMap<Module, HookWrapper[]>();

/** Copies modules, tensors and plain containers; anything else is shared. */
function cloneValue(value: unknown, copies: Map<unknown, unknown>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const known = copies.get(value);
  if (known !== undefined) return known;
  const remember = <T>(copy: T): T => {
    copies.set(value, copy);
    return copy;
  };
  if (value instanceof Tensor) {
    const data = cloneElements(value.detach());
    data.storage.keep();
    return remember(value instanceof Parameter ? value.withData(data) : data);
  }
  if (Array.isArray(value)) {
    const list = remember<unknown[]>([]);
    for (const v of value) list.push(cloneValue(v, copies));
    return list;
  }
  if (value instanceof Map) {
    const map = remember(new Map<unknown, unknown>());
    for (const [k, v] of value) map.set(k, cloneValue(v, copies));
    return map;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!(value instanceof Module) && prototype !== Object.prototype) return value;
  const copy = remember(Object.create(prototype as object) as object);
  for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    if (value instanceof Module && name === 'forward') continue; // hooks
    Object.defineProperty(copy, name, { ...descriptor, value: cloneValue(descriptor.value, copies) });
  }
  return copy;
}

export abstract class Module {
  /** Training (true) or evaluation (false): batch norm and dropout look at it. */
  training = true;
  private readonly bufferFields = new Map<string, boolean>();

  /** Computes the output. */
  abstract forward(input: Tensor, ...others: Tensor[]): Tensor;

  /**
   * `forward` and what follows it, relu(forward(input) + add) at the end of a residual block. Batch norm does it in the pass
   * that writes its result, so do convolutions and linear layers where no gradient is recorded; a Sequential hands it to its
   * last layer, others do one after the other. The numbers are the same.
   *
   * **Shape**: `ending.add` as the result
   * @throws ShapeError, DTypeError or ArgumentTypeError if it is not
   *
   * @example
   * // in a residual block: F.relu(this.bn2.forward(y).add(x))
   * return this.bn2.forwardThen(y, { add: x, relu: true });
   */
  forwardThen(input: Tensor, ending: Ending): Tensor {
    checkOptions('forwardThen', ending);
    return finish(this.forward(input), ending);
  }

  /**
   * Marks the field `name` as state that is saved and loaded but not learnt.
   * @param persistent false keeps it out of `stateDict`
   */
  protected registerBuffer(name: string, persistent = true): void {
    this.bufferFields.set(name, persistent);
    const value = this.field(name);
    if (value instanceof Tensor) value.storage.keep();
  }

  private field(name: string): unknown {
    return Object.getOwnPropertyDescriptor(this, name)?.value;
  }

  /** Direct children by name; one that is registered under two names comes twice. Containers override it. */
  protected *childEntries(): IterableIterator<[string, Module]> {
    for (const [name, value] of Object.entries(this)) {
      if (value instanceof Module) yield [snakeCase(name), value];
    }
  }

  /** Direct children by name, shared ones once. */
  *namedChildren(): IterableIterator<[string, Module]> {
    const seen = new Set<Module>();
    for (const [name, child] of this.childEntries()) {
      if (seen.has(child)) continue;
      seen.add(child);
      yield [name, child];
    }
  }

  /** Direct children. */
  *children(): IterableIterator<Module> {
    for (const [, child] of this.namedChildren()) yield child;
  }

  /** This module and all below it with their paths, each once, parents first. */
  *namedModules(prefix = '', seen = new Set<Module>()): IterableIterator<[string, Module]> {
    if (seen.has(this)) return;
    seen.add(this);
    yield [prefix, this];
    for (const [name, child] of this.namedChildren()) {
      yield* child.namedModules(prefix === '' ? name : `${prefix}.${name}`, seen);
    }
  }

  /** As {@link namedModules}, a shared module once under each of its paths; `above` ends cycles. */
  private *modulePaths(prefix: string, above: ReadonlySet<Module>): IterableIterator<[string, Module]> {
    if (above.has(this)) return;
    yield [prefix, this];
    const path = new Set(above).add(this);
    for (const [name, child] of this.childEntries()) {
      yield* child.modulePaths(prefix === '' ? name : `${prefix}.${name}`, path);
    }
  }

  /** This module and all below it, each once. */
  *modules(): IterableIterator<Module> {
    for (const [, module] of this.namedModules()) yield module;
  }

  private *ownParameters(): IterableIterator<[string, Parameter]> {
    for (const [name, value] of Object.entries(this)) {
      if (value instanceof Parameter) yield [snakeCase(name), value];
    }
  }

  private *ownBuffers(persistentOnly: boolean): IterableIterator<[string, Tensor]> {
    for (const [name, persistent] of this.bufferFields) {
      const value = this.field(name);
      if (value instanceof Tensor && (persistent || !persistentOnly)) yield [snakeCase(name), value];
    }
  }

  /** All parameters with their paths, shared ones once. */
  *namedParameters(): IterableIterator<[string, Parameter]> {
    const seen = new Set<Tensor>();
    for (const [path, module] of this.namedModules()) {
      for (const [name, parameter] of module.ownParameters()) {
        if (seen.has(parameter)) continue;
        seen.add(parameter);
        yield [path === '' ? name : `${path}.${name}`, parameter];
      }
    }
  }

  /** All parameters, shared ones once. */
  parameters(): Parameter[] {
    return [...this.namedParameters()].map(([, p]) => p);
  }

  /** All buffers with their paths. */
  *namedBuffers(): IterableIterator<[string, Tensor]> {
    for (const [path, module] of this.namedModules()) {
      for (const [name, buffer] of module.ownBuffers(false))
        yield [path === '' ? name : `${path}.${name}`, buffer];
    }
  }

  /** All buffers. */
  buffers(): Tensor[] {
    return [...this.namedBuffers()].map(([, b]) => b);
  }

  /** Calls `fn` on every module below and then on this one; returns the module. */
  apply(fn: (module: Module) => void): this {
    for (const child of this.children()) child.apply(fn);
    fn(this);
    return this;
  }

  /** Training mode, or evaluation mode with `false`, for this module and all below. */
  train(mode = true): this {
    for (const module of this.modules()) module.training = mode;
    return this;
  }

  /** Evaluation mode: batch norm uses its running statistics, dropout does nothing. */
  eval(): this {
    return this.train(false);
  }

  /**
   * Calls `hook` after every `forward` of this module, until the handle is removed.
   *
   * @example
   * const handle = net.get(0).registerForwardHook((m, [x], y) => console.log(String(m), x.shape, y.shape));
   * net.forward(images);
   * handle.remove();
   */
  registerForwardHook(hook: ForwardHook): HookHandle {
    return this.addHook((forward) => (input, ...others) => {
      const output = forward(input, ...others);
      return hook(this, [input, ...others], output) ?? output;
    });
  }

  /** Calls `hook` before every `forward` of this module, until the handle is removed. */
  registerForwardPreHook(hook: ForwardPreHook): HookHandle {
    return this.addHook((forward) => (input, ...others) => {
      hook(this, [input, ...others]);
      return forward(input, ...others);
    });
  }

  /** Hooks wrap `forward` in a field of this instance, which shadows the method; without hooks there is none. */
  private addHook(wrap: HookWrapper): HookHandle {
    const wrappers = hookWrappers.get(this) ?? [];
    hookWrappers.set(this, wrappers);
    wrappers.push(wrap);
    this.installHooks(wrappers);
    return {
      remove: () => {
        const at = wrappers.indexOf(wrap);
        if (at >= 0) wrappers.splice(at, 1);
        this.installHooks(wrappers);
      },
    };
  }

  private installHooks(wrappers: readonly HookWrapper[]): void {
    Reflect.deleteProperty(this, 'forward');
    if (wrappers.length === 0) return;
    const method: Forward = this.forward.bind(this);
    const value = wrappers.reduce((forward, wrap) => wrap(forward), method);
    Object.defineProperty(this, 'forward', { value, configurable: true, writable: true, enumerable: false });
  }

  /** A deep copy: parameters, buffers and children are copied, shared ones stay shared, hooks are left behind. */
  clone(): this {
    const copy: unknown = cloneValue(this, new Map<unknown, unknown>());
    return copy as this;
  }

  /** Drops the gradients of all parameters. */
  zeroGrad(): void {
    for (const p of this.parameters()) p.clearGrad();
  }

  /** Switches gradients of all parameters on or off. */
  requiresGrad_(value = true): this {
    for (const p of this.parameters()) p.requiresGrad_(value);
    return this;
  }

  /** Number of parameter elements. */
  numParameters(): number {
    return this.parameters().reduce((n, p) => n + p.numel, 0);
  }

  /** Converts floating parameters and buffers to another float type, in place of the fields. */
  to(dtype: DType): this {
    for (const module of this.modules()) {
      for (const [name, value] of Object.entries(module)) {
        if (!(value instanceof Tensor) || (value.dtype !== 'float32' && value.dtype !== 'float64')) continue;
        if (!(value instanceof Parameter) && !module.bufferFields.has(name)) continue;
        const converted = cloneElements(value.detach(), dtype);
        converted.storage.keep();
        const replacement = value instanceof Parameter ? value.withData(converted) : converted;
        Object.defineProperty(module, name, {
          value: replacement,
          writable: true,
          enumerable: true,
          configurable: true,
        });
      }
    }
    return this;
  }

  /**
   * Parameters and persistent buffers by PyTorch key, those of a shared module under each of its paths. The tensors
   * share memory with the module: clone them to keep what they hold now.
   */
  stateDict(): StateDict {
    const state: StateDict = new Map();
    for (const [path, module] of this.modulePaths('', new Set())) {
      const put = (name: string, t: Tensor): void => {
        const key = path === '' ? name : `${path}.${name}`;
        if (state.has(key))
          throw new Error(`stateDict: two fields of ${path || 'the module'} map to the key ${key}`);
        state.set(key, t.detach());
      };
      for (const [name, p] of module.ownParameters()) put(name, p);
      for (const [name, b] of module.ownBuffers(true)) put(name, b);
    }
    return state;
  }

  /**
   * Copies values into parameters and buffers. Nothing is changed unless everything fits.
   *
   * @throws StateDictError that lists missing, unexpected and wrong-shaped keys, and values that cannot be
   */
  loadStateDict(state: ReadonlyMap<string, Tensor>, options: LoadStateDictOptions = {}): LoadReport {
    const own = this.stateDict();
    const missing = [...own.keys()].filter((k) => !state.has(k));
    const unexpected = [...state.keys()].filter((k) => !own.has(k));
    const mismatched: string[] = [];
    for (const [key, target] of own) {
      const source = state.get(key);
      if (source !== undefined && !sameShape(source.shape, target.shape)) {
        mismatched.push(`${key}: ${formatShape(source.shape)} instead of ${formatShape(target.shape)}`);
      }
    }
    const invalid: string[] = [];
    for (const [path, module] of this.modulePaths('', new Set())) {
      for (const [name] of [...module.ownParameters(), ...module.ownBuffers(true)]) {
        const key = path === '' ? name : `${path}.${name}`;
        const problem = module.problemWith(name, state.get(key) ?? null);
        if (problem !== null) invalid.push(`${key} ${problem}`);
      }
    }
    const strict = options.strict ?? true;
    if (
      invalid.length > 0 ||
      mismatched.length > 0 ||
      (strict && (missing.length > 0 || unexpected.length > 0))
    ) {
      const part = (label: string, keys: readonly string[]): string =>
        keys.length === 0
          ? ''
          : `${label} ${describe(keys.slice(0, 10))}${keys.length > 10 ? ` and ${keys.length - 10} more` : ''}`;
      throw new StateDictError(
        {
          op: 'loadStateDict',
          argument: 'state',
          expected: `must fit ${this.constructor.name}`,
          received: [
            part('missing', missing),
            part('unexpected', unexpected),
            part('wrong shape', mismatched),
            part('invalid', invalid),
          ]
            .filter((s) => s !== '')
            .join('; '),
        },
        missing,
        unexpected,
        mismatched,
      );
    }
    noGrad(() => {
      for (const [key, target] of own) {
        const source = state.get(key);
        if (source === undefined) continue;
        copyElements(source.detach(), target);
        target.storage.version++;
      }
    });
    return { missingKeys: missing, unexpectedKeys: unexpected };
  }

  /**
   * What forbids loading `values` (null: absent) as the parameter or buffer `name`, apart from its shape; null if nothing
   * does.
   */
  protected problemWith(_name: string, _values: Tensor | null): string | null {
    return null;
  }

  /** Options shown in the printed tree. */
  protected extraRepr(): string {
    return '';
  }

  /** The tree of modules, as PyTorch prints it. */
  toString(): string {
    const lines = [...this.childEntries()].map(
      ([name, child]) => `  (${name}): ${child.toString().replaceAll('\n', '\n  ')}`,
    );
    const title = `${this.constructor.name}(${this.extraRepr()}`;
    return lines.length === 0 ? `${title})` : `${title}\n${lines.join('\n')}\n)`;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}
