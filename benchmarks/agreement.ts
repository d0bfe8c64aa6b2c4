/**
 * Whether the contenders compute the same thing: every output and gradient against a reference in double precision.
 *
 * Single tensors are held to the largest error over the root mean square of the reference. The gradients of a training
 * step are taken together, as one long vector, and so are the updates of its weights: some are zero but for rounding
 * (the bias in front of a batch norm), and have no scale of their own.
 */
import type { NamedValues, Suite } from './types';

/** Largest error over root mean square. Winograd forms stay near 3e-5; whole networks add up the errors of their layers. */
const tolerances: Readonly<Record<Suite, number>> = {
  layers: 2e-4,
  roofline: 2e-4,
  overhead: 1e-5,
  networks: 5e-3,
  train: 5e-3,
};

interface Distance {
  readonly largest: number;
  readonly squares: number;
  readonly reference: number;
  readonly count: number;
}

/** Several tensors as one vector. */
interface Pool {
  readonly squares: number;
  readonly reference: number;
}

function distance(a: ArrayLike<number>, reference: ArrayLike<number>): Distance {
  let largest = 0;
  let squares = 0;
  let referenceSquares = 0;
  for (let i = 0; i < reference.length; i++) {
    const d = Math.abs(a[i] - reference[i]);
    largest = Math.max(largest, d); // NaN stays
    squares += d * d;
    referenceSquares += reference[i] * reference[i];
  }
  return { largest, squares, reference: referenceSquares, count: reference.length };
}

/** What is wrong with `values`, or null. */
export function disagreement(
  suite: Suite,
  values: readonly NamedValues[],
  reference: readonly NamedValues[],
): string | null {
  const byName = new Map(values.map((v) => [v.name, v.values]));
  const tolerance = tolerances[suite];
  const pools = new Map<string, Pool>();
  for (const { name, values: expected } of reference) {
    const got = byName.get(name);
    if (got === undefined) return `${name} is missing`;
    if (got.length !== expected.length)
      return `${name} has ${got.length} elements instead of ${expected.length}`;
    const d = distance(got, expected);
    const pooledAs = suite === 'train' ? /^(gradient|update) of/.exec(name)?.[1] : undefined;
    if (pooledAs !== undefined) {
      const pool = pools.get(pooledAs) ?? { squares: 0, reference: 0 };
      pools.set(pooledAs, { squares: pool.squares + d.squares, reference: pool.reference + d.reference });
      continue;
    }
    const error = d.largest / Math.max(Math.sqrt(d.reference / d.count), 1e-12);
    if (!(error <= tolerance))
      return `${name} is off by ${error.toExponential(1)} of its rms (allowed ${tolerance})`;
  }
  for (const [name, { squares, reference: length }] of pools) {
    const error = Math.sqrt(squares / Math.max(length, 1e-24));
    if (!(error <= tolerance))
      return `the ${name} is off by ${error.toExponential(1)} of its length (allowed ${tolerance})`;
  }
  return null;
}
