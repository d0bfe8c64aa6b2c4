import { ArgumentRangeError, ArgumentTypeError, describe } from '../errors';
import type { Tensor } from '../tensor/tensor';
import { Module } from './module';

/**
 * Modules one after the other.
 *
 * @example
 * const net = new nn.Sequential(new nn.Conv2d(1, 6, 5), new nn.Sigmoid(), new nn.AvgPool2d(2));
 * net.get(0).weight.shape; // [6, 1, 5, 5]: typed by position
 * for (const layer of net) x = layer.forward(x);
 */
export class Sequential<L extends readonly Module[] = readonly Module[]> extends Module {
  private readonly layers: L;

  constructor(...layers: L) {
    super();
    layers.forEach((layer: unknown, i) => {
      if (!(layer instanceof Module)) {
        throw new ArgumentTypeError({
          op: 'Sequential',
          argument: `layers[${i}]`,
          expected: 'must be a Module',
          received: describe(layer),
        });
      }
    });
    this.layers = layers;
  }

  /** Number of layers. */
  get length(): number {
    return this.layers.length;
  }

  /** The layer at a position, with its own type; negative positions count from the end. */
  get<I extends number>(index: I): L[I] {
    const at = index < 0 ? index + this.length : index;
    const layer = this.layers[at];
    if (layer === undefined) {
      throw new ArgumentRangeError({
        op: 'Sequential.get',
        argument: 'index',
        expected: `must be in ${-this.length}..${this.length - 1}`,
        received: describe(index),
      });
    }
    return layer;
  }

  override *namedChildren(): IterableIterator<[string, Module]> {
    for (const [i, layer] of this.layers.entries()) yield [String(i), layer];
  }

  *[Symbol.iterator](): IterableIterator<L[number]> {
    yield* this.layers;
  }

  override forward(input: Tensor): Tensor {
    let x = input;
    for (const layer of this.layers) x = layer.forward(x);
    return x;
  }
}

/**
 * A list of modules that are registered together; calling order is up to the owner.
 *
 * @example
 * class Stack extends nn.Module {
 *   blocks = new nn.ModuleList([new nn.Linear(8, 8), new nn.Linear(8, 8)]);
 *   forward(x: Tensor) { for (const b of this.blocks) x = b.forward(x); return x; }
 * }
 */
export class ModuleList<M extends Module = Module> extends Module {
  private readonly list: M[];

  constructor(modules: Iterable<M> = []) {
    super();
    this.list = [...modules];
  }

  get length(): number {
    return this.list.length;
  }

  /** The module at a position; negative positions count from the end. */
  get(index: number): M {
    const module = this.list.at(index);
    if (module === undefined) {
      throw new ArgumentRangeError({
        op: 'ModuleList.get',
        argument: 'index',
        expected: `must be in ${-this.length}..${this.length - 1}`,
        received: describe(index),
      });
    }
    return module;
  }

  push(...modules: M[]): this {
    this.list.push(...modules);
    return this;
  }

  *[Symbol.iterator](): IterableIterator<M> {
    yield* this.list;
  }

  override *namedChildren(): IterableIterator<[string, Module]> {
    for (const [i, module] of this.list.entries()) yield [String(i), module];
  }

  /** A list computes nothing by itself. @throws always */
  override forward(): never {
    throw new TypeError('ModuleList: forward is not defined; call its modules');
  }
}

/** Modules registered by name; calling order is up to the owner. */
export class ModuleDict<M extends Module = Module> extends Module {
  private readonly entries: Map<string, M>;

  constructor(modules: Readonly<Record<string, M>> | Iterable<readonly [string, M]> = {}) {
    super();
    this.entries = new Map(Symbol.iterator in modules ? modules : Object.entries(modules));
  }

  get(name: string): M {
    const module = this.entries.get(name);
    if (module === undefined) {
      throw new ArgumentRangeError({
        op: 'ModuleDict.get',
        argument: 'name',
        expected: `must be one of ${[...this.entries.keys()].join(', ')}`,
        received: describe(name),
      });
    }
    return module;
  }

  set(name: string, module: M): this {
    this.entries.set(name, module);
    return this;
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  *[Symbol.iterator](): IterableIterator<[string, M]> {
    yield* this.entries;
  }

  override *namedChildren(): IterableIterator<[string, Module]> {
    yield* this.entries;
  }

  /** A dictionary computes nothing by itself. @throws always */
  override forward(): never {
    throw new TypeError('ModuleDict: forward is not defined; call its modules');
  }
}
