/** The limits of this machine: the speed of its arithmetic and of its memory. */

import { DeviceError } from '../../base/errors.ts';
import { type Device, openDevice } from '../../device/device.ts';
import { addRelu, compileOperation, innerProduct } from '../../device/ops.ts';

/**
 * Measures arithmetic by an inner product on 2048³, with the faster of resnode's kernels and oneDNN's (if installed), and
 * memory by a sum of two blobs of 64 MiB, which are larger than any cache.
 * @param runs The number of runs, of which the fastest counts.
 */
export async function machineCeilings(
  threads: number,
  runs: number,
): Promise<{ readonly gflops: number; readonly bandwidth: number }> {
  const square = { shape: [2048, 2048], data: new Float32Array(2048 ** 2).fill(1) };
  const large = { shape: [1, 2 ** 24], data: new Float32Array(2 ** 24).fill(1) };
  const product = innerProduct({ input: square, weights: square });
  await using own = await openDevice('cpu', { threads });
  const sum = await fastest(own, addRelu({ inputs: [large, large], relu: false }), runs);
  let least = await fastest(own, product, runs);
  await using oneDnn = await openOneDnn(threads);
  if (oneDnn !== null) least = Math.min(least, await fastest(oneDnn, product, runs));
  return { gflops: (2 * 2048 ** 3) / least / 1e6, bandwidth: (3 * 4 * 2 ** 24) / sum / 1e6 };
}

/** The CPU device with oneDNN's kernels; null if oneDNN is not installed. */
export async function openOneDnn(threads: number): Promise<Device | null> {
  try {
    return await openDevice('cpu', { threads, kernels: 'oneDNN' });
  } catch (error) {
    if (error instanceof DeviceError && error.code === 'device/unavailable') return null;
    throw error;
  }
}

/** Milliseconds. */
async function fastest(device: Device, operation: Parameters<typeof compileOperation>[1], runs: number) {
  await using model = await compileOperation(device, operation);
  const inputs = Object.fromEntries(Object.entries(operation.inputs).map(([name, { data }]) => [name, data]));
  const times: number[] = [];
  for (let i = 0; i < runs; i++) times.push((await model.time(inputs))[0]!.milliseconds);
  return Math.min(...times);
}
