// Formats the C++ and CUDA sources with .clang-format; --check only lists those that are not formatted.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = ['native', 'cuda', 'test'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .filter((name) => /\.(cc|cu|h)$/.test(name))
    .map((name) => join(folder, name)),
);
const how = process.argv.includes('--check') ? ['--dry-run', '--Werror', '--ferror-limit=1'] : ['-i'];
const command = [
  join(root, 'node_modules/clang-format-node/build/cli.js'),
  '--style=file',
  ...how,
  ...sources,
];
const { status } = spawnSync(process.execPath, command, { cwd: root, stdio: 'inherit' });
if (status !== 0) console.error('`npm run format` fixes this');
process.exit(status ?? 1);
