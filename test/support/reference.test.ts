// The reference ops agree with PyTorch: value, indices, gradients and buffers of every fixture.
import { describe, expect, test } from '@jest/globals';

import { fixtureNames, loadFixtures } from './fixtures';
import type { Oracle } from './reference';
import { gradientsOf, oracles } from './reference';
import { expectClose } from './tolerance';

// Both sides compute in double; they differ in the order of their sums, which does not matter in exact cases.
const rounding = { rtol: 1e-11, atol: 1e-12 };
const exactly = { rtol: 0, atol: 0 };

/** Fixtures of classes and helpers rather than of functions with a value and a gradient. */
const otherForms = [
  'Adagrad',
  'Adam',
  'AdamW',
  'CosineAnnealingLR',
  'ExponentialLR',
  'LinearLR',
  'MultiStepLR',
  'OneCycleLR',
  'RMSprop',
  'ReduceLROnPlateau',
  'SGD',
  'SequentialLR',
  'StepLR',
  'batchNormModule',
  'calculateGain',
  'clipGradNorm_',
  'clipGradValue_',
  'init',
];

const table: Readonly<Record<string, Oracle>> = oracles;

test('every function with fixtures has a reference op, and the other way round', () => {
  const named = fixtureNames().filter((name) => !otherForms.includes(name));
  expect(Object.keys(table).sort()).toEqual(named);
});

describe.each(Object.keys(table).sort())('%s', (op) => {
  test.each(loadFixtures(op).map((fixture) => [fixture.name, fixture] as const))('%s', (_, fixture) => {
    const result = table[op](fixture.args, fixture.options);
    const { output, indices, after } = result;
    const tolerance = fixture.exact ? exactly : rounding;
    expectClose(output, fixture.output, { ...tolerance, label: 'output' });

    expect(indices !== undefined).toBe(fixture.indices !== undefined);
    if (indices && fixture.indices) {
      expectClose(indices, fixture.indices, { ...exactly, label: 'indices' });
    }
    for (const [name, expected] of Object.entries(fixture.after)) {
      expect(after).toHaveProperty(name);
      if (after) expectClose(after[name], expected, { ...tolerance, label: `after: ${name}` });
    }
    if (!fixture.gradOutput) return;
    const gradients = gradientsOf(result, fixture.gradOutput);
    for (const [name, expected] of Object.entries(fixture.grads)) {
      expect(gradients).toHaveProperty(name);
      expectClose(gradients[name], expected, { ...tolerance, label: `gradient of ${name}` });
    }
  });
});
