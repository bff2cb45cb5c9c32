// Builds the native parts with cmake-js where a source is newer than the last build.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const addon = join(root, 'build/Release/resnode.node');

const newest = (folder) =>
  readdirSync(folder, { withFileTypes: true }).reduce((latest, entry) => {
    const path = join(folder, entry.name);
    return Math.max(latest, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }, 0);

const sources = Math.max(
  newest(join(root, 'native')),
  newest(join(root, 'cuda')),
  statSync(join(root, 'CMakeLists.txt')).mtimeMs,
);
if (!existsSync(addon) || statSync(addon).mtimeMs < sources) {
  const command = join(root, 'node_modules/.bin/cmake-js');
  const built = spawnSync(command, ['compile', '--silent', '--parallel', '2'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (built.status !== 0) process.exit(built.status ?? 1);
}
