/**
 * The errors of the package. Data first, text last: each error carries `code`, `op`, `argument`, `expected` and
 * `received`, and its message is made from them:
 *
 *     conv2d: stride[0] must be an integer >= 1, got 0
 *     <op>: <argument> <expected>, got <received>
 *
 * Kinds follow the language: wrong values are `RangeError`s, wrong types `TypeError`s, so `instanceof` works without
 * importing anything from here.
 */

/** What an error says, as data. */
export interface ErrorDetails {
  /** Name of the operation, layer or file format that refused. */
  readonly op: string;
  /** The offending argument, with an index where that helps: `stride[0]`. */
  readonly argument: string;
  /** The rule, phrased so that it follows the argument: `must be an integer >= 1`. */
  readonly expected: string;
  /** What came. Text made by {@link describe} or by the caller. */
  readonly received: string;
  /** Further help, put at the end of the message. */
  readonly hint?: string;
}

/** Stable machine-readable codes. */
export type ErrorCode =
  | 'ERR_SHAPE'
  | 'ERR_OUT_OF_RANGE'
  | 'ERR_INVALID_TYPE'
  | 'ERR_DTYPE'
  | 'ERR_DETACHED'
  | 'ERR_ALLOC'
  | 'ERR_DISPOSED'
  | 'ERR_GRAPH_FREED'
  | 'ERR_NO_GRAD'
  | 'ERR_MODIFIED_IN_PLACE'
  | 'ERR_STATE_DICT'
  | 'ERR_NATIVE'
  | 'ERR_MODEL_FORMAT'
  | 'ERR_MODEL_UNSUPPORTED'
  | 'ERR_MODEL_LIMIT'
  | 'ERR_DATA';

function text(d: ErrorDetails): string {
  const got = d.received === '' ? '' : `, got ${d.received}`;
  const hint = d.hint === undefined ? '' : ` (${d.hint})`;
  return `${d.op}: ${d.argument}${d.argument === '' ? '' : ' '}${d.expected}${got}${hint}`;
}

/** Fields every error of this package has. */
export interface LaminaeErrorFields extends ErrorDetails {
  readonly code: ErrorCode;
}

/** True for every error thrown on purpose by this package. */
export function isLaminaeError(error: unknown): error is Error & LaminaeErrorFields {
  return (
    error instanceof Error && 'code' in error && 'op' in error && 'argument' in error && 'expected' in error
  );
}

/** Base of the errors that are neither `RangeError` nor `TypeError`. */
export class LaminaeError extends Error implements LaminaeErrorFields {
  override readonly name: string = 'LaminaeError';
  readonly op: string;
  readonly argument: string;
  readonly expected: string;
  readonly received: string;
  constructor(
    readonly code: ErrorCode,
    details: ErrorDetails,
    options?: ErrorOptions,
  ) {
    super(text(details), options);
    this.op = details.op;
    this.argument = details.argument;
    this.expected = details.expected;
    this.received = details.received;
  }
}

/** A value of the right type outside its range. */
export class ArgumentRangeError extends RangeError implements LaminaeErrorFields {
  override readonly name: string = 'RangeError';
  readonly code: ErrorCode;
  readonly op: string;
  readonly argument: string;
  readonly expected: string;
  readonly received: string;
  constructor(details: ErrorDetails, code: ErrorCode = 'ERR_OUT_OF_RANGE', options?: ErrorOptions) {
    super(text(details), options);
    this.code = code;
    this.op = details.op;
    this.argument = details.argument;
    this.expected = details.expected;
    this.received = details.received;
  }
}

/** Shapes that do not fit each other or the operation. */
export class ShapeError extends ArgumentRangeError {
  override readonly name = 'ShapeError';
  constructor(details: ErrorDetails) {
    super(details, 'ERR_SHAPE');
  }
}

/** Memory that cannot be had. */
export class AllocationError extends ArgumentRangeError {
  override readonly name = 'AllocationError';
  constructor(details: ErrorDetails, options?: ErrorOptions) {
    super(details, 'ERR_ALLOC', options);
  }
}

