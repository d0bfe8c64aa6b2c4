// Convolution and its transpose over any number of spatial dimensions; unfold and fold.
//
// conv:  y[n, oc, o] = bias[oc] + sum over ic, k of x[n, g ic, o stride - padding + k dilation] w[oc, ic, k]
// where g ic runs over the input channels of oc's group. The transposed convolution has the same terms with
// the parts of x and y exchanged.
import type { CaseRecord } from './case-values';
import { numberOf, optionalTensorOf, sizesOf, tensorOf } from './case-values';
import { flatIndex, forEachIndex, reshaped, sizeOf, zeros } from './nd-array';
import type { NdArray } from './nd-array';
import type { BilinearTerm, Oracle, OracleResult } from './reference-core';
import { bilinearOp, gradientsOf, linearOp } from './reference-core';

interface Window {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  /** Zeros before the first element of each dimension. */
  readonly padding: readonly number[];
}

/** Position read by kernel element k of the window at output position o, or null in the padding. */
function source(
  o: readonly number[],
  k: readonly number[],
  size: readonly number[],
  w: Window,
): number[] | null {
  const position = size.map((_, d) => o[d] * w.stride[d] - w.padding[d] + k[d] * w.dilation[d]);
  return position.every((p, d) => p >= 0 && p < size[d]) ? position : null;
}

/** Visits all (y, x, w) that meet in a convolution x [n, c, ...] * w [oc, c / groups, ...] = y [n, oc, ...]. */
function convolutionTerms(
  xShape: readonly number[],
  wShape: readonly number[],
  yShape: readonly number[],
  window: Window,
  groups: number,
  term: BilinearTerm,
): void {
  const [n, channels, ...size] = xShape;
  const [outChannels, groupChannels, ...kernel] = wShape;
  const outSize = yShape.slice(2);
  const [plane, taps] = [sizeOf(size), sizeOf(kernel)];
  forEachIndex(outSize, (o, flatOut) => {
    forEachIndex(kernel, (k, flatTap) => {
      const position = source(o, k, size, window);
      if (!position) return;
      const flatIn = flatIndex(position, size);
      for (let b = 0; b < n; b++) {
        for (let oc = 0; oc < outChannels; oc++) {
          const group = Math.floor(oc / (outChannels / groups));
          for (let ic = 0; ic < groupChannels; ic++) {
            term(
              (b * outChannels + oc) * sizeOf(outSize) + flatOut,
              (b * channels + group * groupChannels + ic) * plane + flatIn,
              (oc * groupChannels + ic) * taps + flatTap,
            );
          }
        }
      }
    });
  });
}

function windowOf(options: CaseRecord, kernel: readonly number[], padding: readonly number[]): Window {
  const rank = kernel.length;
  return {
    kernel,
    padding,
    stride: sizesOf(options, 'stride', rank, 1),
    dilation: sizesOf(options, 'dilation', rank, 1),
  };
}

/** [before, after] of every spatial dimension; "same" puts the odd one after. */
function paddingOf(options: CaseRecord, kernel: readonly number[]): [number, number][] {
  const { padding } = options;
  if (padding === 'valid') return kernel.map(() => [0, 0]);
  if (padding === 'same') {
    const dilation = sizesOf(options, 'dilation', kernel.length, 1);
    return kernel.map((k, d) => {
      const total = dilation[d] * (k - 1);
      return [Math.floor(total / 2), Math.ceil(total / 2)];
    });
  }
  return sizesOf(options, 'padding', kernel.length, 0).map((p) => [p, p]);
}

/** Runs an op that wants a batch dimension on an input that may lack it. */
function batched(input: NdArray, rank: number, run: (input: NdArray) => OracleResult): OracleResult {
  if (input.shape.length === rank + 2) return run(input);
  const result = run(reshaped(input, [1, ...input.shape]));
  const { shape } = result.output;
  return {
    output: reshaped(result.output, shape.slice(1)),
    backward: (gradOutput) => {
      const gradients = gradientsOf(result, reshaped(gradOutput, shape));
      return { ...gradients, input: reshaped(gradients.input, input.shape) };
    },
  };
}

