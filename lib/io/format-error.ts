/** The one way in which readers of model and data files make their errors: with the file and the byte in the text. */
import { ModelFormatError, printable } from '../errors';
import type { ErrorCode, ErrorDetails, FileLocation } from '../errors';

/** Paths may be longer than the names that {@link printable} cuts by default. */
const maxPathText = 1000;

export function printablePath(path: string): string {
  return printable(path, maxPathText);
}

/**
 * A `ModelFormatError` whose message ends with the place:
 * `idx: magic must be 0x00000801, got 0x00000803 (at byte 0 of "/data/labels")`.
 */
export function formatError(
  details: ErrorDetails,
  where: FileLocation,
  code?: ErrorCode,
  options?: ErrorOptions,
): ModelFormatError {
  const byte = where.offset === undefined ? [] : [`at byte ${where.offset}`];
  const file =
    where.path === undefined ? [] : [`${byte.length === 0 ? 'in' : 'of'} ${printablePath(where.path)}`];
  const hint = [[...byte, ...file].join(' '), details.hint ?? ''].filter((part) => part !== '').join('; ');
  return new ModelFormatError(hint === '' ? details : { ...details, hint }, where, code, options);
}
