/**
 * Learning-rate schedules. As in PyTorch they are recursive: the next rate is made from the one the group has now, so
 * schedules can be chained and rates edited in between; a closed form gives the rate of any epoch where one exists.
 *
 * A scheduler sets the first rates when it is made; call `step()` once per epoch (or batch) after `optimizer.step()`.
 */
import { ArgumentRangeError, StateDictError, describe, typeError } from '../errors';
import { checkOptions, integer, readList, real } from '../shape';
import { isList } from './state-dict';

/** A group whose rate a scheduler sets. */
export interface ScheduledGroup {
  lr: number;
  initialLr?: number;
}

/** An optimizer, seen from a scheduler. */
export interface Schedulable {
  readonly paramGroups: readonly ScheduledGroup[];
}

export interface SchedulerOptions {
  /** The epoch to go on from; -1, the default, starts. */
  readonly lastEpoch?: number;
}

/** State of a scheduler under PyTorch's names. */
export interface SchedulerStateDict {
  readonly last_epoch: number;
  readonly _step_count: number;
  readonly base_lrs: readonly number[];
  readonly _last_lr: readonly number[];
  readonly [name: string]: unknown;
}

/** Checks that `optimizer` has groups. */
export function expectSchedulable(op: string, optimizer: Schedulable): void {
  if (typeof optimizer === 'object' && optimizer !== null && Array.isArray(optimizer.paramGroups)) return;
  throw typeError(op, 'optimizer', 'must be an optimizer', optimizer);
}

export abstract class LRScheduler {
  /** Steps since the start; 0 after construction. */
  lastEpoch: number;
  protected stepCount = 0;
  protected readonly baseLrs: number[];
  private lastLrs: number[] = [];

  /** A subclass calls `start()` at the end of its constructor, when its own fields are set. */
  protected constructor(
    protected readonly name: string,
    readonly optimizer: Schedulable,
    options: SchedulerOptions = {},
  ) {
    expectSchedulable(name, optimizer);
    checkOptions(name, options);
    this.lastEpoch = integer(name, 'lastEpoch', options.lastEpoch ?? -1, -1);
    optimizer.paramGroups.forEach((group, i) => {
      if (this.lastEpoch === -1) group.initialLr ??= group.lr;
      else if (group.initialLr === undefined) {
        throw new ArgumentRangeError({
          op: name,
          argument: 'lastEpoch',
          expected: `needs initialLr in paramGroups[${i}] to go on from`,
          received: String(this.lastEpoch),
        });
      }
    });
    this.baseLrs = optimizer.paramGroups.map((group) => group.initialLr ?? group.lr);
  }

  protected start(): void {
    this.stepCount = 0;
    this.step();
  }

  /** The rate of `group` (number `index`) at `lastEpoch`, made from its present rate. */
  protected abstract rate(group: ScheduledGroup, index: number): number;

  /** The rate at `lastEpoch` made from the base rate alone, where there is such a formula. */
  protected closedForm?(baseLr: number): number;

  /** Goes on to the next epoch and sets the rates of all groups. */
  step(): void {
    this.stepCount++;
    this.lastEpoch++;
    this.apply((group, i) => this.rate(group, i));
  }

  /** Jumps to `epoch`. @internal */
  jumpTo(epoch: number): void {
    this.stepCount++;
    this.lastEpoch = epoch;
    this.apply((group, i) => this.closedForm?.(this.baseLrs[i]) ?? this.rate(group, i));
  }

  /** Takes the first step again from the initial rates, as if just made. @internal */
  restart(): void {
    this.lastEpoch--;
    this.start();
  }

  /** Undoes the count of the first step, not the rates. @internal */
  rewind(): void {
    this.lastEpoch--;
  }

  private apply(rate: (group: ScheduledGroup, index: number) => number): void {
    const rates = this.optimizer.paramGroups.map(rate);
    this.optimizer.paramGroups.forEach((group, i) => (group.lr = rates[i]));
    this.lastLrs = rates;
  }

  /** The rates set last, one per group. */
  getLastLr(): number[] {
    return [...this.lastLrs];
  }

