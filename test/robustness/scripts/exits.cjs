'use strict';
// Ends the process in the way the argument names, with the thread pool awake and workers at work.
const { isMainThread, Worker, workerData } = require('node:worker_threads');
const { trainedHash } = require('./small-net.cjs');

const ways = {
  'process.exit': () => process.exit(3),
  'process.exit in a timer': () => setTimeout(() => process.exit(3), 5),
  'process.exit in an exit handler': () => {
    process.on('exit', () => {
      trainedHash(1);
      process.exit(3);
    });
    process.exit(0);
  },
  'uncaught exception': () => {
    throw new Error('nobody catches this');
  },
  'unhandled rejection': () => void Promise.reject(new Error('nobody catches this')),
  'SIGTERM to itself': () => {
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => {}, 60_000);
  },
  'end of the script': () => process.on('beforeExit', () => trainedHash(1)),
};

if (!isMainThread) {
  for (;;) trainedHash(workerData);
}
const [way, workers] = [process.argv[2], Number(process.argv[3] ?? 0)];
trainedHash(1);
for (let i = 0; i < workers; i++) new Worker(__filename, { workerData: 2 }).unref();
ways[way]();
