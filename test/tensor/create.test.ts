import { describe, expect, test } from '@jest/globals';
import {
  AllocationError,
  arange,
  full,
  isLaminaeError,
  noGrad,
  ones,
  rand,
  randn,
  ShapeError,
  tensor,
  Tensor,
  zeros,
  zerosLike,
} from '../../lib';

/** Reaches past the types, as JavaScript users do. */
const untyped: (values: unknown, options?: unknown) => Tensor = tensor as never;
const untypedZeros: (shape: unknown) => Tensor = zeros as never;

describe('tensor', () => {
  test('takes nested arrays, numbers, booleans, typed arrays and tensors', () => {
    expect(tensor([[1, -1]]).dtype).toBe('float32');
    expect(tensor(3).shape).toEqual([]);
    expect(tensor([true, false]).toArray()).toEqual([1, 0]);
    expect(tensor(true).dtype).toBe('bool');
    expect(tensor(new Float64Array([1, 2])).dtype).toBe('float64');
    expect(tensor(new Int32Array([1, 2])).dtype).toBe('int32');
    expect(tensor(new Uint8Array([1, 2])).dtype).toBe('uint8');
    expect(tensor(new Float32Array(6), { shape: [2, 3] }).shape).toEqual([2, 3]);
    expect(tensor([1, 2, 3], { dtype: 'int32' }).toTypedArray()).toEqual(new Int32Array([1, 2, 3]));
    expect(tensor([[], []]).shape).toEqual([2, 0]);
  });

  test('copies: later changes of the source do not show', () => {
    const source = new Float32Array([1, 2]);
    const t = tensor(source);
    source[0] = 9;
    expect(t.toArray()).toEqual([1, 2]);
    const shared = new Float32Array(new SharedArrayBuffer(8));
    shared[1] = 5;
    const s = tensor(shared);
    shared[1] = 6;
    expect(s.toArray()).toEqual([0, 5]);
  });

  test('of a tensor: a copy, recorded nowhere, converted as by to', () => {
    const x = tensor(
      [
        [NaN, 3e9, -1.7],
        [0.5, -0, 300],
      ],
      { requiresGrad: true },
    );
    for (const dtype of ['float32', 'float64', 'int32', 'uint8', 'bool'] as const) {
      for (const t of [x, x.T, x.narrow(1, 1, 2)]) {
        const copy = tensor(t, { dtype });
        expect([copy.shape, copy.dtype, copy.requiresGrad]).toEqual([t.shape, dtype, false]);
        expect(copy.toTypedArray()).toEqual(t.detach().to(dtype).toTypedArray());
      }
    }
    const copy = tensor(x);
    noGrad(() => x.fill_(0));
    expect(copy.toTypedArray()[2]).toBeCloseTo(-1.7);
  });

  test('row 53: a detached buffer', () => {
    const source = new Float32Array(4);
    structuredClone(source.buffer, { transfer: [source.buffer] });
    expect(() => tensor(source)).toThrow(TypeError);
    expect(() => tensor(source)).toThrow('tensor: values must not be detached (its buffer was transferred)');
    try {
      tensor(source);
    } catch (error) {
      expect(isLaminaeError(error) && error.code).toBe('ERR_DETACHED');
    }
  });

  test('row 54: a view past the end of a resizable buffer', () => {
    // Node 20 has resizable buffers; the ES2022 library types do not.
    const buffer = Reflect.construct(ArrayBuffer, [32, { maxByteLength: 64 }]) as ArrayBuffer;
    const view = new Float32Array(buffer, 16, 4);
    (Reflect.get(buffer, 'resize') as (length: number) => void).call(buffer, 8);
    expect(() => tensor(view)).toThrow('tensor: values view is out of bounds of its resizable buffer');
  });

  test('row 55: data that does not fill the shape', () => {
    expect(() => tensor([1, 2, 3, 4, 5], { shape: [2, 3] })).toThrow(ShapeError);
    expect(() => tensor([1, 2, 3, 4, 5], { shape: [2, 3] })).toThrow(
      'tensor: shape [2, 3] needs 6 values, got 5',
    );
  });

  test.each<[unknown, typeof RangeError | typeof TypeError, string]>([
    [[2, -1], RangeError, 'shape[1] must be an integer >= 0, got -1'],
    [[1.5], RangeError, 'shape[0] must be an integer >= 0, got 1.5'],
    [[NaN], RangeError, 'shape[0] must be an integer >= 0, got NaN'],
    [['3'], TypeError, 'shape[0] must be a number, got "3"'],
    [[3n], TypeError, 'shape[0] must be a number, got 3n'],
    [new Array(1), TypeError, 'shape[0] must be a number, got undefined'],
    [[2 ** 53], RangeError, 'shape element count exceeds 2^38, got [9007199254740992]'],
    [3, TypeError, 'shape must be an array of integers, got 3'],
  ])('row 56: shape %p', (shape, kind, message) => {
    expect(() => untypedZeros(shape)).toThrow(kind);
    expect(() => untypedZeros(shape)).toThrow(message);
  });

  test('row 57: a shape that changes between reads is read once', () => {
    let reads = 0;
    const shape = new Proxy([2, 3], {
      get(target, key, receiver) {
        if (key === '0') {
          reads++;
          return reads === 1 ? 2 : 1e9;
        }
        return Reflect.get(target, key, receiver) as unknown;
      },
    });
    expect(untypedZeros(shape).shape).toEqual([2, 3]);
    expect(reads).toBe(1);
  });

  test('row 58: rank above 8', () => {
    expect(() => zeros([1, 1, 1, 1, 1, 1, 1, 1, 1])).toThrow('zeros: shape rank 9 exceeds 8');
  });

  test.each<[string, unknown]>([
    ['Buffer', Buffer.alloc(4)],
    ['DataView', new DataView(new ArrayBuffer(4))],
    ['object', { length: 1 }],
    ['BigInt64Array', new BigInt64Array(1)],
    ['string', '1'],
    ['null', null],
  ])('row 59: %s where numbers are needed', (_, values) => {
    expect(() => untyped(values)).toThrow(TypeError);
    expect(() => untyped(values)).toThrow(
      /^tensor: values must be a number, nested arrays, .*\((copy|for bytes)/,
    );
  });

  test('row 60: ragged arrays', () => {
    const rule = (row: string): string => `tensor: values${row}`;
    expect(() =>
      tensor([
        [1, 2, 3],
        [4, 5],
      ]),
    ).toThrow(`${rule('[1]')} is ragged: row 1 has length 2, expected 3`);
    expect(() => tensor([1, [2]])).toThrow(`${rule('[1]')} is ragged`);
    expect(() => tensor([[1], 2])).toThrow(`${rule('[1]')} must be an array of length 1, got 2`);
    expect(() => untyped([1, 'x'])).toThrow(`${rule('[1]')} must be a number, got "x"`);
    expect(() => untyped([1n])).toThrow('(convert with Number(x))');
  });

  test('unknown dtypes', () => {
    expect(() => untyped([1], { dtype: 'float16' })).toThrow(
      'tensor: dtype must be one of float32, float64, int32, uint8, bool, got "float16"',
    );
  });
});

describe('limits', () => {
  test.each([[[2 ** 50]], [[2 ** 32, 2 ** 32]], [[2 ** 27, 2 ** 27]]])('row 27: shape %p', (shape) => {
    expect(() => zeros(shape)).toThrow('zeros: shape element count exceeds 2^38');
  });

  test('row 64: memory that cannot be had', () => {
    expect(() => zeros([2 ** 37])).toThrow(AllocationError);
    expect(() => zeros([2 ** 37])).toThrow('cannot allocate 549.8 GB');
    expect(zeros([2]).toArray()).toEqual([0, 0]);
  });
});

describe('filled tensors', () => {
  test('zeros, ones, full, zerosLike', () => {
    expect(zeros([2, 0]).numel).toBe(0);
    expect(ones([2], { dtype: 'int32' }).toTypedArray()).toEqual(new Int32Array([1, 1]));
    expect(full([2], 2.5).toArray()).toEqual([2.5, 2.5]);
    expect(zerosLike(ones([3], { dtype: 'float64' })).dtype).toBe('float64');
    expect(ones([2], { requiresGrad: true }).requiresGrad).toBe(true);
    expect(() => ones([2], { dtype: 'int32', requiresGrad: true })).toThrow(
      'requiresGrad_: tensor must be float32 or float64 to require gradients, got int32',
    );
  });

  test('arange', () => {
    expect(arange(4).toArray()).toEqual([0, 1, 2, 3]);
    expect(arange(2, 5).toArray()).toEqual([2, 3, 4]);
    expect(arange(-8, 8, 0.1).numel).toBe(160);
    expect(arange(3, 0, -1, { dtype: 'int32' }).toArray()).toEqual([3, 2, 1]);
    expect(() => arange(0, 3, -1)).toThrow('arange: step must lead from 0 towards 3, got -1');
    expect(() => arange(NaN)).toThrow('arange: end must be finite, got NaN');
  });

  test('rand and randn', () => {
    const u = rand([10000]);
    const values = [...u.toTypedArray()];
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    expect(Math.abs(u.mean().item() - 0.5)).toBeLessThan(0.02);
    const n = randn([10000]);
    expect(Math.abs(n.mean().item())).toBeLessThan(0.05);
    expect(Math.abs(n.std().item() - 1)).toBeLessThan(0.05);
  });
});

describe('values out', () => {
  test('item refuses more than one element', () => {
    expect(() => zeros([2]).item()).toThrow('item: tensor must hold exactly one element, got shape [2]');
  });

  test('size and iteration refuse dimensions that do not exist', () => {
    expect(zeros([2, 3]).size(-1)).toBe(3);
    expect(zeros([2, 3]).size()).toEqual([2, 3]);
    expect(() => zeros([2, 3]).size(2)).toThrow('size: dim must be in -2..1, got 2');
  });

  test('row 61: methods on another receiver', () => {
    const add: unknown = Reflect.get(Tensor.prototype, 'add');
    if (typeof add !== 'function') throw new Error('no method add');
    const call = (): unknown => Reflect.apply(add, {}, [1]) as unknown;
    expect(call).toThrow('add: input must be a Tensor or a number, got Object');
  });
});
