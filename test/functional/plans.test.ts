import { describe, expect, it } from '@jest/globals';
import { F, ShapeError, setExactConv, tensor, ones, zeros } from '../../lib';
import { Plans } from '../../lib/functional/plans';

describe('Plans', () => {
  it('makes a plan once for the same numbers and words', () => {
    const plans = new Plans<number>();
    let made = 0;
    const get = (...key: unknown[]): number => plans.get(key, () => ++made);
    expect([get(1, 2, 'same'), get(1, 2, 'same'), get(1, 2, undefined), get(1, 2, null)]).toEqual([
      1, 1, 2, 3,
    ]);
    expect([get(1, 2), get(2, 1), get(1, 2, 'same'), get(1, 2, undefined)]).toEqual([4, 5, 1, 2]);
  });

  it('never finds what was made of a list', () => {
    const plans = new Plans<number>();
    const list = [1, 2];
    expect(plans.get([list], () => 1)).toBe(1);
    list[0] = 5;
    expect(plans.get([list], () => 2)).toBe(2);
  });

  it('forgets when there are too many, and gives the right one all the same', () => {
    const plans = new Plans<string>();
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 2000; i++) expect(plans.get([i, i % 7], () => `${i}`)).toBe(`${i}`);
    }
  });

  it('keeps nothing of a plan that cannot be made', () => {
    const plans = new Plans<number>();
    const fail = (): number => {
      throw new RangeError('no');
    };
    expect(() => plans.get([1], fail)).toThrow('no');
    expect(plans.get([1], () => 7)).toBe(7);
  });
});

describe('layers that were planned before', () => {
  const x = ones([1, 2, 6, 6]);
  const weight = ones([3, 2, 3, 3]);

  it('follow options that were edited', () => {
    const stride = [1, 1];
    const options = { stride, padding: 0 };
    expect(F.conv2d(x, weight, null, options).shape).toEqual([1, 3, 4, 4]);
    stride[0] = 3;
    expect(F.conv2d(x, weight, null, options).shape).toEqual([1, 3, 2, 4]);
    options.padding = 1;
    expect(F.conv2d(x, weight, null, options).shape).toEqual([1, 3, 2, 6]);
    const up = { stride: 2, outputPadding: 0 };
    expect(F.convTranspose2d(x, ones([2, 1, 2, 2]), null, up).shape).toEqual([1, 1, 12, 12]);
    up.outputPadding = 1;
    expect(F.convTranspose2d(x, ones([2, 1, 2, 2]), null, up).shape).toEqual([1, 1, 13, 13]);
    const kernel = [2, 2];
    expect(F.maxPool2d(x, kernel).shape).toEqual([1, 2, 3, 3]);
    kernel[1] = 3;
    expect(F.maxPool2d(x, kernel).shape).toEqual([1, 2, 3, 2]);
  });

  it('do not depend on what a caller does to the shape of a result', () => {
    const layers = [
      () => F.conv2d(x, weight, null, { padding: 1 }),
      () => F.convTranspose2d(x, weight.transpose(0, 1), null, { padding: 1 }),
      () => F.maxPool2d(x, 2),
      () => F.avgPool2d(x, 3),
      () => F.adaptiveAvgPool2d(x, 4),
      () => F.adaptiveMaxPool2d(x, 4),
    ];
    for (const layer of layers) {
      const shape = [...layer().shape];
      (layer().shape as number[]).reverse();
      expect(layer().shape).toEqual(shape);
    }
  });

  it('are checked as at the first call', () => {
    const bias = zeros([3]);
    for (let i = 0; i < 2; i++) {
      expect(F.conv2d(x, weight, bias).shape).toEqual([1, 3, 4, 4]);
      expect(() => F.conv2d(x, weight, zeros([4]))).toThrow(ShapeError);
      expect(() => F.conv2d(x, weight, zeros([3, 1]))).toThrow(ShapeError);
      expect(() => F.conv1d(x, weight)).toThrow(ShapeError);
      expect(() => F.conv3d(x, weight)).toThrow(ShapeError);
      expect(() => F.conv2d(x.to('float64'), weight, bias)).toThrow('dtype');
      expect(() => F.conv2d(x, weight, bias.to('float64'))).toThrow('dtype');
      expect(() => F.conv2d(x, tensor([1]), bias)).toThrow(ShapeError);
      expect(F.convTranspose2d(x, ones([2, 3, 3, 3]), bias).shape).toEqual([1, 3, 8, 8]);
      expect(() => F.convTranspose2d(x, ones([2, 3, 3, 3]), zeros([4]))).toThrow(ShapeError);
    }
    // The same numbers one after the other, but shared out in another way.
    expect(() => F.conv2d(ones([1, 2, 6, 6, 3]), ones([2, 3, 3]))).toThrow(ShapeError);
  });

  it('follow setExactConv', () => {
    const image = ones([4, 32, 32, 32]);
    const kernels = ones([32, 32, 3, 3]);
    const run = (): number => F.conv2d(image, kernels, null, { padding: 1 }).sum().item();
    const before = run();
    setExactConv(true);
    try {
      expect(run()).toBe(
        F.conv2d(image, kernels, null, { padding: [1, 1] })
          .sum()
          .item(),
      );
    } finally {
      setExactConv(false);
    }
    expect(run()).toBe(before);
  });
});
