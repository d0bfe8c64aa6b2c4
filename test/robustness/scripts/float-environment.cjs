'use strict';
// Loading the addon and computing with it must leave the floating-point modes of JavaScript as they were, and the
// pool's threads must not flush denormal numbers either.
function probe() {
  const tiny = Number.MIN_VALUE * Number(process.argv.length > 0);
  return [tiny > 0, 1e-310 / 2 > 0, Math.fround(1e-40) > 0, 0.1 + 0.2, 1 / 3, Math.fround(16777217)];
}

const before = probe();
const { F, full, setNumThreads } = require('../../..');
const loaded = probe();
const denormals = {};
for (const threads of [1, 2]) {
  setNumThreads(threads);
  const x = full([300_000], 2e-40);
  const halves = { add: x.add(x), mul: x.mul(0.5), relu: F.relu(x) };
  for (const [name, y] of Object.entries(halves)) {
    denormals[`${name} on ${threads}`] = y.toTypedArray().every((v) => v > 0);
  }
}
console.log(JSON.stringify({ before, loaded, after: probe(), denormals }));
