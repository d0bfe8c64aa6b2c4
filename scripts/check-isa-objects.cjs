'use strict';
// Checks on x64 Linux that no object holds instructions of a higher level than its ISA, and that no ISA object defines
// weak symbols: the linker keeps one copy of a weak function for all objects, and if that copy came from an AVX object,
// portable code would call it.
//   node scripts/check-isa-objects.cjs [CMake build folder, default build/]
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const buildDir = path.resolve(process.argv[2] ?? path.join(root, 'build'));
const sources = require('../native/sources.json');

/** What an object must not contain, as patterns over one line of disassembly without address and bytes. */
const above = {
  // x86-64 baseline is SSE2; every VEX- or EVEX-encoded vector instruction has a `v` before its name.
  portable:
    /%[yz]mm|^v\w+\s.*%xmm|^v(zeroupper|zeroall)|^(andn|bextr|bls[ir]|blsmsk|mulx|pdep|pext|rorx|sarx|shlx|shrx)\s/,
  // EVEX only: 512-bit registers, vector registers 16 to 31, masks.
  avx2: /%zmm|%[xy]mm(1[6-9]|2\d|3[01])|%k[0-7]/,
  avx512: undefined,
};

function levelOf(source) {
  const name = path.basename(source, '.cc');
  if (path.basename(path.dirname(source)) !== 'isa' || !sources.x64.includes(source)) return 'portable';
  if (!(name in above)) throw new Error(`${source}: add its ISA to scripts/check-isa-objects.cjs`);
  return name;
}

function read(tool, args) {
  return execFileSync(tool, args, { encoding: 'utf8', maxBuffer: 1 << 30 });
}

/** The first few offending instructions of an object, with the function they are in. */
function findHigherInstructions(object, pattern) {
  const found = [];
  let symbol = '';
  for (const line of read('objdump', ['-d', '-C', '--no-show-raw-insn', object]).split('\n')) {
    const label = /^[0-9a-f]+ <(.*)>:$/.exec(line);
    if (label) {
      symbol = label[1];
      continue;
    }
    const instruction = /^\s*[0-9a-f]+:\s+(.*)$/.exec(line);
    if (instruction && pattern.test(instruction[1])) found.push(`${symbol}: ${instruction[1].trim()}`);
  }
  return found;
}

/** nm types W, V (weak) and u (unique): merged by name across objects. */
function findWeakSymbols(object) {
  return read('nm', ['-C', '--defined-only', object])
    .split('\n')
    .filter((line) => /^[0-9a-f]+ [WwVvu] /.test(line))
    .map((line) => line.slice(17));
}

if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.log('check-isa-objects: only for x64 Linux, nothing checked');
  process.exit(0);
}

let failures = 0;
let checked = 0;

function report(source, what, items) {
  if (items.length === 0) return;
  failures++;
  console.error(`${source}: ${items.length} ${what}`);
  for (const item of items.slice(0, 5)) console.error(`    ${item}`);
}

for (const source of [...sources.core, ...sources.x64]) {
  const object = path.join(buildDir, 'CMakeFiles', 'laminae_core.dir', `${source}.o`);
  if (!fs.existsSync(object)) {
    console.error(`${object}: missing, build first (npm run build:native, with cmake)`);
    process.exit(1);
  }
  const level = levelOf(source);
  const pattern = above[level];
  if (pattern) report(source, `instructions above ${level}`, findHigherInstructions(object, pattern));
  if (path.basename(path.dirname(source)) === 'isa') report(source, 'weak symbols', findWeakSymbols(object));
  checked++;
}

console.log(`check-isa-objects: ${checked} objects checked, ${failures} failures`);
process.exit(failures === 0 ? 0 : 1);
