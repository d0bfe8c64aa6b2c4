'use strict';
// Formats the C++ sources: node scripts/clang-format.cjs --check | --write
// Other versions than 14 break lines differently, so one version decides.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const version = '14';
const write = process.argv.includes('--write');

function findTool() {
  for (const name of [`clang-format-${version}`, 'clang-format']) {
    const result = spawnSync(name, ['--version'], { encoding: 'utf8' });
    if (result.status === 0 && result.stdout.includes(`version ${version}.`)) return name;
  }
  console.error(`clang-format ${version} is needed to format C++ (Debian package clang-format-${version})`);
  process.exit(1);
}

const files = ['native', 'test/native']
  .flatMap((dir) =>
    fs.readdirSync(path.join(root, dir), { recursive: true }).map((name) => path.join(dir, name)),
  )
  .filter((file) => /\.(cc|h|inl)$/.test(file))
  .sort();

const options = write ? ['-i'] : ['--dry-run', '-Werror'];
const result = spawnSync(findTool(), [...options, ...files], { cwd: root, stdio: 'inherit' });
if (!write && result.status === 0) console.log(`clang-format: ${files.length} files are formatted`);
process.exit(result.status ?? 1);
