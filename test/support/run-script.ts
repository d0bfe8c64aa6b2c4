/** Runs a script in a Node process of its own: for what may not happen to the process of the tests. */
import { spawn } from 'node:child_process';
import path from 'node:path';

export interface Outcome {
  /** Exit status; null if a signal ended the process. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeOptions?: readonly string[];
  /** Milliseconds until the process is killed; its signal then says so. */
  readonly timeout?: number;
}

/** @param script file below test/, e.g. `robustness/scripts/exits.cjs` */
export function runScript(script: string, options: RunOptions = {}): Promise<Outcome> {
  const { args = [], env = {}, nodeOptions = [], timeout = 120_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeOptions, path.join(__dirname, '..', script), ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
}

/** Runs a script that prints one line of JSON, checks that it ended well, and returns what it printed. */
export async function reportOf(script: string, options: RunOptions = {}): Promise<unknown> {
  const outcome = await runScript(script, options);
  if (outcome.status !== 0 || outcome.stderr !== '') {
    throw new Error(
      `${script} ended with ${outcome.signal ?? outcome.status}:\n${outcome.stdout}${outcome.stderr}`,
    );
  }
  return JSON.parse(outcome.stdout) as unknown;
}
