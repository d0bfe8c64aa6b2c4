import { afterEach, describe, expect, test } from '@jest/globals';
import { JsonLinesProcess } from '../../benchmarks/drivers/json-lines';
import { loadPeer } from '../../benchmarks/drivers/peer-package';
import { permute } from '../../benchmarks/drivers/tfjs-model';
import { openTorch, torchEnvironment } from '../../benchmarks/drivers/torch';

describe('a process that speaks JSON lines', () => {
  const echo = `
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const { id, command, value } = JSON.parse(line);
      if (command === 'die') { console.error('fell over'); process.exit(3); }
      console.log(JSON.stringify(command === 'fail' ? { id, error: 'cannot' } : { id, value }));
    });`;
  let child: JsonLinesProcess;
  const start = (): JsonLinesProcess =>
    (child = new JsonLinesProcess(process.execPath, ['-e', echo], process.env));
  afterEach(() => child.close());

  test('answers find their questions', async () => {
    start();
    const answers = await Promise.all([1, 2, 3].map((value) => child.request({ command: 'echo', value })));
    expect(answers.map((answer) => answer.value)).toEqual([1, 2, 3]);
  });

  test('an error is one of that request alone', async () => {
    start();
    await expect(child.request({ command: 'fail' })).rejects.toThrow('cannot');
    await expect(child.request({ command: 'echo', value: 7 })).resolves.toMatchObject({ value: 7 });
  });

  test('the end of the process rejects what waits, with its last words', async () => {
    start();
    await expect(child.request({ command: 'die' })).rejects.toThrow(/ended \(3\): fell over/);
    await expect(child.request({ command: 'echo' })).rejects.toThrow('has ended');
  });

  test('a command that does not exist', async () => {
    child = new JsonLinesProcess('/nonexistent/python', [], process.env);
    await expect(child.request({ command: 'hello' })).rejects.toThrow('ENOENT');
  });
});

describe('PyTorch', () => {
  test('no Python with it: none', async () => {
    const places = {
      pythons: ['/nonexistent/python', process.execPath],
      directory: '',
      isa: 'avx2',
      isaIsLimit: false,
    };
    await expect(openTorch(places)).resolves.toBeNull();
  });

  test('the environment does not decide about threads or memory', () => {
    const base = {
      PATH: '/bin',
      OMP_NUM_THREADS: '1',
      OPENBLAS_NUM_THREADS: '1',
      GLIBC_TUNABLES: 'x',
      KMP_BLOCKTIME: '0',
    };
    expect(torchEnvironment(base, 'plain', 'avx512', false)).toEqual({ PATH: '/bin' });
    const tuned = torchEnvironment(base, 'tuned', 'avx512', false);
    expect(tuned).toMatchObject({ PATH: '/bin', ATEN_CPU_CAPABILITY: 'avx512' });
    expect(tuned.GLIBC_TUNABLES).toContain('mmap_max=0');
    expect(tuned).not.toHaveProperty('OMP_NUM_THREADS');
    expect(tuned).not.toHaveProperty('DNNL_MAX_CPU_ISA');
  });

  test('an instruction set that was asked for is a limit for both', () => {
    expect(torchEnvironment({}, 'plain', 'avx2', true)).toEqual({
      ATEN_CPU_CAPABILITY: 'avx2',
      DNNL_MAX_CPU_ISA: 'AVX2',
      OPENBLAS_CORETYPE: 'Haswell',
    });
  });
});

describe('JavaScript peers', () => {
  test('a package that is not installed is null, one that is has a version', () => {
    expect(loadPeer('no-such-library-here', null)).toBeNull();
    expect(loadPeer('pngjs', null)).toMatchObject({ version: expect.stringMatching(/^\d+\./) as unknown });
  });

  test('permute reorders dimensions', () => {
    const values = Float32Array.from({ length: 24 }, (_, i) => i);
    const turned = permute(values, [2, 3, 2, 2], [0, 2, 3, 1]);
    expect(turned.shape).toEqual([2, 2, 2, 3]);
    expect(Array.from(turned.values.subarray(0, 6))).toEqual([0, 4, 8, 1, 5, 9]);
    const back = permute(turned.values, turned.shape, [0, 3, 1, 2]);
    expect(back.values).toEqual(values);
  });
});
