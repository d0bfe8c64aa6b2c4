import { setImmediate as nextTurn } from 'node:timers/promises';
import { integer } from '../shape';
import { defaultGenerator, randperm, type Generator } from '../random';
import { scope } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import type { Dataset } from './dataset';

export interface DataLoaderOptions {
  /** Samples per batch. Default 1. */
  readonly batchSize?: number;
  /** New random order for every pass. Default false. */
  readonly shuffle?: boolean;
  /** Leave out a last batch that is not full. Default false. */
  readonly dropLast?: boolean;
  /** Stream the order is drawn from. Default: the one that `manualSeed` seeds. */
  readonly generator?: Generator;
  /** Batches made ahead in `for await`, while the consumer waits for something else. Default 1. */
  readonly prefetch?: number;
}

/**
 * Batches of a dataset, as often as wanted.
 *
 * @example
 * for (const [x, y] of new DataLoader(dataset, { batchSize: 256, shuffle: true })) { ... }
 * for await (const [x, y] of loader) { ... }       // yields to the event loop between batches
 * loader.each(([x, y]) => { ... });                // each batch in a scope: memory is reused at once
 */
export class DataLoader {
  readonly batchSize: number;
  private readonly shuffle: boolean;
  private readonly dropLast: boolean;
  private readonly generator: Generator;
  private readonly prefetch: number;

  constructor(
    readonly dataset: Dataset,
    options: DataLoaderOptions = {},
  ) {
    this.batchSize = integer('DataLoader', 'batchSize', options.batchSize ?? 1, 1);
    this.shuffle = options.shuffle ?? false;
    this.dropLast = options.dropLast ?? false;
    this.generator = options.generator ?? defaultGenerator;
    this.prefetch = integer('DataLoader', 'prefetch', options.prefetch ?? 1, 0);
  }

  /** Number of batches in a pass. */
  get length(): number {
    const full = this.dataset.length / this.batchSize;
    return this.dropLast ? Math.floor(full) : Math.ceil(full);
  }

  /** The sample numbers of each batch of a new pass. */
  *indices(): IterableIterator<Int32Array> {
    const n = this.dataset.length;
    const order = this.shuffle ? randperm(n, this.generator) : Int32Array.from({ length: n }, (_, i) => i);
    for (let b = 0; b < this.length; b++) yield order.subarray(b * this.batchSize, (b + 1) * this.batchSize);
  }

  *[Symbol.iterator](): IterableIterator<readonly Tensor[]> {
    for (const indices of this.indices()) yield this.dataset.batch(indices);
  }

  /** Calls `fn` with every batch and its number, inside a {@link scope}. */
  each(fn: (batch: readonly Tensor[], index: number) => void): void {
    let i = 0;
    for (const indices of this.indices()) {
      scope(() => {
        fn(this.dataset.batch(indices), i++);
      });
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<readonly Tensor[]> {
    const pass = this.indices();
    const ready: (readonly Tensor[])[] = [];
    let exhausted = false;
    const makeOne = (): void => {
      const next = pass.next();
      if (next.done === true) exhausted = true;
      else ready.push(this.dataset.batch(next.value));
    };
    for (;;) {
      if (ready.length === 0 && !exhausted) makeOne();
      const batch = ready.shift();
      if (batch === undefined) return;
      // The next batches are made in a later turn, in which the consumer may be waiting for something else.
      const ahead =
        this.prefetch === 0
          ? Promise.resolve()
          : nextTurn().then(() => {
              while (ready.length < this.prefetch && !exhausted) makeOne();
            });
      yield batch;
      await ahead;
    }
  }
}
