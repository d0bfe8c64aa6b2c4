'use strict';
// Run by jest before all tests: tests that start processes load the package from dist/, as users do, so dist/ must be
// as new as lib/.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '../..');

function newest(folder) {
  const files = fs.readdirSync(path.join(root, folder), { recursive: true });
  const times = files
    .filter((file) => file.endsWith('.ts'))
    .map((file) => fs.statSync(path.join(root, folder, file)).mtimeMs);
  return Math.max(...times);
}

module.exports = function buildLibrary() {
  const stamp = path.join(root, 'dist/.tsbuildinfo');
  if (fs.existsSync(stamp) && fs.statSync(stamp).mtimeMs > newest('lib')) return;
  const tsc = require.resolve('typescript/bin/tsc');
  const result = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.json'], { cwd: root, stdio: 'inherit' });
  if (result.status !== 0) throw new Error('lib/ does not compile; see above');
};
