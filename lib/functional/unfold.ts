/**
 * im2col and its adjoint in the open: `unfold` lays out every window of an image as a column, `fold` adds columns back
 * to where they came from.
 *
 * `unfold` reads the padded image through a strided view [n, c, kh, kw, oh, ow] and copies once; `fold` adds one kernel
 * cell after the other into strided views, in a fixed order.
 */
import { record } from '../autograd/graph';
import { ShapeError } from '../errors';
import { binaryFns, run } from '../native';
import { checkOptions, contiguousStrides, shapeError, sizeTuple, type Size } from '../shape';
import { cloneElements, contiguousElements, fillElements } from '../tensor/copy';
import { Tensor } from '../tensor/tensor';
import { expectFloating } from './checks';
import { convOutputSize } from './conv-shape';
import { pad } from './pad';
import { narrow, reshape } from './views';

export interface UnfoldOptions {
  /** Distance of neighbouring kernel cells. Default 1. */
  readonly dilation?: Size;
  /** Zeros around the image. Default 0. */
  readonly padding?: Size;
  /** Distance of neighbouring windows. Default 1. */
  readonly stride?: Size;
}

interface Windows {
  readonly kernel: number[];
  readonly dilation: number[];
  readonly padding: number[];
  readonly stride: number[];
  /** Windows along height and width. */
  readonly out: number[];
}

function windows(op: string, size: readonly number[], kernelSize: Size, options: UnfoldOptions): Windows {
  const kernel = sizeTuple(op, 'kernelSize', kernelSize, 2, 1);
  const dilation = sizeTuple(op, 'dilation', options.dilation ?? 1, 2, 1);
  const padding = sizeTuple(op, 'padding', options.padding ?? 0, 2, 0);
  const stride = sizeTuple(op, 'stride', options.stride ?? 1, 2, 1);
  const out = size.map((s, i) =>
    convOutputSize(s, kernel[i], stride[i], [padding[i], padding[i]], dilation[i]),
  );
  if (out.some((o) => o < 1)) {
    throw new ShapeError({
      op,
      argument: 'kernelSize',
      expected: `must fit into the padded image ${size.map((s, i) => s + 2 * padding[i]).join('x')}`,
      received: `${kernel.join('x')} with dilation ${dilation.join('x')}`,
    });
  }
  return { kernel, dilation, padding, stride, out };
}

/** View [n, c, kh, kw, oh, ow] of a contiguous padded image [n, c, h, w]. */
function windowView(image: Tensor, w: Windows): Tensor {
  const [n, c] = image.shape;
  const [sn, sc, sh, sw] = image.strides;
  const shape = [n, c, ...w.kernel, ...w.out];
  const strides = [sn, sc, w.dilation[0] * sh, w.dilation[1] * sw, w.stride[0] * sh, w.stride[1] * sw];
  return image.viewAs(shape, strides, image.offset);
}

function unfolded(image: Tensor, w: Windows): Tensor {
  const [ph, pw] = w.padding;
  const padded = contiguousElements(pad(image, [pw, pw, ph, ph]));
  const [n, c] = image.shape;
  return reshape(cloneElements(windowView(padded, w)), [
    n,
    c * w.kernel[0] * w.kernel[1],
    w.out[0] * w.out[1],
  ]);
}

function folded(columns: Tensor, size: readonly number[], w: Windows): Tensor {
  const [n] = columns.shape;
  const [kh, kw] = w.kernel;
  const c = columns.shape[1] / (kh * kw);
  const [ph, pw] = w.padding;
  const image = Tensor.empty([n, c, size[0] + 2 * ph, size[1] + 2 * pw], columns.dtype);
  fillElements(image, 0);
  const to = windowView(image, w);
  const source = contiguousElements(columns);
  const from = source.viewAs(to.shape, contiguousStrides(to.shape), source.offset);
  if (image.numel > 0) addCells(image, to, from);
  return narrow(narrow(image, 2, ph, size[0]), 3, pw, size[1]);
}

