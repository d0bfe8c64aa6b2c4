/** The command line. Whatever is wrong with it is one line that says what would be right, and exit code 2. */
import { Command, CommanderError, Option } from 'commander';
import { casesOf, defaultFilter } from './cases';
import { suites, type Case, type Suite } from './types';

export const families = ['torch', 'ort', 'tfjs'] as const;
/** The other libraries; each family holds one or more contenders. */
export type Family = (typeof families)[number];

export interface Options {
  readonly suite: Suite;
  readonly cases: readonly Case[];
  readonly threads: readonly number[];
  readonly against: readonly Family[];
  readonly isa: string | null;
  /** Convolutions keep to sums of products: no Winograd, no Strassen. */
  readonly exact: boolean;
  /** Timed seconds of each contender and row. */
  readonly seconds: number;
  /** Least repetitions of each contender and row. */
  readonly repetitions: number;
  readonly json: string | null;
  readonly html: string | null;
  readonly compare: string | null;
  /** Folder whose node_modules hold the other JavaScript libraries. */
  readonly peers: string | null;
  readonly python: string | null;
}

/** What this machine offers to choose from. */
export interface Choices {
  readonly isas: readonly string[];
  readonly maxThreads: number;
}

/** A wrong command line; the message is one line. */
export class UsageError extends Error {}

interface RawOptions {
  filter?: string;
  threads?: string;
  against?: string;
  isa?: string;
  exact: boolean;
  seconds: string;
  repetitions: string;
  json?: string;
  html?: string;
  compare?: string;
  peers?: string;
  python?: string;
}

export function makeCommand(): Command {
  const suiteList = suites.join('|');
  return new Command('npm run bench --')
    .description(
      'Times laminae and other libraries side by side in one run, after their outputs were compared.',
    )
    .argument('<suite>', suiteList)
    .option('--filter <regexp>', 'only cases whose name matches; ".*" for all where a suite leaves some out')
    .option(
      '--threads <list>',
      'numbers of threads, e.g. 1,2 (default: 1 and all; train and networks: all; overhead: 1)',
    )
    .option(
      '--against <list>',
      `other libraries: ${families.join(',')} or none (default: all that are installed; roofline: none)`,
    )
    .option('--isa <name>', 'instruction set of the kernels, as LAMINAE_ISA; PyTorch is held to the same')
    .option('--exact', 'convolutions of laminae as sums of products, as LAMINAE_EXACT_CONV=1', false)
    .option('--seconds <number>', 'timed seconds of each contender and row', '0.4')
    .option('--repetitions <number>', 'least repetitions of each contender and row', '6')
    .option('--json <file>', 'write all rows, the machine and the versions')
    .option('--html <file>', 'write a page with charts')
    .option(
      '--compare <file>',
      'list what became slower than in an earlier JSON file; exit code 1 if anything did',
    )
    .option('--peers <folder>', 'folder with a node_modules that holds onnxruntime-node or tfjs')
    .addOption(
      new Option('--python <command>', 'Python with PyTorch (default: python3, then /usr/bin/python3)'),
    )
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
}

const list = (text: string): string[] => text.split(',').map((part) => part.trim());

function oneOf<T extends string>(what: string, text: string, valid: readonly T[]): T {
  const found = valid.find((v) => v === text);
  if (found === undefined) throw new UsageError(`unknown ${what} '${text}': valid are ${valid.join(', ')}`);
  return found;
}

function parseThreads(text: string | undefined, suite: Suite, max: number): number[] {
  if (text === undefined) {
    if (suite === 'overhead') return [1];
    return suite === 'train' || suite === 'networks' || max === 1 ? [max] : [1, max];
  }
  const valid = Array.from({ length: max }, (_, i) => String(i + 1));
  return [...new Set(list(text).map((part) => Number(oneOf('thread count', part, valid))))];
}

function parseAgainst(text: string | undefined, suite: Suite): Family[] {
  if (text === undefined) return suite === 'roofline' ? [] : [...families];
  const names = list(text).map((name) => oneOf('contender', name, [...families, 'none'] as const));
  return names.flatMap((name) => (name === 'none' ? [] : [name]));
}

function selectCases(suite: Suite, filter: string | undefined): readonly Case[] {
  const all = casesOf[suite];
  let pattern = defaultFilter[suite];
  if (filter !== undefined) {
    try {
      pattern = new RegExp(filter, 'i');
    } catch {
      throw new UsageError(
        `--filter '${filter}' is no regular expression; cases of ${suite}: ${caseNames(all)}`,
      );
    }
  }
  if (pattern === undefined) return all;
  const found = all.filter((c) => pattern.test(c.name));
  if (found.length === 0)
    throw new UsageError(`no case matches '${filter ?? ''}': cases of ${suite} are ${caseNames(all)}`);
  return found;
}

const caseNames = (cases: readonly Case[]): string => cases.map((c) => c.name).join(', ');

function positive(option: string, text: string, isInteger: boolean): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value) || (isInteger && !Number.isInteger(value))) {
    throw new UsageError(
      `--${option} must be ${isInteger ? 'an integer above 0' : 'a number above 0'}, got '${text}'`,
    );
  }
  return value;
}

/**
 * The options in `args` (without node and script).
 * @throws UsageError with one line; CommanderError with exit code 0 when help was asked for
 */
export function parseOptions(args: readonly string[], choices: Choices): Options {
  const command = makeCommand();
  try {
    command.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError) || error.exitCode === 0) throw error;
    const message = error.message.replace(/^error: /, '');
    const hint = command.args.length === 0 ? `: suites are ${suites.join(', ')}` : '';
    throw new UsageError(`${message}${hint}`);
  }
  const raw = command.opts<RawOptions>();
  const suite = oneOf('suite', command.args[0], suites);
  return {
    suite,
    cases: selectCases(suite, raw.filter),
    threads: parseThreads(raw.threads, suite, choices.maxThreads),
    against: parseAgainst(raw.against, suite),
    isa: raw.isa === undefined ? null : oneOf('ISA', raw.isa, choices.isas),
    exact: raw.exact,
    seconds: positive('seconds', raw.seconds, false),
    repetitions: positive('repetitions', raw.repetitions, true),
    json: raw.json ?? null,
    html: raw.html ?? null,
    compare: raw.compare ?? null,
    peers: raw.peers ?? null,
    python: raw.python ?? null,
  };
}
