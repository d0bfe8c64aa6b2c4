// Reductions over all, one or several dimensions, cumulative sums, sort and topk.
import type { CaseRecord } from './case-values';
import { flagOf, numberOf, numbersOf, tensorOf } from './case-values';
import type { NdArray } from './nd-array';
import { dimension, flatIndex, forEachIndex, forEachLine, sizeOf, zeros } from './nd-array';
import type { Gradients, Oracle, OracleResult } from './reference-core';
import { linearOp } from './reference-core';

interface Grouping {
  readonly shape: readonly number[];
  /** Positions of the input elements that go into each output element, in order. */
  readonly groups: readonly (readonly number[])[];
}

/** `args.dim` is a number, a list, or null for all dimensions. */
function groupingOf(args: CaseRecord, options: CaseRecord): Grouping {
  const { shape } = tensorOf(args, 'input');
  const { dim } = args;
  const all = dim == null || (Array.isArray(dim) && dim.length === 0);
  const dims = all ? shape.map((_, d) => d) : typeof dim === 'number' ? [dim] : numbersOf(args, 'dim');
  const reduced = new Set(dims.map((d) => dimension(d, shape.length)));
  const kept = shape.map((size, d) => (reduced.has(d) ? 1 : size));
  const groups = Array.from({ length: sizeOf(kept) }, (): number[] => []);
  forEachIndex(shape, (index, flat) => {
    const out = index.map((i, d) => (reduced.has(d) ? 0 : i));
    groups[flatIndex(out, kept)].push(flat);
  });
  const keepdim = flagOf(options, 'keepdim', false);
  return { shape: keepdim ? kept : kept.filter((_, d) => !reduced.has(d)), groups };
}

/** One number from a list of them, and its derivative by each. */
interface Reduction {
  readonly value: (x: readonly number[]) => number;
  readonly gradient: (x: readonly number[], y: number) => readonly number[];
}

const reduction =
  (make: (options: CaseRecord) => Reduction): Oracle =>
  (args, options) => {
    const input = tensorOf(args, 'input');
    const { shape, groups } = groupingOf(args, options);
    const { value, gradient } = make(options);
    const lists = groups.map((group) => group.map((i) => input.data[i]));
    const output = { shape, data: Float64Array.from(lists, value) };
    const backward = (gradOutput: NdArray): Gradients => {
      const grad = zeros(input.shape);
      groups.forEach((group, o) => {
        const slopes = gradient(lists[o], output.data[o]);
        group.forEach((i, k) => (grad.data[i] += gradOutput.data[o] * slopes[k]));
      });
      return { input: grad };
    };
    return { output, backward };
  };

const total = (x: readonly number[]): number => x.reduce((s, v) => s + v, 0);
const meanOf = (x: readonly number[]): number => total(x) / x.length;

const correctionOf = (options: CaseRecord): number => numberOf(options, 'correction', 1);

function varianceOf(x: readonly number[], correction: number): number {
  const mean = meanOf(x);
  return total(x.map((v) => (v - mean) ** 2)) / (x.length - correction);
}

/** All elements that equal the extreme share its gradient. */
const sharedExtreme = (pick: (...values: number[]) => number): Reduction => ({
  value: (x) => pick(...x),
  gradient: (x, y) => {
    const ties = x.filter((v) => v === y).length;
    return x.map((v) => (v === y ? 1 / ties : 0));
  },
});

/** Vector norms: sum |x|^p ^ (1/p), the number of non-zeros for p = 0, the extreme for p infinite. */
function normOf(options: CaseRecord): Reduction {
  const p = numberOf(options, 'p', 2);
  const absolute = (x: readonly number[]): number[] => x.map(Math.abs);
  if (p === 0) return { value: (x) => x.filter((v) => v !== 0).length, gradient: (x) => x.map(() => 0) };
  if (!Number.isFinite(p)) {
    const extreme = sharedExtreme(p > 0 ? Math.max : Math.min);
    return {
      value: (x) => extreme.value(absolute(x)),
      gradient: (x, y) => extreme.gradient(absolute(x), y).map((share, i) => share * Math.sign(x[i])),
    };
  }
  return {
    value: (x) => total(x.map((v) => Math.abs(v) ** p)) ** (1 / p),
    // The norm has no derivative at 0; PyTorch sends back 0.
    gradient: (x, y) => x.map((v) => (y === 0 ? 0 : Math.sign(v) * (Math.abs(v) / y) ** (p - 1))),
  };
}

