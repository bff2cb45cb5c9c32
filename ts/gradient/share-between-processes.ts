/** A training step that is one of several processes' on the same weights. */
import type { Program, ProgramOperation, TensorId } from '../operations/program.ts';

/**
 * Puts the mean of all processes' diffs before the update, as Caffe's P2PSync does; every process then makes the same
 * update. BatchNorm's batch statistics stay each process's own, as Caffe's, or are those of all batches together.
 */
export function shareBetweenProcesses(program: Program, synchronisedBatchNorm: boolean): Program {
  const tensors = [...program.tensors];
  const operations = program.operations.flatMap((operation): ProgramOperation[] => {
    if (operation.kind === 'batchNorm')
      return [{ ...operation, synchronised: synchronisedBatchNorm && operation.statistics === 'batch' }];
    if (operation.kind !== 'update') return [operation];
    const [schedule, ...all] = operation.inputs as [TensorId, ...TensorId[]];
    // The losses are averaged too: where one process has none that is finite, no process updates.
    const shared = all.filter((id) => id >= 0);
    const means = new Map(shared.map((id) => [id, tensors.push({ ...tensors[id]! }) - 1]));
    return [
      {
        kind: 'allMean',
        layer: 'all processes',
        inputs: shared,
        outputs: shared.map((id) => means.get(id)!),
      },
      { ...operation, inputs: [schedule, ...all.map((id) => means.get(id) ?? id)] },
    ];
  });
  return { ...program, tensors, operations };
}
