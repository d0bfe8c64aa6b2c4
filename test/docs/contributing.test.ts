// The walk-throughs of CONTRIBUTING.md name real files, all of them, and few.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

import { describe, expect, test } from '@jest/globals';

const root = join(__dirname, '..', '..');
const guide = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');

function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? sources(path) : [path];
  });
}

/** Files of lib/ and native/ whose text or name speaks of `pattern`. */
function filesAbout(pattern: RegExp): string[] {
  return [...sources(join(root, 'lib')), ...sources(join(root, 'native'))]
    .filter((path) => pattern.test(readFileSync(path, 'utf8')))
    .map((path) => relative(root, path))
    .sort();
}

function documented(name: string): string[] {
  const list = new RegExp(`<!-- files of ${name}: (.*) -->`).exec(guide)?.[1];
  if (list === undefined) throw new Error(`CONTRIBUTING.md does not list the files of ${name}`);
  return list.split(' ').sort();
}

describe('CONTRIBUTING.md', () => {
  test('a layer made of existing ops is at most three files', () => {
    const files = filesAbout(/\bUnflatten\b/);
    expect(files).toEqual(documented('Unflatten'));
    expect(files.length).toBeLessThanOrEqual(3);
  });

  // prod, which came later, calls the same native op: users of an op are not part of it
  test('an op is at most seven files', () => {
    const files = filesAbout(/\bcumsum\b|OP\(cumulate|run_cumulate|ops\/cumulate\.cc|\bcumulate: \{/);
    expect(files).toEqual(documented('cumulate'));
    expect(files.length).toBeLessThanOrEqual(7);
  });
});
