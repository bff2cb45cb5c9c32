/**
 * Compiles the sources and tests to JavaScript once for a whole run. tsx would take half a second of processor time in
 * every process, and a run starts hundreds of processes.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type OnLoadResult, type Plugin } from 'esbuild';
import { compiledPath } from './support/command.ts';
import { folderUntilExit } from './until-exit.ts';

const FOLDERS = ['ts', 'test', 'bench', 'scripts', 'examples'];
const PACKAGE = /^resnode(\/|$)/;

/**
 * Writes `.compiled-…` in `root`, where the code looks for the addon, and returns its path. The files of `ts` are at
 * its top, as in the `dist` of a built package, and the others are below `other`. It is removed when this process ends.
 */
export async function compileAll(root: string): Promise<string> {
  const out = folderUntilExit(mkdtempSync(join(root, '.compiled-')));
  const entryPoints = FOLDERS.flatMap((folder) =>
    (readdirSync(join(root, folder), { recursive: true }) as string[])
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
      .map((name) => join(folder, name)),
  ).map((path) => ({ in: join(root, path), out: compiledPath(path).replace(/\.js$/, '') }));
  const isCode = (path: string) => path.endsWith('.ts');
  cpSync(join(root, 'ts'), out, { recursive: true, filter: (path) => !isCode(path) });
  const options = {
    outdir: out,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: `node${process.versions.node}`,
    packages: 'external',
    sourcemap: 'linked',
    logLevel: 'warning',
  } as const;
  await build({ ...options, entryPoints, plugins: [sharpAsOneFile(out), importsAsCompiled(root)] });
  // The command (250 modules) and the threads of data layers (80 modules) start hundreds of times, and as few files
  // they start in half the time. The command loads its parts on demand; a thread needs one file.
  const started = (name: string, division: { splitting?: boolean; chunkNames?: string }) =>
    build({
      ...options,
      ...division,
      entryPoints: [{ in: join(root, `ts/${name}.ts`), out: name }],
      plugins: [sharpAsOneFile(out)],
    });
  await started('cli/main', { splitting: true, chunkNames: 'parts/[hash]' });
  await started('data/worker', {});
  await build({
    ...options,
    entryPoints: [{ in: fileURLToPath(import.meta.resolve('sharp')), out: 'sharp' }],
    external: ['@img/sharp*', '../src/*'],
    packages: 'bundle',
    sourcemap: false,
    banner: {
      js: `import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(${JSON.stringify(join(out, 'sharp.js'))});`,
    },
  });
  return out;
}

/**
 * Most of the time that a process takes to load sharp is for the 60 files of its own code, and tests load it hundreds
 * of times.
 */
function sharpAsOneFile(out: string): Plugin {
  const path = pathToFileURL(join(out, 'sharp.js')).href;
  return {
    name: 'sharp as one file',
    setup({ onResolve }) {
      onResolve({ filter: /^sharp$/ }, () => ({ path, external: true }));
    },
  };
}

/** Each module remains a file, because a test looks for its fixtures next to its source. */
function importsAsCompiled(root: string): Plugin {
  return {
    name: 'imports as compiled',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.|^resnode/ }, ({ path, importer, kind }) => {
        if (kind === 'entry-point') return null;
        const isPackage = PACKAGE.test(path);
        if (!isPackage && !path.startsWith('.')) return null;
        const source = isPackage
          ? join('ts', path === 'resnode' ? 'index.ts' : `api/${path.replace(PACKAGE, '')}.ts`)
          : relative(root, join(dirname(importer), path));
        const target = source.endsWith('.ts') ? compiledPath(source) : join('..', source);
        const from = dirname(compiledPath(relative(root, importer)));
        return { path: `./${relative(from, target)}`, external: true };
      });
      onLoad({ filter: /\.ts$/ }, ({ path }) =>
        path.startsWith(join(root, 'ts/')) ? null : readAsIfIn(path, path),
      );
    },
  };
}

function readAsIfIn(path: string, place: string): OnLoadResult {
  const url = JSON.stringify(pathToFileURL(place).href);
  const contents = readFileSync(path, 'utf8').replaceAll(/\bimport\.meta\.url\b/g, url);
  return { contents, loader: 'ts' };
}
