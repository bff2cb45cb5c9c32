// Bundles many modules into few files, because opening another file takes longer than reading it.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build } from 'esbuild';

const LIBRARY = ['ts/index.ts', 'ts/api/*.ts'];
/** Programs, which start small and load the rest on demand. */
const PROGRAMS = ['ts/cli/main.ts', 'ts/tools/bench/measure.ts'];
/** Code of threads: one file each. */
const THREADS = ['ts/data/worker.ts', 'ts/caffe/hdf5-thread.ts'];
/**
 * What a program loads with the root, and then with its first net, in as few files as possible. Each may need the ones
 * before it.
 */
const WHOLE = ['ts/index.ts', 'ts/device/nets.ts'];

/**
 * @param {string} root The repository's folder.
 * @param {string} dist Where the files go, each entry at its path below ts.
 * @returns {Promise<import('esbuild').Metafile['outputs']>} esbuild's description of each written file: the modules in
 * it, and the files that it imports.
 */
export async function bundle(root, dist) {
  /** @satisfies {import('esbuild').BuildOptions} */
  const common = {
    absWorkingDir: root,
    outbase: 'ts',
    outdir: dist,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    logLevel: 'warning',
    metafile: true,
  };
  /** @satisfies {import('esbuild').BuildOptions} */
  const divided = {
    ...common,
    entryPoints: [...LIBRARY, ...PROGRAMS],
    splitting: true,
    // One folder below dist, see ts/base/own-package.ts.
    chunkNames: 'parts/[name]-[hash]',
  };
  const { metafile } = await build({ ...divided, write: false });
  const built = [
    await build({ ...divided, plugins: [keepWhole(root, metafile)] }),
    await build({ ...common, entryPoints: THREADS }),
  ];
  return Object.assign({}, ...built.map(({ metafile: { outputs } }) => outputs));
}

/**
 * esbuild puts modules that the same entries need into one file. So all entries of the library, and modules that are
 * loaded on demand, start by importing the files of WHOLE of which they are not part.
 * @param {string} root
 * @param {import('esbuild').Metafile} metafile
 * @returns {import('esbuild').Plugin}
 */
function keepWhole(root, { inputs, outputs }) {
  const parts = WHOLE.map((path) => readWith(path, inputs));
  const entries = Object.values(outputs).flatMap(({ entryPoint }) => entryPoint ?? []);
  /** @param {string} path */
  const needed = (path) => {
    const own = parts.findIndex((part) => part.has(path));
    return own < 0 ? WHOLE : WHOLE.slice(0, own);
  };
  const first = new Map(
    entries.filter((path) => !PROGRAMS.includes(path)).map((path) => [path, needed(path)]),
  );
  return {
    name: 'keep whole',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const imports = (first.get(relative(root, path)) ?? []).map(
          (each) => `import ${JSON.stringify(join(root, each))};\n`,
        );
        return { contents: imports.join('') + readFileSync(path, 'utf8'), loader: 'ts' };
      });
    },
  };
}

/**
 * A module and all its static imports.
 * @param {string} path
 * @param {import('esbuild').Metafile['inputs']} inputs
 * @param {Set<string>} seen
 */
function readWith(path, inputs, seen = new Set()) {
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const { kind, path: next, external } of inputs[path]?.imports ?? [])
    if (kind === 'import-statement' && external !== true) readWith(next, inputs, seen);
  return seen;
}
