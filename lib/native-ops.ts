/**
 * The ops of the native addon: what native/core/ops.def declares, once more, in camelCase. The types of `run` are derived
 * from it, and the whole table is compared at load with what the addon reports (native.ts), so the two sides cannot drift
 * apart silently.
 */

const indexFields = [
  'outerRank',
  'outerShape:8',
  'outerStrides:8',
  'count',
  'innerRank',
  'innerShape:8',
  'innerStrides:8',
] as const;
const convFields = [
  'n',
  'groups',
  'cIn',
  'cOut',
  'in:3',
  'kernel:3',
  'out:3',
  'stride:3',
  'padding:3',
  'dilation:3',
  'algorithm',
  'exact',
  'lanes',
] as const;
const convSumFields = [...convFields, 'packedReady'] as const;
const convTilesFields = [...convSumFields, 'fn'] as const;
const gemmFields = [
  'batch',
  'm',
  'n',
  'k',
  'transposeA',
  'transposeB',
  'aStride',
  'bStride',
  'cStride',
  'accumulate',
] as const;
const poolFields = ['planes', 'in:3', 'out:3', 'kernel:3', 'stride:3', 'padding:3'] as const;
const maxPoolFields = [...poolFields, 'dilation:3'] as const;
const avgPoolFields = [...poolFields, 'countPadding', 'divisor'] as const;
const tileFields = ['fn', 'rows', 'columns', 'inner'] as const;
const adaptivePoolFields = ['planes', 'in:3', 'out:3'] as const;

/**
 * Descriptor and buffers of every op. `'name'` is one number, `'name:8'` up to eight numbers; `list` marks those that are
 * done to a list of items, each with all the buffers.
 */
