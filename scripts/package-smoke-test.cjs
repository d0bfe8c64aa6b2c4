'use strict';
// Installs the packed tarball in an empty folder with scripts off and runs the README's first example from it, once
// as an ES module and once through require. Needs `npm run package` and `npm pack` before.
//   node scripts/package-smoke-test.cjs [TARBALL]
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const ts = require('typescript');

const root = path.join(__dirname, '..');
const { name, version } = require('../package.json');
const tarball = path.resolve(process.argv[2] ?? path.join(root, `${name}-${version}.tgz`));

function fail(message) {
  throw new Error(message);
}

function run(what, cwd, command, args) {
  console.log(`--- ${what}`);
  const result = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (result.status !== 0) fail(`${what} failed`);
}

/** The first block of README.md marked as TypeScript or JavaScript that imports the package. */
function readExample() {
  const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/^```(?:ts|typescript|js|javascript)\n([\s\S]*?)^```$/gm)].map(
    (match) => match[1],
  );
  return (
    blocks.find((block) => block.includes(`from '${name}'`)) ??
    fail(`no example in README.md imports ${name}`)
  );
}

function transpile(source, module) {
  return ts.transpileModule(source, { compilerOptions: { target: ts.ScriptTarget.ES2022, module } })
    .outputText;
}

/** An ES module may await at its top level, CommonJS may not. */
function wrapAsync(commonJs) {
  return `(async () => {\n${commonJs}\n})().catch((error) => {\n  console.error(error);\n  process.exit(1);\n});\n`;
}

function main() {
  if (!fs.existsSync(tarball)) fail(`${tarball} is missing, run npm run package and npm pack first`);
  const example = readExample();
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'laminae-smoke-'));

  try {
    const write = (file, text) => fs.writeFileSync(path.join(dir, file), text);
    write(
      'package.json',
      JSON.stringify({ name: 'smoke-test', private: true, dependencies: { [name]: `file:${tarball}` } }),
    );
    write('example.mts', example);
    write('example.mjs', transpile(example, ts.ModuleKind.ESNext));
    write('example.cjs', wrapAsync(transpile(example, ts.ModuleKind.CommonJS)));
    write(
      'same.mjs',
      `import * as imported from '${name}';
       import { createRequire } from 'node:module';
       const required = createRequire(import.meta.url)('${name}');
       const names = Object.keys(required);
       const different = names.filter((key) => imported[key] !== required[key]);
       if (names.length === 0 || different.length > 0) {
         console.error('import and require differ in', different);
         process.exit(1);
       }
       console.log(names.length + ' exports are the same through import and require');`,
    );
    write(
      'tsconfig.json',
      JSON.stringify({
        compilerOptions: {
          target: 'ES2022',
          module: 'node16',
          strict: true,
          noEmit: true,
          types: ['node'],
          typeRoots: [path.join(root, 'node_modules', '@types')],
        },
        files: ['example.mts'],
      }),
    );

    run('install the tarball, scripts off', dir, 'npm', [
      'install',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--prefer-offline',
    ]);
    const installed = path.join(dir, 'node_modules', name);
    if (fs.existsSync(path.join(installed, 'build'))) fail('the installation compiled something');
    run('import', dir, process.execPath, ['example.mjs']);
    run('require', dir, process.execPath, ['example.cjs']);
    run('import and require give the same objects', dir, process.execPath, ['same.mjs']);
    run('types', dir, process.execPath, [require.resolve('typescript/bin/tsc'), '-p', '.']);
    console.log('package smoke test: passed');
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

try {
  main();
} catch (error) {
  console.error(`package smoke test: ${error.message}`);
  process.exitCode = 1;
}
