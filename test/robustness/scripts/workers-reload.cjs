'use strict';
// One worker after the other loads the addon, computes and ends. The main thread never loads it.
//   node workers-reload.cjs [rounds]
const { isMainThread, parentPort, Worker } = require('node:worker_threads');

async function main() {
  const rounds = Number(process.argv[2] ?? 20);
  const hashes = new Set();
  for (let round = 0; round < rounds; round++) {
    const worker = new Worker(__filename);
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    const hash = await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    hashes.add(hash);
    await ended;
  }
  console.log(JSON.stringify({ rounds, hashes: hashes.size }));
}

if (isMainThread) main();
else parentPort.postMessage(require('./small-net.cjs').trainedHash());
