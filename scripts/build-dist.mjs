// Builds dist, or the given folder: the code and its declarations, the files that it reads, and bundled packages
// (ts/base/carried.ts).
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { bundle } from './bundle.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
const dist = resolve(process.argv[2] ?? join(root, 'dist'));

/** Modules that are bundled into one file with their dependencies. */
const BUNDLED = ['@dagrejs/dagre'];
/** Files that pages include unchanged. */
const COPIED = ['uplot/dist/uPlot.iife.min.js', 'uplot/dist/uPlot.min.css'];

rmSync(dist, { recursive: true, force: true });
// The native compiler takes a quarter of the time; typedoc needs the JavaScript one.
const compiler = join(dirname(require.resolve('typescript-7/package.json')), 'bin/tsc');
const words = ['-p', 'tsconfig.build.json', '--outDir', dist];
execFileSync(process.execPath, [compiler, ...words], { cwd: root, stdio: 'inherit' });
await bundle(root, dist);
for (const folder of ['tools/view/page', 'pages/charts'])
  cpSync(join(root, 'ts', folder), join(dist, folder), { recursive: true });
for (const name of readdirSync(join(root, 'ts/tools/bench')).filter((each) => each.endsWith('.py')))
  cpSync(join(root, 'ts/tools/bench', name), join(dist, 'tools/bench', name));
for (const name of COPIED) {
  const target = join(dist, 'carried', name);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(require.resolve(name), target);
}
for (const name of BUNDLED)
  buildSync({
    entryPoints: [require.resolve(name)],
    outfile: join(dist, 'carried', `${name}.cjs`),
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node20',
    legalComments: 'inline',
  });
