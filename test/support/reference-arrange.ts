// Indexing in all its forms, masks, and ops that put tensors together or in another order.
//
// All of them move elements: each is a list of which input element every output element comes from.
import type { CaseRecord, CaseTensor, CaseValue } from './case-values';
import { isTensor, listOf, numberOf, numbersOf, tensorOf } from './case-values';
import type { NdArray } from './nd-array';
import {
  around,
  broadcastOffset,
  broadcastShape,
  dimension,
  flatIndex,
  forEachIndex,
  forEachLine,
  sizeOf,
  zeros,
} from './nd-array';
import type { Gradients, Oracle, OracleResult } from './reference-core';
import { bilinearOp, linearOp } from './reference-core';

/** For every element of `shape` the position of the input element it is. */
interface Picked {
  readonly shape: readonly number[];
  readonly from: readonly number[];
}

const picks = (input: NdArray, { shape, from }: Picked, key = 'input'): OracleResult =>
  linearOp(key, input, zeros(shape), (term) => from.forEach((i, o) => term(o, i, 1)));

/** An array whose elements are their own positions. */
const positionsIn = (shape: readonly number[]): Picked => ({
  shape,
  from: Array.from({ length: sizeOf(shape) }, (_, i) => i),
});

// ---- indexing, one rule after the other as PyTorch documents them ----

/** Indices with one entry per dimension (or null): ellipsis and missing dimensions as ':', masks as positions. */
function expandedEntries(entries: readonly CaseValue[], shape: readonly number[]): CaseValue[] {
  const used = (entry: CaseValue): number => {
    if (entry === null || entry === '...') return 0;
    return isTensor(entry) && entry.dtype === 'bool' ? entry.shape.length : 1;
  };
  const missing = shape.length - entries.reduce((n: number, entry) => n + used(entry), 0);
  const all = new Array<CaseValue>(missing).fill(':');
  const filled = entries.includes('...')
    ? entries.flatMap((entry) => (entry === '...' ? all : [entry]))
    : [...entries, ...all];
  return filled.flatMap((entry) =>
    isTensor(entry) && entry.dtype === 'bool' ? truePositions(entry) : [entry],
  );
}

function truePositions(mask: CaseTensor): CaseTensor[] {
  const rows: number[][] = [];
  forEachIndex(mask.shape, (index, flat) => {
    if (mask.data[flat] !== 0) rows.push([...index]);
  });
  return mask.shape.map((_, d) => ({
    shape: [rows.length],
    data: Float64Array.from(rows, (row) => row[d]),
    dtype: 'int32' as const,
  }));
}

/** The coordinates along one dimension that an entry selects; a number selects one and drops the dimension. */
function coordinates(entry: CaseValue, size: number): number[] {
  if (typeof entry === 'number') return [entry < 0 ? entry + size : entry];
  if (entry === ':') return Array.from({ length: size }, (_, i) => i);
  const [start, end, step] = numbersOf({ entry }, 'entry');
  const list: number[] = [];
  for (let i = start; i < Math.min(end, size); i += step) list.push(i);
  return list;
}

function picked(shape: readonly number[], entries: readonly CaseValue[]): Picked {
  const list = expandedEntries(entries, shape);
  const tensors = list.filter((entry) => isTensor(entry));
  const common = broadcastShape([], ...tensors.map((t) => t.shape));
  // Numbers select before tensors do, so they do not stand between two of them.
  const order = list.filter((entry) => typeof entry !== 'number').map((entry) => isTensor(entry));
  const first = order.indexOf(true);
  const together = order.slice(first, order.lastIndexOf(true) + 1).every((is) => is);
  const lead = first < 0 ? [] : common;

  // Result dimensions in order: `null` stands for those of the index tensors together.
  const plain = list.filter((entry) => !isTensor(entry) && typeof entry !== 'number');
  const at = first < 0 ? 0 : together ? order.slice(0, first).length : 0;
  let dim = 0;
  const dims = list.map((entry) => (entry === null ? -1 : dim++));
  const sizeOfEntry = (entry: CaseValue, d: number): number =>
    entry === null ? 1 : coordinates(entry, shape[d]).length;
  const plainDims = list.flatMap((entry, i) =>
    isTensor(entry) || typeof entry === 'number' ? [] : [dims[i]],
  );
  const plainSizes = plain.map((entry, i) => sizeOfEntry(entry, plainDims[i]));
  const resultShape = [...plainSizes.slice(0, at), ...lead, ...plainSizes.slice(at)];

  const from: number[] = [];
  forEachIndex(resultShape, (index) => {
    const inner = index.slice(at, at + lead.length);
    const rest = [...index.slice(0, at), ...index.slice(at + lead.length)];
    const source: number[] = [];
    let next = 0;
    list.forEach((entry, i) => {
      const size = shape[dims[i]];
      if (isTensor(entry)) {
        const value = entry.data[broadcastOffset(inner, entry.shape)];
        source.push(value < 0 ? value + size : value);
      } else if (typeof entry === 'number') source.push(coordinates(entry, size)[0]);
      else if (entry === null) next++;
      else source.push(coordinates(entry, size)[rest[next++]]);
    });
    from.push(flatIndex(source, shape));
  });
  return { shape: resultShape, from };
}

