/** Tables of calls that must be refused. */
import { expect, test } from '@jest/globals';

type Kind = new (...args: never[]) => Error;
type Row = readonly [what: string, act: () => unknown, kind: Kind, message: string];

/** Reaches past the types, as JavaScript users do. */
export const untyped = (value: unknown): never => value as never;

/** A test for each row: what `act` throws, and a part of its message. */
export const refuses = (rows: readonly Row[]): void => {
  test.each(rows)('%s', (_, act, kind, message) => {
    expect(act).toThrow(kind);
    expect(act).toThrow(message);
  });
};
