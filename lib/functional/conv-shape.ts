/**
 * What a convolution is before it runs: options read and checked, output sizes, and the descriptor the native ops take.
 * All for any number of spatial dimensions; native descriptors have three, with size 1 in front for lower ranks.
 */
import { ArgumentRangeError, ArgumentTypeError, ShapeError, describe } from '../errors';
import { checkElementCount, checkOptions, formatShape, sizeOf, type Shape, type Size } from '../shape';
import { expectTensor, type Tensor } from '../tensor/tensor';
import { isExactConv } from './conv-exact';
import { checkSameFloat } from './matmul';
import { Plans, withOwnShape } from './plans';

/** Number of spatial dimensions. */
export type SpatialRank = 1 | 2 | 3;

/**
 * Zeros around the input: one number, one per dimension, or a pair `[before, after]` per dimension. `'valid'` is none;
 * `'same'` keeps the size (stride 1 only) and puts an odd zero after.
 */
export type ConvPadding = Size | readonly (readonly [number, number])[] | 'same' | 'valid';

export interface ConvOptions {
  /** Distance of neighbouring windows. Default 1. */
  readonly stride?: Size;
  /** Default 0. */
  readonly padding?: ConvPadding;
  /** Distance of neighbouring kernel elements. Default 1. */
  readonly dilation?: Size;
  /** Groups of channels that do not mix. Default 1. */
  readonly groups?: number;
}

export interface ConvTransposeOptions {
  /** Distance at which input elements are laid out. Default 1. */
  readonly stride?: Size;
  /** Cut off at both ends of the output. Default 0. */
  readonly padding?: Size;
  /** Added at the end of the output. Default 0. */
  readonly outputPadding?: Size;
  /** Groups of channels that do not mix. Default 1. */
  readonly groups?: number;
  /** Distance of neighbouring kernel elements. Default 1. */
  readonly dilation?: Size;
}

/** The descriptor of the native convolution ops. */
export interface ConvDescriptor {
  readonly n: number;
  readonly groups: number;
  readonly cIn: number;
  readonly cOut: number;
  readonly in: readonly number[];
  readonly kernel: readonly number[];
  readonly out: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  /** Always 0: the native side chooses. */
  readonly algorithm: number;
  /** 1: only algorithms that round like a sum of products. */
  readonly exact: number;
  /** 1: the packed weights are those of an earlier call. */
  readonly packedReady: number;
}

/** A checked call: the descriptor, and the shape of what it returns. */
export interface ConvPlan {
  readonly descriptor: ConvDescriptor;
  readonly shape: readonly number[];
}

/** Largest size of one dimension, padding included. */
const maxSize = 2 ** 31 - 1;
const dimensionNames = { 1: ['length'], 2: ['height', 'width'], 3: ['depth', 'height', 'width'] } as const;
const spatialLetters = { 1: 'L', 2: 'H,W', 3: 'D,H,W' } as const;

/** Elements that a dilated kernel spans. */
export function effectiveKernel(kernel: number, dilation: number): number {
  return dilation * (kernel - 1) + 1;
}

/** Output size of a convolution (or of a pooling that rounds down) in one dimension. */
export function convOutputSize(
  size: number,
  kernel: number,
  stride: number,
  [before, after]: readonly [number, number],
  dilation: number,
): number {
  return Math.floor((size + before + after - effectiveKernel(kernel, dilation)) / stride) + 1;
}

/** Output size of a transposed convolution in one dimension. */
export function convTransposeOutputSize(
  size: number,
  kernel: number,
  stride: number,
  padding: number,
  outputPadding: number,
  dilation: number,
): number {
  return (size - 1) * stride - 2 * padding + effectiveKernel(kernel, dilation) + outputPadding;
}

/** `1x3x3` */
const timesText = (sizes: readonly number[]): string => sizes.join('x');

/** One number per dimension, read once from a number for all or a list. */
function numbers(op: string, argument: string, value: unknown, rank: SpatialRank): unknown[] {
  if (typeof value === 'number') return new Array<unknown>(rank).fill(value);
  const list: unknown[] = Array.isArray(value) ? Array.from(value as readonly unknown[]) : [];
  if (list.length === rank) return list;
  const form = new Array<string>(rank).fill('number').join(', ');
  const expected = `must be a number or [${form}]`;
  throw new ArgumentTypeError({ op, argument, expected, received: describe(value) });
}

