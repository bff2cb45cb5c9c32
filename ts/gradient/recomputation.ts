/** Recomputes values that are not kept for the backward pass. */
import type { Program, ProgramOperation, TensorId } from '../operations/program.ts';

/**
 * Gives the backward pass a tensor of the forward pass: the tensor itself if it is kept, or otherwise the result of the same
 * operations, recomputed from kept tensors directly before it is needed.
 */
export function recomputation(
  { operations, tensors, inputs }: Program,
  add: (name: string, shape: readonly number[]) => TensorId,
  isKept: (tensor: TensorId) => boolean,
  backward: ProgramOperation[],
): (id: TensorId) => TensorId {
  const makers = new Map(
    operations.flatMap((operation) => operation.outputs.map((id) => [id, operation] as const)),
  );
  const again = new Map<TensorId, TensorId>();
  const recall = (id: TensorId): TensorId => {
    const maker = makers.get(id);
    if (maker === undefined || inputs.includes(id) || isKept(id)) return id;
    if (!again.has(id)) {
      const read = maker.inputs.map(recall);
      const made = maker.outputs.map((output) =>
        add(`${tensors[output]!.name} again`, tensors[output]!.shape),
      );
      maker.outputs.forEach((output, i) => again.set(output, made[i]!));
      const still = maker.kind === 'batchNorm' || maker.kind === 'bn' ? { ...maker, update: false } : maker;
      backward.push({ ...still, inputs: read, outputs: made });
    }
    return again.get(id)!;
  };
  return recall;
}
