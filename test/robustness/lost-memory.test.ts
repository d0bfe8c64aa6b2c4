/** Tensors whose memory was transferred away, and scopes that ended: every way in answers with a typed error. */
import { describe, expect, test } from '@jest/globals';
import {
  ArgumentTypeError,
  arange,
  F,
  getNumThreads,
  keep,
  noGrad,
  ones,
  randn,
  scope,
  setNumThreads,
  tensor,
} from '../../lib';
import type { Tensor } from '../../lib';
import { thrownBy } from '../support/thrown-by';

function transferred(shape: number[]): Tensor {
  const t = ones(shape);
  const { buffer } = t.storage.data;
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
  return t;
}

function disposed(shape: number[]): Tensor {
  const made: Tensor[] = [];
  scope(() => {
    made.push(ones(shape));
  });
  return made[0];
}

const uses: [name: string, use: (t: Tensor) => unknown][] = [
  ['toTypedArray', (t) => t.toTypedArray()],
  ['toArray', (t) => t.toArray()],
  ['add', (t) => t.add(1)],
  ['add_', (t) => noGrad(() => t.add_(1))],
  ['add of it', (t) => ones([4096]).add(t)],
  ['sum', (t) => t.sum()],
  ['clone', (t) => t.clone()],
  ['set', (t) => t.set([0], 1)],
  ['at and item', (t) => t.at(0).item()],
  ['relu', (t) => F.relu(t)],
  ['matmul', (t) => t.reshape([1, 4096]).matmul(ones([4096, 1]))],
  ['tensor(t)', (t) => tensor(t)],
];

describe('row 53: a tensor whose buffer was transferred', () => {
  test.each(uses)('%s', (_, use) => {
    const error = thrownBy(() => use(transferred([4096])), ArgumentTypeError);
    expect(error.code).toBe('ERR_DETACHED');
    expect(error.message).toBe('tensor: has lost its memory (its buffer was transferred)');
  });

  test('a small tensor, which has memory of its own', () => {
    expect(thrownBy(() => transferred([3]).toArray(), ArgumentTypeError).code).toBe('ERR_DETACHED');
  });

  test('its memory is not handed out again', () => {
    scope(() => {
      transferred([5000]);
    });
    expect(arange(0, 5000).sum().item()).toBe(12_497_500);
  });

  test('backward over a saved tensor', () => {
    const x = randn([4096]).requiresGrad_();
    const y = x.mul(x).sum();
    const { buffer } = x.storage.data;
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    expect(thrownBy(() => y.backward(), ArgumentTypeError).code).toBe('ERR_DETACHED');
  });
});

describe('row 62: a tensor whose scope ended', () => {
  test.each(uses)('%s', (_, use) => {
    const lost = disposed([4096]);
    expect(() => use(lost)).toThrow(
      expect.objectContaining({
        code: 'ERR_DISPOSED',
        message: expect.stringContaining('used after its scope ended'),
      }),
    );
  });

  test('giving memory back twice does nothing', () => {
    const t = ones([4096]);
    t.storage.release();
    t.storage.release();
    const a = ones([4096]);
    const b = ones([4096]);
    expect(a.storage.data.buffer).not.toBe(b.storage.data.buffer);
    expect(t.storage.isDisposed).toBe(true);
    keep(t);
    expect(() => t.item()).toThrow();
  });
});

test.each([0, -1, 1e9, NaN, 1.5, 257, '2', undefined])('row 63: setNumThreads(%p)', (n) => {
  const before = getNumThreads();
  expect(() => setNumThreads(n as number)).toThrow(RangeError);
  expect(() => setNumThreads(n as number)).toThrow('setNumThreads: n must be an integer in 1..256, got');
  expect(getNumThreads()).toBe(before);
});
