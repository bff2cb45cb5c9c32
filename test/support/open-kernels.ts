/** CPU devices on one instruction set each, as far as this processor has them. */
import * as assert from 'uvu/assert';
import { type Device, DeviceError, type DeviceOptions, openDevice } from '../../ts/index.ts';
import { cpuLibrary } from './cpu-library.ts';

export type Kernels = 'AVX-512' | 'AVX2' | 'oneDNN';

/** Null, and said so, where this processor has no such instructions. */
export async function openKernels(kernels: Kernels, options: DeviceOptions): Promise<Device | null> {
  try {
    return await openDevice('cpu', { kernels, ...options, ...cpuLibrary });
  } catch (error) {
    assert.instance(error, DeviceError);
    assert.match((error as Error).message, kernels);
    console.log(`skipped: ${(error as Error).message}`);
    return null;
  }
}

/** Both instruction sets, on several numbers of threads. */
export async function openAllKernels(options: DeviceOptions = {}): Promise<readonly Device[]> {
  const all = [
    ['AVX-512', 2],
    ['AVX2', 2],
    ['AVX-512', 1],
    ['AVX2', 3],
    ['AVX-512', 4],
  ] as const;
  const opened = await Promise.all(
    all.map(([kernels, threads]) => openKernels(kernels, { ...options, threads })),
  );
  return opened.filter((each) => each !== null);
}