function checkNumber(op: string, argument: string, value: unknown): number {
  if (typeof value === 'number') return value;
  throw new ArgumentTypeError({ op, argument, expected: 'must be a number', received: describe(value) });
}

/** Stride or dilation: integers from 1. */
function steps(op: string, argument: 'stride' | 'dilation', value: unknown, rank: SpatialRank): number[] {
  return numbers(op, argument, value, rank).map((entry, i) => {
    const name = `${argument}[${i}]`;
    const v = checkNumber(op, name, entry);
    if (Number.isInteger(v) && v >= 1 && v <= maxSize) return v;
    const integer = argument === 'stride' || !Number.isInteger(v) ? 'an integer ' : '';
    const expected = `must be ${integer}>= 1${v > maxSize ? ` and <= ${maxSize}` : ''}`;
    throw new ArgumentRangeError({ op, argument: name, expected, received: describe(v) });
  });
}

/** Padding or output padding: integers from 0. */
function amount(op: string, argument: string, value: unknown, whole: unknown): number {
  const v = checkNumber(op, argument, value);
  if (Number.isInteger(v) && v >= 0) return v;
  const expected = Number.isInteger(v) ? 'must be >= 0' : 'must be an integer >= 0';
  throw new ArgumentRangeError({ op, argument, expected, received: describe(whole) });
}

/** Padding of any form as [before, after] per dimension. */
export function paddingPairs(
  op: string,
  value: unknown,
  kernel: readonly number[],
  stride: readonly number[],
  dilation: readonly number[],
): (readonly [number, number])[] {
  const rank = kernel.length as SpatialRank;
  const argument = 'padding';
  if (value === 'valid') return kernel.map(() => [0, 0] as const);
  if (value === 'same') {
    if (stride.some((s) => s !== 1)) {
      throw new ArgumentRangeError({
        op,
        argument,
        expected: '"same" needs stride 1',
        received: formatShape(stride),
      });
    }
    return kernel.map((k, d) => {
      const total = effectiveKernel(k, dilation[d]) - 1;
      return [Math.floor(total / 2), Math.ceil(total / 2)] as const;
    });
  }
  if (typeof value === 'string') {
    const expected =
      'must be "same", "valid", a number >= 0, one per dimension or [before, after] per dimension';
    throw new ArgumentRangeError({ op, argument, expected, received: describe(value) });
  }
  return numbers(op, argument, value, rank).map((entry, i) => {
    if (!Array.isArray(entry)) {
      const both = amount(op, argument, entry, value);
      return [both, both] as const;
    }
    const pair: unknown[] = Array.from(entry as readonly unknown[]);
    if (pair.length !== 2) {
      const expected = 'must be a number or [before, after]';
      throw new ArgumentTypeError({ op, argument: `${argument}[${i}]`, expected, received: describe(pair) });
    }
    return [amount(op, argument, pair[0], pair), amount(op, argument, pair[1], pair)] as const;
  });
}

function checkGroups(op: string, value: unknown): number {
  const v = checkNumber(op, 'groups', value);
  if (Number.isInteger(v) && v >= 1) return v;
  const expected = Number.isInteger(v) ? 'must be >= 1' : 'must be an integer >= 1';
  throw new ArgumentRangeError({ op, argument: 'groups', expected, received: describe(v) });
}

function shapeError(op: string, argument: string, expected: string, shape: Shape): ShapeError {
  return new ShapeError({ op, argument, expected, received: formatShape(shape) });
}

function checkTypes(op: string, input: Tensor, weight: Tensor, bias: Tensor | null): void {
  expectTensor(op, 'input', input);
  expectTensor(op, 'weight', weight);
  checkSameFloat(op, input, 'input', weight, 'weight');
  if (bias !== null) {
    expectTensor(op, 'bias', bias);
    checkSameFloat(op, input, 'input', bias, 'bias');
  }
}

