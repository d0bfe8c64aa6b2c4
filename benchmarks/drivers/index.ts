/**
 * All contenders that this machine has. To add one, write a driver that returns `Contender`s and open it here; the
 * rest of the benchmark looks at nothing but that interface.
 */
import type { Family } from '../options';
import type { Contender } from '../types';
import { openLaminae } from './laminae';
import { openOnnxRuntime } from './onnxruntime';
import { openTfjs } from './tfjs';
import { openTorch, type Torch } from './torch';

export interface OpenOptions {
  readonly against: readonly Family[];
  readonly peers: string | null;
  readonly python: string | null;
  /** Folder for files that contenders exchange. */
  readonly directory: string;
  readonly isa: string;
  readonly isaIsLimit: boolean;
}

export interface Contenders {
  readonly list: readonly Contender[];
  /** One line for each library that was asked for and is not here, or not at its best. */
  readonly notes: readonly string[];
  readonly close: () => Promise<void>;
}

const howToGet = {
  torch:
    'torch: no Python with PyTorch found; "apt-get install python3-torch" or "pip install torch", then --python COMMAND',
  ort: 'ort: not installed; "npm install --ignore-scripts onnxruntime-node" with ONNXRUNTIME_NODE_INSTALL=skip in any folder, then --peers FOLDER',
  ortNeedsTorch: 'ort: skipped, PyTorch writes the models it reads (see torch)',
  tfjs: 'tfjs: not installed; "npm install --ignore-scripts @tensorflow/tfjs @tensorflow/tfjs-backend-wasm" in any folder, then --peers FOLDER',
} as const;

export async function openContenders(options: OpenOptions): Promise<Contenders> {
  const { against, peers, directory } = options;
  const list: Contender[] = [openLaminae()];
  const notes: string[] = [];
  let torch: Torch | null = null;
  if (against.includes('torch') || against.includes('ort')) {
    const pythons = options.python === null ? ['python3', '/usr/bin/python3'] : [options.python];
    torch = await openTorch({ ...options, pythons });
  }
  if (against.includes('torch')) {
    if (torch === null) notes.push(howToGet.torch);
    else list.push(...torch.contenders);
    if (torch !== null && torch.handicap !== null) notes.push(torch.handicap);
  }
  if (against.includes('ort')) {
    const ort = torch === null ? null : openOnnxRuntime(peers, torch, directory);
    if (ort === null) notes.push(torch === null ? howToGet.ortNeedsTorch : howToGet.ort);
    else list.push(ort);
  }
  if (against.includes('tfjs')) {
    const tfjs = openTfjs(peers);
    if (tfjs.length === 0) notes.push(howToGet.tfjs);
    list.push(...tfjs);
  }
  const close = async (): Promise<void> => {
    await Promise.all([...list, ...(torch?.contenders ?? [])].map((contender) => contender.close()));
  };
  return { list, notes, close };
}
