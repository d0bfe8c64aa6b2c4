// Comparing numbers: within a tolerance, bit for bit, and by the rounding error of a dot product.
//
// For y = sum x w (+ b) a plain relative error says nothing where the terms cancel. The error is measured
// against what was summed instead:  E = |y - y64| / (u (sum |x w| + |b|)),  u = 2^-24 in float32,
// with y64 and the sum computed in double from the same float32 inputs. E does not grow with the length of
// the sum for random terms; its worst case is length + 2.

/** Anything with a shape and flat row-major values. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
  /** Says in the message what is compared. */
  readonly label?: string;
}

/** Half a unit in the last place of 1 in float32 and float64. */
export const unitRoundoff = { float32: 2 ** -24, float64: 2 ** -53 } as const;

const list = (values: readonly number[]): string => `[${values.join(', ')}]`;

function indexAt(flat: number, shape: readonly number[]): string {
  const index: number[] = [];
  for (let d = shape.length - 1, rest = flat; d >= 0; d--) {
    index.unshift(rest % shape[d]);
    rest = Math.floor(rest / shape[d]);
  }
  return list(index);
}

/** Throws with a stack that begins at the test. */
function fail(message: string, helper: Helper): never {
  const error = new Error(message);
  Error.captureStackTrace(error, helper);
  throw error;
}

/** The exported function a test called. */
type Helper = (...values: never[]) => unknown;

function checkShapes(actual: Numbers, expected: Numbers, label: string, helper: Helper): void {
  if (list(actual.shape) === list(expected.shape) && actual.data.length === expected.data.length) return;
  fail(
    `${label}: got shape ${list(actual.shape)} with ${actual.data.length} values, ` +
      `expected shape ${list(expected.shape)} with ${expected.data.length} values`,
    helper,
  );
}

type PairRule<T> = (actual: number, expected: number, flat: number) => T;

/** Throws with the first difference unless `same` holds for every pair of values. */
function compare(
  actual: Numbers,
  expected: Numbers,
  label: string,
  same: PairRule<boolean>,
  rule: PairRule<string>,
  helper: Helper,
): void {
  checkShapes(actual, expected, label, helper);
  let first = -1;
  let different = 0;
  for (let i = expected.data.length - 1; i >= 0; i--) {
    if (same(actual.data[i], expected.data[i], i)) continue;
    first = i;
    different++;
  }
  if (different === 0) return;
  const [a, e] = [actual.data[first], expected.data[first]];
  fail(
    `${label}: ${different} of ${expected.data.length} values differ, shape ${list(expected.shape)}, ` +
      `first at ${indexAt(first, expected.shape)}: got ${show(a)}, expected ${show(e)}, ${rule(a, e, first)}`,
    helper,
  );
}

const show = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));

/** Passes if |actual - expected| <= atol + rtol |expected| everywhere; equal infinities and NaN are close. */
export function expectClose(actual: Numbers, expected: Numbers, tolerance: Tolerance): void {
  const { rtol, atol, label = 'expectClose' } = tolerance;
  compare(
    actual,
    expected,
    label,
    (a, e) => a === e || (Number.isNaN(a) && Number.isNaN(e)) || Math.abs(a - e) <= allowed(e, rtol, atol),
    (a, e) => `difference ${Math.abs(a - e)}, allowed ${allowed(e, rtol, atol)} (rtol ${rtol}, atol ${atol})`,
    expectClose,
  );
}

// An infinite allowance would let any finite number pass for Infinity.
const allowed = (expected: number, rtol: number, atol: number): number =>
  Number.isFinite(expected) ? atol + rtol * Math.abs(expected) : 0;

/** Passes if all values are the same; -0 and 0 differ, NaN equals NaN. */
export function expectBitEqual(actual: Numbers, expected: Numbers, label = 'expectBitEqual'): void {
  compare(actual, expected, label, Object.is, () => 'must be the same bits', expectBitEqual);
}

const errorAt = (actual: number, expected: number, magnitude: number, unit: number): number =>
  actual === expected ? 0 : Math.abs(actual - expected) / (unit * magnitude);

/** The largest E over all values; `magnitude` holds sum |x w| + |b|. Zero magnitude allows no error. */
export function dotProductError(
  actual: Numbers,
  expected: Numbers,
  magnitude: Numbers,
  unit: number = unitRoundoff.float32,
): number {
  checkShapes(actual, expected, 'dotProductError', dotProductError);
  checkShapes(magnitude, expected, 'dotProductError magnitude', dotProductError);
  let largest = 0;
  for (let i = 0; i < expected.data.length; i++) {
    largest = Math.max(largest, errorAt(actual.data[i], expected.data[i], magnitude.data[i], unit));
  }
  return largest;
}

/** Passes if E <= limit everywhere: 4 for a dot product of random terms, terms + 2 for any. */
export function expectDotProductClose(
  actual: Numbers,
  expected: Numbers,
  magnitude: Numbers,
  limit: number,
  label = 'expectDotProductClose',
  unit: number = unitRoundoff.float32,
): void {
  checkShapes(magnitude, expected, `${label} magnitude`, expectDotProductClose);
  const error: PairRule<number> = (a, e, i) => errorAt(a, e, magnitude.data[i], unit);
  compare(
    actual,
    expected,
    label,
    (a, e, i) => error(a, e, i) <= limit,
    (a, e, i) => `error ${error(a, e, i)} in units of ${unit} x ${magnitude.data[i]}, allowed ${limit}`,
    expectDotProductClose,
  );
}
