/** Where the tensors of a safetensors file lie in its data. */
import { describe, expect, test } from '@jest/globals';
import { parseSafetensors } from '../../lib/io/safetensors';
import { entry, file, oneByte, refusal } from '../support/safetensors';

describe('row 72: layout', () => {
  const two = (a: string, b: string, size: number): Uint8Array =>
    file(`{"a":${a},"b":${b}}`, new Uint8Array(size));

  test.each([
    ['end before begin', two(entry('U8', '[0]', '[4,0]'), entry('U8', '[4]', '[0,4]'), 4), 'bytes 4..0'],
    ['hole', two(entry('U8', '[4]', '[0,4]'), entry('U8', '[4]', '[8,12]'), 12), 'bytes 4..8 unused'],
    [
      'first does not begin at 0',
      file(`{"a":${entry('U8', '[4]', '[8,12]')}}`, new Uint8Array(12)),
      'bytes 0..8 unused',
    ],
    [
      'bytes after the last',
      file(`{"a":${entry('U8', '[4]', '[0,4]')}}`, new Uint8Array(9)),
      'bytes 4..9 unused',
    ],
    ['data without tensors', file('{}', new Uint8Array(3)), 'bytes 0..3 unused'],
    [
      'overlap',
      two(entry('U8', '[8]', '[0,8]'), entry('U8', '[8]', '[4,12]'), 12),
      'bytes 4..12, which overlaps "a"',
    ],
    [
      'same bytes twice',
      two(entry('U8', '[8]', '[0,8]'), entry('U8', '[8]', '[0,8]'), 8),
      'bytes 0..8, which overlaps "a"',
    ],
    [
      'empty tensor inside another',
      two(entry('U8', '[8]', '[0,8]'), entry('U8', '[0]', '[4,4]'), 8),
      'bytes 4..4, which overlaps "a"',
    ],
    ['end after the file', file(`{"a":${entry('U8', '[8]', '[0,8]')}}`, new Uint8Array(7)), 'bytes 0..8'],
    [
      'far after the file',
      file(`{"a":${entry('U8', '[8]', '[4503599627370496,4503599627370504]')}}`),
      'bytes 4503599627370496..4503599627370504',
    ],
  ])('%s', (_, bytes, received) => {
    expect(refusal(bytes)).toMatchObject({ received, code: 'ERR_MODEL_FORMAT', offset: expect.any(Number) });
  });

  test('the offset of unused bytes is that in the file', () => {
    const header = `{"a":${entry('U8', '[4]', '[0,4]')}}`;
    expect(refusal(file(header, new Uint8Array(9))).offset).toBe(8 + header.length + 4);
  });

  test('empty tensors may share an offset', () => {
    const header = `{"a":${entry('F32', '[0]', '[0,0]')},"b":${oneByte},"c":${entry('F64', '[2,0]', '[1,1]')},"d":${entry('U8', '[0]', '[1,1]')}}`;
    const { tensors } = parseSafetensors(file(header, [9]));
    expect([...tensors.values()].map((t) => t.data.length)).toEqual([0, 1, 0, 0]);
  });

  test('the header need not be in the order of the data', () => {
    const { tensors } = parseSafetensors(file(`{"b":${entry('U8', '[1]', '[1,2]')},"a":${oneByte}}`, [7, 8]));
    expect(tensors.get('a')?.data).toEqual(Uint8Array.of(7));
    expect(tensors.get('b')?.data).toEqual(Uint8Array.of(8));
  });
});

test('row 73: size that differs from shape x dtype, with both numbers', () => {
  const error = refusal(
    file(`{"w":${entry('F32', '[2,3]', '[0,20]')}}`, new Uint8Array(20)),
    '/data/w.safetensors',
  );
  expect(error.message).toBe(
    'safetensors: tensor "w" must have 24 bytes for F32 [2, 3], got 20 (0..20) (at byte 9 of "/data/w.safetensors")',
  );
  expect(error).toMatchObject({ path: '/data/w.safetensors', offset: 9, node: 'w' });
});
