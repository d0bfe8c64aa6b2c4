'use strict';
// Builds the shipped binary of this platform into prebuilds/ and the TypeScript into dist/; `npm pack` then makes the
// tarball. prebuildify works on a copy of the sources, because it builds in build/, which belongs to `npm run build`.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { nodedirArgs } = require('./node-headers.cjs');

const root = path.join(__dirname, '..');
const stage = path.join(root, 'out', 'package');
const prebuilds = path.join(root, 'prebuilds');

function run(script, args, env = {}) {
  const result = spawnSync(process.execPath, [script, ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

fs.rmSync(stage, { recursive: true, force: true });
fs.mkdirSync(stage, { recursive: true });
for (const name of ['package.json', 'binding.gyp', 'native']) {
  fs.cpSync(path.join(root, name), path.join(stage, name), { recursive: true });
}

// prebuildify passes no --nodedir on, but node-gyp reads it from the environment.
const [nodedir] = nodedirArgs();
const env = nodedir === undefined ? {} : { npm_config_nodedir: nodedir.replace('--nodedir=', '') };

fs.rmSync(prebuilds, { recursive: true, force: true });
run(
  require.resolve('prebuildify/bin.js'),
  ['--napi', '--strip', '--tag-libc', '--name', 'laminae', '--cwd', stage, '--out', root],
  { ...env, JOBS: 'max' },
);
fs.rmSync(stage, { recursive: true, force: true });

fs.rmSync(path.join(root, 'dist'), { recursive: true, force: true });
run(require.resolve('typescript/bin/tsc'), ['-p', 'tsconfig.json']);