/** A value of the wrong JavaScript type. */
export class ArgumentTypeError extends TypeError implements LaminaeErrorFields {
  override readonly name: string = 'TypeError';
  readonly code: ErrorCode;
  readonly op: string;
  readonly argument: string;
  readonly expected: string;
  readonly received: string;
  constructor(details: ErrorDetails, code: ErrorCode = 'ERR_INVALID_TYPE') {
    super(text(details));
    this.code = code;
    this.op = details.op;
    this.argument = details.argument;
    this.expected = details.expected;
    this.received = details.received;
  }
}

/** Tensors whose element types do not fit each other or the operation. */
export class DTypeError extends ArgumentTypeError {
  override readonly name = 'DTypeError';
  constructor(details: ErrorDetails) {
    super(details, 'ERR_DTYPE');
  }
}

/** A gradient that cannot be computed: freed graph, no graph, saved tensor edited in place. */
export class GraphError extends LaminaeError {
  override readonly name = 'GraphError';
}

/** A tensor used after its memory was given back. */
export class DisposedError extends LaminaeError {
  override readonly name = 'DisposedError';
  constructor(details: ErrorDetails) {
    super('ERR_DISPOSED', details);
  }
}

/** State that does not fit a module: lists missing, unexpected and wrong-shaped keys. */
export class StateDictError extends LaminaeError {
  override readonly name = 'StateDictError';
  constructor(
    details: ErrorDetails,
    readonly missing: readonly string[],
    readonly unexpected: readonly string[],
    readonly mismatched: readonly string[],
  ) {
    super('ERR_STATE_DICT', details);
  }
}

/** Where in which file a format error was found. */
export interface FileLocation {
  readonly path?: string | undefined;
  /** Byte offset in the file. */
  readonly offset?: number | undefined;
  /** Name of the tensor or graph node. */
  readonly node?: string | undefined;
}

/** A model or data file that breaks its format, is too large, or holds what is not supported. */
export class ModelFormatError extends LaminaeError {
  override readonly name = 'ModelFormatError';
  readonly path: string | undefined;
  readonly offset: number | undefined;
  readonly node: string | undefined;
  constructor(
    details: ErrorDetails,
    where: FileLocation = {},
    code: ErrorCode = 'ERR_MODEL_FORMAT',
    options?: ErrorOptions,
  ) {
    super(code, details, options);
    this.path = where.path;
    this.offset = where.offset;
    this.node = where.node;
  }
}

/** Checks a callback; for callers without types. */
export function checkFunction(op: string, argument: string, value: unknown): void {
  if (typeof value === 'function') return;
  throw new ArgumentTypeError({ op, argument, expected: 'must be a function', received: describe(value) });
}

/** At most `limit` characters of `value`, control characters escaped: for names that come out of files. */
export function printable(value: string, limit = 100): string {
  const cut = value.length > limit ? `${value.slice(0, limit)}...` : value;
  return JSON.stringify(cut);
}

/** A short text for any value, for the `received` part of a message. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return printable(value);
    case 'bigint':
      return `${value}n`;
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'undefined':
    case 'boolean':
      return String(value);
    case 'symbol':
      return value.toString();
    case 'function':
      return `function ${value.name}`;
    case 'object':
      break;
  }
  if (value === null) return 'null';
  if (Array.isArray(value)) {
    const items = value.slice(0, 8).map((v) => (Array.isArray(v) ? '[...]' : describe(v)));
    return `[${items.join(', ')}${value.length > 8 ? `, ... ${value.length} entries` : ''}]`;
  }
  const constructor: unknown = Reflect.get(value, 'constructor');
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'object';
}

/** The error that `value`, given for `argument`, has the wrong type. */
export function typeError(op: string, argument: string, expected: string, value: unknown): ArgumentTypeError {
  return new ArgumentTypeError({ op, argument, expected, received: describe(value) });
}

/** The error that `value`, given for `argument`, is not one of those that may be. */
export function rangeError(
  op: string,
  argument: string,
  expected: string,
  value: unknown,
): ArgumentRangeError {
  return new ArgumentRangeError({ op, argument, expected, received: describe(value) });
}
