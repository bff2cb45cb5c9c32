/** Worker threads from files of our own. */
import { Worker } from 'node:worker_threads';
import { ownPackage } from './own-package.ts';

/**
 * Starts a thread.
 * @param entry The file that it runs, without its ending: `./worker`.
 * @param from `import.meta.url` of who starts it.
 * @param workerData Plain data.
 * @throws DeviceError `device/bundled`: a bundle has no files to start a thread from
 */
export function startThread(entry: string, from: string, workerData: unknown): Worker {
  ownPackage();
  if (!from.endsWith('.ts')) return new Worker(new URL(`${entry}.js`, from), { workerData });
  // Run as source, in tests: tsx's own hooks do not reach into worker threads.
  const [tsx, source] = [import.meta.resolve('tsx/esm/api'), new URL(`${entry}.ts`, from).href];
  const script = `import('${tsx}').then(({ register }) => (register(), import('${source}')))`;
  return new Worker(script, { eval: true, workerData });
}
