/** Lowers the rate when a metric stops improving. */
import { rangeError } from '../errors';
import { integer, real } from '../shape';
import { expectTensor, type Tensor } from '../tensor/tensor';
import { expectSchedulable, type Schedulable } from './lr-scheduler';

export interface ReduceLROnPlateauOptions {
  /** Whether a small or a large metric is good. Default `min`. */
  readonly mode?: 'min' | 'max';
  /** The rate is multiplied by this, below 1. Default 0.1. */
  readonly factor?: number;
  /** Epochs without improvement that are borne. Default 10. */
  readonly patience?: number;
  /** What counts as improvement. Default 1e-4. */
  readonly threshold?: number;
  /** Whether `threshold` is a part of the best metric or a difference. Default `rel`. */
  readonly thresholdMode?: 'rel' | 'abs';
  /** Epochs to wait after lowering. Default 0. */
  readonly cooldown?: number;
  /** The rate does not fall below this; one number or one per group. Default 0. */
  readonly minLr?: number | readonly number[];
  /** Smaller changes of the rate are not made. Default 1e-8. */
  readonly eps?: number;
}

export interface ReduceLROnPlateauStateDict {
  readonly best: number;
  readonly num_bad_epochs: number;
  readonly cooldown_counter: number;
  readonly last_epoch: number;
  readonly _last_lr: readonly number[];
}

const nonNegative = (v: number): boolean => v >= 0 && Number.isFinite(v);

function word<W extends string>(argument: string, value: W, words: readonly W[]): W {
  if (words.includes(value)) return value;
  throw rangeError('ReduceLROnPlateau', argument, `must be one of ${words.join(', ')}`, value);
}

/**
 * Multiplies the rates by `factor` when the metric has not improved for more than `patience` epochs.
 *
 * @throws RangeError for options out of range
 *
 * @example
 * const scheduler = new optim.ReduceLROnPlateau(optimizer, { patience: 3 });
 * scheduler.step(validationLoss); // once per epoch
 */
export class ReduceLROnPlateau {
  lastEpoch = 0;
  private readonly mode: 'min' | 'max';
  private readonly factor: number;
  private readonly patience: number;
  private readonly threshold: number;
  private readonly relative: boolean;
  private readonly cooldown: number;
  private readonly minLrs: readonly number[];
  private readonly eps: number;
  private best: number;
  private badEpochs = 0;
  private cooldownLeft = 0;

  constructor(
    readonly optimizer: Schedulable,
    options: ReduceLROnPlateauOptions = {},
  ) {
    const op = 'ReduceLROnPlateau';
    expectSchedulable(op, optimizer);
    const { factor = 0.1, patience = 10, threshold = 1e-4, cooldown = 0, minLr = 0, eps = 1e-8 } = options;
    this.mode = word('mode', options.mode ?? 'min', ['min', 'max']);
    this.factor = real(op, 'factor', factor, 'must be in 0..1 without 1', (v) => v >= 0 && v < 1);
    this.patience = integer(op, 'patience', patience, 0);
    this.threshold = real(op, 'threshold', threshold, 'must be finite and >= 0', nonNegative);
    this.relative = word('thresholdMode', options.thresholdMode ?? 'rel', ['rel', 'abs']) === 'rel';
    this.cooldown = integer(op, 'cooldown', cooldown, 0);
    const groups = optimizer.paramGroups;
    const minLrs = typeof minLr === 'number' ? groups.map(() => minLr) : Array.from(minLr);
    if (minLrs.length !== groups.length) {
      throw rangeError(op, 'minLr', `must be a number or ${groups.length} numbers, one per group`, minLr);
    }
    this.minLrs = minLrs.map((v) => real(op, 'minLr', v, 'must be finite and >= 0', nonNegative));
    this.eps = real(op, 'eps', eps, 'must be finite and >= 0', nonNegative);
    this.best = this.mode === 'min' ? Infinity : -Infinity;
  }

  private improves(metric: number): boolean {
    const { best, threshold } = this;
    if (this.mode === 'min') return metric < (this.relative ? best * (1 - threshold) : best - threshold);
    return metric > (this.relative ? best * (1 + threshold) : best + threshold);
  }

  /**
   * Takes note of the epoch's metric and lowers the rates if it is time.
   * @param metric a number, or a tensor of one element
   */
  step(metric: number | Tensor): void {
    const value =
      typeof metric === 'number' ? metric : expectTensor('ReduceLROnPlateau', 'metric', metric).item();
    this.lastEpoch++;
    if (this.improves(value)) {
      this.best = value;
      this.badEpochs = 0;
    } else {
      this.badEpochs++;
    }
    if (this.cooldownLeft > 0) {
      this.cooldownLeft--;
      this.badEpochs = 0; // what happens in the cooldown does not count
    }
    if (this.badEpochs <= this.patience) return;
    this.optimizer.paramGroups.forEach((group, i) => {
      const lowered = Math.max(group.lr * this.factor, this.minLrs[i]);
      if (group.lr - lowered > this.eps) group.lr = lowered;
    });
    this.cooldownLeft = this.cooldown;
    this.badEpochs = 0;
  }

  /** The present rates, one per group. */
  getLastLr(): number[] {
    return this.optimizer.paramGroups.map((group) => group.lr);
  }

  /** What has to be saved to go on later, beside the optimizer's state. */
  stateDict(): ReduceLROnPlateauStateDict {
    return {
      best: this.best,
      num_bad_epochs: this.badEpochs,
      cooldown_counter: this.cooldownLeft,
      last_epoch: this.lastEpoch,
      _last_lr: this.getLastLr(),
    };
  }

  /** Takes over a state made by {@link stateDict}. */
  loadStateDict(dict: ReduceLROnPlateauStateDict): void {
    const op = 'ReduceLROnPlateau.loadStateDict';
    const best = real(op, 'best', dict.best, 'must be a number', (v) => !Number.isNaN(v));
    const bad = integer(op, 'num_bad_epochs', dict.num_bad_epochs, 0);
    const left = integer(op, 'cooldown_counter', dict.cooldown_counter, 0);
    this.lastEpoch = integer(op, 'last_epoch', dict.last_epoch, 0);
    this.best = best;
    this.badEpochs = bad;
    this.cooldownLeft = left;
  }
}
