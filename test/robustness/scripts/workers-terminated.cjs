'use strict';
// Workers that are terminated while they compute. The main thread never loads the addon, so Node unloads it whenever
// the last worker has ended.
//   node workers-terminated.cjs [rounds]
const { isMainThread, parentPort, Worker } = require('node:worker_threads');

async function main() {
  const rounds = Number(process.argv[2] ?? 50);
  const codes = {};
  for (let round = 0; round < rounds; round++) {
    const workers = Array.from({ length: 1 + (round % 2) }, () => new Worker(__filename));
    const ended = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
    // Some are terminated while they load, most while they compute.
    if (round % 4 !== 0)
      await Promise.all(workers.map((w) => new Promise((resolve) => w.once('message', resolve))));
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 50));
    for (const worker of workers) void worker.terminate();
    for (const code of await Promise.all(ended)) codes[code] = (codes[code] ?? 0) + 1;
  }
  console.log(JSON.stringify({ rounds, codes }));
}

if (isMainThread) {
  main();
} else {
  const { trainedHash } = require('./small-net.cjs');
  trainedHash(1);
  parentPort.postMessage('computing');
  for (;;) trainedHash(5);
}
