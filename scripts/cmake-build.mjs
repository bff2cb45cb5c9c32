#!/usr/bin/env node
// Builds the native parts with cmake-js where a source is newer than the last build. Takes cmake-js's --out and --CD…, or
// what prebuildify asks of its --node-gyp: `rebuild --target=…`, which is a build for every GPU in the folder it looks at.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const options =
  process.argv[2] === 'rebuild'
    ? ['--out', relative(root, join(process.cwd(), 'build')), ...optionsFor(process.argv)]
    : process.argv.slice(2);
const out = join(root, options.includes('--out') ? options[options.indexOf('--out') + 1] : 'build');
const stamp = join(out, 'Release/.built');

function optionsFor(words) {
  if (!words.includes('--arch=arm64') || process.arch === 'arm64')
    return ['--CDRESNODE_CUDA_ARCHITECTURES=all'];
  const sysroot = execFileSync('bash', [join(root, 'scripts/install-arm64.sh')], { encoding: 'utf8' }).trim();
  return [
    `--CDCMAKE_TOOLCHAIN_FILE=${join(root, 'cmake/aarch64-linux-gnu.cmake')}`,
    `--CDCMAKE_PREFIX_PATH=${join(sysroot, 'usr')}`,
  ];
}

const newest = (folder) =>
  readdirSync(folder, { withFileTypes: true }).reduce((latest, entry) => {
    const path = join(folder, entry.name);
    return Math.max(latest, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }, 0);

function cmakeJs(...words) {
  // Where npm installed it: below this package, or next to it.
  const manifest = createRequire(import.meta.url).resolve('cmake-js/package.json');
  const command = [join(dirname(manifest), 'bin/cmake-js'), ...words, '--log-level', 'error', ...options];
  const run = spawnSync(process.execPath, command, { cwd: root, stdio: 'inherit' });
  if (run.status !== 0) process.exit(run.status ?? 1);
}

const sources = Math.max(
  newest(join(root, 'native')),
  newest(join(root, 'cuda')),
  statSync(join(root, 'CMakeLists.txt')).mtimeMs,
);
const hasNvcc = spawnSync('nvcc', ['--version']).status === 0;
const gains = (has, library) => has && existsSync(stamp) && !existsSync(join(out, 'Release', library));
const gainsLibrary =
  gains(true, 'resnode.node') ||
  gains(hasNvcc, 'libresnode_cuda.so') ||
  gains(spawnSync('mpicc', ['--version']).status === 0, 'libresnode_mpi.so');
if (!existsSync(stamp) || statSync(stamp).mtimeMs < sources || gainsLibrary) {
  const start = Date.now();
  // An interrupted build must not count as an addon: find-addon.cjs requires the stamp.
  rmSync(stamp, { force: true });
  if (gainsLibrary) cmakeJs('configure');
  cmakeJs('compile', '--silent', '--parallel', String(availableParallelism()));
  if (!hasNvcc) console.log('nvcc was not found: the CUDA device is left out');
  writeFileSync(stamp, `built in ${Math.round((Date.now() - start) / 1000)} s\n`);
}
