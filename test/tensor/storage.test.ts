import { describe, expect, test } from '@jest/globals';
import { randn, tensor, zeros, type Tensor } from '../../lib';
import { placeBlock } from '../../lib/native';

/** Address of the first element modulo 64. */
const misalignment = ({ storage }: Tensor): number =>
  (storage.start + 64 - placeBlock(storage.buffer, 0)) % 64;

describe('memory of tensors', () => {
  const values = new Float32Array(5000).fill(2);
  const made: Record<string, () => Tensor> = {
    'a typed array': () => tensor(values),
    'a typed array of another type': () => tensor(values, { dtype: 'float64' }),
    'bools of a typed array': () => tensor(values, { dtype: 'bool' }),
    'nested arrays': () => tensor([Array.from(values)]),
    'another tensor': () => tensor(tensor(values)),
    zeros: () => zeros([5000]),
    randn: () => randn([5000]),
  };
  test.each(Object.keys(made))('begins at a boundary of 64 bytes: %s', (name) => {
    // Several, since one may lie well by chance.
    const tensors = Array.from({ length: 5 }, () => made[name]());
    expect(tensors.map(misalignment)).toEqual([0, 0, 0, 0, 0]);
  });

  test('large blocks hold what was written', () => {
    const large = tensor(new Float32Array(2 ** 21 + 3).fill(1));
    expect(large.add(1).sum().item()).toBe(2 ** 22 + 6);
  });
});
