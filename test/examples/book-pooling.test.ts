// Pooling, and what the chapters before it give: the values of the book's sections.
import { describe, expect, test } from '@jest/globals';
import { pool2d } from '../../examples/book/pool2d';
import { arange, cat, F, gradcheck, nn, optim, tensor, zeros, type Tensor } from '../../lib';
import { expectValues } from '../support/expect-values';

const square = (): Tensor => arange(9).reshape(3, 3);

describe('pooling', () => {
  const X = (): Tensor => arange(16).reshape(1, 1, 4, 4);

  test('G8: from scratch on 3x3', () => {
    expect(pool2d(square(), [2, 2]).toArray()).toEqual([
      [4, 5],
      [7, 8],
    ]);
    expect(pool2d(square(), [2, 2], 'avg').toArray()).toEqual([
      [2, 3],
      [5, 6],
    ]);
    expect(pool2d(square().neg(), [2, 2]).neg().toArray()).toEqual([
      [0, 1],
      [3, 4],
    ]);
  });

  test.each([
    ['window 3', [3, 3], {}, [3, 3], [[10]]],
    [
      'padding 1, stride 2',
      [3, 3],
      { padding: [1, 1], stride: [2, 2] },
      null,
      [
        [5, 7],
        [13, 15],
      ],
    ],
    [
      '2x3',
      [2, 3],
      { padding: [0, 1], stride: [2, 3] },
      null,
      [
        [5, 7],
        [13, 15],
      ],
    ],
    [
      '2x4',
      [2, 4],
      { padding: [1, 2], stride: [2, 3] },
      null,
      [
        [1, 3],
        [9, 11],
        [13, 15],
      ],
    ],
  ] as const)('G9: MaxPool2d, %s', (_, window, options, defaultStride, expected) => {
    expect(new nn.MaxPool2d(window, options).forward(X()).at(0, 0).toArray()).toEqual(expected);
    const scratch = defaultStride === null ? options : { stride: defaultStride };
    expect(pool2d(X(), window, 'max', scratch).at(0, 0).toArray()).toEqual(expected);
  });

  test('G9: channels stay apart', () => {
    const two = cat([X(), X().add(1)], 1);
    const expected = [
      [
        [
          [5, 7],
          [13, 15],
        ],
        [
          [6, 8],
          [14, 16],
        ],
      ],
    ];
    expect(new nn.MaxPool2d(3, { padding: 1, stride: 2 }).forward(two).toArray()).toEqual(expected);
    expect(pool2d(two, [3, 3], 'max', { padding: [1, 1], stride: [2, 2] }).toArray()).toEqual(expected);
  });

  test('G9b: padding is -infinity', () => {
    const negative = X().neg().sub(1);
    const expected = [
      [
        [
          [-1, -2],
          [-5, -6],
        ],
      ],
    ];
    expect(F.maxPool2d(negative, 3, { padding: 1, stride: 2 }).toArray()).toEqual(expected);
    expect(pool2d(negative, [3, 3], 'max', { padding: [1, 1], stride: [2, 2] }).toArray()).toEqual(expected);
  });

  test('G9c: means, with and without counting the padding', () => {
    expectValues(F.avgPool2d(X(), 2), [
      [
        [
          [2.5, 4.5],
          [10.5, 12.5],
        ],
      ],
    ]);
    const counted = [
      [
        [
          [10 / 9, 24 / 9],
          [51 / 9, 10],
        ],
      ],
    ];
    expectValues(F.avgPool2d(X(), 3, { padding: 1, stride: 2 }), counted);
    expectValues(pool2d(X(), [3, 3], 'avg', { padding: [1, 1], stride: [2, 2] }), counted);
    expectValues(F.avgPool2d(X(), 3, { padding: 1, stride: 2, countIncludePad: false }), [
      [
        [
          [2.5, 4],
          [8.5, 10],
        ],
      ],
    ]);
  });

  test('gradients of the scratch pooling', () => {
    const x = tensor(
      [
        [3, 1, 4],
        [1, 5, 9],
        [2, 6, 8],
      ],
      { dtype: 'float64', requiresGrad: true },
    );
    expect(gradcheck((t) => pool2d(t, [2, 2]), [x])).toBe(true);
    expect(gradcheck((t) => pool2d(t, [2, 2], 'avg', { padding: [1, 1], stride: [2, 2] }), [x])).toBe(true);
  });
});

describe('from the chapters before', () => {
  test('G12: sums that keep their dimension', () => {
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(x.sum(0, { keepdim: true }).toArray()).toEqual([[5, 7, 9]]);
    expect(x.sum(1, { keepdim: true }).toArray()).toEqual([[6], [15]]);
  });

  test('G13: picking predictions by label', () => {
    const yHat = tensor(
      [
        [0.1, 0.3, 0.6],
        [0.3, 0.2, 0.5],
      ],
      { requiresGrad: true },
    );
    const y = tensor(new Int32Array([0, 2]));
    const picked = yHat.at([0, 1], y);
    expectValues(picked.data, [0.1, 0.5]);
    expectValues(picked.log().neg().data, [2.3026, 0.6931], 1e-4);
    expect(yHat.data.argmax(1).eq(y).to('float32').mean().item()).toBe(0.5);
    picked.sum().backward();
    expect(yHat.grad?.toArray()).toEqual([
      [1, 0, 0],
      [0, 0, 1],
    ]);
  });

  test('G14: cross entropy from large logits', () => {
    const logits = tensor(
      [
        [1, 2, 3],
        [1000, 1001, 1002],
      ],
      { requiresGrad: true },
    );
    const y = tensor(new Int32Array([0, 2]));
    const each = new nn.CrossEntropyLoss({ reduction: 'none' }).forward(logits, y);
    expectValues(each.data, [2.407606, 0.407606]);
    expectValues(F.crossEntropy(logits, y).data, 1.407606);
    each.sum().backward();
    const row = Math.E ** -2 + Math.E ** -1 + 1;
    expectValues(logits.grad?.at(0), [Math.E ** -2 / row - 1, Math.E ** -1 / row, 1 / row], 1e-7);
    expectValues(logits.grad?.at(0), [-0.9099694, 0.244728, 0.665241]);
  });

  test('G15: dropout', () => {
    const x = arange(16).reshape(2, 8);
    expect(F.dropout(x, 0).toArray()).toEqual(x.toArray());
    expect(F.dropout(x, 1).toArray()).toEqual(zeros([2, 8]).toArray());
    const half = F.dropout(x, 0.5).toTypedArray();
    half.forEach((v, i) => expect([0, 2 * i]).toContain(v));
    expect(new nn.Dropout(0.5).eval().forward(x).toArray()).toEqual(x.toArray());
  });

  test('G16: a layer without parameters; a step with weight decay', () => {
    class CenteredLayer extends nn.Module {
      override forward(X: Tensor): Tensor {
        return X.sub(X.mean());
      }
    }
    expect(new CenteredLayer().forward(tensor([1, 2, 3, 4, 5])).toArray()).toEqual([-2, -1, 0, 1, 2]);
    const w = new nn.Parameter(tensor([1]));
    w.grad = tensor([0.5]);
    new optim.SGD([w], { lr: 0.1, weightDecay: 3 }).step();
    expectValues(w.data, [0.65], 1e-7);
  });
});
