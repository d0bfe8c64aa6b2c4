// The demo's command line: whose options are whose, and what an interruption leaves behind.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { loadSafetensors } from '../../lib';
import { temporaryDirectory } from '../support/temporary-directory';

const root = path.join(__dirname, '../..');

interface Outcome {
  readonly status: number | null;
  readonly text: string;
}

/** Runs the demo; interrupts it once as soon as it prints `interruptAt`. */
function demo(args: readonly string[], interruptAt?: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'examples/demo/main.ts', ...args], {
      cwd: root,
    });
    let text = '';
    let interrupted = false;
    const read = (part: string): void => {
      text += part;
      if (interrupted || interruptAt === undefined || !text.includes(interruptAt)) return;
      interrupted = true;
      child.kill('SIGINT');
    };
    child.stdout.setEncoding('utf8').on('data', read);
    child.stderr.setEncoding('utf8').on('data', read);
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, text }));
  });
}

describe('npm run demo', () => {
  const dir = temporaryDirectory();

  test('predict takes its own options, also those that training has too', async () => {
    const nowhere = path.join(dir(), 'nowhere');
    const args = [
      'predict',
      'none.safetensors',
      '--image',
      '0',
      '--data',
      'fashion-mnist',
      '--data-dir',
      nowhere,
    ];
    const { status, text } = await demo(args);
    expect(status).toBe(1);
    expect(text).toContain('demo: fashion-mnist:');
    expect(text).toContain(nowhere);
  }, 60_000);

  test('Ctrl-C stops after a batch and keeps the weights', async () => {
    const output = path.join(dir(), 'out');
    const { status, text } = await demo(['--epochs', '50', '--output', output], '15104/60000');
    expect(text).toContain('stopping after this batch');
    expect(status).toBe(130);
    expect(fs.readdirSync(output).sort()).toEqual(['metrics.json', 'weights.safetensors']);
    const { state, metadata } = loadSafetensors(path.join(output, 'weights.safetensors'));
    expect(metadata.get('model')).toBe('bn-lenet');
    expect(state.get('1.num_batches_tracked')?.item()).toBeGreaterThanOrEqual(59);
  }, 120_000);
});
