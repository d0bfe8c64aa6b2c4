/**
 * What a convolution is before it runs: operands checked, output sizes, and the descriptor the native ops take. All for
 * any number of spatial dimensions.
 */
import { ArgumentRangeError, rangeError } from '../errors';
import { checkElementCount, checkOptions, formatShape, shapeError, sizeOf, type Shape } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { expectDTypeOf, expectFloating } from './checks';
import { isExactConv } from './conv-exact';
import { amounts, checkGroups, paddingPairs, steps } from './conv-options';
import { shapeInLanes, shapeOfImages } from './lanes';
import { Plans, withOwnShape } from './plans';
import {
  effectiveKernel,
  inThreeDimensions,
  maxSize,
  splitPlanes,
  timesText,
  type SpatialRank,
  type WindowSizes,
} from './spatial';

/** The descriptor of the native convolution ops. */
export interface ConvDescriptor extends WindowSizes {
  readonly n: number;
  readonly groups: number;
  readonly cIn: number;
  readonly cOut: number;
  /** Always 0: the native side chooses. */
  readonly algorithm: number;
  /** 1: only algorithms that round like a sum of products. */
  readonly exact: number;
  /** Images of a vector if they lie in lanes (lanes.ts), else 0. */
  readonly lanes: number;
  /** 1: the packed weights are those of an earlier call. */
  readonly packedReady: number;
}

/** A checked call: the descriptor, and the shape of what it returns. */
export interface ConvPlan {
  readonly descriptor: ConvDescriptor;
  readonly shape: readonly number[];
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

const dimensionNames = { 1: ['length'], 2: ['height', 'width'], 3: ['depth', 'height', 'width'] } as const;

/** A call: the shapes of its operands, and its options, read once. */
interface Call {
  readonly op: string;
  readonly rank: SpatialRank;
  readonly input: Shape;
  readonly weight: Shape;
  readonly bias: Shape | null;
  readonly stride: unknown;
  readonly padding: unknown;
  readonly outputPadding: unknown;
  readonly dilation: unknown;
  readonly groups: unknown;
}

/** `ConvOptions` or `ConvTransposeOptions`, before the checks. */
type AnyOptions = Partial<Record<'stride' | 'padding' | 'outputPadding' | 'dilation' | 'groups', unknown>>;

/** A function that checks a call and returns its plan, which is made once for all calls that are alike. */
function planner(make: (call: Call) => ConvPlan) {
  const plans = new Plans<ConvPlan>();
  return (
    op: string,
    rank: SpatialRank,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | null,
    options: AnyOptions,
    lanes = 0,
  ): ConvPlan => {
    checkOptions(op, options);
    checkTypes(op, input, weight, bias);
    const { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1 } = options;
    const biases = bias === null ? null : bias.ndim === 1 ? bias.shape[0] : bias.shape;
    const settings = [rank, stride, padding, outputPadding, dilation, groups, isExactConv(), biases, lanes];
    const key = [...settings, input.ndim, ...input.shape, ...weight.shape];
    const read = { stride, padding, outputPadding, dilation, groups };
    const makeNew = (): ConvPlan => {
      const { shape } = input;
      const operands = { weight: weight.shape, bias: bias === null ? null : bias.shape };
      const plan = make({
        op,
        rank,
        input: lanes === 0 ? shape : shapeOfImages(shape, lanes),
        ...operands,
        ...read,
      });
      if (lanes === 0) return plan;
      return { descriptor: { ...plan.descriptor, lanes }, shape: shapeInLanes(plan.shape, lanes) };
    };
    return withOwnShape(plans.get(key, makeNew));
  };
}

/**
 * Plans a convolution: input [n, c, ...] or [c, ...], weight [cOut, c / groups, ...], bias [cOut].
 * @throws DTypeError, ShapeError, ArgumentRangeError or ArgumentTypeError, naming what is wrong
 */
export const planConv = planner((call) => {
  const { op, rank, input, weight } = call;
  const { batch, channels, size, kernel } = split(call);
  const [cOut, groupChannels] = weight;
  const groups = checkGroups(op, call.groups);
  if (groups > cOut) throw shapeError(op, '', `weight.shape[0] must be >= groups (${groups})`, weight);
  checkDivisible(op, 'input', 'in_channels', channels, groups, input);
  checkDivisible(op, 'weight', 'out_channels', cOut, groups, weight);
  if (groupChannels !== channels / groups) {
    const rule = `must have weight.shape[1] = C/groups = ${channels / groups}`;
    throw shapeError(op, 'weight', `${rule} (input ${formatShape(input)}, groups ${groups})`, weight);
  }
  checkBias(call, cOut);
  const stride = steps(op, 'stride', call.stride, rank);
  const dilation = steps(op, 'dilation', call.dilation, rank);
  const padding = paddingPairs(op, call.padding, kernel, stride, dilation);
  const padded = size.map((s, d) => s + padding[d][0] + padding[d][1]);
  const tooWide = padded.find((s) => s > maxSize);
  if (tooWide !== undefined) {
    throw rangeError(
      op,
      'padding',
      `is too large: padded size ${tooWide.toPrecision(2)} exceeds limit ${maxSize}`,
      call.padding,
    );
  }
  const reach = kernel.map((k, d) => effectiveKernel(k, dilation[d]));
  if (reach.some((r, d) => r > padded[d])) {
    const rule = `effective kernel ${timesText(reach)} is larger than the padded input ${timesText(padded)}`;
    throw shapeError(op, 'weight', `is too large for input ${formatShape(input)}: ${rule}`, weight);
  }
  const out = size.map((s, d) => convOutputSize(s, kernel[d], stride[d], padding[d], dilation[d]));
  const before = padding.map(([zeros]) => zeros);
  const sizes = { in: size, kernel, out, stride, padding: before, dilation };
  return planOf(op, [...batch, cOut, ...out], { groups, cIn: channels, cOut }, sizes);
});

/**
 * Plans a transposed convolution: input [n, c, ...] or [c, ...], weight [c, cOut / groups, ...], bias [cOut]. The
 * descriptor is that of the convolution whose input gradient it is: its input is our output.
 * @throws DTypeError, ShapeError, ArgumentRangeError or ArgumentTypeError, naming what is wrong
 */
export const planConvTranspose = planner((call) => {
  const { op, rank, input, weight } = call;
  const { batch, channels, size, kernel } = split(call);
  const groups = checkGroups(op, call.groups);
  if (weight[0] !== channels) {
    const rule = `must have weight.shape[0] = C = ${channels} (input ${formatShape(input)})`;
    throw shapeError(op, 'weight', rule, weight);
  }
  checkDivisible(op, 'input', 'in_channels', channels, groups, input);
  const cOut = weight[1] * groups;
  checkBias(call, cOut);
  const stride = steps(op, 'stride', call.stride, rank);
  const dilation = steps(op, 'dilation', call.dilation, rank);
  const padding = amounts(op, 'padding', call.padding, rank);
  const outputPadding = amounts(op, 'outputPadding', call.outputPadding, rank);
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
    throw shapeError(op, 'input', `${rule} (weight ${formatShape(weight)})`, input);
  }
  const sizes = { in: out, kernel, out: size, stride, padding, dilation };
  return planOf(op, [...batch, cOut, ...out], { groups, cIn: cOut, cOut: channels }, sizes);
});

