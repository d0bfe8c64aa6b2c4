/**
 * TensorFlow.js in two forms: the plain JavaScript backend, and WebAssembly with SIMD. Both have one thread in Node.
 *
 * The JavaScript backend is left out of rows that would take it seconds. What a backend has no kernel for (the
 * gradient of a convolution in WebAssembly) is reported beside the row.
 */
import path from 'node:path';
import { trainingOptimizer } from '../cases/train';
import { costOf } from '../cost';
import type { BlockTiming, CaseData, Contender, Job, NamedValues, Prepared } from '../types';
import { loadPeer } from './peer-package';
import type { Tf, TfTensor, TfVariable, TfWasm } from './tfjs-api';
import { TfModel, imagesFromTf, imagesToTf } from './tfjs-model';

type Backend = 'cpu' | 'wasm';

/** About a second of the JavaScript backend. */
const maxCpuFlops = 1.5e8;

let runCount = 0;

class TfRun implements Prepared {
  private readonly inputs: readonly TfVariable[];
  private readonly gradient: TfTensor;
  private readonly target: TfTensor;
  private readonly model: TfModel;
  private readonly optimizer: ReturnType<Tf['train']['momentum']>;

  constructor(
    private readonly tf: Tf,
    private readonly job: Job,
    data: CaseData,
  ) {
    const { arrays, outputShape } = data;
    const prefix = `run${runCount++}`;
    this.inputs = arrays.inputs.map((values, i) =>
      tf.variable(imagesToTf(tf, values, job.case.input), true, `${prefix}.input ${i}`),
    );
    this.gradient = imagesToTf(tf, arrays.gradient, outputShape);
    this.target = tf.tidy(() => tf.oneHot(tf.tensor1d(arrays.target, 'int32'), outputShape[1] ?? 1));
    const settings = { training: job.case.training, dropout: job.case.training };
    this.model = new TfModel(tf, job.case.layers, arrays.state, data.stateShapes, settings, prefix);
    this.optimizer = tf.train.momentum(trainingOptimizer.lr, trainingOptimizer.momentum);
  }

  private forward(): TfTensor {
    const [x] = this.inputs;
    switch (this.job.case.kind) {
      case 'add':
        return this.tf.add(x, this.inputs[1]);
      case 'crossEntropy':
        return this.tf.losses.softmaxCrossEntropy(this.target, x);
      case 'network':
        return this.model.forward(x);
    }
  }

  /** Variables whose gradients are asked for, by the name they have in all contenders. */
  private wanted(): Map<string, TfVariable> {
    const { pass } = this.job;
    const withInputs = pass === 'forward+backward';
    const weights = [...this.model.variables].filter(([name]) => !name.includes('running_'));
    return new Map([
      ...(withInputs ? this.inputs.map((x, i) => [`input ${i}`, x] as const) : []),
      ...weights,
    ]);
  }

  private gradients(): { value: TfTensor; grads: Readonly<Record<string, TfTensor>> } {
    const { tf } = this;
    const isScalar = this.job.case.kind === 'crossEntropy';
    const loss = (): TfTensor => (isScalar ? this.forward() : tf.sum(tf.mul(this.forward(), this.gradient)));
    return tf.variableGrads(loss, [...this.wanted().values()]);
  }

  private step(): { loss: number; grads: Readonly<Record<string, TfTensor>> } {
    const { tf } = this;
    const loss = (): TfTensor =>
      tf.losses.softmaxCrossEntropy(this.target, this.model.forward(this.inputs[0]));
    const { value, grads } = tf.variableGrads(loss, [...this.wanted().values()]);
    this.optimizer.applyGradients(grads);
    return { loss: value.dataSync()[0], grads };
  }

  private gradientValues(grads: Readonly<Record<string, TfTensor>>): NamedValues[] {
    return [...this.wanted()].map(([name, variable]) => {
      const t = grads[variable.name];
      return {
        name: `gradient of ${name}`,
        values: name.startsWith('input') ? imagesFromTf(t) : this.model.values(name, t),
      };
    });
  }

  private checkStep(): NamedValues[] {
    const wanted = [...this.wanted()];
    this.model.settings.dropout = false;
    const before = wanted.map(([name, v]) => this.model.values(name, v));
    const first = this.step();
    const second = this.step();
    this.model.settings.dropout = this.job.case.training;
    return [
      { name: 'loss', values: Float32Array.of(first.loss) },
      ...this.gradientValues(first.grads),
      { name: 'loss of the second step', values: Float32Array.of(second.loss) },
      ...wanted.map(([name, v], i) => ({
        name: `update of ${name}`,
        values: this.model.values(name, v).map((value, at) => value - before[i][at]),
      })),
    ];
  }

  check(): Promise<NamedValues[]> {
    return Promise.resolve(
      this.tf.tidy(() => {
        if (this.job.pass === 'step') return this.checkStep();
        const output = { name: 'output', values: imagesFromTf(this.forward()) };
        if (!this.job.pass.startsWith('forward+backward')) return [output];
        return [output, ...this.gradientValues(this.gradients().grads)];
      }),
    );
  }

  private call(): void {
    if (this.job.pass === 'step') this.step();
    else if (this.job.pass.startsWith('forward+backward')) this.gradients();
    else this.forward();
  }

  time(repetitions: number, inner: number): Promise<BlockTiming> {
    const ms = new Float64Array(repetitions);
    const call = (): void => this.call();
    for (let r = 0; r < repetitions; r++) {
      const start = performance.now();
      for (let i = 0; i < inner; i++) this.tf.tidy(call);
      ms[r] = (performance.now() - start) / inner;
    }
    return Promise.resolve({ ms, pageFaults: null });
  }

  dispose(): Promise<void> {
    this.model.dispose();
    this.optimizer.dispose();
    for (const t of [...this.inputs, this.gradient, this.target]) t.dispose();
    return Promise.resolve();
  }
}

/** Switches to the backend before every call, as both live in one registry. */
class TfContender implements Contender {
  readonly name: string;
  readonly library = 'tfjs';
  readonly setting = '';

  constructor(
    private readonly tf: Tf,
    private readonly backend: Backend,
    readonly version: string,
  ) {
    this.name = `tfjs-${backend}`;
  }

  private async select(): Promise<void> {
    await this.tf.setBackend(this.backend);
    await this.tf.ready();
  }

  async prepare(job: Job, data: CaseData): Promise<Prepared | null> {
    const isSlow = this.backend === 'cpu' && costOf(job.case, job.pass).flops > maxCpuFlops;
    const groups = job.case.layers.some(
      (layer) => layer.type === 'conv' && layer.groups > 1 && layer.groups !== layer.in,
    );
    if (isSlow || job.threads > 1 || groups || job.pass === 'record') return null;
    await this.select();
    const run = new TfRun(this.tf, job, data);
    return {
      check: async () => {
        await this.select();
        return run.check();
      },
      time: async (repetitions, inner) => {
        await this.select();
        return run.time(repetitions, inner);
      },
      dispose: async () => {
        await this.select();
        await run.dispose();
      },
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The backends that are installed. */
export function openTfjs(peers: string | null): Contender[] {
  const found = loadPeer('@tensorflow/tfjs', peers);
  if (found === null) return [];
  const tf = found.exports as Tf;
  const wasm = loadPeer('@tensorflow/tfjs-backend-wasm', peers);
  if (wasm === null) return [new TfContender(tf, 'cpu', found.version)];
  (wasm.exports as TfWasm).setWasmPaths(path.join(wasm.directory, 'dist', path.sep));
  return [new TfContender(tf, 'cpu', found.version), new TfContender(tf, 'wasm', found.version)];
}
