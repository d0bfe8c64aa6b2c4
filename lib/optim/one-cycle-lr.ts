/** The 1cycle policy (Smith and Topin, "Super-Convergence", 2017): the rate rises to a peak and falls far below its start. */
import { ArgumentRangeError, rangeError, typeError } from '../errors';
import { integer, real } from '../shape';
import { LRScheduler, type Schedulable, type ScheduledGroup, type SchedulerOptions } from './lr-scheduler';

export interface OneCycleLROptions extends SchedulerOptions {
  /** Steps in the cycle; or give `epochs` and `stepsPerEpoch`. */
  readonly totalSteps?: number;
  readonly epochs?: number;
  readonly stepsPerEpoch?: number;
  /** Part of the cycle in which the rate rises, 0..1. Default 0.3. */
  readonly pctStart?: number;
  /** Shape of rise and fall. Default `cos`. */
  readonly annealStrategy?: 'cos' | 'linear';
  /** Let the momentum (or the first beta) move against the rate. Default true. */
  readonly cycleMomentum?: boolean;
  /** Momentum at the peak of the rate. Default 0.85. */
  readonly baseMomentum?: number;
  /** Momentum at start and end. Default 0.95. */
  readonly maxMomentum?: number;
  /** The first rate is maxLr / divFactor. Default 25. */
  readonly divFactor?: number;
  /** The last rate is the first / finalDivFactor. Default 1e4. */
  readonly finalDivFactor?: number;
  /** Fall back to the first rate as fast as it rose, then on to the last. Default false. */
  readonly threePhase?: boolean;
}

/** One stretch of the cycle; rates are factors of maxLr, `high` tells if the momentum is at its maximum. */
interface Phase {
  readonly end: number;
  readonly from: number;
  readonly to: number;
  readonly highFrom: boolean;
  readonly highTo: boolean;
}

type MomentumGroup = ScheduledGroup & { momentum?: number; betas?: readonly [number, number] };

function cycles(group: ScheduledGroup): group is MomentumGroup {
  return 'momentum' in group || 'betas' in group;
}

function setMomentum(group: ScheduledGroup, value: number): void {
  if (!cycles(group)) return;
  if (group.betas !== undefined) group.betas = [value, group.betas[1]];
  else group.momentum = value;
}

const positive = (op: string, argument: string, value: unknown): number =>
  real(op, argument, value, 'must be finite and > 0', (v) => v > 0 && Number.isFinite(v));

function totalOf(options: OneCycleLROptions): number {
  const { totalSteps, epochs, stepsPerEpoch } = options;
  if (totalSteps !== undefined) return integer('OneCycleLR', 'totalSteps', totalSteps, 1);
  if (epochs !== undefined && stepsPerEpoch !== undefined) {
    return (
      integer('OneCycleLR', 'epochs', epochs, 1) * integer('OneCycleLR', 'stepsPerEpoch', stepsPerEpoch, 1)
    );
  }
  throw typeError('OneCycleLR', 'totalSteps', 'must be given, or epochs and stepsPerEpoch', totalSteps);
}

/**
 * One cycle of the rate over `totalSteps` steps; call `step()` after every batch.
 *
 * @param maxLr the peak, one number or one per group
 * @throws RangeError for options out of range, and by `step()` after the last step of the cycle
 *
 * @example
 * const scheduler = new optim.OneCycleLR(optimizer, 0.1, { epochs: 10, stepsPerEpoch: loader.length });
 */
export class OneCycleLR extends LRScheduler {
  readonly totalSteps: number;
  private readonly peaks: readonly number[];
  private readonly phases: readonly Phase[];
  private readonly linear: boolean;
  private readonly momenta: { readonly base: number; readonly max: number } | null;

  constructor(optimizer: Schedulable, maxLr: number | readonly number[], options: OneCycleLROptions = {}) {
    const op = 'OneCycleLR';
    super(op, optimizer, options);
    const { pctStart = 0.3, annealStrategy = 'cos', divFactor = 25, finalDivFactor = 1e4 } = options;
    const { cycleMomentum = true, baseMomentum = 0.85, maxMomentum = 0.95, threePhase = false } = options;
    this.totalSteps = totalOf(options);
    real(op, 'pctStart', pctStart, 'must be in 0..1', (v) => v >= 0 && v <= 1);
    if (annealStrategy !== 'cos' && annealStrategy !== 'linear') {
      throw typeError(op, 'annealStrategy', "must be 'cos' or 'linear'", annealStrategy);
    }
    this.linear = annealStrategy === 'linear';
    const groups = optimizer.paramGroups;
    const peaks = typeof maxLr === 'number' ? groups.map(() => maxLr) : Array.from(maxLr);
    if (peaks.length !== groups.length) {
      throw rangeError(op, 'maxLr', `must be a number or ${groups.length} numbers, one per group`, maxLr);
    }
    this.peaks = peaks.map((lr, i) => positive(op, typeof maxLr === 'number' ? 'maxLr' : `maxLr[${i}]`, lr));
    const first = 1 / positive(op, 'divFactor', divFactor);
    const last = first / positive(op, 'finalDivFactor', finalDivFactor);
    const up = { end: pctStart * this.totalSteps - 1, from: first, to: 1, highFrom: true, highTo: false };
    const end = this.totalSteps - 1;
    this.phases = threePhase
      ? [
          up,
          { end: 2 * pctStart * this.totalSteps - 2, from: 1, to: first, highFrom: false, highTo: true },
          { end, from: first, to: last, highFrom: true, highTo: true },
        ]
      : [up, { end, from: 1, to: last, highFrom: false, highTo: true }];

    this.momenta = cycleMomentum ? { base: baseMomentum, max: maxMomentum } : null;
    if (this.momenta !== null && !groups.every(cycles)) {
      throw new ArgumentRangeError({
        op,
        argument: 'cycleMomentum',
        expected: 'needs an optimizer with momentum or betas',
        received: 'one without',
        hint: 'pass { cycleMomentum: false }',
      });
    }
    if (this.lastEpoch === -1) {
      groups.forEach((group, i) => {
        this.baseLrs[i] = this.peaks[i] * first;
        group.initialLr = this.baseLrs[i];
      });
    }
    this.start();
  }

  private anneal(from: number, to: number, part: number): number {
    if (this.linear) return (to - from) * part + from;
    return to + ((from - to) / 2) * (1 + Math.cos(Math.PI * part));
  }

  protected override rate(group: ScheduledGroup, index: number): number {
    const step = this.lastEpoch;
    if (step > this.totalSteps) {
      this.lastEpoch--;
      this.stepCount--;
      throw new ArgumentRangeError({
        op: 'OneCycleLR.step',
        argument: 'totalSteps',
        expected: `allows ${this.totalSteps} steps`,
        received: `step ${step}`,
      });
    }
    const found = this.phases.findIndex((p) => step <= p.end);
    const at = found < 0 ? this.phases.length - 1 : found;
    const phase = this.phases[at];
    const start = at === 0 ? 0 : this.phases[at - 1].end;
    const part = (step - start) / (phase.end - start);
    if (this.momenta !== null) {
      const momentum = (high: boolean): number =>
        high ? (this.momenta?.max ?? 0) : (this.momenta?.base ?? 0);
      setMomentum(group, this.anneal(momentum(phase.highFrom), momentum(phase.highTo), part));
    }
    return this.anneal(this.peaks[index] * phase.from, this.peaks[index] * phase.to, part);
  }
}
