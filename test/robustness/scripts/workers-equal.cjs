'use strict';
// Eight workers and the main thread train the same network at the same time: all get the same bits.
const { isMainThread, parentPort, Worker } = require('node:worker_threads');
const { trainedHash } = require('./small-net.cjs');

async function main() {
  const expected = trainedHash();
  const workers = Array.from({ length: 8 }, () => new Worker(__filename));
  const answers = workers.map(
    (worker) =>
      new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      }),
  );
  const mine = [];
  let running = true;
  const all = Promise.all(answers).finally(() => (running = false));
  while (running) {
    mine.push(trainedHash());
    await new Promise(setImmediate);
  }
  const hashes = [...(await all), ...mine];
  console.log(
    JSON.stringify({ runs: hashes.length, different: hashes.filter((h) => h !== expected).length }),
  );
}

if (isMainThread) main();
else parentPort.postMessage(trainedHash());
