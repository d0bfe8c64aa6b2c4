// Ops that move, pick or blend values: pad, interpolate, pixelShuffle, gather, scatter and indexing.
import type { CaseRecord } from './case-values';
import { flagOf, isTensor, numberOf, numbersOf, sizesOf, tensorOf, textOf } from './case-values';
import type { NdArray } from './nd-array';
import { dimension, flatIndex, forEachIndex, zeros } from './nd-array';
import { conv } from './reference-conv';
import type { Gradients, LinearTerm, Oracle } from './reference-core';
import { gradientsOf, linearOp } from './reference-core';

/** Where position p, counted from the input's first element, is read; null outside in constant mode. */
function padSource(p: number, size: number, mode: string): number | null {
  if (p >= 0 && p < size) return p;
  if (mode === 'constant') return null;
  if (mode === 'replicate') return p < 0 ? 0 : size - 1;
  if (mode === 'circular') return (p + size) % size;
  return p < 0 ? -p : 2 * (size - 1) - p; // reflect: the border itself is not repeated
}

/** padding lists [before, after] from the last dimension to the first. */
export const pad: Oracle = (args, options) => {
  const input = tensorOf(args, 'input');
  const padding = numbersOf(args, 'padding');
  const mode = textOf(options, 'mode', 'constant');
  const rank = input.shape.length;
  const before = input.shape.map((_, d) => padding[2 * (rank - 1 - d)] ?? 0);
  const after = input.shape.map((_, d) => padding[2 * (rank - 1 - d) + 1] ?? 0);
  const output = zeros(input.shape.map((size, d) => size + before[d] + after[d]));
  const visit = (term: LinearTerm, outside: (out: number) => void): void =>
    forEachIndex(output.shape, (index, out) => {
      const source = index.map((i, d) => padSource(i - before[d], input.shape[d], mode));
      if (source.some((s) => s === null)) outside(out);
      else {
        const inside = source.filter((s) => s !== null);
        term(out, flatIndex(inside, input.shape), 1);
      }
    });
  const value = numberOf(options, 'value', 0);
  visit(
    () => undefined,
    (out) => (output.data[out] = value),
  );
  return linearOp('input', input, output, (term) => visit(term, () => undefined));
};

/** conv with options.paddingMode: pads first, as the modules do. */
export const convPaddingMode: Oracle = (args, { paddingMode, ...options }) => {
  const input = tensorOf(args, 'input');
  const kernel = tensorOf(args, 'weight').shape.slice(2);
  const dilation = sizesOf(options, 'dilation', kernel.length, 1);
  const same = kernel.map((k, d) => dilation[d] * (k - 1));
  const sides =
    options.padding === 'same'
      ? same.map((total) => [Math.floor(total / 2), Math.ceil(total / 2)])
      : sizesOf(options, 'padding', kernel.length, 0).map((p) => [p, p]);
  const padded = pad(
    { input, padding: [...sides].reverse().flat() },
    { mode: paddingMode === 'zeros' ? 'constant' : paddingMode },
  );
  const result = conv({ ...args, input: padded.output }, { ...options, padding: 0 });
  return {
    output: result.output,
    backward: (gradOutput) => {
      const gradients = gradientsOf(result, gradOutput);
      return { ...gradients, ...gradientsOf(padded, gradients.input) };
    },
  };
};

type Blend = readonly (readonly [position: number, weight: number])[];

/** What output position o of one dimension is blended from; step is input per output. */
function blend(o: number, size: number, outSize: number, step: number, mode: string, align: boolean): Blend {
  if (mode === 'nearest') return [[Math.min(Math.floor(o * step), size - 1), 1]];
  const aligned = outSize === 1 ? 0 : (o * (size - 1)) / (outSize - 1);
  const position = align ? aligned : Math.max((o + 0.5) * step - 0.5, 0);
  const lower = Math.floor(position);
  const upper = Math.min(lower + 1, size - 1);
  return [
    [lower, 1 - (position - lower)],
    [upper, position - lower],
  ];
}

/** interpolate: [n, c, ...] to options.size, or scaled by options.scaleFactor; "nearest" or "bilinear". */
export const interpolate: Oracle = (args, options) => {
  const input = tensorOf(args, 'input');
  const size = input.shape.slice(2);
  const scale = options.size == null ? sizesOf(options, 'scaleFactor', size.length, 1) : null;
  const outSize = scale
    ? size.map((s, d) => Math.floor(s * scale[d]))
    : sizesOf(options, 'size', size.length, size);
  const mode = textOf(options, 'mode', 'nearest');
  const align = flagOf(options, 'alignCorners', false);
  const blends = size.map((s, d) =>
    Array.from({ length: outSize[d] }, (_, o) =>
      blend(o, s, outSize[d], scale ? 1 / scale[d] : s / outSize[d], mode, align),
    ),
  );
  const output = zeros([...input.shape.slice(0, 2), ...outSize]);
  return linearOp('input', input, output, (term) => {
    forEachIndex(output.shape, ([n, c, ...o], out) => {
      const parts = o.map((position, d) => blends[d][position]);
      forEachIndex(
        parts.map((part) => part.length),
        (choice) => {
          const chosen = choice.map((k, d) => parts[d][k]);
          const from = flatIndex([n, c, ...chosen.map(([position]) => position)], input.shape);
          const weight = chosen.reduce((product, [, w]) => product * w, 1);
          term(out, from, weight);
        },
      );
    });
  });
};