export const opTable = {
  copy: { fields: ['rank', 'shape:8', 'xStrides:8', 'yStrides:8'], buffers: ['x', 'y'] },
  fill: { fields: ['n', 'value'], buffers: ['y'] },
  unary: { fields: ['fn', 'n'], buffers: ['x', 'y'] },
  unaryBackward: { fields: ['fn', 'n'], buffers: ['saved', 'dy', 'dx'] },
  activation: { fields: ['fn', 'n', 'a', 'b', 'c'], buffers: ['x', 'y'] },
  activationBackward: { fields: ['fn', 'n', 'a', 'b', 'c'], buffers: ['x', 'dy', 'dx'] },
  binary: { fields: ['fn', 'rank', 'shape:8', 'aStrides:8', 'bStrides:8'], buffers: ['a', 'b', 'y'] },
  binaryScalar: { fields: ['fn', 'n', 'reversed', 'value'], buffers: ['x', 'y'] },
  compare: { fields: ['fn', 'rank', 'shape:8', 'aStrides:8', 'bStrides:8'], buffers: ['a', 'b', 'y'] },
  where: {
    fields: ['rank', 'shape:8', 'cStrides:8', 'aStrides:8', 'bStrides:8'],
    buffers: ['condition', 'a', 'b', 'y'],
  },
  axpby: { fields: ['n', 'alpha', 'beta'], buffers: ['x', 'y'] },
  reduce: { fields: ['fn', 'outer', 'n', 'inner'], buffers: ['x', 'y', 'index'] },
  cumulate: { fields: ['fn', 'outer', 'n', 'inner'], buffers: ['x', 'y'] },
  product: { fields: ['outer', 'n', 'inner'], buffers: ['x', 'y'] },
  sort: { fields: ['outer', 'n', 'inner', 'k', 'descending'], buffers: ['x', 'y', 'index'] },
  indexRead: { fields: indexFields, buffers: ['x', 'offsets', 'y'] },
  indexWrite: { fields: [...indexFields, 'accumulate'], buffers: ['x', 'offsets', 'y'] },
  gather: {
    fields: ['rank', 'shape:8', 'xStrides:8', 'indexStrides:8', 'size', 'along'],
    buffers: ['x', 'index', 'y'],
  },
  scatter: {
    fields: [
      'rank',
      'shape:8',
      'yStrides:8',
      'indexStrides:8',
      'srcStrides:8',
      'size',
      'along',
      'accumulate',
    ],
    buffers: ['y', 'index', 'src'],
  },
  random: { fields: ['kind', 'n', 'seed', 'offset', 'a', 'b'], buffers: ['y'] },
  gemm: { fields: gemmFields, buffers: ['a', 'b', 'bias', 'c'] },
  gemmThen: { fields: [...gemmFields, 'low', 'high'], buffers: ['a', 'b', 'bias', 'c', 'add'] },
  softmax: { fields: ['log', 'outer', 'n', 'inner'], buffers: ['x', 'y'] },
  softmaxBackward: { fields: ['log', 'outer', 'n', 'inner'], buffers: ['y', 'dy', 'dx'] },
  crossEntropy: {
    fields: ['n', 'c', 's', 'reduction', 'ignoreIndex', 'labelSmoothing'],
    buffers: ['logits', 'logP', 'target', 'weight', 'y', 'totalWeight'],
  },
  crossEntropyBackward: {
    fields: ['n', 'c', 's', 'reduction', 'ignoreIndex', 'labelSmoothing', 'fromLogits'],
    buffers: ['logP', 'target', 'weight', 'totalWeight', 'dy', 'dx'],
  },
  sgdStep: {
    list: true,
    fields: ['lr', 'momentum', 'dampening', 'weightDecay', 'nesterov', 'maximize', 'firstStep'],
    buffers: ['param', 'grad', 'momentumBuffer'],
  },
  adamStep: {
    list: true,
    fields: [
      'lr',
      'beta1',
      'beta2',
      'eps',
      'weightDecay',
      'decoupled',
      'biasCorrection1',
      'biasCorrection2',
      'maximize',
    ],
    buffers: ['param', 'grad', 'm', 'v', 'vMax'],
  },
  rmspropStep: {
    list: true,
    fields: ['lr', 'alpha', 'eps', 'weightDecay', 'momentum', 'maximize'],
    buffers: ['param', 'grad', 'v', 'mean', 'momentumBuffer'],
  },
  adagradStep: {
    list: true,
    fields: ['lr', 'eps', 'weightDecay', 'maximize'],
    buffers: ['param', 'grad', 'total'],
  },
  conv: { fields: convSumFields, buffers: ['x', 'weight', 'bias', 'y', 'packed'] },
  convThen: {
    fields: [...convSumFields, 'low', 'high'],
    buffers: ['x', 'weight', 'bias', 'y', 'packed', 'add'],
  },
  convBackwardInput: { fields: convSumFields, buffers: ['dy', 'weight', 'bias', 'dx', 'packed'] },
  convPackedSize: { fields: [...convFields, 'backwardInput'], buffers: ['size'] },
  convLanes: { fields: convFields, buffers: ['x', 'width'] },
  convTiles: { fields: convTilesFields, buffers: ['x', 'weight', 'bias', 'f', 'y', 'packed'] },
  convTilesBackwardInput: { fields: convTilesFields, buffers: ['f', 'dy', 'weight', 'dx', 'packed'] },
  convTilesBackwardWeight: { fields: [...convFields, 'fn'], buffers: ['x', 'f', 'dy', 'dw', 'db'] },
  toLanes: { fields: ['n', 'size', 'lanes', 'back'], buffers: ['x', 'y'] },
  convBackwardWeight: { fields: convFields, buffers: ['x', 'dy', 'dw', 'db'] },
  maxPool: { fields: maxPoolFields, buffers: ['x', 'y', 'chosen'] },
  maxPoolBackward: { fields: maxPoolFields, buffers: ['dy', 'chosen', 'dx'] },
  maxPoolIndices: { fields: maxPoolFields, buffers: ['chosen', 'index'] },
  meanTiles: { fields: tileFields, buffers: ['x', 'f', 'y'] },
  meanTilesBackward: { fields: tileFields, buffers: ['saved', 'dy', 'dx'] },
  avgPool: { fields: avgPoolFields, buffers: ['x', 'y'] },
  avgPoolBackward: { fields: avgPoolFields, buffers: ['dy', 'dx'] },
  adaptiveAvgPool: { fields: adaptivePoolFields, buffers: ['x', 'y'] },
  adaptiveAvgPoolBackward: { fields: adaptivePoolFields, buffers: ['dy', 'dx'] },
  adaptiveMaxPool: { fields: adaptivePoolFields, buffers: ['x', 'y', 'index'] },
  scatterPlanes: { fields: ['planes', 'n', 'size', 'accumulate'], buffers: ['x', 'index', 'y'] },
  gatherPlanes: { fields: ['planes', 'n', 'size'], buffers: ['x', 'index', 'y'] },
  batchNormTrain: {
    fields: ['n', 'c', 's', 'momentum', 'eps', 'low', 'high'],
    buffers: ['x', 'weight', 'bias', 'runningMean', 'runningVar', 'add', 'y', 'mean', 'invstd'],
  },
  batchNormEval: {
    fields: ['n', 'c', 's', 'eps', 'low', 'high'],
    buffers: ['x', 'weight', 'bias', 'runningMean', 'runningVar', 'add', 'y', 'mean', 'invstd'],
  },
  batchNormBackward: {
    fields: ['n', 'c', 's', 'training', 'low', 'high'],
    buffers: ['x', 'dy', 'weight', 'bias', 'mean', 'invstd', 'y', 'passed', 'dx', 'dweight', 'dbias'],
  },
} as const;
