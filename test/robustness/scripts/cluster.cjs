'use strict';
// A cluster whose primary has loaded the addon and used the pool before it forks.
const cluster = require('node:cluster');
const { trainedHash } = require('./small-net.cjs');

async function main() {
  const hashes = [trainedHash()];
  const codes = [];
  const children = Array.from({ length: 4 }, () => cluster.fork());
  const ended = children.map(
    (child) => new Promise((resolve) => child.once('exit', (code) => resolve(codes.push(code)))),
  );
  for (const child of children) child.once('message', (hash) => hashes.push(hash));
  await Promise.all(ended);
  console.log(JSON.stringify({ runs: hashes.length, hashes: new Set(hashes).size, codes }));
}

if (cluster.isPrimary) main();
else process.send(trainedHash(), () => process.disconnect());
