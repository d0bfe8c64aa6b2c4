/**
 * PyTorch, through worker processes (torch_worker.py). Two of them run every job, and the faster one counts:
 *
 * - "plain": Python as it is started from a shell;
 * - "tuned": ATEN_CPU_CAPABILITY names the best instruction set (PyTorch 1.13 keeps to AVX2 by itself), and malloc
 *   neither maps nor trims, so that freed memory is used again without a page fault.
 *
 * Each comes in three forms: eager in NCHW, eager in channels_last, and traced, frozen and optimised for inference.
 */
import fs from 'node:fs';
import path from 'node:path';
import { trainingOptimizer } from '../cases/train';
import type { CaseData, Contender, Job, NamedValues, Precision, Prepared } from '../types';
import { JsonLinesProcess, type Answer } from './json-lines';

export type TorchForm = 'nchw' | 'channels_last' | 'frozen';
type Setting = 'plain' | 'tuned';

const forms: readonly TorchForm[] = ['nchw', 'channels_last', 'frozen'];

interface Places {
  /** Commands to try for Python. */
  readonly pythons: readonly string[];
  /** Folder for results on their way here. */
  readonly directory: string;
  /** Instruction set to use, or to be held to. */
  readonly isa: string;
  /** The user asked for this instruction set: PyTorch may not use a better one. */
  readonly isaIsLimit: boolean;
}

/** What ATen's own kernels, oneDNN and OpenBLAS call an instruction set. */
interface IsaNames {
  readonly aten: string;
  readonly onednn: string;
  readonly openblas: string;
}

const isaNames: Readonly<Record<string, IsaNames>> = {
  avx512: { aten: 'avx512', onednn: 'ALL', openblas: 'SkylakeX' },
  avx2: { aten: 'avx2', onednn: 'AVX2', openblas: 'Haswell' },
  portable: { aten: 'default', onednn: 'SSE41', openblas: 'Nehalem' },
};

/** What the environment must not decide: thread counts and spinning are the same for all. */
const foreignSettings = /^(OMP|GOMP|KMP|MKL|OPENBLAS|GOTO|ATEN|DNNL|ONEDNN)_|^GLIBC_TUNABLES$|^MALLOC_/;

export function torchEnvironment(
  base: NodeJS.ProcessEnv,
  setting: Setting,
  isa: string,
  isaIsLimit: boolean,
): NodeJS.ProcessEnv {
  const environment = Object.fromEntries(
    Object.entries(base).filter(([name]) => !foreignSettings.test(name)),
  );
  const names = isaNames[isa];
  if (names !== undefined && (setting === 'tuned' || isaIsLimit))
    environment.ATEN_CPU_CAPABILITY = names.aten;
  if (names !== undefined && isaIsLimit) {
    environment.DNNL_MAX_CPU_ISA = names.onednn;
    environment.OPENBLAS_CORETYPE = names.openblas;
  }
  if (setting === 'tuned') {
    // Thresholds above 32 MiB are ignored by glibc: mmap_max 0 is what keeps it from mapping.
    environment.GLIBC_TUNABLES = ['mmap_max=0', 'trim_threshold=17179869184', 'top_pad=67108864']
      .map((tunable) => `glibc.malloc.${tunable}`)
      .join(':');
  }
  return environment;
}

function jobMessage(job: Job, data: CaseData, form: TorchForm): Answer {
  return {
    kind: job.case.kind,
    layers: job.case.layers,
    input: job.case.input,
    outputShape: data.outputShape,
    state: [...data.stateShapes],
    training: job.case.training,
    pass: job.pass,
    form,
    file: data.file,
    optimizer: trainingOptimizer,
  };
}

/** Reads what the worker wrote: arrays one after the other. */
function readValues(file: string, answer: Answer, precision: Precision): NamedValues[] {
  const bytes = fs.readFileSync(file);
  fs.rmSync(file);
  const whole =
    precision === 'float32'
      ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
      : new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
  let at = 0;
  return (answer.values as readonly (readonly [string, number])[]).map(([name, length]) => ({
    name,
    values: whole.subarray(at, (at += length)),
  }));
}

