'use strict';
// npm's `prepare` hook: runs on `npm ci` and `npm install` in a clone, on `npm pack` and for git dependencies, never
// for an installed tarball. Compiles the addon and the TypeScript.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');

function find(id) {
  try {
    return require.resolve(id, { paths: [root] });
  } catch {
    return undefined;
  }
}

function run(script, ...args) {
  const result = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

const tsc = find('typescript/bin/tsc');
if (tsc === undefined || find('node-addon-api') === undefined) {
  console.log('prepare: development dependencies are not installed, nothing compiled');
  process.exit(0);
}
run(path.join(__dirname, 'build-native.cjs'));
// Start from an empty dist/, so that no output of a removed source file is ever packed.
fs.rmSync(path.join(root, 'dist'), { recursive: true, force: true });
run(tsc, '-p', 'tsconfig.json');
