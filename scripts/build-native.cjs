'use strict';
// Compiles the addon to build/Release/laminae.node.
// cmake-js is preferred: its headers come from the npm package node-api-headers, so nothing is downloaded.
// Where cmake is missing, node-gyp does it with the headers beside the running node.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.join(__dirname, '..');
const buildDir = path.join(root, 'build');

function runNode(script, args, env = {}) {
  const result = spawnSync(process.execPath, [script, ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  return result.status === 0;
}

/** A build folder made by the other tool, or configured for another place, cannot be continued. */
function removeForeignBuild(isOurs) {
  if (fs.existsSync(buildDir) && !isOurs()) fs.rmSync(buildDir, { recursive: true, force: true });
}

function cmakeConfiguredHere() {
  const cache = path.join(buildDir, 'CMakeCache.txt');
  if (!fs.existsSync(cache)) return false;
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(fs.readFileSync(cache, 'utf8'));
  return home !== null && path.resolve(home[1]) === path.resolve(root);
}

function buildWithCmake() {
  removeForeignBuild(cmakeConfiguredHere);
  const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? String(os.availableParallelism());
  return runNode(require.resolve('cmake-js/bin/cmake-js'), ['build'], { CMAKE_BUILD_PARALLEL_LEVEL: jobs });
}

function buildWithNodeGyp() {
  removeForeignBuild(() => !fs.existsSync(path.join(buildDir, 'CMakeCache.txt')));
  const { nodedirArgs } = require('./node-headers.cjs');
  return runNode(require.resolve('node-gyp/bin/node-gyp.js'), ['rebuild', '--jobs=max', ...nodedirArgs()]);
}

const hasCmake = spawnSync('cmake', ['--version'], { stdio: 'ignore' }).status === 0;
process.exit((hasCmake ? buildWithCmake() : buildWithNodeGyp()) ? 0 : 1);
