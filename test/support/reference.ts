// All reference ops: plain loops over doubles, written from the formulas and from nothing of the product.
// Each takes the arguments and options of the package's function of the same name, as in a fixture, and gives
// the output and, for a gradient of the output, the gradients of the inputs.
//
//   const result = oracles.conv2d({ input, weight, bias: null }, { stride: 2 });
//   const { input: gradInput, weight: gradWeight } = gradientsOf(result, gradOutput);
import * as arrange from './reference-arrange';
import { activationOps, glu, logSoftmax, prelu, softmax } from './reference-activation';
import { conv, convTranspose, fold, unfold } from './reference-conv';
import type { Oracle } from './reference-core';
import { binaryOps, clamp, unaryOps, where } from './reference-elementwise';
import { embedding, linear, matmul } from './reference-linear';
import * as losses from './reference-loss';
import { batchNorm, groupNorm, instanceNorm, layerNorm, localResponseNorm } from './reference-norm';
import { adaptiveAvgPool, adaptiveMaxPool, avgPool, lpPool, maxPool, maxUnpool } from './reference-pool';
import * as rearrange from './reference-rearrange';
import { all, any, argmax, argmin, cumsum, max, min, reductionOps, sort, topk } from './reference-reduction';

export type { NdArray } from './nd-array';
export type { Gradients, Oracle, OracleResult } from './reference-core';
export { gradientsOf } from './reference-core';

export const oracles = {
  conv1d: conv,
  conv2d: conv,
  conv3d: conv,
  convTranspose1d: convTranspose,
  convTranspose2d: convTranspose,
  convTranspose3d: convTranspose,
  unfold,
  fold,
  maxPool1d: maxPool(1),
  maxPool2d: maxPool(2),
  maxPool3d: maxPool(3),
  avgPool1d: avgPool(1),
  avgPool2d: avgPool(2),
  avgPool3d: avgPool(3),
  adaptiveAvgPool1d: adaptiveAvgPool(1),
  adaptiveAvgPool2d: adaptiveAvgPool(2),
  adaptiveAvgPool3d: adaptiveAvgPool(3),
  adaptiveMaxPool1d: adaptiveMaxPool(1),
  adaptiveMaxPool2d: adaptiveMaxPool(2),
  adaptiveMaxPool3d: adaptiveMaxPool(3),
  lpPool1d: lpPool(1),
  lpPool2d: lpPool(2),
  maxUnpool1d: maxUnpool(1),
  maxUnpool2d: maxUnpool(2),
  maxUnpool3d: maxUnpool(3),
  batchNorm,
  layerNorm,
  groupNorm,
  instanceNorm,
  localResponseNorm,
  linear,
  matmul,
  embedding,
  ...activationOps,
  prelu,
  softmax,
  logSoftmax,
  glu,
  ...losses,
  ...binaryOps,
  ...unaryOps,
  clamp,
  where,
  ...reductionOps,
  max,
  min,
  argmax,
  argmin,
  cumsum,
  sort,
  topk,
  any,
  all,
  ...rearrange,
  ...arrange,
} as const satisfies Readonly<Record<string, Oracle>>;
