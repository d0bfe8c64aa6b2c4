// Every optimizer against PyTorch: the parameter after each of five steps with given gradients.
import { describe, expect, test } from '@jest/globals';
import { optim, setNumThreads, tensor } from '../../lib';
import type { DType, Tensor } from '../../lib';
import type { CaseTensor, CaseValue } from '../support/case-values';
import { isTensor, tensorOf } from '../support/case-values';
import { loadFixtureRecords, type FixtureRecord } from '../support/fixtures';
import { built, valuesOf } from '../support/op-values';
import { expectBitEqual, expectClose } from '../support/tolerance';
import { onEveryIsa } from '../support/on-every-isa';

const classes = {
  SGD: optim.SGD,
  Adam: optim.Adam,
  AdamW: optim.AdamW,
  RMSprop: optim.RMSprop,
  Adagrad: optim.Adagrad,
} as const;
type Name = keyof typeof classes;

/** Anything that a fixture may hold as options; the optimizers check them. */
type Options = Readonly<Record<string, number | boolean | [number, number]>>;

function make(name: Name, params: Tensor[], options: Options): optim.Optimizer {
  return new classes[name](params, options);
}

function tensorsIn(value: CaseValue | undefined): CaseTensor[] {
  const list = Array.isArray(value) ? (value as readonly CaseValue[]) : [];
  return list.filter((entry) => isTensor(entry));
}

function follow(
  name: Name,
  record: FixtureRecord,
  dtype: DType,
  check: (step: number, param: Tensor) => void,
): void {
  const start = tensorOf(record.args as FixtureRecord, 'param');
  const param = built(start, dtype, 'contiguous').requiresGrad_();
  const optimizer = make(name, [param], record.options as Options);
  tensorsIn(record.gradients).forEach((gradient, step) => {
    param.grad = built(gradient, dtype, step % 2 === 0 ? 'contiguous' : 'strided');
    optimizer.step();
    check(step, param);
  });
}

describe.each(Object.keys(classes) as Name[])('%s follows PyTorch', (name) => {
  test.each(loadFixtureRecords(name).map((record) => [record.name, record] as const))('%s', (_, record) => {
    const trajectory = tensorsIn(record.trajectory);
    expect(trajectory.length).toBe(5);
    follow(name, record, 'float64', (step, param) => {
      expectClose(valuesOf(param), trajectory[step], {
        rtol: 1e-13,
        atol: 1e-13,
        label: `float64, step ${step}`,
      });
    });
    onEveryIsa((isa) => {
      follow(name, record, 'float32', (step, param) => {
        // A few roundings per step, of numbers around 1.
        const label = `float32 on ${isa}, step ${step}`;
        expectClose(valuesOf(param), trajectory[step], { rtol: 1e-6, atol: 1e-6, label });
      });
    });
  });
});

/** Values of more elements than one thread takes, one list for the start and one per step; without pattern. */
const waves = [0, 1, 2, 3].map((phase) => {
  const data = new Float32Array(99_001);
  for (let i = 0; i < data.length; i++) data[i] = Math.sin(i * 0.7 + phase);
  return data;
});

function longRun(name: Name, options: Options): Tensor {
  const param = tensor(waves[0], { requiresGrad: true });
  const optimizer = make(name, [param], options);
  for (const wave of waves.slice(1)) {
    param.grad = tensor(wave);
    optimizer.step();
  }
  return param;
}

test.each([
  ['SGD', { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.01 }],
  ['Adam', { lr: 0.1, amsgrad: true, weightDecay: 0.01 }],
  ['AdamW', { lr: 0.1 }],
  ['RMSprop', { lr: 0.1, momentum: 0.5, centered: true }],
  ['Adagrad', { lr: 0.1, lrDecay: 0.1 }],
] as [Name, Options][])('%s gives the same bits with 1, 2 and 3 threads', (name, options) => {
  onEveryIsa((isa) => {
    setNumThreads(1);
    const single = valuesOf(longRun(name, options));
    expect(single.data.every(Number.isFinite)).toBe(true);
    for (const count of [2, 3]) {
      setNumThreads(count);
      expectBitEqual(valuesOf(longRun(name, options)), single, `${name} on ${isa}, ${count} threads`);
    }
  });
});
