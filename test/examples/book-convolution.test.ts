// Cross-correlation: the values of the book's sections, most of them small enough to check by hand.
import { describe, expect, test } from '@jest/globals';
import { bandImage, edgeKernel, learnKernel } from '../../examples/book/edge-detection';
import { twoChannelKernel, twoChannels } from '../../examples/book/channels-data';
import { Conv2D, corr1x1, corr2d, corr2dMultiIn, corr2dMultiInOut, zip } from '../../examples/book/corr2d';
import { paddingCases } from '../../examples/book/padding-and-stride';
import {
  arange,
  F,
  gradcheck,
  matmul,
  manualSeed,
  nn,
  noGrad,
  normal,
  ones,
  randn,
  stack,
  tensor,
  zeros,
  type Tensor,
} from '../../lib';
import { expectValues } from '../support/expect-values';

const kernel = (): Tensor =>
  tensor([
    [0, 1],
    [2, 3],
  ]);
const square = (): Tensor => arange(9).reshape(3, 3);

describe('cross-correlation', () => {
  test('G1: the 3x3 example, and the true convolution', () => {
    expect(corr2d(square(), kernel()).toArray()).toEqual([
      [19, 25],
      [37, 43],
    ]);
    expect(corr2d(square(), kernel().flip([0, 1])).toArray()).toEqual([
      [5, 11],
      [23, 29],
    ]);
    const x = square().reshape(1, 1, 3, 3);
    expect(
      F.conv2d(x, kernel().reshape(1, 1, 2, 2))
        .reshape(2, 2)
        .toArray(),
    ).toEqual([
      [19, 25],
      [37, 43],
    ]);
  });

  test('G2: edges of the band, none on the transposed image', () => {
    const Y = corr2d(bandImage(), edgeKernel());
    expect(Y.toArray()).toEqual(new Array(6).fill([0, 1, 0, 0, 0, -1, 0]));
    expect(corr2d(bandImage().T, edgeKernel()).toArray()).toEqual(zeros([8, 5]).toArray());
  });

  /** One layer with the kernel w0, in the form its input has. */
  const learners: Readonly<
    Record<string, (w0: number[]) => [nn.Module & { weight: Tensor }, Tensor, Tensor]>
  > = {
    'nn.Conv2d': (w0) => {
      const layer = new nn.Conv2d(1, 1, [1, 2], { bias: false });
      layer.weight.data.copy_(tensor(w0).reshape(1, 1, 1, 2));
      const X = bandImage();
      return [layer, X.reshape(1, 1, 6, 8), corr2d(X, edgeKernel()).reshape(1, 1, 6, 7)];
    },
    'Conv2D from scratch': (w0) => {
      const layer = new Conv2D([1, 2]);
      layer.weight.data.copy_(tensor(w0).reshape(1, 2));
      layer.bias.requiresGrad_(false);
      return [layer, bandImage(), corr2d(bandImage(), edgeKernel())];
    },
  };

  describe.each(Object.entries(learners))('learnt by %s', (_, make) => {
    test('G3: from zeros', () => {
      const [layer, X, Y] = make([0, 0]);
      expect(learnKernel(layer, X, Y, 1, 0)).toEqual([12]);
      expectValues(layer.weight.grad?.reshape(-1), [-12, 12]);
      const losses = learnKernel(layer, X, Y, 10, 3e-2);
      expectValues(
        tensor([1, 3, 5, 7, 9].map((i) => losses[i])),
        [4.9152, 0.824634, 0.138351, 0.023211, 0.003894],
      );
      expectValues(layer.weight.data.reshape(-1), [0.988471, -0.988471]);
    });

    test('G3b: from halves', () => {
      const [layer, X, Y] = make([0.5, 0.5]);
      const losses = learnKernel(layer, X, Y, 10, 3e-2);
      expectValues(
        tensor([1, 3, 5, 7, 9].map((i) => losses[i])),
        [14.5152, 4.756794, 1.748963, 0.682918, 0.27411],
        2e-6,
      );
      expectValues(layer.weight.data.reshape(-1), [1.042158, -0.934784]);
    });

    test('diverges above lr 1/30, as the Hessian eigenvalue 60 says', () => {
      const [layer, X, Y] = make([0.5, 0.5]);
      const losses = learnKernel(layer, X, Y, 10, 0.035);
      expect(losses[9]).toBeGreaterThan(losses[0]);
    });
  });

  test('the scratch layer with bias follows gradient descent done by hand', () => {
    const layer = new Conv2D([1, 2]);
    layer.weight.data.copy_(tensor([[0.5, -0.25]]));
    const losses = learnKernel(layer, bandImage(), corr2d(bandImage(), edgeKernel()), 20, 1e-2);
    // Every row of the image is the same: left pixel, right pixel, edge.
    const pairs = [
      [1, 1, 0], [1, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, -1], [1, 1, 0],
    ]; // prettier-ignore
    let [u, v, bias] = [0.5, -0.25, 0];
    const expected = losses.map(() => {
      let [loss, du, dv, db] = [0, 0, 0, 0];
      for (const [left, right, y] of pairs) {
        const error = u * left + v * right + bias - y;
        loss += 6 * error ** 2;
        du += 12 * error * left;
        dv += 12 * error * right;
        db += 12 * error;
      }
      [u, v, bias] = [u - 0.01 * du, v - 0.01 * dv, bias - 0.01 * db];
      return loss;
    });
    expectValues(tensor(losses), expected, 1e-5);
    expectValues(layer.weight.data, [[u, v]], 1e-5);
    expectValues(layer.bias.data, [bias], 1e-5);
    expect(losses[19]).toBeLessThan(losses[0] / 50);
  });

  test('gradients through indexed assignment', () => {
    const X = randn([4, 3], { dtype: 'float64', requiresGrad: true });
    const K = randn([2, 2], { dtype: 'float64', requiresGrad: true });
    expect(gradcheck((x, k) => corr2d(x, k), [X, K])).toBe(true);
  });

  test('G4: padding, and stride', () => {
    const x = square().reshape(1, 1, 3, 3);
    const k = kernel().reshape(1, 1, 2, 2);
    expect(F.conv2d(x, k, null, { padding: 1 }).at(0, 0).toArray()).toEqual([
      [0, 3, 8, 4],
      [9, 19, 25, 10],
      [21, 37, 43, 16],
      [6, 7, 8, 0],
    ]);
    expect(
      F.conv2d(x, k, null, { padding: 1, stride: [3, 2] })
        .at(0, 0)
        .toArray(),
    ).toEqual([
      [0, 8],
      [6, 8],
    ]);
  });

  test('G5: output sizes', () => {
    const sizes = paddingCases.map(([, make]) =>
      make()
        .forward(zeros([1, 1, 8, 8]))
        .shape.slice(2),
    );
    expect(sizes).toEqual([
      [8, 8],
      [8, 8],
      [4, 4],
      [2, 2],
    ]);
    let y = zeros([1, 1, 240, 240]);
    const conv = new nn.Conv2d(1, 1, 5);
    for (let i = 0; i < 10; i++) y = noGrad(() => conv.forward(y));
    expect(y.shape).toEqual([1, 1, 200, 200]);
  });

  test('G6: several channels in and out', () => {
    const X = twoChannels();
    const K = twoChannelKernel();
    expect(corr2dMultiIn(X, K).toArray()).toEqual([
      [56, 72],
      [104, 120],
    ]);
    const stacked = stack([K, K.add(1), K.add(2)]);
    expect(stacked.shape).toEqual([3, 2, 2, 2]);
    const expected = [
      [
        [56, 72],
        [104, 120],
      ],
      [
        [76, 100],
        [148, 172],
      ],
      [
        [96, 128],
        [192, 224],
      ],
    ];
    expect(corr2dMultiInOut(X, stacked).toArray()).toEqual(expected);
    expect(F.conv2d(X, stacked).toArray()).toEqual(expected);
  });

  test('G7: a 1x1 convolution is a matrix product', () => {
    manualSeed(0);
    const X = normal(0, 1, [3, 3, 3], { dtype: 'float64' });
    const K = normal(0, 1, [2, 3, 1, 1], { dtype: 'float64' });
    const difference = (x: Tensor, k: Tensor): number =>
      corr1x1(x, k).sub(corr2dMultiInOut(x, k)).abs().sum().item();
    expect(difference(X, K)).toBeLessThan(1e-12);
    // Both ways round each of three products and their sums: at most 3 units of the sum of magnitudes, each.
    const magnitude = matmul(K.abs().reshape(2, 3), X.abs().reshape(3, 9)).sum().item();
    expect(difference(X.to('float32'), K.to('float32'))).toBeLessThan(6 * 2 ** -24 * magnitude);
    expectValues(F.conv2d(X, K), corr1x1(X, K).toArray());
  });

  test('G10: gradients of G1', () => {
    const X = square().requiresGrad_();
    const K = kernel().requiresGrad_();
    const check = (): void => {
      expect(K.grad?.toArray()).toEqual([
        [8, 12],
        [20, 24],
      ]);
      expect(X.grad?.toArray()).toEqual([
        [0, 1, 1],
        [2, 6, 4],
        [2, 5, 3],
      ]);
      K.clearGrad();
      X.clearGrad();
    };
    corr2d(X, K).backward(ones([2, 2]));
    check();
    F.conv2d(X.reshape(1, 1, 3, 3), K.reshape(1, 1, 2, 2)).backward(ones([1, 1, 2, 2]));
    check();
  });

  test('G11: two channels, bias, stride and padding, with all gradients', () => {
    const X = arange(32).reshape(1, 2, 4, 4).requiresGrad_();
    const W = tensor(
      Array.from({ length: 36 }, (_, i) => (i % 7) - 3),
      { shape: [2, 2, 3, 3] },
    ).requiresGrad_();
    const b = tensor([0.5, -1], { requiresGrad: true });
    const y = F.conv2d(X, W, b, { stride: 2, padding: 1 });
    expect(y.toArray()).toEqual([
      [
        [
          [-42.5, -41.5],
          [-58.5, -73.5],
        ],
        [
          [26, 50],
          [-45, 31],
        ],
      ],
    ]);
    y.sum().backward();
    const dW = [
      [
        [5, 10, 12],
        [10, 20, 24],
        [18, 36, 40],
      ],
      [
        [21, 42, 44],
        [42, 84, 88],
        [50, 100, 104],
      ],
    ];
    expect(b.grad?.toArray()).toEqual([4, 4]);
    expect(W.grad?.toArray()).toEqual([dW, dW]);
    expect(X.grad?.toArray()).toEqual([
      [
        [
          [-1, -2, -1, 1],
          [-2, 3, -2, 2],
          [-1, -2, -1, 1],
          [-2, 3, -2, 0],
        ],
        [
          [3, -1, 3, -2],
          [-1, -2, -1, -4],
          [3, -1, 3, -2],
          [2, -3, 2, -3],
        ],
      ],
    ]);
  });

  test('zip stops with the shorter one', () => {
    expect(zip([1, 2, 3], 'ab')).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
  });
});