export const reductionOps = {
  sum: reduction(() => ({ value: total, gradient: (x) => x.map(() => 1) })),
  mean: reduction(() => ({ value: meanOf, gradient: (x) => x.map(() => 1 / x.length) })),
  logsumexp: reduction(() => ({
    value: (x) => Math.max(...x) + Math.log(total(x.map((v) => Math.exp(v - Math.max(...x))))),
    gradient: (x, y) => x.map((v) => Math.exp(v - y)),
  })),
  amax: reduction(() => sharedExtreme(Math.max)),
  amin: reduction(() => sharedExtreme(Math.min)),
  var: reduction((options) => ({
    value: (x) => varianceOf(x, correctionOf(options)),
    gradient: (x) => x.map((v) => (2 * (v - meanOf(x))) / (x.length - correctionOf(options))),
  })),
  std: reduction((options) => ({
    value: (x) => Math.sqrt(varianceOf(x, correctionOf(options))),
    gradient: (x, y) => x.map((v) => (v - meanOf(x)) / (x.length - correctionOf(options)) / y),
  })),
  norm: reduction(normOf),
  prod: reduction(() => ({
    value: (x) => product(x),
    gradient: (x) => x.map((_, i) => product(x.filter((__, j) => j !== i))),
  })),
};

function product(x: readonly number[]): number {
  return x.reduce((p, v) => p * v, 1);
}

const question =
  (holds: (x: readonly number[]) => boolean): Oracle =>
  (args, options) => ({
    output: reduction(() => ({ value: (x) => Number(holds(x)), gradient: () => [] }))(args, options).output,
  });

export const any = question((x) => x.some((v) => v !== 0));
export const all = question((x) => x.every((v) => v !== 0));

/** Position of the first NaN, else of the first extreme value. */
function firstExtreme(x: readonly number[], sign: 1 | -1): number {
  const nan = x.findIndex(Number.isNaN);
  if (nan >= 0) return nan;
  const signed = x.map((v) => sign * v);
  return signed.indexOf(Math.max(...signed));
}

/** With a dimension: values and indices of the first extreme. Without one: the value, ties sharing its gradient. */
const extreme =
  (sign: 1 | -1): Oracle =>
  (args, options) => {
    if (args.dim == null) return (sign > 0 ? reductionOps.amax : reductionOps.amin)(args, options);
    const input = tensorOf(args, 'input');
    const { shape, groups } = groupingOf(args, options);
    const places = groups.map((group) =>
      firstExtreme(
        group.map((i) => input.data[i]),
        sign,
      ),
    );
    return selection(
      input,
      shape,
      groups.map((group, o) => group[places[o]]),
      places,
    );
  };

/** Output element o is input element sources[o]; `places` are the indices that are returned beside it. */
function selection(
  input: NdArray,
  shape: readonly number[],
  sources: readonly number[],
  places: readonly number[],
): OracleResult {
  const result = linearOp('input', input, zeros(shape), (term) => sources.forEach((i, o) => term(o, i, 1)));
  return { ...result, indices: { shape, data: Float64Array.from(places) } };
}

export const max = extreme(1);
export const min = extreme(-1);

const argExtreme =
  (sign: 1 | -1): Oracle =>
  (args, options) => {
    const input = tensorOf(args, 'input');
    const { shape, groups } = groupingOf(args, options);
    const place = (group: readonly number[]): number =>
      firstExtreme(
        group.map((i) => input.data[i]),
        sign,
      );
    return { output: { shape, data: Float64Array.from(groups, place) } };
  };

export const argmax = argExtreme(1);
export const argmin = argExtreme(-1);

export const cumsum: Oracle = (args) => {
  const [input, dim] = [tensorOf(args, 'input'), numberOf(args, 'dim')];
  return linearOp('input', input, zeros(input.shape), (term) => {
    forEachLine(input.shape, dim, (line) => {
      line.forEach((out, k) => {
        for (const i of line.slice(0, k + 1)) term(out, i, 1);
      });
    });
  });
};

/** The first `count` of every line in order; NaN counts as the largest, equal values keep their order. */
function sorted(input: NdArray, dimOption: number, count: number | null, descending: boolean): OracleResult {
  const dim = dimension(dimOption, input.shape.length);
  const kept = count ?? input.shape[dim];
  const shape = input.shape.map((size, d) => (d === dim ? kept : size));
  const rank = (value: number): number => (Number.isNaN(value) ? Infinity : value);
  const compare = (a: number, b: number): number => {
    if (Number.isNaN(a) !== Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1;
    return rank(a) === rank(b) ? 0 : rank(a) - rank(b);
  };
  const lines: number[][] = [];
  forEachLine(input.shape, dim, (line) => lines.push(line));
  const outputLines: number[][] = [];
  forEachLine(shape, dim, (line) => outputLines.push(line));
  const sources = new Array<number>(sizeOf(shape)).fill(0);
  const places = new Array<number>(sizeOf(shape)).fill(0);
  lines.forEach((line, l) => {
    const order = line.map((_, k) => k);
    order.sort((a, b) => (descending ? -1 : 1) * compare(input.data[line[a]], input.data[line[b]]));
    outputLines[l].forEach((out, k) => {
      sources[out] = line[order[k]];
      places[out] = order[k];
    });
  });
  return selection(input, shape, sources, places);
}

export const sort: Oracle = (args, options) =>
  sorted(tensorOf(args, 'input'), numberOf(args, 'dim', -1), null, flagOf(options, 'descending', false));

export const topk: Oracle = (args, options) =>
  sorted(
    tensorOf(args, 'input'),
    numberOf(options, 'dim', -1),
    numberOf(args, 'k'),
    flagOf(options, 'largest', true),
  );
