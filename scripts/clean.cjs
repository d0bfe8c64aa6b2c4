'use strict';
// Removes everything that builds, tests and packaging have made.
const fs = require('node:fs');
const path = require('node:path');

for (const name of ['build', 'dist', 'out', 'prebuilds', 'coverage']) {
  fs.rmSync(path.join(__dirname, '..', name), { recursive: true, force: true });
}
