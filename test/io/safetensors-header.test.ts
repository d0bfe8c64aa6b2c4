/** Headers of safetensors files: every way in which one can be wrong, hostile or strange but right. */
import { describe, expect, test } from '@jest/globals';
import { parseSafetensors, serializeSafetensors } from '../../lib/io/safetensors';
import type { SafetensorsTensor } from '../../lib/io/safetensors';
import { entry, file, float32, oneByte, refusal } from '../support/safetensors';

describe('row 67: lengths', () => {
  test.each([0, 1, 7])('a file of %i bytes', (size) => {
    const error = refusal(new Uint8Array(size));
    expect(error.message).toBe(`safetensors: file must have at least 8 bytes, got ${size} (at byte 0)`);
  });

  test.each([
    ['one byte more than there is', 113n],
    ['2^63', 2n ** 63n],
    ['2^64 - 1', 2n ** 64n - 1n],
  ])('a header length of %s', (_, length) => {
    const bytes = Buffer.alloc(120, 0x20);
    bytes.writeBigUInt64LE(length);
    const error = refusal(bytes, 'w.safetensors');
    expect(error.message).toContain(`header length ${length} exceeds file size 120`);
    expect(error).toMatchObject({
      path: 'w.safetensors',
      offset: 0,
      code: 'ERR_MODEL_FORMAT',
      name: 'ModelFormatError',
    });
  });

  test('a header above 16 MiB', () => {
    const bytes = new Uint8Array(17 * 2 ** 20 + 8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(17 * 2 ** 20), true);
    expect(refusal(bytes)).toMatchObject({ code: 'ERR_MODEL_LIMIT', received: String(17 * 2 ** 20) });
  });
});