  /** What has to be saved to go on later, beside the optimizer's state. */
  stateDict(): SchedulerStateDict {
    return {
      last_epoch: this.lastEpoch,
      _step_count: this.stepCount,
      base_lrs: [...this.baseLrs],
      _last_lr: [...this.lastLrs],
    };
  }

  /**
   * Takes over a state made by {@link stateDict}; the rates themselves are part of the optimizer's state.
   * @throws StateDictError if the number of groups differs
   */
  loadStateDict(dict: SchedulerStateDict): void {
    const count = this.baseLrs.length;
    if (!isList(dict.base_lrs) || dict.base_lrs.length !== count || !isList(dict._last_lr)) {
      throw new StateDictError(
        {
          op: `${this.name}.loadStateDict`,
          argument: 'base_lrs',
          expected: `must hold ${count} rates, one per group`,
          received: describe(dict.base_lrs),
        },
        [],
        [],
        ['base_lrs'],
      );
    }
    this.lastEpoch = integer(`${this.name}.loadStateDict`, 'last_epoch', dict.last_epoch, -1);
    this.stepCount = integer(`${this.name}.loadStateDict`, '_step_count', dict._step_count, 0);
    this.baseLrs.splice(0, count, ...dict.base_lrs);
    this.lastLrs = [...dict._last_lr];
  }
}

function factor(op: string, argument: string, value: unknown): number {
  return real(op, argument, value, 'must be finite', Number.isFinite);
}

/**
 * Multiplies the rates by `gamma` every `stepSize` epochs.
 *
 * @example
 * const scheduler = new optim.StepLR(optimizer, 30, { gamma: 0.1 });
 */
export class StepLR extends LRScheduler {
  readonly stepSize: number;
  readonly gamma: number;

  constructor(
    optimizer: Schedulable,
    stepSize: number,
    options: SchedulerOptions & { /** Default 0.1. */ readonly gamma?: number } = {},
  ) {
    super('StepLR', optimizer, options);
    this.stepSize = integer('StepLR', 'stepSize', stepSize, 1);
    this.gamma = factor('StepLR', 'gamma', options.gamma ?? 0.1);
    this.start();
  }

  protected override rate(group: ScheduledGroup): number {
    const stays = this.lastEpoch === 0 || this.lastEpoch % this.stepSize !== 0;
    return stays ? group.lr : group.lr * this.gamma;
  }

  protected override closedForm(baseLr: number): number {
    return baseLr * this.gamma ** Math.floor(this.lastEpoch / this.stepSize);
  }
}

/**
 * Multiplies the rates by `gamma` at each of the `milestones`.
 *
 * @example
 * const scheduler = new optim.MultiStepLR(optimizer, [30, 80], { gamma: 0.1 });
 */
export class MultiStepLR extends LRScheduler {
  readonly milestones: readonly number[];
  readonly gamma: number;

  constructor(
    optimizer: Schedulable,
    milestones: readonly number[],
    options: SchedulerOptions & { /** Default 0.1. */ readonly gamma?: number } = {},
  ) {
    super('MultiStepLR', optimizer, options);
    this.milestones = readList('MultiStepLR', 'milestones', milestones, 'integers').map((m, i) =>
      integer('MultiStepLR', `milestones[${i}]`, m, 0),
    );
    this.gamma = factor('MultiStepLR', 'gamma', options.gamma ?? 0.1);
    this.start();
  }

  protected override rate(group: ScheduledGroup): number {
    const here = this.milestones.filter((m) => m === this.lastEpoch).length;
    return here === 0 ? group.lr : group.lr * this.gamma ** here;
  }

  protected override closedForm(baseLr: number): number {
    return baseLr * this.gamma ** this.milestones.filter((m) => m <= this.lastEpoch).length;
  }
}

/**
 * Multiplies the rates by `gamma` every epoch.
 *
 * @example
 * const scheduler = new optim.ExponentialLR(optimizer, 0.95);
 */
export class ExponentialLR extends LRScheduler {
  readonly gamma: number;

  constructor(optimizer: Schedulable, gamma: number, options: SchedulerOptions = {}) {
    super('ExponentialLR', optimizer, options);
    this.gamma = factor('ExponentialLR', 'gamma', gamma);
    this.start();
  }

