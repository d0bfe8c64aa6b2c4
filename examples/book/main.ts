/**
 * The sections on convolutional networks of Dive into Deep Learning, as programs of our own.
 *
 *     npm run book -- --list
 *     npm run book -- edge-detection
 *     npm run book -- all
 */
import { Command, CommanderError } from 'commander';
import { isLaminaeError, manualSeed } from 'laminae';
import { integerArgument } from '../common/arguments';
import { sections, type Section } from './sections';
import type { TrainingSize } from './training';

interface BookOptions extends Partial<TrainingSize> {
  readonly list?: boolean;
  readonly seed: number;
}

function chosen(name: string | undefined): readonly Section[] {
  return name === 'all' ? sections : sections.filter((s) => s.name === name);
}

function listing(): string {
  const width = Math.max(...sections.map((s) => s.name.length));
  return sections.map((s) => `${s.name.padEnd(width)}  ${s.summary}`).join('\n');
}

async function runSections(name: string | undefined, options: BookOptions, command: Command): Promise<void> {
  if (options.list === true) {
    console.log(listing());
    return;
  }
  const wanted = chosen(name);
  if (wanted.length === 0) {
    const names = [...sections.map((s) => s.name), 'all'].join(', ');
    const problem = name === undefined ? 'no section given' : `unknown section "${name}"`;
    command.error(`book: ${problem}; the sections are ${names}`);
  }
  for (const section of wanted) {
    console.log(`${section === wanted[0] ? '' : '\n'}== ${section.name}: ${section.summary} ==`);
    manualSeed(options.seed);
    await section.main(options);
  }
}

/** Runs the command line `args` and returns the exit code: 2 for a wrong command line, 1 for a failed section. */
export async function book(args: readonly string[]): Promise<number> {
  const program = new Command('book')
    .description('Runs the sections of the book on convolutional networks and prints what they show.')
    .argument('[section]', 'a section, or all')
    .option('--list', 'list the sections')
    .option('--seed <n>', 'start of the random numbers', integerArgument(0, Number.MAX_SAFE_INTEGER), 0)
    .option('--images <n>', 'training images of the sections that train', integerArgument(2, 60000))
    .option('--epochs <n>', 'passes over them', integerArgument(1, 10000))
    .addHelpText('after', () => `\nSections:\n${listing().replaceAll(/^/gm, '  ')}`)
    .exitOverride()
    .action(runSections);
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (!isLaminaeError(error)) throw error;
    console.error(`book: ${error.message}`);
    return 1;
  }
}

if (require.main === module) {
  void book(process.argv.slice(2)).then((code) => {
    process.exitCode = code;
  });
}
