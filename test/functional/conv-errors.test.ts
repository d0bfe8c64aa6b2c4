// What convolutions refuse, and what they say: type, code, argument and the text of every message.
import { describe, expect, test } from '@jest/globals';

import { F, ones, zeros } from '../../lib';
import type { Tensor } from '../../lib';
import { isLaminaeError } from '../../lib/errors';

type Options = Record<string, unknown>;
type Kind = 'RangeError' | 'TypeError';

/** Calls conv2d with values that its types would not let through. */
const conv2d = (x: unknown, w: unknown, b: unknown = null, options: unknown = {}): Tensor =>
  F.conv2d(x as Tensor, w as Tensor, b as Tensor | null, options as Options);
const convTranspose2d = (x: unknown, w: unknown, b: unknown = null, options: unknown = {}): Tensor =>
  F.convTranspose2d(x as Tensor, w as Tensor, b as Tensor | null, options as Options);

const x = ones([1, 3, 8, 8]);
const w = ones([6, 3, 3, 3]);
const onConv = (options: Options) => (): Tensor => conv2d(x, w, null, options);

/** Name, call, kind of error, argument, and a part of the message. */
type Row = readonly [name: string, call: () => unknown, kind: Kind, argument: string, text: string];

// prettier-ignore
const rows: readonly Row[] = [
  // stride
  ['stride 0', onConv({ stride: 0 }), 'RangeError', 'stride[0]', 'conv2d: stride[0] must be an integer >= 1, got 0'],
  ['stride -1', onConv({ stride: -1 }), 'RangeError', 'stride[0]', 'stride[0] must be an integer >= 1, got -1'],
  ['stride [1, 0]', onConv({ stride: [1, 0] }), 'RangeError', 'stride[1]', 'stride[1] must be an integer >= 1, got 0'],
  ['stride 1.5', onConv({ stride: 1.5 }), 'RangeError', 'stride[0]', 'stride[0] must be an integer >= 1, got 1.5'],
  ['stride NaN', onConv({ stride: NaN }), 'RangeError', 'stride[0]', 'stride[0] must be an integer >= 1, got NaN'],
  ['stride Infinity', onConv({ stride: Infinity }), 'RangeError', 'stride[0]', 'must be an integer >= 1'],
  ['stride 2^32 + 1', onConv({ stride: 2 ** 32 + 1 }), 'RangeError', 'stride[0]', '>= 1 and <= 2147483647, got 4294967297'],
  ['stride "2"', onConv({ stride: '2' }), 'TypeError', 'stride', 'conv2d: stride must be a number or [number, number], got "2"'],
  ['stride 2n', onConv({ stride: 2n }), 'TypeError', 'stride', 'must be a number or [number, number], got 2n'],
  ['stride {}', onConv({ stride: {} }), 'TypeError', 'stride', 'must be a number or [number, number], got Object'],
  ['stride of three', onConv({ stride: [1, 2, 3] }), 'TypeError', 'stride', 'must be a number or [number, number], got [1, 2, 3]'],
  ['stride []', onConv({ stride: [] }), 'TypeError', 'stride', 'must be a number or [number, number], got []'],
  ['stride ["1", 1]', onConv({ stride: ['1', 1] }), 'TypeError', 'stride[0]', 'stride[0] must be a number, got "1"'],
  // dilation
  ['dilation 0', onConv({ dilation: 0 }), 'RangeError', 'dilation[0]', 'conv2d: dilation[0] must be >= 1, got 0'],
  ['dilation -1', onConv({ dilation: [1, -1] }), 'RangeError', 'dilation[1]', 'dilation[1] must be >= 1, got -1'],
  ['dilation 1.5', onConv({ dilation: 1.5 }), 'RangeError', 'dilation[0]', 'must be an integer >= 1, got 1.5'],
  ['dilation of three', onConv({ dilation: [1, 1, 1] }), 'TypeError', 'dilation', 'must be a number or [number, number]'],
  // padding
  ['padding -1', onConv({ padding: -1 }), 'RangeError', 'padding', 'conv2d: padding must be >= 0, got -1'],
  ['padding [1, -1]', onConv({ padding: [1, -1] }), 'RangeError', 'padding', 'padding must be >= 0, got [1, -1]'],
  ['padding [[0, -1], 1]', onConv({ padding: [[0, -1], 1] }), 'RangeError', 'padding', 'padding must be >= 0, got [0, -1]'],
  ['padding 0.5', onConv({ padding: 0.5 }), 'RangeError', 'padding', 'padding must be an integer >= 0, got 0.5'],
  ['padding of three a side', onConv({ padding: [[1, 2, 3], 1] }), 'TypeError', 'padding[0]', 'must be a number or [before, after]'],
  ['padding 2^31', onConv({ padding: 2 ** 31 }), 'RangeError', 'padding', 'padded size 4.3e+9 exceeds limit 2147483647, got 2147483648'],
  ['padding 2^62', onConv({ padding: 2 ** 62 }), 'RangeError', 'padding', 'padded size 9.2e+18 exceeds limit'],
  ['padding "foo"', onConv({ padding: 'foo' }), 'RangeError', 'padding', 'must be "same", "valid", a number >= 0, one per dimension'],
  ['padding "same", stride 2', onConv({ padding: 'same', stride: 2 }), 'RangeError', 'padding', 'padding "same" needs stride 1, got [2, 2]'],
  ['padding {}', onConv({ padding: {} }), 'TypeError', 'padding', 'must be a number or [number, number]'],
  // kernel and input size
  ['kernel larger than input', () => conv2d(ones([1, 3, 1, 1]), ones([6, 3, 10, 10])), 'RangeError', 'weight', 'effective kernel 10x10 is larger than the padded input 1x1, got [6, 3, 10, 10]'],
  ['dilated kernel larger than input', () => conv2d(ones([1, 3, 4, 4]), w, null, { dilation: 2 }), 'RangeError', 'weight', 'effective kernel 5x5 is larger than the padded input 4x4'],
  ['kernel height 0', () => conv2d(x, zeros([8, 3, 0, 3])), 'RangeError', 'weight', 'kernel height must be >= 1, got [8, 3, 0, 3]'],
  ['kernel width 0', () => conv2d(x, zeros([8, 3, 3, 0])), 'RangeError', 'weight', 'kernel width must be >= 1'],
  ['no input channels in the weight', () => conv2d(x, zeros([8, 0, 3, 3])), 'RangeError', '', 'weight.shape[1] must be >= 1'],
  ['no output channels', () => conv2d(x, zeros([0, 3, 3, 3])), 'RangeError', '', 'weight.shape[0] must be >= 1'],
  ['kernel of 2^32 elements', () => conv2d(ones([1, 1, 1, 1]), ones([1, 1, 1, 1]).expand([1, 1, 65536, 65536]), null, { padding: 65536 }), 'RangeError', 'weight', 'kernel 65536x65536 exceeds the size limit'],
  ['output of more elements than there can be', () => conv2d(ones([1, 1, 1, 1]), ones([1, 1, 1, 1]), null, { padding: 2 ** 29 }), 'RangeError', 'output', 'element count exceeds 2^38'],
  ['no channels', () => conv2d(zeros([1, 0, 8, 8]), w), 'RangeError', 'input', 'channel/spatial size must be >= 1, got [1, 0, 8, 8]'],
  ['height 0', () => conv2d(zeros([1, 3, 0, 8]), w), 'RangeError', 'input', 'channel/spatial size must be >= 1'],
  ['width 0', () => conv2d(zeros([1, 3, 8, 0]), w), 'RangeError', 'input', 'channel/spatial size must be >= 1'],
  // groups
  ['groups 0', onConv({ groups: 0 }), 'RangeError', 'groups', 'conv2d: groups must be >= 1, got 0'],
  ['groups -1', onConv({ groups: -1 }), 'RangeError', 'groups', 'groups must be >= 1, got -1'],
  ['groups 1.5', onConv({ groups: 1.5 }), 'RangeError', 'groups', 'groups must be an integer >= 1, got 1.5'],
  ['groups "1"', onConv({ groups: '1' }), 'TypeError', 'groups', 'groups must be a number, got "1"'],
  ['input channels not divisible', () => conv2d(ones([1, 4, 8, 8]), ones([6, 1, 3, 3]), null, { groups: 3 }), 'RangeError', 'input', 'in_channels 4 is not divisible by groups 3, got [1, 4, 8, 8]'],
  ['output channels not divisible', () => conv2d(ones([1, 6, 8, 8]), ones([4, 2, 3, 3]), null, { groups: 3 }), 'RangeError', 'weight', 'out_channels 4 is not divisible by groups 3, got [4, 2, 3, 3]'],
  ['more groups than output channels', () => conv2d(ones([1, 8, 8, 8]), ones([4, 1, 3, 3]), null, { groups: 8 }), 'RangeError', '', 'weight.shape[0] must be >= groups (8), got [4, 1, 3, 3]'],
  ['groups 2^53', onConv({ groups: 2 ** 53 }), 'RangeError', '', 'weight.shape[0] must be >= groups'],
  ['channels of weight and input differ', () => conv2d(x, ones([8, 4, 3, 3])), 'RangeError', 'weight', 'must have weight.shape[1] = C/groups = 3 (input [1, 3, 8, 8], groups 1), got [8, 4, 3, 3]'],
  // ranks and shapes
  ['input of rank 0', () => conv2d(ones([]), w), 'RangeError', 'input', 'expects [C,H,W] or [N,C,H,W], got []'],
  ['input of rank 2', () => conv2d(ones([8, 8]), w), 'RangeError', 'input', 'expects [C,H,W] or [N,C,H,W], got [8, 8]'],
  ['input of rank 5', () => conv2d(ones([1, 3, 1, 8, 8]), w), 'RangeError', 'input', 'expects [C,H,W] or [N,C,H,W], got [1, 3, 1, 8, 8]'],
  ['input of conv1d', () => F.conv1d(ones([8]), ones([1, 1, 1])), 'RangeError', 'input', 'conv1d: input expects [C,L] or [N,C,L], got [8]'],
  ['input of conv3d', () => F.conv3d(ones([8]), ones([1, 1, 1, 1, 1])), 'RangeError', 'input', 'expects [C,D,H,W] or [N,C,D,H,W]'],
  ['weight of rank 3', () => conv2d(x, ones([6, 3, 3])), 'RangeError', 'weight', 'conv2d: weight must be 4-D, got [6, 3, 3]'],
  ['weight of rank 5', () => conv2d(x, ones([6, 3, 3, 3, 3])), 'RangeError', 'weight', 'weight must be 4-D, got [6, 3, 3, 3, 3]'],
  ['bias of another length', () => conv2d(x, w, ones([8])), 'RangeError', 'bias', 'conv2d: bias must have shape [6], got [8]'],
  ['bias of rank 2', () => conv2d(x, w, ones([6, 1])), 'RangeError', 'bias', 'bias must have shape [6], got [6, 1]'],
  // types
  ['float64 weight', () => conv2d(x, w.to('float64')), 'TypeError', 'weight', 'must have the dtype of input, float32, got float64'],
  ['float64 bias', () => conv2d(x, w, ones([6], { dtype: 'float64' })), 'TypeError', 'bias', 'dtype of input, float32, got float64'],
  ['int32 input', () => conv2d(x.to('int32'), w), 'TypeError', 'input', 'must be float32 or float64, got int32'],
  ['bool input', () => conv2d(x.to('bool'), w), 'TypeError', 'input', "(convert with input.to('float32'))"],
  ['an array as input', () => conv2d([[1]], w), 'TypeError', 'input', 'input must be a Tensor'],
  ['an array as weight', () => conv2d(x, new Float32Array(9)), 'TypeError', 'weight', 'weight must be a Tensor'],
  ['a number as bias', () => conv2d(x, w, 1), 'TypeError', 'bias', 'bias must be a Tensor'],
  // transposed
  ['transposed: channels of weight and input differ', () => convTranspose2d(x, ones([4, 2, 3, 3])), 'RangeError', 'weight', 'convTranspose2d: weight must have weight.shape[0] = C = 3 (input [1, 3, 8, 8]), got [4, 2, 3, 3]'],
  ['transposed: outputPadding as large as stride and dilation', () => convTranspose2d(x, ones([3, 2, 3, 3]), null, { stride: 2, outputPadding: [1, 2] }), 'RangeError', 'outputPadding[1]', 'outputPadding[1] must be < max(stride, dilation) = 2, got 2'],
  ['transposed: outputPadding -1', () => convTranspose2d(x, ones([3, 2, 3, 3]), null, { outputPadding: -1 }), 'RangeError', 'outputPadding', 'outputPadding must be >= 0, got -1'],
  ['transposed: no output left', () => convTranspose2d(ones([1, 3, 1, 2]), ones([3, 2, 3, 3]), null, { padding: [2, 1] }), 'RangeError', 'input', 'output size -1x2 must be in 1..2147483647 in every dimension (weight [3, 2, 3, 3]), got [1, 3, 1, 2]'],
  ['transposed: output too large', () => convTranspose2d(ones([1, 3, 9, 2]), ones([3, 2, 3, 3]), null, { stride: 2 ** 30 }), 'RangeError', 'input', 'must be in 1..2147483647'],
  ['transposed: padding "same"', () => convTranspose2d(x, ones([3, 2, 3, 3]), null, { padding: 'same' }), 'TypeError', 'padding', 'must be a number or [number, number], got "same"'],
  ['transposed: stride 0', () => convTranspose2d(x, ones([3, 2, 3, 3]), null, { stride: 0 }), 'RangeError', 'stride[0]', 'convTranspose2d: stride[0] must be an integer >= 1, got 0'],
  ['transposed: groups', () => convTranspose2d(x, ones([3, 2, 3, 3]), null, { groups: 2 }), 'RangeError', 'input', 'in_channels 3 is not divisible by groups 2'],
  ['transposed: bias', () => convTranspose2d(x, ones([3, 2, 3, 3]), ones([3])), 'RangeError', 'bias', 'bias must have shape [2], got [3]'],
];

