// linear, matmul and embedding.
import { numberOf, optionalTensorOf, tensorOf } from './case-values';
import { broadcastOffset, broadcastShape, forEachIndex, sizeOf, zeros } from './nd-array';
import type { Oracle } from './reference-core';
import { bilinearOp, linearOp } from './reference-core';

/** y[..., o] = bias[o] + sum over i of x[..., i] w[o, i] */
export const linear: Oracle = (args) => {
  const [input, weight] = [tensorOf(args, 'input'), tensorOf(args, 'weight')];
  const [outputs, inputs] = weight.shape;
  const rows = sizeOf(input.shape.slice(0, -1));
  return bilinearOp(
    ['input', 'weight'],
    input,
    weight,
    [...input.shape.slice(0, -1), outputs],
    (term) => {
      for (let r = 0; r < rows; r++) {
        for (let o = 0; o < outputs; o++) {
          for (let i = 0; i < inputs; i++) term(r * outputs + o, r * inputs + i, o * inputs + i);
        }
      }
    },
    optionalTensorOf(args, 'bias'),
    (out) => out % outputs,
  );
};

/** y[..., m, n] = sum over k of a[..., m, k] b[..., k, n]; a vector is a row on the left, a column on the right. */
export const matmul: Oracle = (args) => {
  const [a, b] = [tensorOf(args, 'input'), tensorOf(args, 'other')];
  const [rowVector, columnVector] = [a.shape.length === 1, b.shape.length === 1];
  const aShape = rowVector ? [1, ...a.shape] : a.shape;
  const bShape = columnVector ? [...b.shape, 1] : b.shape;
  const [m, inner] = aShape.slice(-2);
  const n = bShape[bShape.length - 1];
  const [aBatch, bBatch] = [aShape.slice(0, -2), bShape.slice(0, -2)];
  const batch = broadcastShape(aBatch, bBatch);
  const outputShape = [...batch, ...(rowVector ? [] : [m]), ...(columnVector ? [] : [n])];
  return bilinearOp(['input', 'other'], a, b, outputShape, (term) => {
    forEachIndex(batch, (index, flat) => {
      const aStart = broadcastOffset(index, aBatch) * m * inner;
      const bStart = broadcastOffset(index, bBatch) * inner * n;
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          for (let k = 0; k < inner; k++) {
            term((flat * m + i) * n + j, aStart + i * inner + k, bStart + k * n + j);
          }
        }
      }
    });
  });
};

/** y[..., :] = w[index[...], :]; rows at paddingIdx collect no gradient. */
export const embedding: Oracle = (args, options) => {
  const [indices, weight] = [tensorOf(args, 'indices'), tensorOf(args, 'weight')];
  const [rows, width] = weight.shape;
  const paddingIdx = options.paddingIdx == null ? null : (numberOf(options, 'paddingIdx') + rows) % rows;
  const { output, backward } = linearOp('weight', weight, zeros([...indices.shape, width]), (term) => {
    indices.data.forEach((row, i) => {
      for (let c = 0; c < width; c++) term(i * width + c, row * width + c, 1);
    });
  });
  return {
    output,
    backward: (gradOutput) => {
      const gradients = backward(gradOutput);
      if (paddingIdx !== null) gradients.weight.data.fill(0, paddingIdx * width, (paddingIdx + 1) * width);
      return gradients;
    },
  };
};
