// Schedules against PyTorch: the rate at the start and after each of twenty steps.
import { describe, expect, test } from '@jest/globals';
import { optim, tensor, zeros } from '../../lib';
import type { CaseRecord, CaseValue } from '../support/case-values';
import { numberOf, numbersOf, textOf } from '../support/case-values';
import { loadFixtureRecords } from '../support/fixtures';

function optimizerAt(lr: number, momentum = 0.9): optim.SGD {
  return new optim.SGD([zeros([1], { requiresGrad: true })], { lr, momentum });
}

/** Options of a fixture: the schedulers check them. */
type Options = Readonly<Record<string, never>>;

const makers: Readonly<
  Record<string, (optimizer: optim.SGD, args: CaseRecord, options: Options) => optim.LRScheduler>
> = {
  StepLR: (o, args, options) => new optim.StepLR(o, numberOf(args, 'stepSize'), options),
  MultiStepLR: (o, args, options) => new optim.MultiStepLR(o, numbersOf(args, 'milestones'), options),
  ExponentialLR: (o, args, options) =>
    new optim.ExponentialLR(o, numberOf(args, 'gamma', 0), {
      ...options,
    }),
  LinearLR: (o, _, options) => new optim.LinearLR(o, options),
  CosineAnnealingLR: (o, args, options) => new optim.CosineAnnealingLR(o, numberOf(args, 'tMax'), options),
  OneCycleLR: (o, args, options) => new optim.OneCycleLR(o, numberOf(args, 'maxLr'), options),
};

/** gamma of ExponentialLR may be an argument or, within a sequence, an option. */
function made(op: string, optimizer: optim.SGD, args: CaseRecord, options: CaseRecord): optim.LRScheduler {
  return makers[op](optimizer, { ...options, ...args }, options as Options);
}

function expectRates(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((rate, i) => {
    expect(Math.abs(rate - expected[i])).toBeLessThanOrEqual(1e-14 + 1e-12 * Math.abs(expected[i]));
  });
}

describe.each(Object.keys(makers))('%s follows PyTorch', (op) => {
  test.each(loadFixtureRecords(op).map((r) => [r.name, r] as const))('%s', (_, record) => {
    const args = record.args as CaseRecord;
    const optimizer = optimizerAt(numberOf(args, 'lr'));
    const scheduler = made(op, optimizer, args, record.options as CaseRecord);
    const [rates, momenta] = [[optimizer.paramGroups[0].lr], [optimizer.paramGroups[0].momentum]];
    for (let i = 0; i < 20; i++) {
      optimizer.step();
      scheduler.step();
      rates.push(optimizer.paramGroups[0].lr);
      momenta.push(optimizer.paramGroups[0].momentum);
      expect(scheduler.getLastLr()).toEqual([optimizer.paramGroups[0].lr]);
    }
    expectRates(rates, numbersOf(record, 'rates'));
    if (record.momenta !== undefined) expectRates(momenta, numbersOf(record, 'momenta'));
  });
});

function listOf(value: CaseValue | undefined): CaseRecord[] {
  if (!Array.isArray(value)) throw new TypeError('the fixture has no list');
  return value as CaseRecord[];
}

test.each(loadFixtureRecords('SequentialLR').map((r) => [r.name, r] as const))(
  'SequentialLR follows PyTorch: %s',
  (_, record) => {
    const args = record.args as CaseRecord;
    const optimizer = optimizerAt(numberOf(args, 'lr'));
    const parts = listOf(args.schedulers).map((part) =>
      made(textOf(part, 'op', ''), optimizer, part.args as CaseRecord, part.options as CaseRecord),
    );
    const scheduler = new optim.SequentialLR(optimizer, parts, numbersOf(args, 'milestones'));
    const rates = [optimizer.paramGroups[0].lr];
    for (let i = 0; i < 20; i++) {
      scheduler.step();
      rates.push(optimizer.paramGroups[0].lr);
    }
    expectRates(rates, numbersOf(record, 'rates'));
    expect(scheduler.getLastLr()).toEqual([rates[20]]);
  },
);

test.each(loadFixtureRecords('ReduceLROnPlateau').map((r) => [r.name, r] as const))(
  'ReduceLROnPlateau follows PyTorch: %s',
  (_, record) => {
    const args = record.args as CaseRecord;
    const optimizer = optimizerAt(numberOf(args, 'lr'));
    const scheduler = new optim.ReduceLROnPlateau(optimizer, record.options as Options);
    const rates = [optimizer.paramGroups[0].lr];
    numbersOf(args, 'metrics').forEach((metric, i) => {
      scheduler.step(i % 2 === 0 ? metric : tensor(metric, { dtype: 'float64' }));
      rates.push(optimizer.paramGroups[0].lr);
    });
    expectRates(rates, numbersOf(record, 'rates'));
  },
);

