import { describe, expect, test } from '@jest/globals';
import { UsageError, parseOptions, type Options } from '../../benchmarks/options';

const choices = { isas: ['portable', 'avx2'], maxThreads: 2 };
const parse = (line: string): Options => parseOptions(line.split(' '), choices);

function usageError(line: string): string {
  try {
    parse(line);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error(`accepted: ${line}`);
}

describe('benchmark options', () => {
  test('defaults of a suite', () => {
    const options = parse('layers');
    expect(options.threads).toEqual([1, 2]);
    expect(options.against).toEqual(['torch', 'ort', 'tfjs']);
    expect(options.isa).toBeNull();
    expect(options.exact).toBe(false);
    expect(options.cases.length).toBeGreaterThan(25);
  });

  test('training without options is short: two networks on all threads', () => {
    const options = parse('train');
    expect(options.threads).toEqual([2]);
    expect(options.cases.map((c) => c.name)).toEqual(['LeNet b256', 'BN-LeNet b256']);
    expect(parse('train --filter .').cases).toHaveLength(7);
  });

  test('everything given', () => {
    const options = parse(
      'layers --filter 64→64 --threads 2 --against ort,torch --isa avx2 --exact --seconds 0.1 --repetitions 3',
    );
    expect(options.cases.map((c) => c.name)).toEqual(['conv 3x3 s1 64→64@56 b1', 'conv 3x3 s1 64→64@56 b8']);
    expect(options).toMatchObject({
      threads: [2],
      against: ['ort', 'torch'],
      isa: 'avx2',
      exact: true,
      seconds: 0.1,
      repetitions: 3,
    });
  });

  test('none stands for laminae alone', () => {
    expect(parse('overhead --against none').against).toEqual([]);
    expect(parse('roofline').against).toEqual([]);
    expect(parse('roofline --against torch').against).toEqual(['torch']);
  });

  test.each([
    ['speed', /^unknown suite 'speed': valid are layers, networks, train, overhead, roofline$/],
    ['layers --isa sse9', /^unknown ISA 'sse9': valid are portable, avx2$/],
    ['layers --against torch,caffe', /^unknown contender 'caffe': valid are torch, ort, tfjs, none$/],
    ['layers --threads 3', /^unknown thread count '3': valid are 1, 2$/],
    ['layers --threads 0', /^unknown thread count '0': valid are 1, 2$/],
    ['layers --threads two', /^unknown thread count 'two': valid are 1, 2$/],
    [
      'overhead --filter nothing',
      /^no case matches 'nothing': cases of overhead are add 4 elements, conv2d 3x3 1x1x8x8$/,
    ],
    ['overhead --filter (', /^--filter '\(' is no regular expression; cases of overhead: add 4 elements, /],
    ['layers --seconds 0', /^--seconds must be a number above 0, got '0'$/],
    ['layers --repetitions 1.5', /^--repetitions must be an integer above 0, got '1.5'$/],
    ['layers --speed', /^unknown option '--speed'/],
    ['--threads 1', /suites are layers, networks, train, overhead, roofline$/],
    ['layers networks', /too many arguments/],
  ])('%s: one line', (line, message) => {
    const text = usageError(line);
    expect(text).toMatch(message);
    expect(text).not.toContain('\n');
  });
});
