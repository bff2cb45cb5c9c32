/** The package that contains this code: its folder holds the addon, its libraries, pages and the files of threads. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { DeviceError } from './errors.ts';

export interface OwnPackage {
  readonly root: string;
  readonly version: string;
  /** Whether this is a clone with sources, in which `npm run build` works; an installed package has none. */
  readonly isCheckout: boolean;
}

let found: OwnPackage | undefined;

/** @throws DeviceError `device/bundled` if a bundler copied the code out of its package */
export function ownPackage(): OwnPackage {
  found ??= packageOf(import.meta.url);
  return found;
}

/**
 * @param url The URL of this module, or of the file into which scripts/bundle.mjs puts it; undefined in a CommonJS bundle.
 */
function packageOf(url: string | undefined): OwnPackage {
  const root = url === undefined ? null : fileURLToPath(new URL('../..', url));
  const manifest = root === null ? {} : readManifest(join(root, 'package.json'));
  if (root === null || manifest.name !== 'resnode')
    throw new DeviceError(
      'device/bundled',
      'cpu',
      `resnode runs from its own folder in node_modules, where its native addon is, but a bundler has copied its code${
        root === null ? '' : ` to ${fileURLToPath(url!)}`
      }. Mark it as external: esbuild --external:resnode, "external: ['resnode']" in Rollup and Vite's build.rollupOptions, "externals: { resnode: 'module resnode' }" in webpack, "serverExternalPackages: ['resnode']" in Next.js`,
    );
  return { root, version: manifest.version ?? '', isCheckout: existsSync(join(root, 'ts')) };
}

function readManifest(file: string): { name?: string; version?: string } {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
}

/**
 * The path of a file that the code reads or runs.
 * @param path The path below `ts`. scripts/build-dist.mjs copies the file to the same path below `dist`, and this module to
 * a folder there.
 * @throws DeviceError `device/bundled`: a bundle has no such files
 */
export function ownFile(path: string): string {
  ownPackage();
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

/** Whether this is TypeScript source, which tsx compiles when it is read. */
export const isSource = (): boolean => import.meta.url.endsWith('.ts');

/**
 * Starts a thread with the flags of the process, which may preload a package finder (`--require ./.pnp.cjs`). If the process
 * runs a text (`--input-type=module -e …`), the thread gets no flags, because Node runs no file with that flag.
 * @param entry The module that it runs, below `ts` and without its ending: `data/worker`.
 * @param workerData Plain data.
 * @throws DeviceError `device/bundled`: a bundle has no files to start a thread from
 */
export function startThread(entry: string, workerData: unknown): Worker {
  ownPackage();
  const isText = process.execArgv.some((flag) => flag.startsWith('--input-type'));
  const options = { workerData, ...(isText ? { execArgv: [] } : {}) };
  if (!isSource()) return new Worker(ownFile(`${entry}.js`), options);
  // Run as source, in tests: tsx's own hooks do not reach into worker threads.
  const [tsx, source] = [import.meta.resolve('tsx/esm/api'), pathToFileURL(ownFile(`${entry}.ts`)).href];
  const script = `import('${tsx}').then(({ register }) => (register(), import('${source}')))`;
  return new Worker(script, { ...options, eval: true });
}
