// Checks native/ with clang-tidy, as .clang-tidy says. The sources of each target are read as one file (CMake's
// unity build, configured in build/tidy and never built): the headers, which take most of the time, are read once a target.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
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

if (spawnSync('clang-tidy', ['--version']).status !== 0) {
  console.error('clang-tidy was not found: install it (Debian: clang-tidy, libomp-dev)');
  process.exit(1);
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
  .filter((file) => !/^(build\/tidy\/)?cuda\//.test(relative(root, file)));

function check(file) {
  return new Promise((resolve) => {
    const child = spawn(
      'clang-tidy',
      ['-p', folder, '--quiet', '--extra-arg=-Wno-unknown-warning-option', file],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
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
process.exit(failed ? 1 : 0);