class TorchRun implements Prepared {
  constructor(
    private readonly worker: JsonLinesProcess,
    private readonly handle: unknown,
    private readonly threads: number,
    private readonly resultFile: string,
  ) {}

  async check(): Promise<NamedValues[]> {
    const { worker, handle, threads, resultFile } = this;
    const answer = await worker.request({ command: 'check', handle, threads, path: resultFile });
    return readValues(resultFile, answer, 'float32');
  }

  async time(repetitions: number, inner: number): ReturnType<Prepared['time']> {
    const { worker, handle, threads } = this;
    const answer = await worker.request({ command: 'time', handle, threads, repetitions, inner });
    return { ms: Float64Array.from(answer.ms as readonly number[]), pageFaults: Number(answer.pageFaults) };
  }

  async dispose(): Promise<void> {
    await this.worker.request({ command: 'drop', handle: this.handle });
  }
}

class TorchContender implements Contender {
  readonly name: string;
  readonly library = 'torch';

  constructor(
    private readonly form: TorchForm,
    readonly setting: Setting,
    readonly version: string,
    private readonly worker: JsonLinesProcess,
    private readonly directory: string,
  ) {
    this.name = `torch-${form}`;
  }

  private get resultFile(): string {
    return path.join(this.directory, `torch-${this.setting}.bin`);
  }

  async prepare(job: Job, data: CaseData): Promise<Prepared | null> {
    const { threads } = job;
    const answer = await this.worker.request({
      command: 'prepare',
      threads,
      job: jobMessage(job, data, this.form),
    });
    return answer.unsupported === true
      ? null
      : new TorchRun(this.worker, answer.handle, threads, this.resultFile);
  }

  async reference(job: Job, data: CaseData): Promise<NamedValues[]> {
    const message = jobMessage(job, data, 'nchw');
    const file = this.resultFile;
    const answer = await this.worker.request({
      command: 'reference',
      threads: job.threads,
      job: message,
      path: file,
    });
    return readValues(file, answer, 'float64');
  }

  /** Writes the network of `job` in evaluation mode as an ONNX model. */
  async exportOnnx(job: Job, data: CaseData, file: string): Promise<void> {
    await this.worker.request({ command: 'onnx', job: jobMessage(job, data, 'nchw'), path: file });
  }

  async close(): Promise<void> {
    await this.worker.close();
  }
}

const slowBlas =
  'torch: its matrix products run on the slow reference BLAS, so ratios of linear layers mean nothing; ' +
  '"apt-get install libopenblas0-pthread" gives it its best';

export interface Torch {
  readonly contenders: readonly Contender[];
  /** What keeps PyTorch from its best here, or null. */
  readonly handicap: string | null;
  readonly exportOnnx: (job: Job, data: CaseData, file: string) => Promise<void>;
}

/** Starts the workers; null if no Python here has PyTorch. */
export async function openTorch(places: Places): Promise<Torch | null> {
  const script = path.join(__dirname, 'torch_worker.py');
  const start = (python: string, setting: Setting): JsonLinesProcess =>
    new JsonLinesProcess(
      python,
      [script],
      torchEnvironment(process.env, setting, places.isa, places.isaIsLimit),
    );
  for (const python of places.pythons) {
    const plain = start(python, 'plain');
    let hello: Answer;
    try {
      hello = await plain.request({ command: 'hello' });
    } catch {
      await plain.close();
      continue;
    }
    const version = `${String(hello.torch)} (${String(hello.blas)})`;
    const workers: readonly [Setting, JsonLinesProcess][] = [
      ['tuned', start(python, 'tuned')],
      ['plain', plain],
    ];
    const contenders = forms.flatMap((form) =>
      workers.map(
        ([setting, worker]) => new TorchContender(form, setting, version, worker, places.directory),
      ),
    );
    return {
      contenders,
      handicap: hello.blas === 'reference BLAS' ? slowBlas : null,
      exportOnnx: (job, data, file) => contenders[0].exportOnnx(job, data, file),
    };
  }
  return null;
}
