/**
 * The fake cuDNN of test/cuda/host/libraries, which computes graphs by naive loops, for the devices of this process.
 */
import { copyFileSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { emulatedBuild } from './emulated.ts';

/** False, after printing why the caller skips, if it cannot be built. */
export function useStandInCudnn(): boolean {
  const fake = emulatedBuild('fake-cudnn-92400');
  const empty = emulatedBuild('empty');
  if (fake === null || empty === null) return false;
  const folder = join(dirname(fake), 'fake-cudnn');
  mkdirSync(folder, { recursive: true });
  place(fake, join(folder, 'libcudnn.so.9'));
  place(empty, join(folder, 'libcublasLt.so.13'));
  process.env.RESNODE_CUDNN = join(folder, 'libcudnn.so.9');
  return true;
}

/**
 * Another process may have loaded the existing file. That process keeps it, whereas copying over it would change the
 * running code.
 */
function place(library: string, path: string): void {
  const copy = `${path}.${process.pid}`;
  copyFileSync(library, copy);
  renameSync(copy, path);
}
