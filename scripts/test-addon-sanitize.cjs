'use strict';
// Runs the scripts of test/robustness and a little training with the addon compiled under AddressSanitizer and
// UndefinedBehaviorSanitizer (GCC or clang on Linux). Leaks of the addon count as well.
const { spawnSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');

const root = path.join(__dirname, '..');
// The C++ tests under the same sanitizers are built there too, so the core is compiled once.
const buildDir = path.join(root, 'out', 'native-tests-sanitize');

const scripts = [
  ['test/robustness/scripts/fuzz-run.cjs', '30000', '11'],
  ['scripts/soak.cjs', '--steps', '6', '--warm-up', '3', '--batch-size', '16', '--limit', '9'],
  ['scripts/soak.cjs', '--steps', '6', '--warm-up', '3', '--batch-size', '16', '--limit', '9', '--scope'],
  ['test/robustness/scripts/float-environment.cjs'],
  ['test/robustness/scripts/workers-equal.cjs'],
  ['test/robustness/scripts/workers-reload.cjs', '5'],
  ['test/robustness/scripts/workers-terminated.cjs', '12'],
];

function run(command, args, env = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 1 << 28,
  });
  if (result.status === 0) return result.stdout;
  console.error(
    `${command} ${args.join(' ')} ended with ${result.signal ?? result.status ?? result.error?.message}`,
  );
  console.error(result.stdout, result.stderr);
  process.exit(1);
}

run('cmake', [
  ...['-S', root, '-B', buildDir, '-DCMAKE_BUILD_TYPE=Release'],
  ...['-DLAMINAE_BUILD_ADDON=ON', '-DLAMINAE_SANITIZE=address;undefined'],
  `-DCMAKE_LIBRARY_OUTPUT_DIRECTORY=${path.join(buildDir, 'build', 'Release')}`,
]);
run('cmake', ['--build', buildDir, '--target', 'laminae', '--parallel', String(os.availableParallelism())]);

const compiler = process.env.CXX ?? 'c++';
const env = {
  LAMINAE_PREBUILD: buildDir, // where node-gyp-build looks for build/Release
  LD_PRELOAD: run(compiler, ['-print-file-name=libasan.so']).trim(),
  // The fuzzer asks for absurd sizes: an allocation may fail, as it may without the sanitizer.
  ASAN_OPTIONS: 'detect_leaks=1:allocator_may_return_null=1',
  UBSAN_OPTIONS: 'print_stacktrace=1',
};
for (const script of scripts) {
  console.log(script.join(' '));
  process.stdout.write(run(process.execPath, script, env));
}
