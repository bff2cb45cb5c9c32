// Builds the native parts with cmake-js where a source is newer than the last build. Takes cmake-js's --out and --CD…
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const options = process.argv.slice(2);
const out = options.includes('--out') ? options[options.indexOf('--out') + 1] : 'build';
const addon = join(root, out, 'Release/resnode.node');

const newest = (folder) =>
  readdirSync(folder, { withFileTypes: true }).reduce((latest, entry) => {
    const path = join(folder, entry.name);
    return Math.max(latest, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }, 0);

// Every file of a package has npm's fixed date: what is not built yet is what counts there.
const sources = Math.max(
  newest(join(root, 'native')),
  newest(join(root, 'cuda')),
  statSync(join(root, 'CMakeLists.txt')).mtimeMs,
);
if (!existsSync(addon) || statSync(addon).mtimeMs < sources || options.length > 0) {
  // Where npm has put it: below this package, or beside it.
  const manifest = createRequire(import.meta.url).resolve('cmake-js/package.json');
  const built = spawnSync(
    process.execPath,
    [
      join(dirname(manifest), 'bin/cmake-js'),
      'compile',
      '--silent',
      '--parallel',
      String(availableParallelism()),
      ...options,
    ],
    { cwd: root, stdio: 'inherit' },
  );
  if (built.status !== 0) process.exit(built.status ?? 1);
}
