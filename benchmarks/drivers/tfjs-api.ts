/** The part of TensorFlow.js that the driver uses, so that its types need not be installed. Images are [n, h, w, c]. */

export interface TfTensor {
  readonly shape: readonly number[];
  dataSync(): Float32Array;
  dispose(): void;
}

export interface TfVariable extends TfTensor {
  readonly name: string;
}

type Padding = number | 'valid';

export interface Tf {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  tidy<T>(fn: () => T): T;
  tensor(values: Float32Array, shape: readonly number[]): TfTensor;
  tensor1d(values: Int32Array, dtype: 'int32'): TfTensor;
  variable(initial: TfTensor, trainable: boolean, name: string): TfVariable;
  add(a: TfTensor, b: TfTensor): TfTensor;
  mul(a: TfTensor, b: TfTensor): TfTensor;
  sum(x: TfTensor): TfTensor;
  relu(x: TfTensor): TfTensor;
  relu6(x: TfTensor): TfTensor;
  sigmoid(x: TfTensor): TfTensor;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  transpose(x: TfTensor, order: readonly number[]): TfTensor;
  concat(list: readonly TfTensor[], axis: number): TfTensor;
  matMul(a: TfTensor, b: TfTensor, transposeA: boolean, transposeB: boolean): TfTensor;
  mean(x: TfTensor, axes: readonly number[], keepDims: boolean): TfTensor;
  moments(x: TfTensor, axes: readonly number[]): { readonly mean: TfTensor; readonly variance: TfTensor };
  batchNorm(
    x: TfTensor,
    mean: TfTensor,
    variance: TfTensor,
    offset: TfTensor,
    scale: TfTensor,
    eps: number,
  ): TfTensor;
  dropout(x: TfTensor, rate: number): TfTensor;
  oneHot(index: TfTensor, depth: number): TfTensor;
  conv2d(
    x: TfTensor,
    w: TfTensor,
    stride: number,
    pad: Padding,
    layout: 'NHWC',
    dilation: number,
    round: 'floor',
  ): TfTensor;
  depthwiseConv2d(
    x: TfTensor,
    w: TfTensor,
    stride: number,
    pad: Padding,
    layout: 'NHWC',
    dilation: number,
    round: 'floor',
  ): TfTensor;
  maxPool(x: TfTensor, kernel: number, stride: number, pad: Padding, round?: 'floor' | 'ceil'): TfTensor;
  avgPool(x: TfTensor, kernel: number, stride: number, pad: Padding): TfTensor;
  variableGrads(
    fn: () => TfTensor,
    variables?: readonly TfVariable[],
  ): { readonly value: TfTensor; readonly grads: Readonly<Record<string, TfTensor>> };
  readonly losses: { softmaxCrossEntropy(target: TfTensor, logits: TfTensor): TfTensor };
  readonly train: {
    momentum(
      lr: number,
      momentum: number,
    ): { applyGradients(gradients: Readonly<Record<string, TfTensor>>): void; dispose(): void };
  };
}

/** The WebAssembly backend. */
export interface TfWasm {
  setWasmPaths(prefix: string): void;
}