describe('all schedules', () => {
  test('scale every group from its own rate', () => {
    const [a, b] = [zeros([1], { requiresGrad: true }), zeros([1], { requiresGrad: true })];
    const optimizer = new optim.SGD([
      { params: [a], lr: 1 },
      { params: [b], lr: 0.5 },
    ]);
    const scheduler = new optim.CosineAnnealingLR(optimizer, 2);
    scheduler.step();
    expectRates(scheduler.getLastLr(), [0.5, 0.25]);
    scheduler.step();
    expectRates(scheduler.getLastLr(), [0, 0]);
    expect(optimizer.stateDict().param_groups.map((g) => g.initial_lr)).toEqual([1, 0.5]);
  });

  test('can be chained, each acting on what the other left', () => {
    const optimizer = optimizerAt(1);
    const halving = new optim.ExponentialLR(optimizer, 0.5);
    const stepping = new optim.StepLR(optimizer, 2, { gamma: 0.1 });
    const rates = [];
    for (let i = 0; i < 4; i++) {
      halving.step();
      stepping.step();
      rates.push(optimizer.paramGroups[0].lr);
    }
    expectRates(rates, [0.5, 0.025, 0.0125, 0.000625]);
  });

  test('OneCycleLR moves the first beta of Adam, and one peak per group is allowed', () => {
    const optimizer = new optim.Adam([zeros([1], { requiresGrad: true })]);
    const scheduler = new optim.OneCycleLR(optimizer, [0.5], { totalSteps: 10 });
    expect(optimizer.paramGroups[0].betas).toEqual([0.95, 0.999]);
    scheduler.step();
    scheduler.step();
    expect(optimizer.paramGroups[0].lr).toBeCloseTo(0.5, 12);
    expect(optimizer.paramGroups[0].betas[0]).toBeCloseTo(0.85, 12);
  });

  test('go on from a saved state', () => {
    const run = (steps: number, optimizer: optim.SGD, scheduler: { step(): void }): number => {
      for (let i = 0; i < steps; i++) scheduler.step();
      return optimizer.paramGroups[0].lr;
    };
    const [a, b] = [optimizerAt(1), optimizerAt(1)];
    const first = new optim.CosineAnnealingLR(a, 10);
    run(4, a, first);
    const second = new optim.CosineAnnealingLR(b, 10);
    b.loadStateDict(a.stateDict());
    second.loadStateDict(first.stateDict());
    expect(second.lastEpoch).toBe(4);
    expect(run(3, b, second)).toBe(run(3, a, first));

    const sequence = (o: optim.SGD): optim.SequentialLR =>
      new optim.SequentialLR(o, [new optim.LinearLR(o), new optim.ExponentialLR(o, 0.5)], [3]);
    const [c, d] = [optimizerAt(1), optimizerAt(1)];
    const [third, fourth] = [sequence(c), sequence(d)];
    run(4, c, third);
    d.loadStateDict(c.stateDict());
    fourth.loadStateDict(third.stateDict());
    expect(run(3, d, fourth)).toBe(run(3, c, third));

    const plateau = new optim.ReduceLROnPlateau(a, { patience: 1 });
    [3, 3, 3].forEach((m) => plateau.step(m));
    const copy = new optim.ReduceLROnPlateau(b, { patience: 1 });
    copy.loadStateDict(plateau.stateDict());
    expect(copy.stateDict()).toEqual({ ...plateau.stateDict(), _last_lr: copy.getLastLr() });
  });

  test('start in the middle when told to, if the optimizer knows its initial rate', () => {
    const optimizer = optimizerAt(1);
    expect(() => new optim.StepLR(optimizer, 2, { lastEpoch: 3 })).toThrow(
      'StepLR: lastEpoch needs initialLr in paramGroups[0] to go on from, got 3',
    );
    optimizer.paramGroups[0].initialLr = 1;
    new optim.CosineAnnealingLR(optimizer, 10, { lastEpoch: 4 });
    expectRates([optimizer.paramGroups[0].lr], [0.5]);
  });
});

