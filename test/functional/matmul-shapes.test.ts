// The native product where one row, or few rows with a deep and wide right side, are computed in ways of their own:
// integers, so that every sum is exact, with bias and accumulation, on 1 to 3 threads.
import { afterAll, expect, test } from '@jest/globals';

import { getNumThreads, setNumThreads, tensor, type Tensor } from '../../lib';
import { run } from '../../lib/native';

const before = getNumThreads();
afterAll(() => {
  setNumThreads(before);
});

function integers(count: number, seed: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return (state % 7) - 3;
  });
}

function expected(
  m: number,
  n: number,
  k: number,
  a: number[],
  b: number[],
  start: number[],
  bias: number[],
): number[] {
  const c = [...start];
  for (let i = 0; i < m; i++) {
    for (let p = 0; p < k; p++) {
      const left = a[i * k + p];
      for (let j = 0; j < n; j++) c[i * n + j] += left * b[p * n + j];
    }
    for (let j = 0; j < n; j++) c[i * n + j] += bias[j];
  }
  return c;
}

const shapes = [
  [1, 300, 1],
  [1, 37, 70],
  [1, 333, 900],
  [1, 5000, 40],
  [2, 1024, 257],
  [15, 1051, 300],
  [33, 1030, 513],
] as const;

test.each(shapes)('%i rows, %i columns, %i terms', (m, n, k) => {
  const a = integers(m * k, 1);
  const b = integers(k * n, 2);
  const start = integers(m * n, 3);
  const bias = integers(n, 4);
  const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);
  for (const dtype of ['float32', 'float64'] as const) {
    for (const accumulate of [0, 1]) {
      for (const withBias of [false, true]) {
        const right = expected(
          m,
          n,
          k,
          a,
          b,
          accumulate === 1 ? start : zeros(m * n),
          withBias ? bias : zeros(n),
        );
        for (const threads of [1, 2, 3]) {
          setNumThreads(threads);
          const of = (data: number[]): Tensor => tensor(data, { dtype });
          const c = of(accumulate === 1 ? start : start.map(() => NaN));
          run(
            'gemm',
            {
              batch: 1,
              m,
              n,
              k,
              transposeA: 0,
              transposeB: 0,
              aStride: 0,
              bStride: 0,
              cStride: 0,
              accumulate,
            },
            { a: of(a), b: of(b), bias: withBias ? of(bias) : null, c },
          );
          expect(c.toArray()).toEqual(right);
        }
      }
    }
  }
});
