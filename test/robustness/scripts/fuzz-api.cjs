'use strict';
// Calls everything the package exports with random arguments, wrong ones above all: whatever is refused, it is refused
// by an error of the package, which says what was wrong.
//   node fuzz-api.cjs [calls] [seed]
// Prints one line of JSON with what happened.
const path = require('node:path');
const { randomChoices } = require('./random-choices.cjs');
const laminae = require(path.join(__dirname, '../../..'));

const { F, Tensor, isLaminaeError, nn, optim, ones, zeros } = laminae;
const calls = Number(process.argv[2] ?? 10_000);
const { random, below, pick } = randomChoices(Number(process.argv[3] ?? 1));
const upTo = (n, make) => Array.from({ length: below(n + 1) }, make);

// ---- arguments ----

// No sizes that could be had but take seconds to fill: 2^38 elements are refused, 2^31 may not be.
const numbers = [
  0,
  -1,
  1,
  2,
  3,
  1.5,
  NaN,
  Infinity,
  -Infinity,
  2 ** 38,
  2 ** 53,
  -(2 ** 31),
  1e300,
  -0,
  1e-9,
];
const cyclic = [];
cyclic.push(cyclic);
const strange = [
  undefined, null, 'x', 'same', 'reflect', '2', 2n, Symbol('s'), true, false, () => 1, {}, new Map(), new Date(),
  /x/, Buffer.alloc(4), new Float32Array(3), Object.create(null), cyclic, new Array(2), new DataView(new ArrayBuffer(8)),
]; // prettier-ignore
const shapes = [
  [], [0], [1], [3], [2, 3], [3, 2], [0, 3], [2, 3, 4], [1, 2, 4, 4], [2, 2, 5, 5], [2, 3, 3, 3], [0, 2, 4, 4],
  [1, 1, 3, 3, 3], [4, 4], [2, 0, 3], [1, 1, 1, 1, 1, 1, 1, 1],
]; // prettier-ignore
const optionNames = [
  'stride', 'padding', 'dilation', 'groups', 'outputPadding', 'ceilMode', 'countIncludePad', 'divisorOverride',
  'returnIndices', 'outputSize', 'weight', 'bias', 'training', 'momentum', 'eps', 'reduction', 'labelSmoothing',
  'ignoreIndex', 'keepdim', 'dim', 'dtype', 'mode', 'value', 'size', 'scaleFactor', 'alignCorners', 'p',
  'correction', 'largest', 'descending', 'beta', 'delta', 'alpha', 'negativeSlope', 'approximate', 'rtol', 'min',
  'max', 'shape', 'requiresGrad', 'posWeight', 'logTarget', 'paddingIdx', 'kernelSize', 'affine', 'lr', 'betas',
  'nesterov', 'dampening', 'weightDecay', 'paddingMode', 'trackRunningStats', 'useInputStats', 'threshold',
]; // prettier-ignore

function someTensor() {
  let t = zeros(pick(shapes)).add(pick([0, 1, 2, -1, NaN]));
  t = t.to(pick(['float32', 'float32', 'float32', 'float64', 'int32', 'bool', 'uint8']));
  if (t.dtype.startsWith('float') && random() < 0.3) t.requiresGrad_();
  return t.ndim > 1 && random() < 0.2 ? t.transpose(0, 1) : t;
}

function argument(depth = 0) {
  const r = random();
  if (r < 0.35) return someTensor();
  if (r < 0.6) return pick(numbers);
  if (r < 0.75) return upTo(4, () => (random() < 0.15 ? pick(strange) : pick(numbers)));
  if (r < 0.9 && depth < 2) return Object.fromEntries(upTo(3, () => [pick(optionNames), argument(2)]));
  return r < 0.93 ? [someTensor(), someTensor()] : pick(strange);
}

// ---- what is called ----

const isClass = (name) => /^[A-Z]/.test(name);
const functions = [];
const offer = (name, call) => functions.push({ name, call });

// The first argument of a function is a tensor more often than not, so that not all calls end at the door.
for (const [name, f] of Object.entries(F)) {
  offer(`F.${name}`, (...a) => f(...(random() < 0.8 ? [someTensor(), ...a.slice(1)] : a)));
}
for (const name of [
  'tensor', 'zeros', 'ones', 'full', 'empty', 'arange', 'rand', 'randn', 'normal', 'zerosLike', 'onesLike',
  'fullLike', 'emptyLike', 'randLike', 'randnLike', 'randperm', 'cat', 'stack', 'where', 'matmul', 'slice', 'scope',
  'keep', 'noGrad', 'enableGrad', 'gradcheck', 'setNumThreads', 'manualSeed', 'setExactConv',
]) offer(name, laminae[name]); // prettier-ignore
const inner = new Set(['constructor', 'viewAs', 'adoptGrad', 'peekGrad']); // @internal
for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(Tensor.prototype))) {
  if (typeof value === 'function' && !inner.has(name))
    offer(`Tensor.${name}`, (...a) => someTensor()[name](...a));
}
const noForward = new Set(['Module', 'BatchNorm', 'ModuleList', 'ModuleDict']); // abstract, or containers
for (const [name, Layer] of Object.entries(nn)) {
  if (typeof Layer !== 'function' || !isClass(name) || name === 'Module' || name === 'BatchNorm') continue;
  offer(`nn.${name}`, (...a) => {
    const layer = new Layer(...a);
    return noForward.has(name) || !(layer instanceof nn.Module) ? layer : layer.forward(someTensor());
  });
}
const parameters = () => [new nn.Parameter(ones([2]))];
for (const [name, Stepper] of Object.entries(optim)) {
  if (name === 'Optimizer' || name === 'LRScheduler') continue; // abstract
  if (!isClass(name)) offer(`optim.${name}`, Stepper);
  else {
    offer(`optim.${name}`, (...a) => {
      if (random() < 0.4) a[0] = parameters();
      else if (random() < 0.6) a[0] = new optim.SGD(parameters(), { lr: 0.1 });
      return new Stepper(...a).step();
    });
  }
}

// ---- calls ----

const untyped = new Set();
const finished = new Set();
const refused = new Set();
process.removeAllListeners('warning');
laminae.setNumThreads(1);
for (let i = 0; i < calls; i++) {
  const { name, call } = functions[i % functions.length];
  try {
    const result = call(...upTo(4, () => argument()));
    if (result instanceof Tensor && result.requiresGrad && result.numel < 1e6) result.sum().backward();
    finished.add(name);
  } catch (error) {
    if (isLaminaeError(error)) refused.add(name);
    else untyped.add(`${name}: ${error.stack.split('\n').slice(0, 3).join(' ')}`);
  }
}
console.log(
  JSON.stringify({
    functions: functions.length,
    finished: finished.size,
    refused: refused.size,
    untyped: [...untyped],
  }),
);
