/** A child process that answers one JSON object a line to one JSON object a line. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import readline from 'node:readline';

export type Answer = Readonly<Record<string, unknown>>;

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

export class JsonLinesProcess {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 0;
  private errorText = '';

  constructor(command: string, args: readonly string[], environment: NodeJS.ProcessEnv) {
    this.child = spawn(command, args, { env: environment, stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errorText = (this.errorText + text).slice(-2000);
    });
    this.child.on('error', (error) => this.fail(error));
    this.child.on('exit', (code) =>
      this.fail(new Error(`${command} ended (${code}): ${this.lastErrorLine()}`)),
    );
    this.child.stdin.on('error', (error) => this.fail(error)); // the child may be gone while we write
    readline.createInterface({ input: this.child.stdout }).on('line', (line) => this.receive(line));
  }

  private lastErrorLine(): string {
    return this.errorText.trim().split('\n').at(-1) ?? '';
  }

  private receive(line: string): void {
    const answer = JSON.parse(line) as Answer;
    const id = Number(answer.id);
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (typeof answer.error === 'string') waiting?.reject(new Error(answer.error));
    else waiting?.resolve(answer);
  }

  private fail(error: Error): void {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  /** Sends a request and waits for its answer. Rejects with what the child reports, or when it ends. */
  request(message: Answer): Promise<Answer> {
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      if (this.child.exitCode !== null) {
        reject(new Error(`the process has ended: ${this.lastErrorLine()}`));
        return;
      }
      this.waiting.set(id, { resolve, reject });
      this.child.stdin.write(`${JSON.stringify({ id, ...message })}\n`);
    });
  }

  /** Ends the child: it stops at the end of its input. */
  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.pid === undefined) return;
    const ended = new Promise<void>((resolve) => this.child.once('exit', () => resolve()));
    this.child.stdin.end();
    const timer = setTimeout(() => this.child.kill(), 2000);
    await ended;
    clearTimeout(timer);
  }
}
