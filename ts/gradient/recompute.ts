/** Which tensors wait for the backward pass when memory counts more than time. */
import type { Program, TensorId } from '../operations/program.ts';

/**
 * Keeps what blocks begin and end with: sums of branches, what several operations read, outputs, and everything behind
 * the last sum, which is needed at once. What lies between is computed again, a block at a time, as in Chen et al.,
 * "Training Deep Nets with Sublinear Memory Cost", 2016, section 4.1. A net without branches keeps all.
 */
export function keepsBlockEnds({ operations, outputs }: Program): (tensor: TensorId) => boolean {
  const kept = new Set(outputs);
  const seen = new Set<TensorId>();
  const lastSum = operations.findLastIndex(({ kind }) => kind === 'eltwise');
  for (const [index, operation] of operations.entries()) {
    for (const id of new Set(operation.inputs)) {
      if (seen.has(id)) kept.add(id);
      seen.add(id);
    }
    if (operation.kind === 'eltwise' || index > lastSum) for (const id of operation.outputs) kept.add(id);
  }
  return (tensor) => kept.has(tensor);
}