  protected override rate(group: ScheduledGroup): number {
    return this.lastEpoch === 0 ? group.lr : group.lr * this.gamma;
  }

  protected override closedForm(baseLr: number): number {
    return baseLr * this.gamma ** this.lastEpoch;
  }
}

export interface LinearLROptions extends SchedulerOptions {
  /** Factor of the first epoch, above 0 and at most 1. Default 1/3. */
  readonly startFactor?: number;
  /** Factor at the end, 0..1. Default 1. */
  readonly endFactor?: number;
  /** Epochs to get there. Default 5. */
  readonly totalIters?: number;
}

/**
 * Moves a factor of the rates linearly from `startFactor` to `endFactor` within `totalIters` epochs: a warm-up.
 *
 * @example
 * const scheduler = new optim.LinearLR(optimizer, { startFactor: 0.1, totalIters: 5 });
 */
export class LinearLR extends LRScheduler {
  readonly startFactor: number;
  readonly endFactor: number;
  readonly totalIters: number;

  constructor(optimizer: Schedulable, options: LinearLROptions = {}) {
    super('LinearLR', optimizer, options);
    const { startFactor = 1 / 3, endFactor = 1, totalIters = 5 } = options;
    this.startFactor = real(
      'LinearLR',
      'startFactor',
      startFactor,
      'must be in 0..1 without 0',
      (v) => v > 0 && v <= 1,
    );
    this.endFactor = real('LinearLR', 'endFactor', endFactor, 'must be in 0..1', (v) => v >= 0 && v <= 1);
    this.totalIters = integer('LinearLR', 'totalIters', totalIters, 1);
    this.start();
  }

  protected override rate(group: ScheduledGroup): number {
    if (this.lastEpoch === 0) return group.lr * this.startFactor;
    if (this.lastEpoch > this.totalIters) return group.lr;
    const rise = this.endFactor - this.startFactor;
    return group.lr * (1 + rise / (this.totalIters * this.startFactor + (this.lastEpoch - 1) * rise));
  }

  protected override closedForm(baseLr: number): number {
    const rise = this.endFactor - this.startFactor;
    return baseLr * (this.startFactor + (rise * Math.min(this.totalIters, this.lastEpoch)) / this.totalIters);
  }
}

/**
 * Half a cosine from the rates down to `etaMin` within `tMax` epochs, then up again (Loshchilov and Hutter, "SGDR",
 * 2016, without restarts):
 *
 *     lr = etaMin + (lr0 - etaMin) (1 + cos(pi epoch / tMax)) / 2
 *
 * @example
 * const scheduler = new optim.CosineAnnealingLR(optimizer, epochs);
 */
export class CosineAnnealingLR extends LRScheduler {
  readonly tMax: number;
  readonly etaMin: number;

  constructor(
    optimizer: Schedulable,
    tMax: number,
    options: SchedulerOptions & { /** Default 0. */ readonly etaMin?: number } = {},
  ) {
    super('CosineAnnealingLR', optimizer, options);
    this.tMax = integer('CosineAnnealingLR', 'tMax', tMax, 1);
    this.etaMin = factor('CosineAnnealingLR', 'etaMin', options.etaMin ?? 0);
    this.start();
  }

  protected override rate(group: ScheduledGroup, index: number): number {
    const { lastEpoch: epoch, tMax, etaMin } = this;
    const baseLr = this.baseLrs[index];
    if (epoch === 0) return group.lr;
    if (this.stepCount === 1) return this.closedForm(baseLr);
    // One step after the lowest point the quotient below is 0 / 0.
    if ((epoch - 1 - tMax) % (2 * tMax) === 0) {
      return group.lr + ((baseLr - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2;
    }
    const wave = (e: number): number => 1 + Math.cos((Math.PI * e) / tMax);
    return (wave(epoch) / wave(epoch - 1)) * (group.lr - etaMin) + etaMin;
  }

  protected override closedForm(baseLr: number): number {
    const wave = 1 + Math.cos((Math.PI * this.lastEpoch) / this.tMax);
    return this.etaMin + ((baseLr - this.etaMin) * wave) / 2;
  }
}
