// Checks native/ and cuda/, except kernels, with clang-tidy and .clang-tidy. The sources of each target are read as one
// file (CMake's unity build, configured in build/tidy and never built), so that the headers, which take most of the
// time, are read once per target. A clean file (whose hash is in build/tidy/clean) is not checked again.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build/tidy');

function output(command, ...words) {
  const { status, stdout, stderr, error } = spawnSync(command, words, { cwd: root, encoding: 'utf8' });
  if (status === 0) return stdout.trim();
  console.error(`${command} ${words.join(' ')}:\n${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`);
  process.exit(1);
}

// scripts/setup.sh --for-tests installs a recent version, which skips foreign headers.
const clangTidy = [join(root, 'build/tools/clang_tidy/data/bin/clang-tidy'), 'clang-tidy'].find(
  (command) => spawnSync(command, ['--version']).status === 0,
);
if (clangTidy === undefined) {
  console.error("clang-tidy was not found: pip install clang-tidy, or install Debian's");
  process.exit(1);
}
if (process.argv[2] === '--version') {
  console.log(output(clangTidy, '--version'));
  process.exit(0);
}
const cmakeJs = join(
  dirname(createRequire(import.meta.url).resolve('cmake-js/package.json')),
  'bin/cmake-js',
);
const unity = ['CMAKE_UNITY_BUILD=ON', 'CMAKE_UNITY_BUILD_BATCH_SIZE=0', 'CMAKE_EXPORT_COMPILE_COMMANDS=ON'];
output(
  process.execPath,
  cmakeJs,
  ...['configure', '--out', 'build/tidy', '--log-level', 'error'],
  ...unity.map((option) => `--CD${option}`),
);
const units = JSON.parse(readFileSync(join(folder, 'compile_commands.json'), 'utf8'))
  .map(({ file }) => file)
  .filter((file) => !file.endsWith('.cu'))
  // Unity files take the longest.
  .sort((a, b) => b.includes('/Unity/') - a.includes('/Unity/'));
// Kernels and their launches multiply sizes of blocks.
const cudaChecks = '--checks=-bugprone-implicit-widening-of-multiplication-result';
// omp.h belongs to the compiler; clang's other headers come first.
const compilerHeaders = output('c++', '-print-file-name=include');

const hash = createHash('sha256').update(output(clangTidy, '--version'));
const sources = ['native', 'cuda'].flatMap((name) =>
  readdirSync(join(root, name), { recursive: true }).map((file) => join(name, file)),
);
for (const file of ['.clang-tidy', 'build/tidy/compile_commands.json', ...sources.sort()])
  if (/(\.(cc|h|json)|tidy)$/.test(file)) hash.update(`\0${file}\0`).update(readFileSync(join(root, file)));
const digest = hash.digest('hex');
const stamp = join(folder, 'clean');
if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) process.exit(0);
rmSync(stamp, { force: true });

function check(file) {
  return new Promise((resolve) => {
    const child = spawn(
      clangTidy,
      [
        '-p',
        folder,
        '--quiet',
        '--extra-arg=-Wno-unknown-warning-option',
        `--extra-arg=-idirafter${compilerHeaders}`,
        ...(/^(build\/tidy\/)?cuda\//.test(relative(root, file)) ? [cudaChecks] : []),
        file,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        text += data;
      });
    child.on('close', (status) => resolve({ status, text }));
  });
}

let failed = false;
const next = async () => {
  for (let file = units.shift(); file !== undefined; file = units.shift()) {
    const { status, text } = await check(file);
    if (status === 0) continue;
    failed = true;
    process.stdout.write(text);
  }
};
await Promise.all(Array.from({ length: availableParallelism() }, next));
if (!failed) writeFileSync(stamp, digest);
process.exit(failed ? 1 : 0);