/** conv1d, conv2d, conv3d: input [n, c, ...] or [c, ...], weight [oc, c / groups, ...], bias [oc] or null. */
export const conv: Oracle = (args, options) => {
  const weight = tensorOf(args, 'weight');
  const [outChannels, , ...kernel] = weight.shape;
  const groups = numberOf(options, 'groups', 1);
  const padding = paddingOf(options, kernel);
  const window = windowOf(
    options,
    kernel,
    padding.map(([before]) => before),
  );
  return batched(tensorOf(args, 'input'), kernel.length, (input) => {
    const [n, , ...size] = input.shape;
    const outSize = kernel.map((k, d) => {
      const reach = window.dilation[d] * (k - 1) + 1;
      return Math.floor((size[d] + padding[d][0] + padding[d][1] - reach) / window.stride[d]) + 1;
    });
    const outputShape = [n, outChannels, ...outSize];
    return bilinearOp(
      ['input', 'weight'],
      input,
      weight,
      outputShape,
      (term) => convolutionTerms(input.shape, weight.shape, outputShape, window, groups, term),
      optionalTensorOf(args, 'bias'),
      (out) => Math.floor(out / sizeOf(outSize)) % outChannels,
    );
  });
};

/** convTranspose1d, 2d, 3d: input [n, c, ...] or [c, ...], weight [c, oc / groups, ...], bias [oc] or null. */
export const convTranspose: Oracle = (args, options) => {
  const weight = tensorOf(args, 'weight');
  const [, groupChannels, ...kernel] = weight.shape;
  const rank = kernel.length;
  const groups = numberOf(options, 'groups', 1);
  const outChannels = groupChannels * groups;
  const outputPadding = sizesOf(options, 'outputPadding', rank, 0);
  const window = windowOf(options, kernel, sizesOf(options, 'padding', rank, 0));
  return batched(tensorOf(args, 'input'), rank, (input) => {
    const [n, , ...size] = input.shape;
    const { stride, padding, dilation } = window;
    const outSize = kernel.map(
      (k, d) => (size[d] - 1) * stride[d] - 2 * padding[d] + dilation[d] * (k - 1) + outputPadding[d] + 1,
    );
    const outputShape = [n, outChannels, ...outSize];
    return bilinearOp(
      ['input', 'weight'],
      input,
      weight,
      outputShape,
      // Our output is what the convolution would read, our input what it would write.
      (term) =>
        convolutionTerms(outputShape, weight.shape, input.shape, window, groups, (y, x, w) => term(x, y, w)),
      optionalTensorOf(args, 'bias'),
      (out) => Math.floor(out / sizeOf(outSize)) % outChannels,
    );
  });
};

/** Visits (column element, image element) pairs: columns [n, c * taps, windows], image [n, c, h, w]. */
function columnTerms(
  image: readonly number[],
  window: Window,
  pair: (column: number, pixel: number) => void,
): number[] {
  const [n, channels, ...size] = image;
  const { kernel, stride, dilation, padding } = window;
  const outSize = kernel.map(
    (k, d) => Math.floor((size[d] + 2 * padding[d] - dilation[d] * (k - 1) - 1) / stride[d]) + 1,
  );
  const [taps, windows, plane] = [sizeOf(kernel), sizeOf(outSize), sizeOf(size)];
  forEachIndex(outSize, (o, flatOut) => {
    forEachIndex(kernel, (k, flatTap) => {
      const position = source(o, k, size, window);
      if (!position) return;
      for (let c = 0; c < n * channels; c++) {
        pair((c * taps + flatTap) * windows + flatOut, c * plane + flatIndex(position, size));
      }
    });
  });
  return [n, channels * taps, windows];
}

/** unfold: image [n, c, h, w] or [c, h, w] to columns [n, c * kernel, windows]. */
export const unfold: Oracle = (args, options) => {
  const window = windowOf(options, sizesOf(args, 'kernelSize', 2, 1), sizesOf(options, 'padding', 2, 0));
  return batched(tensorOf(args, 'input'), 2, (input) => {
    const outputShape = columnTerms(input.shape, window, () => undefined);
    return linearOp('input', input, zeros(outputShape), (term) => {
      columnTerms(input.shape, window, (column, pixel) => term(column, pixel, 1));
    });
  });
};

/** fold: columns [n, c * kernel, windows] to the image they would come from, overlaps added up. */
export const fold: Oracle = (args, options) => {
  const kernel = sizesOf(args, 'kernelSize', 2, 1);
  const window = windowOf(options, kernel, sizesOf(options, 'padding', 2, 0));
  const size = sizesOf(args, 'outputSize', 2, 1);
  return batched(tensorOf(args, 'input'), 1, (columns) => {
    const image = [columns.shape[0], columns.shape[1] / sizeOf(kernel), ...size];
    return linearOp('input', columns, zeros(image), (term) => {
      columnTerms(image, window, (column, pixel) => term(pixel, column, 1));
    });
  });
};