function checkTypes(op: string, input: Tensor, weight: Tensor, bias: Tensor | null): void {
  expectFloating(op, 'input', input);
  expectDTypeOf(op, 'weight', weight, input, 'input');
  if (bias !== null) expectDTypeOf(op, 'bias', bias, input, 'input');
}

/** The parts of an input [...batch, channels, ...size] and a weight [.., .., ...kernel], none of them empty but `batch`. */
function split({ op, rank, input, weight }: Call) {
  const { lead, size } = splitPlanes(op, input, rank);
  if (weight.length !== rank + 2) throw shapeError(op, 'weight', `must be ${rank + 2}-D`, weight);
  const kernel = weight.slice(2);
  weight.forEach((entry, i) => {
    if (entry >= 1) return;
    if (i < 2) throw shapeError(op, '', `weight.shape[${i}] must be >= 1`, weight);
    throw shapeError(op, 'weight', `kernel ${dimensionNames[rank][i - 2]} must be >= 1`, weight);
  });
  if (sizeOf(weight.slice(1)) > maxSize) {
    throw shapeError(op, 'weight', `kernel ${timesText(kernel)} exceeds the size limit ${maxSize}`, weight);
  }
  return { batch: lead.slice(0, -1), channels: lead[lead.length - 1], size, kernel };
}

function checkBias({ op, bias }: Call, channels: number): void {
  if (bias !== null && (bias.length !== 1 || bias[0] !== channels)) {
    throw shapeError(op, 'bias', `must have shape [${channels}]`, bias);
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

/** The plan of a call whose result has `shape`, from the sizes of each dimension. */
function planOf(
  op: string,
  shape: readonly number[],
  counts: Pick<ConvDescriptor, 'groups' | 'cIn' | 'cOut'>,
  sizes: WindowSizes,
): ConvPlan {
  checkElementCount(op, shape, 'output');
  const descriptor = {
    n: shape.length === sizes.in.length + 2 ? shape[0] : 1,
    ...counts,
    ...inThreeDimensions(sizes),
    algorithm: 0,
    exact: Number(isExactConv()),
    lanes: 0,
    packedReady: 0,
  };
  return { descriptor, shape };
}
