/**
 * One run of the benchmark from the command line to the files it writes.
 *
 * Exit codes: 0; 1 if laminae itself is wrong, or slower than in the file of `--compare`; 2 for a wrong command line.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CommanderError } from 'commander';
import { cpuInfo, getNumThreads, isExactConv, setExactConv, setIsa } from 'laminae';
import { trainingOptimizer } from './cases/train';
import { dropCaseData, makeCaseData } from './case-data';
import { changes, compareText, readReport, regressions } from './compare';
import { openContenders, type Contenders } from './drivers';
import { reportHtml } from './html';
import { describeMachine, measurePeaks } from './machine';
import { measure } from './measure';
import { UsageError, parseOptions, type Options } from './options';
import { jobTitle, peaksText, rowText, summaryText } from './text';
import type { CaseData, Job, NamedValues, Report, Row } from './types';

const print = (...lines: readonly string[]): void => {
  for (const line of lines) console.log(line);
};

function conditions(options: Options): string[] {
  const { lr, momentum } = trainingOptimizer;
  return [
    'float32; arrays given as [n, c, h, w] (channels_last and NHWC forms are turned before the timing); denormals are not flushed',
    'the time is the least of all repetitions; contenders take turns in short blocks',
    ...(options.suite === 'train'
      ? [
          `a step: zero gradients, forward, cross entropy, backward, SGD with rate ${lr} and momentum ${momentum}, loss read`,
        ]
      : []),
    ...(options.isa === null ? [] : [`PyTorch may use no better instruction set than ${options.isa} either`]),
    ...(isExactConv() ? ['convolutions of laminae are sums of products: no Winograd, no Strassen'] : []),
  ];
}

/** What is right, in double precision: PyTorch's word if it is here. */
async function referenceFor(job: Job, data: CaseData, { list }: Contenders): Promise<NamedValues[]> {
  const judge = list.filter((contender) => contender.reference !== undefined).at(-1);
  if (judge?.reference === undefined) throw new Error('no contender computes in double precision');
  return judge.reference(job, data);
}

async function runAll(options: Options, contenders: Contenders, directory: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const benchmark of options.cases) {
    const data = makeCaseData(benchmark, directory);
    for (const pass of benchmark.passes) {
      let reference: NamedValues[] | null = null;
      for (const threads of options.threads) {
        const job: Job = { suite: options.suite, case: benchmark, pass, threads };
        reference ??= await referenceFor(job, data, contenders);
        const measured = await measure(job, data, contenders.list, reference, options);
        print('', jobTitle(job), ...measured.map(rowText));
        rows.push(...measured);
      }
    }
    dropCaseData(data);
  }
  return rows;
}

function writeFile(file: string, text: string): void {
  fs.mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  fs.writeFileSync(file, text);
  print(`wrote ${file}`);
}

/** A folder for what contenders exchange, half a gigabyte for the largest network: it goes with the process, however that ends. */
function exchangeDirectory(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'laminae-bench-'));
  process.once('exit', () => fs.rmSync(directory, { recursive: true, force: true }));
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  return directory;
}

async function run(options: Options): Promise<number> {
  if (options.isa !== null) setIsa(cpuInfo().available.find((isa) => isa === options.isa) ?? cpuInfo().isa);
  if (options.exact) setExactConv(true);
  const earlier = options.compare === null ? null : readReport(options.compare);
  const { isa } = cpuInfo();
  const directory = exchangeDirectory();
  const contenders = await openContenders({ ...options, directory, isa, isaIsLimit: options.isa !== null });
  try {
    const versions: Record<string, string> = { node: process.versions.node };
    for (const { name, version } of contenders.list) versions[name] = version;
    const peaks = options.threads.map((threads) =>
      options.suite === 'roofline'
        ? measurePeaks(threads)
        : measurePeaks(threads, [2 ** 19, 2 ** 23, 2 ** 27]),
    );
    const machine = describeMachine(peaks);
    print(
      `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}; instruction set ${isa}`,
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
      ...conditions(options),
      ...peaks.map(peaksText),
      ...contenders.notes,
    );
    const rows = await runAll(options, contenders, directory);
    print('', ...summaryText(rows));
    const report: Report = {
      date: new Date().toISOString(),
      suite: options.suite,
      machine,
      isa,
      versions,
      conditions: conditions(options),
      rows,
    };
    if (options.json !== null) writeFile(options.json, `${JSON.stringify(report, null, 1)}\n`);
    if (options.html !== null) writeFile(options.html, reportHtml(report));
    const changed = earlier === null ? [] : changes(earlier.rows, rows);
    if (options.compare !== null) print(...compareText(changed, options.compare));
    const isWrong = rows.some((row) => row.contender === 'laminae' && row.wrong !== null);
    return isWrong || regressions(changed).length > 0 ? 1 : 0;
  } finally {
    await contenders.close();
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Runs the command line `args` (without node and script).
 * @returns the exit code
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const maxThreads = Math.max(os.availableParallelism(), getNumThreads());
    return await run(parseOptions(args, { isas: cpuInfo().available, maxThreads }));
  } catch (error) {
    if (error instanceof CommanderError) return 0; // help was asked for, and printed
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return 2;
  }
}
