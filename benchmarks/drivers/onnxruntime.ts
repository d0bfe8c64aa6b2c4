/**
 * onnxruntime-node, for inference only. It reads the network from an ONNX file, which PyTorch writes.
 *
 * All graph optimisations are on, and the output goes into memory that is given with every call.
 */
import fs from 'node:fs';
import path from 'node:path';
import { sizeOf } from '../layer';
import type { BlockTiming, CaseData, Contender, Job, NamedValues, Prepared } from '../types';
import { loadPeer } from './peer-package';
import type { Torch } from './torch';

interface OrtTensor {
  readonly data: Float32Array;
}

interface OrtSession {
  run(
    feeds: Record<string, OrtTensor>,
    fetches: Record<string, OrtTensor>,
  ): Promise<Record<string, OrtTensor>>;
  release(): Promise<void>;
}

/** The part of onnxruntime-node that is used here. */
interface Ort {
  readonly InferenceSession: {
    create(file: string, options: Readonly<Record<string, unknown>>): Promise<OrtSession>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => OrtTensor;
}

class OrtRun implements Prepared {
  constructor(
    private readonly session: OrtSession,
    private readonly feeds: Record<string, OrtTensor>,
    private readonly fetches: Record<string, OrtTensor>,
  ) {}

  async check(): Promise<NamedValues[]> {
    const { y } = await this.session.run(this.feeds, this.fetches);
    return [{ name: 'output', values: y.data.slice() }];
  }

  async time(repetitions: number, inner: number): Promise<BlockTiming> {
    const { session, feeds, fetches } = this;
    const ms = new Float64Array(repetitions);
    for (let r = 0; r < repetitions; r++) {
      const start = performance.now();
      for (let i = 0; i < inner; i++) await session.run(feeds, fetches);
      ms[r] = (performance.now() - start) / inner;
    }
    return { ms, pageFaults: null };
  }

  async dispose(): Promise<void> {
    await this.session.release();
  }
}

class OrtContender implements Contender {
  readonly name = 'onnxruntime';
  readonly library = 'onnxruntime';
  readonly setting = '';

  constructor(
    private readonly ort: Ort,
    readonly version: string,
    private readonly torch: Torch,
    private readonly directory: string,
  ) {}

  async prepare(job: Job, data: CaseData): Promise<Prepared | null> {
    const trains = job.case.training && job.case.layers.some((layer) => layer.type === 'batchNorm');
    if (job.pass !== 'forward' || job.case.kind !== 'network' || trains) return null;
    const file = path.join(this.directory, 'model.onnx');
    await this.torch.exportOnnx(job, data, file);
    const session = await this.ort.InferenceSession.create(file, {
      intraOpNumThreads: job.threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
    });
    fs.rmSync(file);
    const { Tensor } = this.ort;
    const x = new Tensor('float32', data.arrays.inputs[0], job.case.input);
    const y = new Tensor('float32', new Float32Array(sizeOf(data.outputShape)), data.outputShape);
    return new OrtRun(session, { x }, { y });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Null if onnxruntime-node is not installed. */
export function openOnnxRuntime(peers: string | null, torch: Torch, directory: string): Contender | null {
  const found = loadPeer('onnxruntime-node', peers);
  return found === null ? null : new OrtContender(found.exports as Ort, found.version, torch, directory);
}
