'use strict';
// Does memory stay flat? Trains the batch-norm LeNet in a loop that never yields to the event loop and watches the
// resident set:
//   node scripts/soak.cjs [--steps 6000] [--batch-size 256] [--warm-up 1000] [--scope] [--limit 1.15]
// With --scope every step runs in scope(), as the loops of the package do; without it, all is left to the garbage
// collector. Prints one line of JSON; exit status 1 if the peak exceeds `limit` times the size after the warm-up. Without
// scopes V8 goes on growing its young generation for some 3,000 steps (16 MB after 1,000, 25 MB in the end), so a short
// warm-up counts that as well; array buffers hold 20 to 50 MB from step 100 on, to step 12,000 as much.
const { parseArgs } = require('node:util');
const { F, getNumThreads, manualSeed, nn, optim, pooledBytes, randn, scope, tensor } = require('laminae');

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '6000' },
    'batch-size': { type: 'string', default: '256' },
    'warm-up': { type: 'string', default: '1000' },
    limit: { type: 'string', default: '1.15' },
    scope: { type: 'boolean', default: false },
  },
});
const steps = Number(values.steps);
const batchSize = Number(values['batch-size']);
const warmUp = Number(values['warm-up']);

manualSeed(0);
const model = new nn.Sequential(
  new nn.Conv2d(1, 6, 5),
  new nn.BatchNorm2d(6),
  new nn.Sigmoid(),
  new nn.AvgPool2d(2),
  new nn.Conv2d(6, 16, 5),
  new nn.BatchNorm2d(16),
  new nn.Sigmoid(),
  new nn.AvgPool2d(2),
  new nn.Flatten(),
  new nn.Linear(256, 120),
  new nn.BatchNorm1d(120),
  new nn.Sigmoid(),
  new nn.Linear(120, 84),
  new nn.BatchNorm1d(84),
  new nn.Sigmoid(),
  new nn.Linear(84, 10),
);
const optimizer = new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
const images = randn([batchSize, 1, 28, 28]);
const labels = tensor(
  Array.from({ length: batchSize }, (_, i) => i % 10),
  { dtype: 'int32' },
);

function step() {
  optimizer.zeroGrad();
  const loss = F.crossEntropy(model.forward(images), labels);
  loss.backward();
  optimizer.step();
  return loss.item();
}

const megabytes = (bytes) => Math.round(bytes / 1e5) / 10;
let warmSize = 0;
let peak = 0;
let faults = 0;
let loss = NaN;
let start = 0;
for (let i = 1; i <= steps; i++) {
  loss = values.scope ? scope(step) : step();
  const size = process.memoryUsage.rss();
  if (i === warmUp) {
    warmSize = size;
    faults = process.resourceUsage().minorPageFault;
    start = performance.now();
  }
  if (i >= warmUp) peak = Math.max(peak, size);
}
const measured = Math.max(1, steps - warmUp);
const growth = peak / warmSize;
console.log(
  JSON.stringify({
    steps,
    batchSize,
    scope: values.scope,
    threads: getNumThreads(),
    loss,
    msPerStep: Number(((performance.now() - start) / measured).toFixed(2)),
    faultsPerStep: Number(((process.resourceUsage().minorPageFault - faults) / measured).toFixed(1)),
    warmMB: megabytes(warmSize),
    peakMB: megabytes(peak),
    pooledMB: megabytes(pooledBytes()),
    growth: Number(growth.toFixed(3)),
  }),
);
process.exitCode = growth <= Number(values.limit) ? 0 : 1;
