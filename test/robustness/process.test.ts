import { describe, expect, test } from '@jest/globals';
import { cpuInfo } from '../../lib';
import { reportOf, runScript } from '../support/run-script';

describe('the process ends as it was told, without hanging or crashing', () => {
  const ways: [way: string, status: number | null, signal: NodeJS.Signals | null][] = [
    ['process.exit', 3, null],
    ['process.exit in a timer', 3, null],
    ['process.exit in an exit handler', 3, null],
    ['uncaught exception', 1, null],
    ['unhandled rejection', 1, null],
    ['SIGTERM to itself', null, 'SIGTERM'],
    ['end of the script', 0, null],
  ];
  test.each(ways)('%s', async (way, status, signal) => {
    const outcome = await runScript('robustness/scripts/exits.cjs', { args: [way] });
    expect(outcome).toMatchObject({ status, signal });
  });

  test.each(ways)('%s, with workers computing', async (way, status, signal) => {
    const outcome = await runScript('robustness/scripts/exits.cjs', { args: [way, '2'] });
    expect(outcome).toMatchObject({ status, signal });
  });
});

describe('settings in the environment', () => {
  const script = 'robustness/scripts/startup-setting.cjs';
  const isas = cpuInfo().available;

  test.each(['0', '-1', '257', '1e9', 'NaN', 'two', '1.5', ' 2'])(
    'LAMINAE_THREADS=%s is refused',
    async (value) => {
      expect(await reportOf(script, { env: { LAMINAE_THREADS: value } })).toEqual({
        isRangeError: true,
        code: 'ERR_OUT_OF_RANGE',
        message: `laminae: LAMINAE_THREADS must be an integer from 1 to 256, got "${value}"`,
      });
    },
  );

  test.each(['sse9', 'AVX2', 'avx2 '])('LAMINAE_ISA=%s is refused', async (value) => {
    expect(await reportOf(script, { env: { LAMINAE_ISA: value } })).toEqual({
      isRangeError: true,
      code: 'ERR_OUT_OF_RANGE',
      message: `laminae: LAMINAE_ISA must be one of ${isas.join(', ')} on this machine, got "${value}"`,
    });
  });

  test.each(isas)('LAMINAE_ISA=%s and LAMINAE_THREADS=3 are obeyed', async (isa) => {
    const env = { LAMINAE_ISA: isa, LAMINAE_THREADS: '3' };
    expect(await reportOf(script, { env })).toEqual({ isa, threads: 3 });
  });

  test('empty settings count as absent', async () => {
    const env = { LAMINAE_ISA: '', LAMINAE_THREADS: '' };
    expect(await reportOf(script, { env })).toEqual({ isa: isas.at(-1), threads: expect.any(Number) });
  });
});

test('floating-point modes stay as they were, and denormal numbers survive on every thread', async () => {
  const modes = [true, true, true, 0.30000000000000004, 1 / 3, 16777216];
  const ops = ['add', 'mul', 'relu'].flatMap((name) => [`${name} on 1`, `${name} on 2`]);
  expect(await reportOf('robustness/scripts/float-environment.cjs')).toEqual({
    before: modes,
    loaded: modes,
    after: modes,
    denormals: Object.fromEntries(ops.map((op) => [op, true])),
  });
});

test('import and require give one instance of every class', async () => {
  const report = await reportOf('robustness/scripts/import-require.cjs');
  expect(report).toEqual({ exports: expect.any(Number), different: [], missing: [], instance: true });
});
