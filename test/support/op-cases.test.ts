// The harness itself: a correct op passes, and whatever is wrong with one is found.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { Tensor, getNumThreads, tensor, zeros } from '../../lib';
import { record } from '../../lib/autograd/graph';
import type { OpCall, OpEntry } from './op-cases';
import { checkGenerated, checkLarge, exact, relative, scaled, sums } from './op-cases';
import { seededTensor } from './op-values';
import type { Oracle } from './reference';
import { oracles } from './reference';

const input = (args: Parameters<OpCall>[0]): Tensor => {
  if (args.input instanceof Tensor) return args.input;
  throw new TypeError('no input');
};

const entryOf = (call: OpCall, more: Partial<OpEntry> = {}): OpEntry => ({
  op: 'exp',
  call,
  value: relative(3),
  cases: fc.constant({ args: {}, options: {} }),
  ...more,
});

const args = { input: seededTensor([3, 4], 1) };
const check = (call: OpCall, more?: Partial<OpEntry>, oracle: Oracle = oracles.exp): void =>
  checkGenerated(entryOf(call, more), oracle, { args, options: {} });

test('a correct op passes', () => {
  check((a) => input(a).exp());
  checkLarge(
    entryOf((a) => input(a).exp()),
    { args, options: {} },
    ['input'],
  );
});

/** An op whose value is right and whose gradient is what `gradient` makes of dy and y. */
const withGradient =
  (gradient: (dy: Tensor, y: Tensor) => Tensor): OpCall =>
  (a) => {
    const x = input(a);
    const y = x.detach().exp();
    return record('exp', y, [x], (dy) => [gradient(dy, y)]);
  };

interface Mistake {
  readonly what: string;
  readonly call: OpCall;
  readonly message: string;
  readonly more?: Partial<OpEntry>;
}

const mistakes: readonly Mistake[] = [
  {
    what: 'a value that is off by a little',
    call: (a) =>
      input(a)
        .exp()
        .mul(1 + 1e-6),
    message: 'output: ',
  },
  { what: 'a value beyond exact', call: (a) => input(a).exp(), message: 'allowed 0', more: { value: exact } },
  {
    what: 'a value beyond scaled',
    call: (a) =>
      input(a)
        .exp()
        .mul(1 + 1e-5),
    message: 'output: ',
    more: { value: scaled(8) },
  },
  {
    what: 'a value beyond sums',
    call: (a) =>
      input(a)
        .exp()
        .mul(1 + 1e-5),
    message: 'output: ',
    more: { value: sums(8) },
  },
  {
    what: 'a wrong gradient',
    call: withGradient((dy, y) => dy.mul(y).mul(1.0001)),
    message: 'grads.input: ',
  },
  { what: 'no gradient', call: (a) => input(a).detach().exp(), message: 'must be the result of recorded' },
  {
    what: 'reading memory in order where it is not',
    call: (a) => {
      const x = input(a);
      const raw = tensor(x.storage.data.slice(x.offset, x.offset + x.numel), { shape: x.shape });
      return record('exp', raw.exp(), [x], (dy) => [dy.mul(raw.exp())]);
    },
    message: 'strided, output: ',
  },
  { what: 'another dtype', call: (a) => input(a).exp().to('float64'), message: 'output is float64' },
  {
    what: 'indices that are not int32',
    call: (a) => ({ output: input(a).exp(), indices: zeros([3, 4]) }),
    message: 'indices are float32',
  },
  {
    what: 'results that depend on threads',
    call: (a) =>
      input(a)
        .exp()
        .add(getNumThreads() * 1e-7),
    message: 'threads, output',
    more: { value: relative(1e4) },
  },
  {
    what: 'gradients that take one number in memory for many',
    call: withGradient((dy, y) => (dy.strides.includes(0) ? dy.mul(y).mul(2) : dy.mul(y))),
    message: 'expanded gradient',
  },
];

describe('finds', () => {
  test.each(mistakes)('$what', ({ call, message, more }) => {
    expect(() => check(call, more)).toThrow(message);
  });

  test('missing indices', () => {
    const entry = entryOf((a) => input(a).max(1).values);
    const run = (): void => checkGenerated(entry, oracles.max, { args: { ...args, dim: 1 }, options: {} });
    expect(run).toThrow('returned no indices');
  });

  test('a gradient that only central differences show to be wrong', () => {
    const wrong: Oracle = (a, o) => ({
      ...oracles.exp(a, o),
      backward: (dy) => ({ input: { shape: dy.shape, data: dy.data.map((v) => 2 * v) } }),
    });
    const call = withGradient((dy) => dy.mul(2));
    expect(() => check(call, {}, wrong)).toThrow('gradcheck: inputs[0] of shape [3, 4], element 0');
  });
});
