/** How a run shows its progress: a bar on a terminal, plain lines elsewhere. */
import { SingleBar } from 'cli-progress';
import type { EpochMetrics } from '../common/train';

export interface Progress {
  startEpoch(epoch: number): void;
  batch(examples: number, loss: number): void;
  finishEpoch(metrics: EpochMetrics): void;
  close(): void;
}

function summary(m: EpochMetrics, epochs: number): string {
  return (
    `epoch ${m.epoch}/${epochs}: loss ${m.loss.toFixed(4)}, train accuracy ${m.trainAccuracy.toFixed(4)}, ` +
    `test accuracy ${m.testAccuracy.toFixed(4)}, ${Math.round(m.examplesPerSecond)} examples/s`
  );
}

/** Speed over the epoch so far. */
class Meter {
  private start = performance.now();

  reset(): void {
    this.start = performance.now();
  }

  rate(examples: number): number {
    return examples / Math.max(1e-6, (performance.now() - this.start) / 1000);
  }
}

class BarProgress implements Progress {
  private readonly meter = new Meter();
  private bar: SingleBar | null = null;

  constructor(
    private readonly total: number,
    private readonly epochs: number,
  ) {}

  startEpoch(epoch: number): void {
    this.meter.reset();
    this.bar = new SingleBar({
      format: `epoch ${epoch}/${this.epochs} {bar} {percentage} % | {rate} examples/s | loss {loss} | {left} s left`,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 28,
      fps: 10,
    });
    this.bar.start(this.total, 0, { rate: '-', loss: '-', left: '-' });
  }

  batch(examples: number, loss: number): void {
    const rate = this.meter.rate(examples);
    const left = Math.ceil((this.total - examples) / rate);
    this.bar?.update(examples, { rate: Math.round(rate), loss: loss.toFixed(4), left });
  }

  finishEpoch(metrics: EpochMetrics): void {
    this.close();
    console.log(summary(metrics, this.epochs));
  }

  close(): void {
    this.bar?.stop();
    this.bar = null;
  }
}

class LineProgress implements Progress {
  private readonly meter = new Meter();
  private epoch = 0;
  private nextShare = 0.25;

  constructor(
    private readonly total: number,
    private readonly epochs: number,
  ) {}

  startEpoch(epoch: number): void {
    this.epoch = epoch;
    this.nextShare = 0.25;
    this.meter.reset();
  }

  batch(examples: number, loss: number): void {
    if (examples < this.total * this.nextShare || examples === this.total) return;
    this.nextShare += 0.25;
    const rate = this.meter.rate(examples);
    const left = Math.ceil((this.total - examples) / rate);
    console.log(
      `epoch ${this.epoch}/${this.epochs}: ${examples}/${this.total}, ${Math.round(rate)} examples/s, ` +
        `loss ${loss.toFixed(4)}, ${left} s left`,
    );
  }

  finishEpoch(metrics: EpochMetrics): void {
    console.log(summary(metrics, this.epochs));
  }

  close(): void {
    // nothing is open
  }
}

export function makeProgress(total: number, epochs: number): Progress {
  return process.stdout.isTTY ? new BarProgress(total, epochs) : new LineProgress(total, epochs);
}
