'use strict';
// Builds and runs the C++ tests: node scripts/test-native.cjs [MODE] [doctest options...]
//   (no mode)    as compiled for release
//   --sanitize   under AddressSanitizer and UndefinedBehaviorSanitizer
//   --threads    under ThreadSanitizer
//   --arm64      the kernels compiled for arm64 and run in emulation, on another Linux machine
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.join(__dirname, '..');
const out = path.join(root, 'out');

const modes = {
  '--sanitize': {
    name: 'native-tests-sanitize',
    cmake: ['-DLAMINAE_SANITIZE=address;undefined'],
    env: { UBSAN_OPTIONS: 'print_stacktrace=1' },
  },
  '--threads': {
    name: 'native-tests-threads',
    cmake: ['-DLAMINAE_SANITIZE=thread'],
    // GCC 12's runtime expects less address randomisation than newer kernels use.
    launcher: ['setarch', '--addr-no-randomize'],
    // A child forked while the pool runs starts a pool of its own, which the runtime would refuse.
    env: { TSAN_OPTIONS: 'die_after_fork=0' },
  },
  '--arm64': {
    name: 'native-tests-arm64',
    cmake: [
      '-DCMAKE_SYSTEM_NAME=Linux',
      '-DCMAKE_SYSTEM_PROCESSOR=aarch64',
      '-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++',
    ],
    launcher: ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu'],
    // The emulator cannot fork a process that has threads, so the tests of the pool stay at home.
    testArgs: ['--source-file=*kernels*'],
    // /usr/include as a whole would bring the headers of the wrong machine.
    prepare: () => {
      const doctest = path.join(out, 'doctest-include', 'doctest');
      fs.cpSync('/usr/include/doctest', doctest, { recursive: true });
      return [`-DDOCTEST_INCLUDE_DIR=${path.dirname(doctest)}`];
    },
  },
};

const release = { name: 'native-tests', cmake: [] };

function run(command, args, env = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (result.error) console.error(`cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

const args = process.argv.slice(2);
const mode = args[0] in modes ? modes[args.shift()] : release;
const buildDir = path.join(out, mode.name);

run('cmake', [
  '-S',
  root,
  '-B',
  buildDir,
  '-DCMAKE_BUILD_TYPE=Release',
  '-DLAMINAE_BUILD_ADDON=OFF',
  '-DLAMINAE_BUILD_TESTS=ON',
  ...mode.cmake,
  ...(mode.prepare?.() ?? []),
]);
run('cmake', ['--build', buildDir, '--parallel', String(os.availableParallelism())]);

const tests = [path.join(buildDir, 'laminae_tests'), ...(mode.testArgs ?? []), ...args];
const [command, ...commandArgs] = [...(mode.launcher ?? []), ...tests];
run(command, commandArgs, mode.env);