/** Checks ranks and sizes of the operands, as far as both directions have them in common. */
function checkSizes(op: string, rank: SpatialRank, input: Tensor, weight: Tensor): void {
  if (input.ndim !== rank + 1 && input.ndim !== rank + 2) {
    const spatial = spatialLetters[rank];
    throw shapeError(op, 'input', `expects [C,${spatial}] or [N,C,${spatial}]`, input.shape);
  }
  if (weight.ndim !== rank + 2) throw shapeError(op, 'weight', `must be ${rank + 2}-D`, weight.shape);
  if (input.shape.slice(input.ndim - rank - 1).some((size) => size < 1)) {
    throw shapeError(op, 'input', 'channel/spatial size must be >= 1', input.shape);
  }
  weight.shape.forEach((size, i) => {
    if (size >= 1) return;
    const rule =
      i < 2 ? `weight.shape[${i}] must be >= 1` : `kernel ${dimensionNames[rank][i - 2]} must be >= 1`;
    throw shapeError(op, i < 2 ? '' : 'weight', rule, weight.shape);
  });
  const kernel = weight.shape.slice(2);
  if (sizeOf(weight.shape.slice(1)) > maxSize) {
    throw shapeError(
      op,
      'weight',
      `kernel ${timesText(kernel)} exceeds the size limit ${maxSize}`,
      weight.shape,
    );
  }
}

function checkBias(op: string, bias: Tensor | null, channels: number): void {
  if (bias !== null && (bias.ndim !== 1 || bias.shape[0] !== channels)) {
    throw shapeError(op, 'bias', `must have shape [${channels}]`, bias.shape);
  }
}

function checkDivisible(
  op: string,
  argument: string,
  name: string,
  channels: number,
  groups: number,
  shape: Shape,
): void {
  if (channels % groups !== 0) {
    throw shapeError(op, argument, `${name} ${channels} is not divisible by groups ${groups}`, shape);
  }
}

/** Three entries, the missing leading ones filled. */
const three = (list: readonly number[], fill: number): readonly number[] =>
  list.length === 3 ? list : list.length === 2 ? [fill, list[0], list[1]] : [fill, fill, list[0]];

const plans = new Plans<ConvPlan>();

/**
 * Checks the arguments of a convolution: input [n, c, ...] or [c, ...], weight [cOut, c / groups, ...], bias [cOut].
 * @throws DTypeError, ShapeError, ArgumentRangeError or ArgumentTypeError, naming what is wrong
 */
export function planConv(
  op: string,
  rank: SpatialRank,
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvOptions,
): ConvPlan {
  checkOptions(op, options);
  checkTypes(op, input, weight, bias);
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  const exact = isExactConv();
  const biases = bias === null ? null : bias.ndim === 1 ? bias.shape[0] : bias.shape;
  const settings = [rank, stride, padding, dilation, groups, exact, biases];
  const key = [...settings, input.ndim, ...input.shape, ...weight.shape];
  const read = { stride, padding, dilation, groups };
  return withOwnShape(plans.get(key, () => planNewConv(op, rank, input, weight, bias, read)));
}

function planNewConv(
  op: string,
  rank: SpatialRank,
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvOptions,
): ConvPlan {
  checkSizes(op, rank, input, weight);
  const batched = input.ndim === rank + 2;
  const channels = input.shape[batched ? 1 : 0];
  const [cOut, groupChannels] = weight.shape;
  const groups = checkGroups(op, options.groups ?? 1);
  if (groups > cOut) throw shapeError(op, '', `weight.shape[0] must be >= groups (${groups})`, weight.shape);
  checkDivisible(op, 'input', 'in_channels', channels, groups, input.shape);
  checkDivisible(op, 'weight', 'out_channels', cOut, groups, weight.shape);
  if (groupChannels !== channels / groups) {
    const rule = `must have weight.shape[1] = C/groups = ${channels / groups}`;
    throw shapeError(
      op,
      'weight',
      `${rule} (input ${formatShape(input.shape)}, groups ${groups})`,
      weight.shape,
    );
  }
  checkBias(op, bias, cOut);
  const size = input.shape.slice(batched ? 2 : 1);
  const kernel = weight.shape.slice(2);
  const stride = steps(op, 'stride', options.stride ?? 1, rank);
  const dilation = steps(op, 'dilation', options.dilation ?? 1, rank);
  const padding = paddingPairs(op, options.padding ?? 0, kernel, stride, dilation);
  const padded = size.map((s, d) => s + padding[d][0] + padding[d][1]);
  const tooWide = padded.find((s) => s > maxSize);
  if (tooWide !== undefined) {
    const expected = `is too large: padded size ${tooWide.toPrecision(2)} exceeds limit ${maxSize}`;
    throw new ArgumentRangeError({ op, argument: 'padding', expected, received: describe(options.padding) });
  }
  const reach = kernel.map((k, d) => effectiveKernel(k, dilation[d]));
  if (reach.some((r, d) => r > padded[d])) {
    const rule = `effective kernel ${timesText(reach)} is larger than the padded input ${timesText(padded)}`;
    throw shapeError(
      op,
      'weight',
      `is too large for input ${formatShape(input.shape)}: ${rule}`,
      weight.shape,
    );
  }
  const out = size.map((s, d) => convOutputSize(s, kernel[d], stride[d], padding[d], dilation[d]));
  const shape = batched ? [input.shape[0], cOut, ...out] : [cOut, ...out];
  checkElementCount(op, shape, 'output');
  const descriptor = {
    n: batched ? input.shape[0] : 1,
    groups,
    cIn: channels,
    cOut,
    in: three(size, 1),
    kernel: three(kernel, 1),
    out: three(out, 1),
    stride: three(stride, 1),
    padding: three(
      padding.map(([before]) => before),
      0,
    ),
    dilation: three(dilation, 1),
    algorithm: 0,
    exact: Number(isExactConv()),
    packedReady: 0,
  };
  return { descriptor, shape };
}