describe('row 68: not one JSON object', () => {
  test.each([
    ['empty header', '', 8, 'the end of the header'],
    ['leading space', ' {}', 8, '" {"'],
    ['byte order mark', '\ufeff{}', 8, expect.any(String)],
    ['array', '[]', 8, '"["'],
    ['not JSON', '{w}', 9, '"w"'],
    ['null', 'null', 8, '"null"'],
    ['garbage after the brace', '{}  x', 12, '"x"'],
    ['newline after the brace', '{}\n', 10, '"\\n"'],
    ['second object', '{}{}', 10, '"{"'],
    ['NUL padding', '{}\0\0', 10, expect.any(String)],
    ['end in the middle', '{"w":{"dtype":"U8"', 26, 'the end of the header'],
    ['end in a string', '{"w', 9, 'the end of the header'],
    ['trailing comma', `{"w":${oneByte},}`, 8 + 6 + oneByte.length, '"}"'],
    ['comma alone', '{,}', 9, '","'],
    ['single quotes', "{'w':1}", 9, `"'w'"`],
    ['comment', '{/**/}', 9, '"/**/"'],
    ['raw control character in a name', '{"a\tb":1}', 11, 'byte 0x9'],
    ['unknown escape', '{"\\x41":1}', 9, '"\\\\x41"'],
    ['short unicode escape', '{"\\u12":1}', 9, '"\\\\u12"'],
    ['lone surrogate', '{"\\ud800":1}', 9, expect.any(String)],
    ['surrogates in the wrong order', '{"\\udc00\\ud800":1}', 9, expect.any(String)],
  ])('%s', (_, header, offset, received) => {
    expect(refusal(file(header, [0]))).toMatchObject({ offset, received, code: 'ERR_MODEL_FORMAT' });
  });

  test.each([
    ['bare continuation', [0x80]],
    ['overlong slash', [0xc0, 0xaf]],
    ['encoded surrogate', [0xed, 0xa0, 0x80]],
    ['cut sequence', [0xe2, 0x82]],
    ['above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ])('invalid UTF-8: %s', (_, bytes) => {
    const header = Buffer.concat([Buffer.from('{"a'), Buffer.from(bytes), Buffer.from(`":${oneByte}}`)]);
    expect(refusal(file(header, [0]))).toMatchObject({ offset: 10, expected: 'must be valid UTF-8' });
  });

  test('a byte order mark inside a name stays part of it', () => {
    const header = `{"w":${oneByte},"\ufeffw":${entry('U8', '[1]', '[1,2]')}}`;
    expect([...parseSafetensors(file(header, [1, 2])).tensors.keys()]).toEqual(['w', '\ufeffw']);
  });
});

describe('row 69: duplicates', () => {
  test.each([
    ['tensor name', `{"w":${oneByte},"w":${oneByte}}`, 'duplicate key "w"'],
    ['escaped tensor name', `{"w":${oneByte},"\\u0077":${oneByte}}`, 'duplicate key "w"'],
    [
      'key of an entry',
      '{"w":{"dtype":"U8","shape":[1],"dtype":"U8","data_offsets":[0,1]}}',
      'duplicate key "dtype"',
    ],
    ['metadata', '{"__metadata__":{},"__metadata__":{}}', 'duplicate key "__metadata__"'],
    ['metadata key', '{"__metadata__":{"a":"1","a":"2"}}', 'duplicate key "a"'],
  ])('%s', (_, header, received) => {
    const error = refusal(file(header, [0]));
    expect(error).toMatchObject({ received, code: 'ERR_MODEL_FORMAT' });
    expect(error.message).toContain(received);
  });
});

describe('row 70: dtypes', () => {
  test('unknown to the format', () => {
    const error = refusal(file(`{"w":${entry('F31', '[1]', '[0,4]')}}`, [0, 0, 0, 0]));
    expect(error).toMatchObject({ code: 'ERR_MODEL_FORMAT', node: 'w', received: 'unknown "F31"' });
  });

  test.each(['F8_E4M3', 'F8_E5M2', 'F4', 'C64', 'U16', 'I8', 'U64'])(
    '%s is valid but not supported',
    (dtype) => {
      const error = refusal(file(`{"layer.w":${entry(dtype, '[1]', '[0,1]')}}`, [0]));
      expect(error).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED', node: 'layer.w', received: `"${dtype}"` });
      expect(error.message).toContain('tensor "layer.w"');
    },
  );

  test.each(['f32', 'F32 ', '', '__proto__'])('%j is unknown', (dtype) => {
    expect(refusal(file(`{"w":${entry(dtype, '[1]', '[0,4]')}}`, [0, 0, 0, 0])).code).toBe(
      'ERR_MODEL_FORMAT',
    );
  });
});

describe('rows 71 and 74: integers', () => {
  const plain = 'must be a plain non-negative integer below 2^53';

  test.each([
    '-1',
    '-0',
    '1.5',
    '16.0',
    '1e2',
    '1E2',
    '1e30',
    '007',
    '00',
    '+1',
    '0x10',
    '"2"',
    'null',
    'true',
    '[1]',
    '',
    '.5',
    '1_0',
    'NaN',
  ])('shape [%s]', (text) => {
    const header = `{"w":${entry('U8', text === '' ? '[1,]' : `[${text}]`, '[0,1]')}}`;
    const error = refusal(file(header, [0]));
    expect(error).toMatchObject({ expected: plain, code: 'ERR_MODEL_FORMAT' });
    expect(error.argument).toBe(`shape[${text === '' ? 1 : 0}] of tensor "w"`);
  });

  test.each(['9007199254740992', '9007199254740993', '18446744073709551616', '1'.repeat(1000)])(
    'data offset %s',
    (text) => {
      const error = refusal(file(`{"w":${entry('U8', '[1]', `[0,${text}]`)}}`, [0]));
      expect(error).toMatchObject({ expected: plain, argument: 'data_offsets[1] of tensor "w"' });
      expect(error.message.length).toBeLessThan(300);
    },
  );

  test.each([
    ['product wraps 2^64', '[4294967296,4294967296]'],
    ['product wraps with the element size', '[4503599627370496,8]'],
    ['hidden behind a zero', '[0,4503599627370496,4503599627370496]'],
    ['just above 2^38', '[274877906945]'],
  ])('%s', (_, shape) => {
    const error = refusal(file(`{"w":${entry('F32', shape, '[0,0]')}}`));
    expect(error).toMatchObject({ expected: 'must have at most 2^38 elements', node: 'w' });
  });

  test('rank above 8', () => {
    const error = refusal(file(`{"w":${entry('U8', '[1,1,1,1,1,1,1,1,1]', '[0,1]')}}`, [0]));
    expect(error).toMatchObject({ code: 'ERR_MODEL_LIMIT', expected: 'must have at most 8 entries' });
  });
});

describe('entries', () => {
  test.each([
    ['a string', '"x"', 'must be an object'],
    ['an array', '[]', 'must be an object'],
    ['without dtype', '{"shape":[1],"data_offsets":[0,1]}', 'must have dtype, shape and data_offsets'],
    ['empty', '{}', 'must have dtype, shape and data_offsets'],
    [
      'with another key',
      '{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}',
      'must have only dtype, shape and data_offsets',
    ],
    [
      'with a key like a prototype',
      '{"__proto__":{},"dtype":"U8"}',
      'must have only dtype, shape and data_offsets',
    ],
    ['one data offset', '{"dtype":"U8","shape":[1],"data_offsets":[0]}', 'must have 2 entries'],
    [
      'three data offsets',
      '{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}',
      'must have at most 2 entries',
    ],
    ['dtype a number', '{"dtype":8,"shape":[1],"data_offsets":[0,1]}', 'must be a string'],
    ['shape an object', '{"dtype":"U8","shape":{},"data_offsets":[0,1]}', 'must be an array'],
  ])('%s', (_, text, expected) => {
    expect(refusal(file(`{"w":${text}}`, [0]))).toMatchObject({
      expected,
      code: expect.stringMatching(/^ERR_MODEL/),
    });
  });
});

describe('row 75: metadata', () => {
  test.each(['1', 'null', 'true', '{"b":"c"}', '["b"]'])('value %s', (value) => {
    const error = refusal(file(`{"__metadata__":{"a":${value}}}`));
    expect(error).toMatchObject({ expected: 'must be a string', argument: '__metadata__ value' });
  });

  test.each(['"x"', '[]', 'null'])('%s instead of an object', (value) => {
    expect(refusal(file(`{"__metadata__":${value}}`))).toMatchObject({ expected: 'must be an object' });
  });
});

describe('row 76: names', () => {
  test('__proto__, constructor, the empty name and toString are names like any other', () => {
    const names = ['__proto__', 'constructor', '', 'toString', 'hasOwnProperty'];
    const tensors = new Map(names.map((name, i) => [name, float32([1], [i])]));
    const read = parseSafetensors(serializeSafetensors(tensors, new Map([['__proto__', 'x']])));
    expect(read.tensors).toEqual(tensors);
    expect(read.metadata).toEqual(new Map([['__proto__', 'x']]));
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  test('a name of 1 MB loads', () => {
    const name = 'n'.repeat(2 ** 20);
    expect(
      parseSafetensors(serializeSafetensors(new Map([[name, float32([], [1])]]))).tensors.has(name),
    ).toBe(true);
  });

  test('messages cut long names and escape control characters', () => {
    const name = `\\u001b[31m${'n'.repeat(2 ** 20)}`;
    const error = refusal(file(`{"${name}":${entry('F31', '[1]', '[0,1]')}}`, [0]));
    expect(error.message.length).toBeLessThan(400);
    expect(error.message).toContain('"\\u001b[31mnnn');
    expect(error.message).not.toContain('\u001b');
  });
});

describe('row 77: header bombs end early', () => {
  /** Processor time, because the machine may be busy with other tests. */
  function limited(bytes: Uint8Array, match: object): void {
    const rss = process.memoryUsage().rss;
    const before = process.cpuUsage();
    const error = refusal(bytes);
    const { user, system } = process.cpuUsage(before);
    const grown = process.memoryUsage().rss - rss;
    expect(error).toMatchObject(match);
    expect((user + system) / 1e6).toBeLessThan(1);
    expect(grown).toBeLessThan(256 * 2 ** 20);
  }

  const empty = entry('U8', '[0]', '[0,0]');

  /** One more entry than is allowed, then the same again and again up to `count`. */
  const manyEntries = (count: number): string => {
    const distinct = Array.from({ length: 32_769 }, (_, i) => `"t${i}":${empty}`).join(',');
    return `{${distinct}${`,"t":${empty}`.repeat(count - 32_769)}}`;
  };

  test('10^6 tensors', () => {
    limited(file(manyEntries(10 ** 6)), { code: 'ERR_MODEL_LIMIT', argument: 'header length' });
  });

  test('as many tensors as a header of 16 MiB holds', () => {
    limited(file(manyEntries(290_000)), {
      code: 'ERR_MODEL_LIMIT',
      expected: 'must have at most 32768 entries',
    });
  });

  test('as many metadata entries', () => {
    const distinct = Array.from({ length: 32_769 }, (_, i) => `"${i}":""`).join(',');
    const header = `{"__metadata__":{${distinct}${',"a":""'.repeat(2_000_000)}}}`;
    limited(file(header), { code: 'ERR_MODEL_LIMIT', argument: '__metadata__' });
  });

  test.each([
    ['objects', '{"a":', 'must have only dtype, shape and data_offsets'],
    ['arrays', '[', 'must start with "{"'],
  ])('10^5 nested %s', (_, open, expected) => {
    limited(file(open.repeat(10 ** 5)), { code: 'ERR_MODEL_FORMAT', expected });
  });

  test.each([
    ['shape', '{"w":{"shape":'],
    ['metadata', '{"__metadata__":'],
  ])('10^6 nested arrays as %s', (_, start) => {
    limited(file(start + '['.repeat(10 ** 6)), { code: 'ERR_MODEL_FORMAT' });
  });

  test('a string of 16 MiB with an escape every second byte', () => {
    limited(file(`{"${'\\n'.repeat(8 * 2 ** 20 - 10)}":1}`), { expected: 'must be an object' });
  });

  test('the most tensors that are allowed load', () => {
    const tensor: SafetensorsTensor = { dtype: 'uint8', shape: [0], data: new Uint8Array(0) };
    const tensors = new Map(Array.from({ length: 32_767 }, (_, i) => [`t${i}`, tensor]));
    const bytes = serializeSafetensors(tensors, new Map([['format', 'pt']]));
    expect(parseSafetensors(bytes).tensors.size).toBe(32_767);
  });
});
