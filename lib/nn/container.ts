import { rangeError, typeError } from '../errors';
import { finish, noEnding, type Ending } from '../functional/ending';
import { fromLanes, toLanes } from '../functional/lanes';
import { givingAway } from '../functional/unary';
import type { Tensor } from '../tensor/tensor';
import { PlainConv } from './conv';
import { LayerWithEnding, takesEnding } from './ending';
import { asOneConv } from './fold';
import { asEnding, keepsNothing, makesResult, mayOverwrite } from './in-place';
import { blockAt, runTiles, tilesAt } from './lanes';
import { Module } from './module';

function refuse(op: string, argument: string, expected: string, value: unknown): never {
  throw typeError(op, argument, expected, value);
}

function checkModules<M extends Module>(op: string, modules: Iterable<M>, argument = 'modules'): M[] {
  const list = Symbol.iterator in modules ? [...modules] : refuse(op, argument, 'must be iterable', modules);
  list.forEach((module: unknown, i) => {
    if (!(module instanceof Module)) refuse(op, `${argument}[${i}]`, 'must be a Module', module);
  });
  return list;
}

function iterable<T>(op: string, modules: T): T {
  if (typeof modules === 'object' && modules !== null) return modules;
  return refuse(op, 'modules', 'must be a list of modules, or an object of them', modules);
}

function readEntries<M extends Module>(op: string, entries: Iterable<readonly [string, M]>): [string, M][] {
  return Array.from(entries, (entry: unknown) => {
    if (!Array.isArray(entry)) return refuse(op, 'modules', 'must have [name, module] pairs', entry);
    const [name, module] = entry as [string, M];
    if (typeof name !== 'string') return refuse(op, 'name', 'must be a string', name);
    if (!(module instanceof Module)) return refuse(op, name, 'must be a Module', module);
    return [name, module];
  });
}

/**
 * Modules one after the other.
 *
 * @example
 * const net = new nn.Sequential(new nn.Conv2d(1, 6, 5), new nn.Sigmoid(), new nn.AvgPool2d(2));
 * net.get(0).weight.shape; // [6, 1, 5, 5]: typed by position
 * for (const layer of net) x = layer.forward(x);
 */
export class Sequential<L extends readonly Module[] = readonly Module[]> extends LayerWithEnding {
  private readonly layers: L;

  constructor(...layers: L) {
    super();
    checkModules('Sequential', layers, 'layers');
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
      throw rangeError('Sequential.get', 'index', `must be in ${-this.length}..${this.length - 1}`, index);
    }
    return layer;
  }

  protected override *childEntries(): IterableIterator<[string, Module]> {
    for (const [i, layer] of this.layers.entries()) yield [String(i), layer];
  }

  *[Symbol.iterator](): IterableIterator<L[number]> {
    yield* this.layers;
  }

  /** The last layer has the ending. */
  protected override compute(input: Tensor, ending: Ending): Tensor {
    const { layers } = this;
    let x = input;
    let isOwn = false; // nobody but the next layer has x, and no backward reads it
    let end = ending;
    let lanes = 0; // of x, see lanes.ts
    let blockEnd = 0;
    let i = 0;
    while (i < layers.length) {
      if (i >= blockEnd) {
        const block = blockAt(layers, i, x, lanes);
        const moved = block === null ? 0 : block.lanes;
        if (moved !== lanes) {
          const before = x;
          x = moved === 0 ? fromLanes(before, lanes) : toLanes(before, moved);
          if (isOwn && !x.requiresGrad) before.storage.release();
          isOwn = !x.requiresGrad;
          lanes = moved;
        }
        if (block !== null) blockEnd = block.end;
      }
      const tiles = lanes === 0 ? null : tilesAt(layers, i);
      const layer = layers[i++];
      const oneConv = asOneConv(layer, layers[i], x, lanes);
      if (oneConv !== null) i++;
      let own = noEnding;
      if (tiles !== null) {
        i += tiles.layers - 1;
      } else if (i === layers.length) {
        [own, end] = [end, noEnding];
      } else if (takesEnding(layer)) {
        own = asEnding(layers[i]);
        if (own !== noEnding) i++;
      }
      const run = (t: Tensor): Tensor => {
        if (tiles !== null) return runTiles(tiles, t, lanes);
        if (oneConv !== null) return oneConv(t, own);
        if (lanes !== 0 && layer instanceof PlainConv) {
          return layer.convolve(t, layer.weight, layer.bias, own, lanes);
        }
        return own === noEnding ? layer.forward(t) : layer.forwardThen(t, own);
      };
      const y: Tensor = isOwn && mayOverwrite(layer) ? givingAway(x, run) : run(x);
      const isRecorded = y.requiresGrad;
      const isNew = y.storage !== x.storage;
      // In evaluation what the layer has read goes straight to the next result, while the caches still hold it.
      if (isOwn && isNew && !isRecorded && keepsNothing(layer)) x.storage.release();
      // Backward of an ending reads its result.
      isOwn = isRecorded ? own === noEnding && makesResult(layer) : keepsNothing(layer) && (isOwn || isNew);
      x = y;
    }
    if (lanes !== 0) x = fromLanes(x, lanes);
    return finish(x, end, isOwn || lanes !== 0);
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
    this.list = checkModules('ModuleList', iterable('ModuleList', modules));
  }

  get length(): number {
    return this.list.length;
  }

  /** The module at a position; negative positions count from the end. */
  get(index: number): M {
    const module = this.list.at(index);
    if (module === undefined) {
      throw rangeError('ModuleList.get', 'index', `must be in ${-this.length}..${this.length - 1}`, index);
    }
    return module;
  }

  push(...modules: M[]): this {
    this.list.push(...checkModules('ModuleList.push', modules));
    return this;
  }

  *[Symbol.iterator](): IterableIterator<M> {
    yield* this.list;
  }

  protected override *childEntries(): IterableIterator<[string, Module]> {
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
    const entries = Symbol.iterator in iterable('ModuleDict', modules) ? modules : Object.entries(modules);
    this.entries = new Map(readEntries('ModuleDict', entries as Iterable<readonly [string, M]>));
  }

  get(name: string): M {
    const module = this.entries.get(name);
    if (module === undefined) {
      throw rangeError(
        'ModuleDict.get',
        'name',
        `must be one of ${[...this.entries.keys()].join(', ')}`,
        name,
      );
    }
    return module;
  }

  set(name: string, module: M): this {
    this.entries.set(...readEntries('ModuleDict.set', [[name, module]])[0]);
    return this;
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  *[Symbol.iterator](): IterableIterator<[string, M]> {
    yield* this.entries;
  }

  protected override *childEntries(): IterableIterator<[string, Module]> {
    yield* this.entries;
  }

  /** A dictionary computes nothing by itself. @throws always */
  override forward(): never {
    throw new TypeError('ModuleDict: forward is not defined; call its modules');
  }
}