export const index: Oracle = (args) => {
  const input = tensorOf(args, 'input');
  return picks(input, picked(input.shape, listOf(args, 'index')));
};

/** input with value at index; no place occurs twice. */
export const set: Oracle = (args) => {
  const [input, value] = [tensorOf(args, 'input'), tensorOf(args, 'value')];
  const { shape, from } = picked(input.shape, listOf(args, 'index'));
  const extra = Math.max(0, value.shape.length - shape.length);
  const valueShape = value.shape.slice(extra);
  const offsets: number[] = [];
  forEachIndex(shape, (at) => offsets.push(broadcastOffset(at, valueShape)));
  const output = { shape: input.shape, data: input.data.slice() };
  from.forEach((place, o) => (output.data[place] = value.data[offsets[o]]));
  const backward = (gradOutput: NdArray): Gradients => {
    const rest = { shape: input.shape, data: gradOutput.data.slice() };
    const written = zeros(value.shape);
    from.forEach((place, o) => {
      rest.data[place] = 0;
      written.data[offsets[o]] += gradOutput.data[place];
    });
    return { input: rest, value: written };
  };
  return { output, backward };
};

// ---- masks ----

export const maskedFill: Oracle = (args) => {
  const [input, mask] = [tensorOf(args, 'input'), tensorOf(args, 'mask')];
  const value = isTensor(args.value) ? args.value : null;
  const filler = value ? value.data[0] : numberOf(args, 'value');
  const output = zeros(broadcastShape(input.shape, mask.shape));
  const isMasked: boolean[] = [];
  const sources: number[] = [];
  forEachIndex(output.shape, (at, flat) => {
    isMasked.push(mask.data[broadcastOffset(at, mask.shape)] !== 0);
    sources.push(broadcastOffset(at, input.shape));
    output.data[flat] = isMasked[flat] ? filler : input.data[sources[flat]];
  });
  const backward = (gradOutput: NdArray): Gradients => {
    const grad = zeros(input.shape);
    const filled = zeros([]);
    gradOutput.data.forEach((g, o) => {
      if (isMasked[o]) filled.data[0] += g;
      else grad.data[sources[o]] += g;
    });
    return value ? { input: grad, value: filled } : { input: grad };
  };
  return { output, backward };
};

export const maskedSelect: Oracle = (args) => {
  const [input, mask] = [tensorOf(args, 'input'), tensorOf(args, 'mask')];
  const from: number[] = [];
  forEachIndex(broadcastShape(input.shape, mask.shape), (at) => {
    if (mask.data[broadcastOffset(at, mask.shape)] !== 0) from.push(broadcastOffset(at, input.shape));
  });
  return picks(input, { shape: [from.length], from });
};

// ---- another order ----

/** Output element `at` is input element source(at). */
function rearranged(
  input: NdArray,
  shape: readonly number[],
  source: (at: readonly number[]) => readonly number[],
): OracleResult {
  const from: number[] = [];
  forEachIndex(shape, (at) => from.push(flatIndex(source(at), input.shape)));
  return picks(input, { shape, from });
}

export const flip: Oracle = (args) => {
  const input = tensorOf(args, 'input');
  const reversed = new Set(numbersOf(args, 'dims').map((d) => dimension(d, input.shape.length)));
  return rearranged(input, input.shape, (at) =>
    at.map((i, d) => (reversed.has(d) ? input.shape[d] - 1 - i : i)),
  );
};

const modulo = (a: number, n: number): number => ((a % n) + n) % n;

export const roll: Oracle = (args) => {
  const input = tensorOf(args, 'input');
  const shifts = numbersOf(args, 'shifts');
  if (args.dims == null) {
    const { shape, from } = positionsIn(input.shape);
    return picks(input, { shape, from: from.map((i) => modulo(i - shifts[0], from.length)) });
  }
  const total = input.shape.map(() => 0);
  numbersOf(args, 'dims').forEach((d, i) => (total[dimension(d, total.length)] += shifts[i]));
  return rearranged(input, input.shape, (at) => at.map((i, d) => modulo(i - total[d], input.shape[d])));
};

