// Matrix products.
import fc from 'fast-check';

import * as F from '../../../lib/functional';
import type { OpEntry } from '../op-cases';
import { sums } from '../op-cases';
import type { ValueKind } from '../op-values';
import { broadcastable, seededTensor, seeds, shapes, sizes } from '../op-values';
import { positional } from './call';

const kinds = fc.constantFrom<ValueKind>('grid', 'real');

/** Batches that broadcast, matrices [m, k] and [k, n], or vectors on either side. */
const matmul: OpEntry = {
  op: 'matmul',
  call: positional(F.matmul),
  value: sums(),
  cases: fc
    .tuple(
      shapes(0, 2, 0).chain((batch) => fc.tuple(broadcastable(batch), broadcastable(batch))),
      sizes(1, 9),
      sizes(1, 19),
      sizes(1, 9),
      fc.constantFrom('matrices', 'row', 'column', 'vectors'),
      kinds,
      seeds,
    )
    .map(([[left, right], m, k, n, form, kind, seed]) => {
      const a = form === 'row' || form === 'vectors' ? [k] : [...left, m, k];
      const b = form === 'column' || form === 'vectors' ? [k] : [...right, k, n];
      return {
        args: {
          input: seededTensor(a, seed, [-2, 2], kind),
          other: seededTensor(b, seed + 1, [-2, 2], kind),
        },
        options: {},
        exact: false,
      };
    }),
  large: () => ({
    args: {
      input: seededTensor([2, 90, 70], 1, [-1, 1], 'real'),
      other: seededTensor([2, 70, 110], 2, [-1, 1], 'real'),
    },
    options: {},
  }),
};

const linear: OpEntry = {
  op: 'linear',
  call: positional(F.linear),
  value: sums(),
  cases: fc
    .tuple(shapes(0, 2, 0), sizes(1, 19), sizes(1, 19), fc.boolean(), kinds, seeds)
    .map(([lead, features, out, bias, kind, seed]) => ({
      args: {
        input: seededTensor([...lead, features], seed, [-2, 2], kind),
        weight: seededTensor([out, features], seed + 1, [-2, 2], kind),
        bias: bias ? seededTensor([out], seed + 2, [-2, 2], kind) : null,
      },
      options: {},
    })),
  large: () => ({
    args: {
      input: seededTensor([130, 70], 1, [-1, 1], 'real'),
      weight: seededTensor([110, 70], 2, [-1, 1], 'real'),
      bias: seededTensor([110], 3, [-1, 1], 'real'),
    },
    options: {},
  }),
};

export const linearEntries: readonly OpEntry[] = [matmul, linear];
