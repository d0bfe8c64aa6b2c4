'use strict';
// Fails when a hot micro-kernel keeps vector registers on the stack in an innermost loop, or when there is no such
// kernel to check: on x64 Linux in the objects of the CMake build, and for arm64 where the cross compiler is installed.
//   node scripts/check-kernel-spills.cjs [CMake build folder, default build/]
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { findSpills, functionsOf } = require('./spills.cjs');

const root = path.join(__dirname, '..');
const buildDir = path.resolve(process.argv[2] ?? path.join(root, 'build'));

/** The kernels that convolutions and matrix products spend their time in. */
const hot =
  /::(gemm_(tile|dots)_fixed|conv_lanes\w*|conv_weight\w*|conv_channels\w*|conv_pixels\w*|strassen_columns|winograd_(product|correlate)\w*|depthwise_(plane|tiles|pairs|spread|gradient)_fixed)</;

/**
 * Known ones, by ISA, with what they cost (one thread of a Zen 5 core). Those for arm64 were found in the machine code;
 * there is no such machine to time them on.
 */
const accepted = {
  avx2: [
    // 6 of 16 vectors moves in the loop; the next smaller tile does not spill. Not timed.
    { kernel: /winograd_product_fixed<float, 6>/ },
    // At the edges 9 weights of a 3x3 kernel beside the masks of loads; 10 sums of a gradient beside three rows of dy.
    // Operands of FMA from the stack: 0.50 us for 56x56, 0.65 its weight gradient, where FMAs alone take 0.44.
    { kernel: /depthwise_(plane|gradient)_fixed<float, 3, / },
  ],
  avx512: [
    // 25 weights or sums of a 5x5 kernel beside two rows: operands of FMA from the stack. One row at a time takes 1.9 us
    // for 56x56 against 1.4, its weight gradient 1.6 against 1.1.
    { kernel: /depthwise_(tiles|spread|gradient)_fixed<float, 5, / },
    // The same in strips of one vector, 25 weights beside 5 sums and 5 operands: 1.0 us against the 1.25 of such tiles.
    { kernel: /depthwise_plane_fixed<float, 5, / },
  ],
  neon: [
    // The compiler loads all lanes of a step ahead of its FMAs and runs out of registers in the largest tiles.
    { kernel: /conv_lanes_fixed<float, 6, 4>/ },
    { kernel: /conv_lanes_weight_fixed<float, (5, 5|6, 4)>/ },
    { kernel: /conv_weight_(fixed<float, (2, 4|4, 2|8, 1)|rows_fixed<float, 8), 3>/ },
    { kernel: /winograd_product_fixed<float, [678]>/ },
    { kernel: /depthwise_(plane|spread|gradient)_fixed<float, [35], / },
  ],
};

function read(tool, args) {
  return execFileSync(tool, args, { encoding: 'utf8', maxBuffer: 1 << 30 });
}

/** NEON multiplies by a lane of a loaded vector; broadcasts in the loop would take the place of FMAs. */
function tilesWithoutLaneFma(disassembly) {
  return functionsOf(disassembly).filter(
    ({ name, instructions }) =>
      /::gemm_tile_fixed<float, ([4-9]|\d\d), \d>/.test(name) &&
      !instructions.some(({ text }) => /^fmla\s+v\d+\.4s, v\d+\.4s, v\d+\.s\[[0-3]\]/.test(text)),
  );
}

/** Number of failures. */
function check(isa, object, objdump) {
  const disassembly = read(objdump, ['-d', '-C', '--no-show-raw-insn', object]);
  const kernels = functionsOf(disassembly).filter(({ name }) => hot.test(name)).length;
  if (kernels === 0) {
    console.error(`${isa}: no hot kernel found, the names in this script are out of date`);
    return 1;
  }
  const spills = findSpills(disassembly, hot);
  const bad = spills.filter(({ name }) => !(accepted[isa] ?? []).some(({ kernel }) => kernel.test(name)));
  for (const { name, count, first } of bad) {
    console.error(
      `${isa}: ${name}: ${count} vector operands on the stack in an innermost loop, e.g. ${first}`,
    );
  }
  console.log(
    `${isa}: ${kernels} kernels checked, ${bad.length} spill, ${spills.length - bad.length} accepted`,
  );
  return bad.length;
}

/** The kernels for arm64; undefined without a cross compiler. */
function compileForArm64(folder) {
  const compiler = 'aarch64-linux-gnu-g++';
  if (spawnSync(compiler, ['--version']).error) return undefined;
  const object = path.join(folder, 'neon.o');
  const options = [
    '-std=c++17',
    '-O3',
    '-fno-math-errno',
    '-fno-trapping-math',
    '-ffp-contract=off',
    '-DLAMINAE_ARM64=1',
  ];
  const source = path.join(root, 'native/isa/neon.cc');
  execFileSync(compiler, [...options, '-I', path.join(root, 'native'), '-c', source, '-o', object], {
    stdio: 'inherit',
  });
  return object;
}

let failures = 0;
if (process.platform === 'linux' && process.arch === 'x64') {
  for (const isa of ['avx2', 'avx512']) {
    const object = path.join(buildDir, `CMakeFiles/laminae_core.dir/native/isa/${isa}.cc.o`);
    failures += check(isa, object, 'objdump');
  }
} else {
  console.log('x64: only on x64 Linux, not checked');
}
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'laminae-spills-'));
try {
  const object = compileForArm64(folder);
  if (object === undefined) console.log('neon: no cross compiler, not checked');
  else {
    const objdump = 'aarch64-linux-gnu-objdump';
    failures += check('neon', object, objdump);
    for (const { name } of tilesWithoutLaneFma(read(objdump, ['-d', '-C', '--no-show-raw-insn', object]))) {
      console.error(`neon: ${name}: does not multiply by lanes`);
      failures++;
    }
  }
} finally {
  fs.rmSync(folder, { recursive: true });
}
process.exit(failures === 0 ? 0 : 1);