function repeated(input: NdArray, counts: readonly number[]): OracleResult {
  const lead = counts.length - input.shape.length;
  const shape = counts.map((count, d) => count * (input.shape[d - lead] ?? 1));
  return rearranged(input, shape, (at) => at.slice(lead).map((i, d) => i % input.shape[d]));
}

export const repeat: Oracle = (args) => repeated(tensorOf(args, 'input'), numbersOf(args, 'repeats'));

export const tile: Oracle = (args) => {
  const [input, counts] = [tensorOf(args, 'input'), numbersOf(args, 'dims')];
  const missing = Math.max(0, input.shape.length - counts.length);
  return repeated(input, [...new Array<number>(missing).fill(1), ...counts]);
};

function dimensions(args: CaseRecord, key: string, rank: number): number[] {
  const list = typeof args[key] === 'number' ? [numberOf(args, key)] : numbersOf(args, key);
  return list.map((d) => dimension(d, rank));
}

export const movedim: Oracle = (args) => {
  const input = tensorOf(args, 'input');
  const rank = input.shape.length;
  const [source, destination] = [dimensions(args, 'source', rank), dimensions(args, 'destination', rank)];
  const order = input.shape.map((_, d) => d).filter((d) => !source.includes(d));
  const pairs = source.map((from, i) => [destination[i], from] as const).sort((a, b) => a[0] - b[0]);
  for (const [to, from] of pairs) order.splice(to, 0, from);
  const shape = order.map((d) => input.shape[d]);
  return rearranged(input, shape, (at) => input.shape.map((_, d) => at[order.indexOf(d)]));
};

export const argsort: Oracle = (args, options) => {
  const input = tensorOf(args, 'input');
  const sign = options.descending === true ? -1 : 1;
  const output = zeros(input.shape);
  forEachLine(input.shape, numberOf(args, 'dim'), (line) => {
    const order = line
      .map((_, k) => k)
      .sort((a, b) => sign * (input.data[line[a]] - input.data[line[b]]) || a - b);
    line.forEach((o, k) => (output.data[o] = order[k]));
  });
  return { output };
};

// ---- joining ----

/** Two arrays side by side along dim. */
function joined(a: NdArray, b: NdArray, dim: number): Required<Pick<OracleResult, 'output' | 'backward'>> {
  const [outer, sizeA, inner] = around(a.shape, dim);
  const sizeB = b.shape[dim];
  const output = zeros(a.shape.map((size, d) => (d === dim ? sizeA + sizeB : size)));
  const each = (visit: (array: 0 | 1, at: number, out: number) => void): void => {
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < sizeA + sizeB; i++) {
        for (let k = 0; k < inner; k++) {
          const out = (o * (sizeA + sizeB) + i) * inner + k;
          if (i < sizeA) visit(0, (o * sizeA + i) * inner + k, out);
          else visit(1, (o * sizeB + i - sizeA) * inner + k, out);
        }
      }
    }
  };
  each((array, at, out) => (output.data[out] = (array === 0 ? a : b).data[at]));
  const backward = (gradOutput: NdArray): Gradients => {
    const grads = [zeros(a.shape), zeros(b.shape)];
    each((array, at, out) => (grads[array].data[at] = gradOutput.data[out]));
    return { first: grads[0], second: grads[1] };
  };
  return { output, backward };
}

export const cat: Oracle = (args) => {
  const [first, second] = [tensorOf(args, 'first'), tensorOf(args, 'second')];
  return joined(first, second, dimension(numberOf(args, 'dim'), first.shape.length));
};

export const stack: Oracle = (args) => {
  const [first, second] = [tensorOf(args, 'first'), tensorOf(args, 'second')];
  const dim = dimension(numberOf(args, 'dim'), first.shape.length + 1);
  const widened = (a: NdArray): NdArray => ({
    ...a,
    shape: [...a.shape.slice(0, dim), 1, ...a.shape.slice(dim)],
  });
  const { output, backward } = joined(widened(first), widened(second), dim);
  const narrowed = (a: NdArray): NdArray => ({ ...a, shape: first.shape });
  return {
    output,
    backward: (gradOutput) => {
      const grads = backward(gradOutput);
      return { first: narrowed(grads.first), second: narrowed(grads.second) };
    },
  };
};

// ---- products of vectors ----

export const outer: Oracle = (args) => {
  const [a, b] = [tensorOf(args, 'input'), tensorOf(args, 'other')];
  const [n, m] = [a.data.length, b.data.length];
  return bilinearOp(['input', 'other'], a, b, [n, m], (term) => {
    for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) term(i * m + j, i, j);
  });
};

export const dot: Oracle = (args) => {
  const [a, b] = [tensorOf(args, 'input'), tensorOf(args, 'other')];
  return bilinearOp(['input', 'other'], a, b, [], (term) => a.data.forEach((_, i) => term(0, i, i)));
};
