/** laminae itself, eager: modules, autograd and optimiser as a user writes them, each step inside a `scope`. */
import fs from 'node:fs';
import path from 'node:path';
import { F, add, grad, optim, scope, setNumThreads, tensor, zeros, type Tensor, type nn } from 'laminae';
import { trainingOptimizer } from '../cases/train';
import type { Shape } from '../layer';
import type { BlockTiming, CaseData, Contender, Job, NamedValues, Precision, Prepared } from '../types';
import { buildModel, setDropout, setTraining } from './laminae-model';

function toTensor(values: Float32Array, shape: Shape, precision: Precision): Tensor {
  return tensor(values, { shape, dtype: precision });
}

function floats(t: Tensor): Float32Array | Float64Array {
  const values = t.toTypedArray();
  if (values instanceof Float32Array || values instanceof Float64Array) return values;
  throw new TypeError(`expected floating-point results, got ${t.dtype}`);
}

function gradientOf(t: Tensor): Tensor {
  if (t.grad === null) throw new Error('backward left no gradient');
  return t.grad;
}

class LaminaeRun implements Prepared {
  private readonly inputs: readonly Tensor[];
  private readonly gradient: Tensor;
  private readonly target: Tensor;
  private readonly model: nn.Sequential;
  private readonly layer: nn.Module;
  private readonly optimizer: optim.SGD | null;
  /** Tensors whose gradients are asked for, by name. */
  private readonly wanted = new Map<string, Tensor>();

  constructor(
    private readonly job: Job,
    data: CaseData,
    precision: Precision,
  ) {
    const { arrays } = data;
    const { pass } = job;
    this.inputs = arrays.inputs.map((values) => toTensor(values, job.case.input, precision));
    this.gradient = toTensor(arrays.gradient, data.outputShape, precision);
    this.target = tensor(arrays.target);
    this.model = buildModel(job.case.layers);
    this.layer = this.model.length === 1 ? this.model.get(0) : this.model;
    if (precision === 'float64') this.model.to('float64');
    this.load(data, precision);
    setTraining(this.model, job.case.training);
    this.model.requiresGrad_(pass !== 'forward');
    if (pass === 'forward+backward' || pass === 'record') {
      this.inputs.forEach((x, i) => this.wanted.set(`input ${i}`, x.requiresGrad_()));
    }
    if (pass !== 'forward') for (const [name, p] of this.model.namedParameters()) this.wanted.set(name, p);
    this.optimizer = pass === 'step' ? new optim.SGD(this.model.parameters(), trainingOptimizer) : null;
  }

  private load(data: CaseData, precision: Precision): void {
    const state = new Map<string, Tensor>();
    for (const [name, values] of data.arrays.state) {
      state.set(name, toTensor(values, data.stateShapes.get(name) ?? [], precision));
    }
    for (const name of this.model.stateDict().keys()) {
      if (name.endsWith('num_batches_tracked')) state.set(name, zeros([], { dtype: 'int32' }));
    }
    this.model.loadStateDict(state);
  }

  private forward(): Tensor {
    const [x] = this.inputs;
    switch (this.job.case.kind) {
      case 'add':
        return add(x, this.inputs[1]);
      case 'crossEntropy':
        return F.crossEntropy(x, this.target);
      case 'network':
        return this.layer.forward(x);
    }
  }

  /** The gradients that are asked for, as returned by `grad`: the same that `torch.autograd.grad` does. */
  private gradients(): (Tensor | null)[] {
    const y = this.forward();
    const seed = this.job.case.kind === 'crossEntropy' ? {} : { gradient: this.gradient };
    return grad(y, [...this.wanted.values()], seed);
  }

  private step(optimizer: optim.SGD): number {
    optimizer.zeroGrad();
    const loss = F.crossEntropy(this.model.forward(this.inputs[0]), this.target);
    loss.backward();
    optimizer.step();
    return loss.item();
  }

  private checkStep(optimizer: optim.SGD): NamedValues[] {
    const results: NamedValues[] = [];
    const put = (name: string, values: Float32Array | Float64Array): void =>
      void results.push({ name, values });
    setDropout(this.model, false);
    const before = new Map([...this.wanted].map(([name, p]) => [name, floats(p)]));
    put('loss', Float64Array.of(this.step(optimizer)));
    for (const [name, p] of this.wanted) put(`gradient of ${name}`, floats(gradientOf(p)));
    put('loss of the second step', Float64Array.of(this.step(optimizer)));
    for (const [name, p] of this.wanted) {
      const start = before.get(name);
      put(
        `update of ${name}`,
        Float64Array.from(floats(p), (v, i) => v - (start?.[i] ?? 0)),
      );
    }
    setDropout(this.model, true);
    return results;
  }

  /** All results by name. */
  results(): NamedValues[] {
    if (this.optimizer !== null) return this.checkStep(this.optimizer);
    const results: NamedValues[] = [{ name: 'output', values: floats(this.forward().detach()) }];
    if (!this.job.pass.startsWith('forward+backward')) return results;
    const names = [...this.wanted.keys()];
    this.gradients().forEach((g, i) => {
      if (g === null) throw new Error(`no gradient of ${names[i]}`);
      results.push({ name: `gradient of ${names[i]}`, values: floats(g) });
    });
    return results;
  }

  check(): Promise<NamedValues[]> {
    setNumThreads(this.job.threads);
    return Promise.resolve(this.results());
  }

  /** What is timed. Calls of a microsecond are made without a scope: nobody writes one around an addition. */
  private chooseCall(): () => void {
    const { optimizer, job } = this;
    if (optimizer !== null) {
      return () => {
        scope(() => this.step(optimizer));
      };
    }
    if (job.suite === 'overhead') return () => void this.forward();
    if (job.pass.startsWith('forward+backward')) {
      return () => {
        scope(() => void this.gradients());
      };
    }
    return () => {
      scope(() => {
        this.forward();
      });
    };
  }

  time(repetitions: number, inner: number): Promise<BlockTiming> {
    setNumThreads(this.job.threads);
    const call = this.chooseCall();
    const ms = new Float64Array(repetitions);
    const faultsBefore = process.resourceUsage().minorPageFault;
    for (let r = 0; r < repetitions; r++) {
      const start = performance.now();
      for (let i = 0; i < inner; i++) call();
      ms[r] = (performance.now() - start) / inner;
    }
    return Promise.resolve({ ms, pageFaults: process.resourceUsage().minorPageFault - faultsBefore });
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }
}

function packageVersion(): string {
  const text = fs.readFileSync(path.join(__dirname, '..', '..', 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Always there. */
export function openLaminae(): Contender {
  return {
    name: 'laminae',
    library: 'laminae',
    setting: '',
    version: packageVersion(),
    prepare: (job, data) => Promise.resolve(new LaminaeRun(job, data, 'float32')),
    reference: (job, data) => {
      setNumThreads(job.threads);
      return Promise.resolve(new LaminaeRun(job, data, 'float64').results());
    },
    close: () => Promise.resolve(),
  };
}
