/** safetensors: golden bytes, dtypes, alignment, round trips, and damaged files. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ArgumentTypeError, ModelFormatError } from '../../lib/errors';
import { int32FromInt64, parseSafetensors, serializeSafetensors } from '../../lib/io/safetensors';
import type { SafetensorsTensor } from '../../lib/io/safetensors';
import { entry, file, float32, oneByte, refusal } from '../support/safetensors';
import { thrownBy } from '../support/thrown-by';

describe('golden bytes', () => {
  // Written by the reference implementation from the tensors below.
  const golden = Buffer.concat([
    Buffer.from([0xf0, 1, 0, 0, 0, 0, 0, 0]),
    Buffer.from(
      '{"__metadata__":{"a":"z","format":"pt"},' +
        '"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},' +
        '"q\\"\\n\u00e9":{"dtype":"F64","shape":[1],"data_offsets":[8,16]},' +
        '"b":{"dtype":"F32","shape":[1],"data_offsets":[16,20]},' +
        '"w":{"dtype":"F32","shape":[2,3],"data_offsets":[20,44]},' +
        '"\ufb01":{"dtype":"I32","shape":[1],"data_offsets":[44,48]},' +
        '"\u{1f600}":{"dtype":"I32","shape":[1],"data_offsets":[48,52]},' +
        '"u":{"dtype":"U8","shape":[0],"data_offsets":[52,52]},' +
        '"m":{"dtype":"BOOL","shape":[3],"data_offsets":[52,55]}}       ',
    ),
    Buffer.from('0700000000000000' + '000000000000f03f' + '0000803f', 'hex'),
    Buffer.from('000000000000803f00000040000040400000804' + '00000a040', 'hex'),
    Buffer.from('03000000' + 'feffffff' + '010001', 'hex'),
  ]);
  const tensors = new Map<string, SafetensorsTensor>([
    ['w', float32([2, 3], [0, 1, 2, 3, 4, 5])],
    ['m', { dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) }],
    ['n', { dtype: 'int64', shape: [], data: BigInt64Array.of(7n) }],
    ['\u{1f600}', { dtype: 'int32', shape: [1], data: Int32Array.of(-2) }],
    ['\ufb01', { dtype: 'int32', shape: [1], data: Int32Array.of(3) }],
    ['u', { dtype: 'uint8', shape: [0], data: new Uint8Array(0) }],
    ['b', float32([1], [1])],
    ['q"\n\u00e9', { dtype: 'float64', shape: [1], data: Float64Array.of(1) }],
  ]);
  const metadata = new Map([
    ['format', 'pt'],
    ['a', 'z'],
  ]);

  test('are what we write, whatever the order of the maps', () => {
    expect(Buffer.from(serializeSafetensors(tensors, metadata)).equals(golden)).toBe(true);
    const reversed = new Map([...tensors].reverse());
    expect(Buffer.from(serializeSafetensors(reversed, new Map([...metadata].reverse()))).equals(golden)).toBe(
      true,
    );
  });

  test('are what we read', () => {
    const read = parseSafetensors(golden);
    expect(read.metadata).toEqual(metadata);
    expect(read.tensors).toEqual(tensors);
    expect([...read.tensors.keys()]).toEqual(['n', 'q"\n\u00e9', 'b', 'w', '\ufb01', '\u{1f600}', 'u', 'm']);
  });

  test('no tensors and no metadata give the shortest file', () => {
    expect(Buffer.from(serializeSafetensors(new Map())).toString('latin1')).toBe(
      '\x08\0\0\0\0\0\0\0{}      ',
    );
    expect(parseSafetensors(serializeSafetensors(new Map()))).toEqual({
      metadata: new Map(),
      tensors: new Map(),
    });
  });

  test('white space between the tokens, any order of keys and escapes are JSON all the same', () => {
    const header =
      ' \n{ "w\\u00e9\\/\\ud83d\\ude00" :\r\n{"data_offsets" : [ 0 , 2 ],\t"shape":[ 2 ],"dtype":"U8"} }  ';
    const read = parseSafetensors(file(header.trimStart(), [5, 6]));
    expect(read.tensors).toEqual(
      new Map([['w\u00e9/\u{1f600}', { dtype: 'uint8', shape: [2], data: Uint8Array.of(5, 6) }]]),
    );
  });
});

describe('dtypes', () => {
  test('F16 and BF16 are widened to float32', () => {
    const halves = [
      0x0000, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x0400, 0x7c00, 0xfc00, 0x7e00, 0x3555,
    ];
    const brains = [0x3f80, 0xc000, 0x7f80, 0xff80, 0x7fc0, 0x0001, 0x8000];
    const header = `{"h":${entry('F16', '[12]', '[0,24]')},"b":${entry('BF16', '[7]', '[24,38]')}}`;
    const { tensors } = parseSafetensors(
      file(header, new Uint8Array(Uint16Array.of(...halves, ...brains).buffer)),
    );
    const expectedHalves = [
      0,
      -0,
      1,
      -2,
      65504,
      2 ** -24,
      1023 * 2 ** -24,
      2 ** -14,
      Infinity,
      -Infinity,
      NaN,
      1365 / 4096,
    ];
    const expectedBrains = [1, -2, Infinity, -Infinity, NaN, 2 ** -133, -0];
    expect(tensors.get('h')).toEqual(float32([12], expectedHalves));
    expect(tensors.get('b')).toEqual(float32([7], expectedBrains));
  });

  test('I64 is read exactly, and narrows to int32 only when every value fits', () => {
    const data = BigInt64Array.of(-(2n ** 63n), 2n ** 53n + 1n, 2n ** 31n - 1n, -(2n ** 31n));
    const { tensors } = parseSafetensors(
      serializeSafetensors(new Map([['n', { dtype: 'int64', shape: [4], data }]])),
    );
    expect(tensors.get('n')?.data).toEqual(data);
    expect(int32FromInt64(data.slice(2), 'n')).toEqual(Int32Array.of(2 ** 31 - 1, -(2 ** 31)));
    const error = thrownBy(() => int32FromInt64(data, 'n', 'm.safetensors'), ModelFormatError);
    expect(error).toMatchObject({
      code: 'ERR_MODEL_UNSUPPORTED',
      node: 'n',
      received: '-9223372036854775808',
    });
  });

  test('values may be NaN with any payload', () => {
    const data = new Float32Array(Uint32Array.of(0x7fc12345).buffer);
    const bytes = serializeSafetensors(new Map([['w', { dtype: 'float32', shape: [1], data }]]));
    expect(Buffer.from(bytes.subarray(-4)).readUInt32LE()).toBe(0x7fc12345);
  });

  test('BOOL holds only 0 and 1', () => {
    const error = refusal(file(`{"m":${entry('BOOL', '[2]', '[0,2]')}}`, [1, 2]));
    expect(error).toMatchObject({ node: 'm', received: '2', code: 'ERR_MODEL_FORMAT' });
    expect(error.offset).toBe(8 + `{"m":${entry('BOOL', '[2]', '[0,2]')}}`.length + 1);
  });
});

describe('row 78: alignment', () => {
  test.each([0, 1, 2, 3, 4, 5, 6, 7])('data %i bytes off loads right and shares no memory', (shift) => {
    const spaces = ' '.repeat(shift);
    const values = Float64Array.of(1.5, -2.5);
    const bytes = file(`{"w":${entry('F64', '[2]', '[0,16]')}}${spaces}`, new Uint8Array(values.buffer));
    const tensor = parseSafetensors(bytes).tensors.get('w');
    bytes.fill(0);
    expect(tensor?.data).toEqual(values);
  });

  test('an odd offset inside the data, and bytes that are themselves a view', () => {
    const header = `{"a":${oneByte},"w":${entry('F32', '[1]', '[1,5]')}}`;
    const whole = Buffer.concat([Buffer.alloc(3), file(header, [1, 0, 0, 0x80, 0x3f])]);
    expect(parseSafetensors(whole.subarray(3)).tensors.get('w')?.data).toEqual(Float32Array.of(1));
  });

  test('bytes in shared memory', () => {
    const bytes = serializeSafetensors(new Map([['w', float32([1], [3])]]));
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    expect(parseSafetensors(shared).tensors.get('w')?.data).toEqual(Float32Array.of(3));
  });
});

test('row 59: bytes that are no Uint8Array', () => {
  const parse: (bytes: never) => unknown = parseSafetensors;
  const error = thrownBy(() => parse(new ArrayBuffer(8) as never), ArgumentTypeError);
  expect(error.message).toBe(
    'safetensors: bytes must be a Uint8Array, got ArrayBuffer (wrap an ArrayBuffer: new Uint8Array(buffer))',
  );
});

describe('damaged files', () => {
  const bytes = serializeSafetensors(
    new Map<string, SafetensorsTensor>([
      ['conv.weight', float32([2, 1, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8])],
      ['bn.num_batches_tracked', { dtype: 'int64', shape: [], data: BigInt64Array.of(3n) }],
      ['mask', { dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) }],
    ]),
    new Map([['format', 'pt']]),
  );

  test('cut at every byte', () => {
    for (let size = 0; size < bytes.length; size++) {
      expect(refusal(bytes.slice(0, size)).code).toBe('ERR_MODEL_FORMAT');
    }
  });

  test('any bytes changed: loads or is refused with a ModelFormatError', () => {
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    const property = fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      const damaged = bytes.slice();
      for (const [position, value] of changes) damaged[position] = value;
      try {
        for (const { shape, data } of parseSafetensors(damaged).tensors.values()) {
          expect(data.length).toBe(shape.reduce((product, d) => product * d, 1));
        }
      } catch (error) {
        if (!(error instanceof ModelFormatError)) throw error;
      }
    });
    fc.assert(property, { numRuns: 5000, seed: 1 });
  });

  test('round trip of any content', () => {
    const tensor = fc.array(fc.nat(3), { maxLength: 4 }).chain((shape) => {
      const length = shape.reduce((product, d) => product * d, 1);
      const exact = { minLength: length, maxLength: length };
      return fc.oneof(
        fc.float32Array(exact).map((data): SafetensorsTensor => ({ dtype: 'float32', shape, data })),
        fc.float64Array(exact).map((data): SafetensorsTensor => ({ dtype: 'float64', shape, data })),
        fc.bigInt64Array(exact).map((data): SafetensorsTensor => ({ dtype: 'int64', shape, data })),
        fc.int32Array(exact).map((data): SafetensorsTensor => ({ dtype: 'int32', shape, data })),
        fc.uint8Array(exact).map((data): SafetensorsTensor => ({ dtype: 'uint8', shape, data })),
        fc
          .uint8Array({ ...exact, max: 1 })
          .map((data): SafetensorsTensor => ({ dtype: 'bool', shape, data })),
      );
    });
    const text = fc.string({ unit: 'grapheme' });
    const names = text.filter((name) => name !== '__metadata__');
    const property = fc.property(
      fc.array(fc.tuple(names, tensor), { maxLength: 6 }),
      fc.array(fc.tuple(text, text), { maxLength: 3 }),
      (tensorPairs, metadataPairs) => {
        const content = { tensors: new Map(tensorPairs), metadata: new Map(metadataPairs) };
        const bytes = serializeSafetensors(content.tensors, content.metadata);
        expect(bytes[8] === 0x7b && Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8 === 0).toBe(
          true,
        );
        const read = parseSafetensors(bytes);
        expect(read).toEqual(content);
        expect(serializeSafetensors(read.tensors, read.metadata)).toEqual(bytes);
      },
    );
    fc.assert(property, { numRuns: 300, seed: 1 });
  });
});

test('the message is made of the fields, the byte and the file', () => {
  const error = refusal(file('{"w":1}'), '/data/w.safetensors');
  expect(error).toMatchObject({
    argument: 'entry of tensor "w"',
    expected: 'must be an object',
    received: '"1"',
  });
  expect(error.message).toBe(
    'safetensors: entry of tensor "w" must be an object, got "1" (at byte 13 of "/data/w.safetensors")',
  );
});
