/** An empty directory for a test file, removed when its tests are over. */
import { afterAll, beforeAll } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Call it outside of tests; the function it returns says where, inside of tests. */
export function temporaryDirectory(): () => string {
  let directory = '';
  beforeAll(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'laminae-test-'));
  });
  afterAll(() => {
    fs.rmSync(directory, { recursive: true, force: true });
  });
  return () => directory;
}
