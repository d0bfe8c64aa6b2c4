/** Several schedules one after the other. */
import { ArgumentRangeError, ArgumentTypeError, StateDictError, describe } from '../errors';
import { integer, readList } from '../shape';
import { LRScheduler, type Schedulable, type SchedulerStateDict } from './lr-scheduler';
import { isList } from './state-dict';

export interface SequentialLRStateDict {
  readonly last_epoch: number;
  readonly _milestones: readonly number[];
  readonly _schedulers: readonly SchedulerStateDict[];
}

/**
 * Uses `schedulers[i]` until `milestones[i]`, then the next, which starts from the optimizer's initial rates.
 *
 * @param schedulers made for the same optimizer
 * @param milestones the epochs of change, rising, one fewer than the schedulers
 * @throws RangeError if the numbers do not fit, TypeError for schedulers of another optimizer
 *
 * @example
 * const warmUp = new optim.LinearLR(optimizer, { totalIters: 5 });
 * const cosine = new optim.CosineAnnealingLR(optimizer, 95);
 * const scheduler = new optim.SequentialLR(optimizer, [warmUp, cosine], [5]);
 */
export class SequentialLR {
  /** Steps since the start. */
  lastEpoch = 0;
  private readonly schedulers: readonly LRScheduler[];
  private readonly milestones: readonly number[];

  constructor(
    readonly optimizer: Schedulable,
    schedulers: readonly LRScheduler[],
    milestones: readonly number[],
  ) {
    const op = 'SequentialLR';
    this.schedulers = readList(op, 'schedulers', schedulers, 'schedulers');
    this.schedulers.forEach((s, i) => {
      const own = s instanceof LRScheduler;
      if (own && s.optimizer === optimizer) return;
      throw new ArgumentTypeError({
        op,
        argument: `schedulers[${i}]`,
        expected: 'must be a scheduler of the same optimizer',
        received: own ? 'one of another optimizer' : describe(s),
      });
    });
    this.milestones = readList(op, 'milestones', milestones, 'integers').map((m, i) => {
      return integer(op, `milestones[${i}]`, m, i === 0 ? 1 : milestones[i - 1] + 1);
    });
    if (this.schedulers.length === 0 || this.milestones.length !== this.schedulers.length - 1) {
      throw new ArgumentRangeError({
        op,
        argument: 'milestones',
        expected: `must be one fewer than the ${this.schedulers.length} schedulers`,
        received: String(this.milestones.length),
      });
    }
    // Every scheduler took its first step when it was made: undo them all, and repeat that of the first.
    for (const group of optimizer.paramGroups) group.lr = group.initialLr ?? group.lr;
    for (const s of this.schedulers.slice(1)) s.rewind();
    this.schedulers[0].restart();
  }

  private get current(): number {
    return this.milestones.filter((m) => m <= this.lastEpoch).length;
  }

  /** Goes on to the next epoch. */
  step(): void {
    this.lastEpoch++;
    const i = this.current;
    if (i > 0 && this.milestones[i - 1] === this.lastEpoch) this.schedulers[i].jumpTo(0);
    else this.schedulers[i].step();
  }

  /** The rates set last, one per group. */
  getLastLr(): number[] {
    return this.schedulers[this.current].getLastLr();
  }

  /** What has to be saved to go on later, beside the optimizer's state. */
  stateDict(): SequentialLRStateDict {
    return {
      last_epoch: this.lastEpoch,
      _milestones: [...this.milestones],
      _schedulers: this.schedulers.map((s) => s.stateDict()),
    };
  }

  /**
   * Takes over a state made by {@link stateDict} with the same number of schedulers.
   * @throws StateDictError if the number differs
   */
  loadStateDict(dict: SequentialLRStateDict): void {
    const op = 'SequentialLR.loadStateDict';
    const count = this.schedulers.length;
    if (!isList(dict._schedulers) || dict._schedulers.length !== count) {
      throw new StateDictError(
        { op, argument: '_schedulers', expected: `must be ${count}`, received: describe(dict._schedulers) },
        [],
        [],
        ['_schedulers'],
      );
    }
    const lastEpoch = integer(op, 'last_epoch', dict.last_epoch, 0);
    this.schedulers.forEach((s, i) => s.loadStateDict(dict._schedulers[i]));
    this.lastEpoch = lastEpoch;
  }
}
