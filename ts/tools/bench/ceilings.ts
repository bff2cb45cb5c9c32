/** What binds a net on this machine: how fast it multiplies and how fast it reaches memory. */

import { openDevice } from '../../device/device.ts';
import { addRelu, compileOperation, innerProduct } from '../../device/ops.ts';

/**
 * Arithmetic is the inner product of oneDNN on 2048³; memory is a sum of two blobs of 64 MiB, larger than any cache.
 * @param runs Of which the fastest counts.
 */
export async function machineCeilings(
  threads: number,
  runs: number,
): Promise<{ readonly gflops: number; readonly bandwidth: number }> {
  // The same for all kernels of ours that are measured beside it.
  await using device = await openDevice('cpu', { threads, kernels: 'oneDNN' });
  const best = async (operation: Parameters<typeof compileOperation>[1]) => {
    await using model = await compileOperation(device, operation);
    const inputs = Object.fromEntries(
      Object.entries(operation.inputs).map(([name, { data }]) => [name, data]),
    );
    const times: number[] = [];
    for (let i = 0; i < runs; i++) times.push((await model.time(inputs))[0]!.milliseconds);
    return Math.min(...times);
  };
  const square = { shape: [2048, 2048], data: new Float32Array(2048 ** 2).fill(1) };
  const large = { shape: [1, 2 ** 24], data: new Float32Array(2 ** 24).fill(1) };
  const product = await best(innerProduct({ input: square, weights: square }));
  const sum = await best(addRelu({ inputs: [large, large], relu: false }));
  return { gflops: (2 * 2048 ** 3) / product / 1e6, bandwidth: (3 * 4 * 2 ** 24) / sum / 1e6 };
}
