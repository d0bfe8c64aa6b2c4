'use strict';
// Builds and runs the C++ tests: node scripts/test-native.cjs [--sanitize] [doctest options...]
// --sanitize compiles core and tests with AddressSanitizer and UndefinedBehaviorSanitizer.
const { spawnSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');

const root = path.join(__dirname, '..');
const args = process.argv.slice(2);
const sanitize = args.includes('--sanitize');
const testArgs = args.filter((arg) => arg !== '--sanitize');
const buildDir = path.join(root, 'out', sanitize ? 'native-tests-sanitize' : 'native-tests');

function run(command, commandArgs, env = {}) {
  const result = spawnSync(command, commandArgs, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (result.error) console.error(`cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

run('cmake', [
  '-S',
  root,
  '-B',
  buildDir,
  '-DCMAKE_BUILD_TYPE=Release',
  '-DLAMINAE_BUILD_ADDON=OFF',
  '-DLAMINAE_BUILD_TESTS=ON',
  `-DLAMINAE_SANITIZE=${sanitize ? 'address;undefined' : ''}`,
]);
run('cmake', ['--build', buildDir, '--parallel', String(os.availableParallelism())]);
run(path.join(buildDir, 'laminae_tests'), testArgs, { UBSAN_OPTIONS: 'print_stacktrace=1' });