describe('convolutions refuse', () => {
  test.each(rows.map((row) => [row[0], row] as const))('%s', (_, [, call, kind, argument, text]) => {
    let caught: unknown;
    try {
      call();
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(kind === 'RangeError' ? RangeError : TypeError);
    if (!isLaminaeError(caught)) throw new Error('not an error of the package');
    expect(caught.argument).toBe(argument);
    expect(caught.message).toContain(text);
  });

  test('a gradient of another shape, leaving everything as it was', () => {
    const input = ones([1, 3, 8, 8]).requiresGrad_();
    const y = F.conv2d(input, w);
    for (const shape of [[1, 6, 6, 5], [0, 6, 6, 6], []]) {
      expect(() => y.backward(ones(shape))).toThrow('gradient must have shape [1, 6, 6, 6], got [');
    }
    expect(input.grad).toBeNull();
    y.backward(ones(y.shape));
    expect(input.grad?.shape).toEqual([1, 3, 8, 8]);
    expect(() => y.backward(ones(y.shape))).toThrow(expect.objectContaining({ code: 'ERR_GRAPH_FREED' }));
  });

  test('a backward pass after an edit of input or weight', () => {
    for (const edited of [0, 1]) {
      const operands = [ones([1, 3, 8, 8]), ones([6, 3, 3, 3])].map((t) => t.requiresGrad_());
      const y = F.conv2d(operands[0], operands[1]);
      operands[edited].detach().mul_(2);
      expect(() => y.backward(ones(y.shape))).toThrow(
        expect.objectContaining({ code: 'ERR_MODIFIED_IN_PLACE' }),
      );
    }
  });

  test('a size list is read once', () => {
    let reads = 0;
    const shifty = new Proxy([1, 1], {
      get(target, key, receiver): unknown {
        if (key === '0') reads++;
        return key === '0' && reads > 1 ? -5 : Reflect.get(target, key, receiver);
      },
    });
    expect(F.conv2d(x, w, null, { stride: shifty }).shape).toEqual([1, 6, 6, 6]);
    expect(reads).toBe(1);
  });
});