/** image[cell (i, j) of every window] += from[..., i, j, ...], cell by cell. */
function addCells(image: Tensor, to: Tensor, from: Tensor): void {
  const [n, c, kh, kw, oh, ow] = to.shape;
  const shape = [n, c, oh, ow];
  const cell = (t: Tensor, i: number, j: number): Tensor =>
    t.viewAs(
      shape,
      [t.strides[0], t.strides[1], t.strides[4], t.strides[5]],
      t.offset + i * t.strides[2] + j * t.strides[3],
    );
  for (let i = 0; i < kh; i++) {
    for (let j = 0; j < kw; j++) {
      const target = cell(to, i, j);
      const source = cell(from, i, j);
      const sum = Tensor.empty(shape, image.dtype);
      run(
        'binary',
        { fn: binaryFns.add, rank: 4, shape, aStrides: target.strides, bStrides: source.strides },
        { a: target, b: source, y: sum },
      );
      run('copy', { rank: 4, shape, xStrides: sum.strides, yStrides: target.strides }, { x: sum, y: target });
    }
  }
}

/** [n, ...] with n = 1 put in front where the batch dimension is missing. */
function batched(op: string, input: Tensor, rank: number, form: string): { x: Tensor; single: boolean } {
  if (input.ndim === rank) return { x: input, single: false };
  if (input.ndim === rank - 1) return { x: reshape(input, [1, ...input.shape]), single: true };
  throw shapeError(op, 'input', `must be ${form}`, input.shape);
}

/**
 * Every window of an image as a column (im2col).
 *
 * **Shape**: [n, c, h, w] or [c, h, w] -> [n, c * kernel cells, windows] or without n
 * @throws ShapeError if the kernel does not fit
 *
 * @example
 * // convolution as a matrix product
 * const columns = F.unfold(x, 3, { padding: 1 });                 // [n, c * 9, h * w]
 * const y = weight.reshape(out, -1).matmul(columns);              // [n, out, h * w]
 */
export function unfold(input: Tensor, kernelSize: Size, options: UnfoldOptions = {}): Tensor {
  const op = 'unfold';
  checkOptions(op, options);
  expectFloating(op, 'input', input);
  const { x, single } = batched(op, input, 4, '[N, C, H, W] or [C, H, W]');
  const size = x.shape.slice(2);
  const w = windows(op, size, kernelSize, options);
  const y = record(op, unfolded(x.detach(), w), [x], (grad) => [folded(grad, size, w)]);
  return single ? reshape(y, y.shape.slice(1)) : y;
}

/**
 * Adds columns back into an image (col2im): the adjoint of {@link unfold}. Overlapping windows add up.
 *
 * **Shape**: [n, c * kernel cells, windows] or without n -> [n, c, ...outputSize] or without n
 * @throws ShapeError if columns and windows do not agree
 */
export function fold(input: Tensor, outputSize: Size, kernelSize: Size, options: UnfoldOptions = {}): Tensor {
  const op = 'fold';
  checkOptions(op, options);
  expectFloating(op, 'input', input);
  const { x, single } = batched(op, input, 3, '[N, C * kernel cells, windows] or without N');
  const size = sizeTuple(op, 'outputSize', outputSize, 2, 1);
  const w = windows(op, size, kernelSize, options);
  const cells = w.kernel[0] * w.kernel[1];
  const count = w.out[0] * w.out[1];
  if (x.shape[1] % cells !== 0 || x.shape[1] === 0 || x.shape[2] !== count) {
    throw shapeError(
      op,
      'input',
      `must have a multiple of ${cells} rows and ${count} columns (${w.out.join('x')} windows)`,
      input.shape,
    );
  }
  const y = record(op, folded(x.detach(), size, w), [x], (grad) => [unfolded(contiguousElements(grad), w)]);
  return single ? reshape(y, y.shape.slice(1)) : y;
}