describe('refusals', () => {
  const o = optimizerAt(1);

  test.each([
    ['StepLR: stepSize must be an integer >= 1, got 0', () => new optim.StepLR(o, 0)],
    ['StepLR: gamma must be finite, got NaN', () => new optim.StepLR(o, 1, { gamma: NaN })],
    ['MultiStepLR: milestones[1] must be an integer >= 0, got -1', () => new optim.MultiStepLR(o, [1, -1])],
    ['ExponentialLR: gamma must be finite, got Infinity', () => new optim.ExponentialLR(o, Infinity)],
    [
      'LinearLR: startFactor must be in 0..1 without 0, got 0',
      () => new optim.LinearLR(o, { startFactor: 0 }),
    ],
    ['LinearLR: endFactor must be in 0..1, got 2', () => new optim.LinearLR(o, { endFactor: 2 })],
    ['LinearLR: totalIters must be an integer >= 1, got 0', () => new optim.LinearLR(o, { totalIters: 0 })],
    ['CosineAnnealingLR: tMax must be an integer >= 1, got 0.5', () => new optim.CosineAnnealingLR(o, 0.5)],
    ['OneCycleLR: maxLr must be finite and > 0, got 0', () => new optim.OneCycleLR(o, 0, { totalSteps: 5 })],
    [
      'OneCycleLR: maxLr must be a number or 1 numbers, one per group, got [1, 2]',
      () => new optim.OneCycleLR(o, [1, 2], { totalSteps: 5 }),
    ],
    [
      'OneCycleLR: pctStart must be in 0..1, got 2',
      () => new optim.OneCycleLR(o, 1, { totalSteps: 5, pctStart: 2 }),
    ],
    [
      'ReduceLROnPlateau: factor must be in 0..1 without 1, got 1',
      () => new optim.ReduceLROnPlateau(o, { factor: 1 }),
    ],
    [
      'ReduceLROnPlateau: patience must be an integer >= 0, got -1',
      () => new optim.ReduceLROnPlateau(o, { patience: -1 }),
    ],
    [
      'ReduceLROnPlateau: minLr must be a number or 1 numbers, one per group, got [0, 0]',
      () => new optim.ReduceLROnPlateau(o, { minLr: [0, 0] }),
    ],
    [
      'SequentialLR: milestones must be one fewer than the 1 schedulers, got 1',
      () => new optim.SequentialLR(o, [new optim.ExponentialLR(o, 1)], [2]),
    ],
  ])('%s', (message, make) => {
    expect(make).toThrow(RangeError);
    expect(make).toThrow(message);
  });

  test('what is no optimizer, no scheduler, or of another optimizer', () => {
    const nothing = JSON.parse('{}') as optim.SGD;
    expect(() => new optim.StepLR(nothing, 1)).toThrow(
      new TypeError('StepLR: optimizer must be an optimizer, got Object'),
    );
    const other = new optim.ExponentialLR(optimizerAt(1), 1);
    expect(() => new optim.SequentialLR(o, [other], [])).toThrow(
      'SequentialLR: schedulers[0] must be a scheduler of the same optimizer, got one of another optimizer',
    );
    expect(() => new optim.OneCycleLR(o, 1)).toThrow(
      'OneCycleLR: totalSteps must be given, or epochs and stepsPerEpoch, got undefined',
    );
    const adagrad = new optim.Adagrad([zeros([1], { requiresGrad: true })]);
    expect(() => new optim.OneCycleLR(adagrad, 1, { totalSteps: 5 })).toThrow(
      'OneCycleLR: cycleMomentum needs an optimizer with momentum or betas, got one without (pass { cycleMomentum: false })',
    );
  });

  test('more steps than a cycle has', () => {
    const optimizer = optimizerAt(1);
    const scheduler = new optim.OneCycleLR(optimizer, 1, { totalSteps: 3 });
    for (let i = 0; i < 3; i++) scheduler.step(); // once after every batch, the last included
    const { lr } = optimizer.paramGroups[0];
    expect(() => scheduler.step()).toThrow('OneCycleLR.step: totalSteps allows 3 steps, got step 4');
    expect(scheduler.lastEpoch).toBe(3);
    expect(optimizer.paramGroups[0].lr).toBe(lr);
  });

  test('saved states of another form', () => {
    const scheduler = new optim.ExponentialLR(optimizerAt(1), 0.5);
    expect(() =>
      scheduler.loadStateDict({ last_epoch: 1, _step_count: 2, base_lrs: [1, 1], _last_lr: [1] }),
    ).toThrow('ExponentialLR.loadStateDict: base_lrs must hold 1 rates, one per group, got [1, 1]');
    expect(scheduler.lastEpoch).toBe(0);
  });
});
