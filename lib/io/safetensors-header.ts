/**
 * The JSON header of a safetensors file, read by a parser that knows only this one grammar:
 *
 *     header   = "{" [ member { "," member } ] "}" { 0x20 }
 *     member   = "__metadata__" ":" { string ":" string }  |  name ":" entry
 *     entry    = { "dtype" ":" string, "shape" ":" [ integer ... ], "data_offsets" ":" [ integer, integer ] }
 *
 * Why not JSON.parse: it keeps the last of two equal keys, rounds integers above 2^53, takes 16.0 and 1e2 for integers,
 * and lets a key named __proto__ into the object. Two readers would then see two models in one file. A fixed grammar
 * also needs no recursion, so no nesting is too deep for it, and every error has its byte.
 */
import { printable } from '../errors';
import type { ErrorCode } from '../errors';
import { maxRank } from '../shape';
import { formatError } from './format-error';
import { hasLoneSurrogate, lengthFieldBytes, maxEntries, metadataKey, op } from './safetensors-format';

export interface HeaderEntry {
  readonly name: string;
  /** As written in the file, not yet known to exist. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes `begin..end` after the header. */
  readonly begin: number;
  readonly end: number;
  /** Where in the file the entry stands. */
  readonly offset: number;
}

export interface SafetensorsHeader {
  readonly metadata: Map<string, string>;
  readonly entries: readonly HeaderEntry[];
}

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const comma = 0x2c;
const colon = 0x3a;
const space = 0x20;
const zero = 0x30;
const nine = 0x39;

// ignoreBOM: a byte order mark inside a name is part of the name. Dropping it could make two names equal.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const entryKeys: ReadonlySet<string> = new Set(['dtype', 'shape', 'data_offsets']);
const entryKeyText = 'dtype, shape and data_offsets';

/** A set of keys, or a map by them. */
interface Before {
  readonly size: number;
  has(key: string): boolean;
}

class HeaderReader {
  readonly #bytes: Buffer;
  readonly #path: string | undefined;
  #position = 0;
  /** The tensor whose entry is being read; names the place in errors, where alone its text is made. */
  #tensor: string | undefined;

  constructor(header: Uint8Array, path: string | undefined) {
    this.#bytes = Buffer.from(header.buffer, header.byteOffset, header.byteLength);
    this.#path = path;
  }

  read(): SafetensorsHeader {
    if (this.#bytes[0] !== openBrace) this.#fail(0, 'header', 'must start with "{"', this.#token(0));
    const metadata = new Map<string, string>();
    const entries: HeaderEntry[] = [];
    const names = new Set<string>();
    this.#object('header', (name, offset) => {
      this.#checkNew('header', name, offset, names);
      names.add(name);
      if (name === metadataKey) this.#metadata(metadata);
      else entries.push(this.#entry(name, offset));
    });
    for (let i = this.#position; i < this.#bytes.length; i++) {
      if (this.#bytes[i] !== space) {
        this.#fail(i, 'header', 'must end with spaces only after "}"', this.#token(i));
      }
    }
    return { metadata, entries };
  }