/**
 * Checks the arguments of a transposed convolution: input [n, c, ...] or [c, ...], weight [c, cOut / groups, ...], bias
 * [cOut]. The descriptor is that of the convolution whose input gradient it is: its input is our output.
 * @throws DTypeError, ShapeError, ArgumentRangeError or ArgumentTypeError, naming what is wrong
 */
export function planConvTranspose(
  op: string,
  rank: SpatialRank,
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvTransposeOptions,
): ConvPlan {
  checkOptions(op, options);
  checkTypes(op, input, weight, bias);
  checkSizes(op, rank, input, weight);
  const batched = input.ndim === rank + 2;
  const channels = input.shape[batched ? 1 : 0];
  const groups = checkGroups(op, options.groups ?? 1);
  if (weight.shape[0] !== channels) {
    const rule = `must have weight.shape[0] = C = ${channels} (input ${formatShape(input.shape)})`;
    throw shapeError(op, 'weight', rule, weight.shape);
  }
  checkDivisible(op, 'input', 'in_channels', channels, groups, input.shape);
  const cOut = weight.shape[1] * groups;
  checkBias(op, bias, cOut);
  const size = input.shape.slice(batched ? 2 : 1);
  const kernel = weight.shape.slice(2);
  const stride = steps(op, 'stride', options.stride ?? 1, rank);
  const dilation = steps(op, 'dilation', options.dilation ?? 1, rank);
  const amounts = (argument: 'padding' | 'outputPadding'): number[] => {
    const value: unknown = options[argument] ?? 0;
    return numbers(op, argument, value, rank).map((entry) => amount(op, argument, entry, value));
  };
  const padding = amounts('padding');
  const outputPadding = amounts('outputPadding');
  outputPadding.forEach((p, d) => {
    const limit = Math.max(stride[d], dilation[d]);
    if (p < limit) return;
    const expected = `must be < max(stride, dilation) = ${limit}`;
    throw new ArgumentRangeError({ op, argument: `outputPadding[${d}]`, expected, received: String(p) });
  });
  const out = size.map((s, d) =>
    convTransposeOutputSize(s, kernel[d], stride[d], padding[d], outputPadding[d], dilation[d]),
  );
  if (out.some((s) => s < 1 || s > maxSize)) {
    const rule = `output size ${timesText(out)} must be in 1..${maxSize} in every dimension`;
    throw shapeError(op, 'input', `${rule} (weight ${formatShape(weight.shape)})`, input.shape);
  }
  const shape = batched ? [input.shape[0], cOut, ...out] : [cOut, ...out];
  checkElementCount(op, shape, 'output');
  const descriptor = {
    n: batched ? input.shape[0] : 1,
    groups,
    cIn: cOut,
    cOut: channels,
    in: three(out, 1),
    kernel: three(kernel, 1),
    out: three(size, 1),
    stride: three(stride, 1),
    padding: three(padding, 0),
    dilation: three(dilation, 1),
    algorithm: 0,
    exact: Number(isExactConv()),
    packedReady: 0,
  };
  return { descriptor, shape };
}