/** [..., c r r, h, w] to [..., c, h r, w r]: y[c, h r + i, w r + j] = x[c r r + i r + j, h, w]. */
export const pixelShuffle: Oracle = (args) => {
  const input = tensorOf(args, 'input');
  const r = numberOf(args, 'upscaleFactor');
  const [channels, height, width] = input.shape.slice(-3);
  const output = zeros([...input.shape.slice(0, -3), channels / (r * r), height * r, width * r]);
  return linearOp('input', input, output, (term) => {
    forEachIndex(output.shape, (index, out) => {
      const [c, y, x] = index.slice(-3);
      const channel = c * r * r + (y % r) * r + (x % r);
      const source = [...index.slice(0, -3), channel, Math.floor(y / r), Math.floor(x / r)];
      term(out, flatIndex(source, input.shape), 1);
    });
  });
};

/** For each element of `index`: its own position and the position it names along dim in `shape`. */
function forEachIndexed(
  args: CaseRecord,
  shape: readonly number[],
  visit: (flat: number, named: number, at: readonly number[]) => void,
): void {
  const index = tensorOf(args, 'index');
  const dim = dimension(numberOf(args, 'dim'), shape.length);
  forEachIndex(index.shape, (at, flat) => {
    const named = at.map((i, d) => (d === dim ? index.data[flat] : i));
    visit(flat, flatIndex(named, shape), at);
  });
}

export const gather: Oracle = (args) => {
  const input = tensorOf(args, 'input');
  return linearOp('input', input, zeros(tensorOf(args, 'index').shape), (term) => {
    forEachIndexed(args, input.shape, (flat, named) => term(flat, named, 1));
  });
};

/** Writes src (a tensor or one number) to the places that index names. */
export const scatter: Oracle = (args) => {
  const input = tensorOf(args, 'input');
  const src = isTensor(args.src) ? args.src : null;
  const value = (at: readonly number[]): number =>
    src ? src.data[flatIndex(at, src.shape)] : numberOf(args, 'src');
  const output = { shape: input.shape, data: input.data.slice() };
  forEachIndexed(args, input.shape, (_, named, at) => (output.data[named] = value(at)));
  const backward = (gradOutput: NdArray): Gradients => {
    const grad = { shape: input.shape, data: gradOutput.data.slice() };
    forEachIndexed(args, input.shape, (_, named) => (grad.data[named] = 0));
    return src ? { input: grad, src: gathered(args, src, gradOutput) } : { input: grad };
  };
  return { output, backward };
};

export const scatterAdd: Oracle = (args) => {
  const [input, src] = [tensorOf(args, 'input'), tensorOf(args, 'src')];
  const output = { shape: input.shape, data: input.data.slice() };
  forEachIndexed(args, input.shape, (_, named, at) => {
    output.data[named] += src.data[flatIndex(at, src.shape)];
  });
  return { output, backward: (gradOutput) => ({ input: gradOutput, src: gathered(args, src, gradOutput) }) };
};

/** Gradient by src: what lies at the places its elements went to. */
function gathered(args: CaseRecord, src: NdArray, gradOutput: NdArray): NdArray {
  const grad = zeros(src.shape);
  forEachIndexed(args, gradOutput.shape, (_, named, at) => {
    grad.data[flatIndex(at, src.shape)] = gradOutput.data[named];
  });
  return grad;
}

export const indexSelect: Oracle = (args) => {
  const [input, index] = [tensorOf(args, 'input'), tensorOf(args, 'index')];
  const dim = dimension(numberOf(args, 'dim'), input.shape.length);
  const output = zeros(input.shape.map((size, d) => (d === dim ? index.data.length : size)));
  return linearOp('input', input, output, (term) => {
    forEachIndex(output.shape, (at, out) => {
      const source = at.map((i, d) => (d === dim ? index.data[i] : i));
      term(out, flatIndex(source, input.shape), 1);
    });
  });
};

/** input[rows, columns]: pairs of indices into the first two dimensions. */
export const indexPairs: Oracle = (args) => {
  const [input, rows, columns] = [tensorOf(args, 'input'), tensorOf(args, 'rows'), tensorOf(args, 'columns')];
  const output = zeros([rows.data.length, ...input.shape.slice(2)]);
  return linearOp('input', input, output, (term) => {
    forEachIndex(output.shape, ([k, ...rest], out) => {
      term(out, flatIndex([rows.data[k], columns.data[k], ...rest], input.shape), 1);
    });
  });
};