  #metadata(metadata: Map<string, string>): void {
    this.#object(metadataKey, (key, offset) => {
      this.#checkNew(metadataKey, key, offset, metadata);
      metadata.set(key, this.#string(`${metadataKey} value`));
    });
  }

  #entry(name: string, offset: number): HeaderEntry {
    this.#tensor = name;
    let dtype: string | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    this.#object('entry', (key, keyOffset) => {
      if (key === 'dtype' && dtype === undefined) dtype = this.#string('dtype');
      else if (key === 'shape' && shape === undefined) shape = this.#integers('shape', maxRank);
      else if (key === 'data_offsets' && offsets === undefined) offsets = this.#integers('data_offsets', 2);
      else this.#failKey(key, keyOffset);
    });
    if (dtype === undefined || shape === undefined || offsets === undefined) {
      const values = Object.entries({ dtype, shape, data_offsets: offsets });
      const missing = values.filter(([, value]) => value === undefined).map(([key]) => key);
      return this.#fail(offset, 'entry', `must have ${entryKeyText}`, `no ${missing.join(', ')}`);
    }
    if (offsets.length !== 2) {
      this.#fail(offset, 'data_offsets', 'must have 2 entries', String(offsets.length));
    }
    this.#tensor = undefined;
    return { name, dtype, shape, begin: offsets[0], end: offsets[1], offset: offset + lengthFieldBytes };
  }

  /** Called for each key of the two objects that may have any number of them. */
  #checkNew(what: string, key: string, offset: number, before: Before): void {
    if (before.has(key)) this.#failDuplicate(what, key, offset);
    if (before.size === maxEntries) {
      this.#fail(offset, what, `must have at most ${maxEntries} entries`, 'more', 'ERR_MODEL_LIMIT');
    }
  }

  #failKey(key: string, offset: number): never {
    if (entryKeys.has(key)) this.#failDuplicate('entry', key, offset);
    return this.#fail(offset, 'entry', `must have only ${entryKeyText}`, printable(key));
  }

  #failDuplicate(what: string, key: string, offset: number): never {
    this.#fail(offset, what, 'must not repeat a key', `duplicate key ${printable(key)}`);
  }

  /** Reads an object and calls `member` after each key and colon; `member` reads the value. */
  #object(what: string, member: (key: string, keyOffset: number) => void): void {
    this.#sequence(what, 'an object', openBrace, closeBrace, () => {
      const keyOffset = this.#position;
      const key = this.#string('key');
      this.#skipSpace();
      if (this.#bytes[this.#position] !== colon) {
        const received = `${this.#token(this.#position)} after ${printable(key)}`;
        this.#fail(this.#position, what, 'must have ":" after each key', received);
      }
      this.#position++;
      this.#skipSpace();
      member(key, keyOffset);
    });
  }

  #integers(what: string, limit: number): number[] {
    const values: number[] = [];
    this.#sequence(what, 'an array', openBracket, closeBracket, () => {
      if (values.length === limit) {
        this.#fail(this.#position, what, `must have at most ${limit} entries`, 'more', 'ERR_MODEL_LIMIT');
      }
      values.push(this.#integer(what, values.length));
    });
    return values;
  }

  /** `open [ item { "," item } ] close`, with JSON's white space around everything. */
  #sequence(what: string, kind: string, open: number, close: number, item: () => void): void {
    if (this.#bytes[this.#position] !== open) {
      this.#fail(this.#position, what, `must be ${kind}`, this.#token(this.#position));
    }
    this.#position++;
    this.#skipSpace();
    if (this.#bytes[this.#position] === close) {
      this.#position++;
      return;
    }
    for (;;) {
      this.#skipSpace();
      item();
      this.#skipSpace();
      const byte = this.#bytes[this.#position];
      if (byte !== comma && byte !== close) {
        const expected = `must go on with "," or "${String.fromCharCode(close)}"`;
        this.#fail(this.#position, what, expected, this.#token(this.#position));
      }
      this.#position++;
      if (byte === close) return;
    }
  }

  #integer(what: string, index: number): number {
    const start = this.#position;
    const bytes = this.#bytes;
    let end = start;
    let value = 0;
    while (bytes[end] >= zero && bytes[end] <= nine) value = value * 10 + bytes[end++] - zero;
    const next = bytes[end];
    const ended = end > start && (next === comma || next === closeBracket || isSpace(next));
    const leadingZero = bytes[start] === zero && end > start + 1;
    // Digits that round do so at 2^53 or above, where no value is safe.
    if (!ended || leadingZero || !Number.isSafeInteger(value)) {
      const expected = 'must be a plain non-negative integer below 2^53';
      this.#fail(start, `${what}[${index}]`, expected, this.#token(start));
    }
    this.#position = end;
    return value;
  }

  #string(what: string): string {
    const start = this.#position;
    const bytes = this.#bytes;
    if (bytes[start] !== quote) this.#fail(start, what, 'must be a string', this.#token(start));
    let end = start + 1;
    let ascii = true;
    let escaped = false;
    for (; bytes[end] !== quote; end++) {
      const byte = bytes[end];
      if (byte === undefined) this.#fail(start, what, 'must end with a quote', 'the end of the header');
      if (byte < space)
        this.#fail(end, what, 'must escape control characters', `byte 0x${byte.toString(16)}`);
      if (byte > 0x7f) ascii = false;
      if (byte === backslash) {
        escaped = true;
        end++;
      }
    }
    this.#position = end + 1;
    const text = ascii ? bytes.toString('latin1', start + 1, end) : this.#decode(start + 1, end, what);
    return escaped ? this.#unescape(text, start, what) : text;
  }

  #decode(start: number, end: number, what: string): string {
    try {
      return utf8.decode(this.#bytes.subarray(start, end));
    } catch {
      return this.#fail(start, what, 'must be valid UTF-8', this.#token(start));
    }
  }

  #unescape(text: string, start: number, what: string): string {
    let value: unknown;
    try {
      // One string literal: here JSON.parse is as strict as the format.
      value = JSON.parse(`"${text}"`);
    } catch {
      this.#fail(start, what, 'must use only the escapes of JSON', printable(text));
    }
    if (typeof value !== 'string' || hasLoneSurrogate(value)) {
      return this.#fail(start, what, 'must pair its surrogates', printable(text));
    }
    return value;
  }

  #skipSpace(): void {
    while (isSpace(this.#bytes[this.#position])) this.#position++;
  }

  /** What stands at `start`, up to the next separator: for messages. */
  #token(start: number): string {
    if (start >= this.#bytes.length) return 'the end of the header';
    let end = start + 1;
    while (end < this.#bytes.length && end < start + 40 && !isSeparator(this.#bytes[end])) end++;
    return printable(this.#bytes.toString('latin1', start, end));
  }

  #fail(position: number, what: string, expected: string, received: string, code?: ErrorCode): never {
    const where = { path: this.#path, offset: position + lengthFieldBytes, node: this.#tensor };
    const argument = this.#tensor === undefined ? what : `${what} of tensor ${printable(this.#tensor)}`;
    throw formatError({ op, argument, expected, received }, where, code);
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === space || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isSeparator(byte: number): boolean {
  return byte === comma || byte === closeBracket || byte === closeBrace || byte === colon || isSpace(byte);
}

/**
 * Reads the header, the bytes after the length field. Says nothing yet about dtypes, sizes and the layout of the data.
 * @throws ModelFormatError with the byte in the file.
 */
export function parseHeader(header: Uint8Array, path: string | undefined): SafetensorsHeader {
  return new HeaderReader(header, path).read();
}
