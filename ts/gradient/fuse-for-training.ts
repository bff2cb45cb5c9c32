/** What a training step computes in one pass over the data, so that fewer tensors are kept for the backward pass. */
import type { Program, ProgramOperation, TensorId } from '../operations/program.ts';

/**
 * Merges BatchNorm → Scale → ReLU, and a ReLU into what has a place for it, where nobody else reads what lies between.
 * Only a ReLU whose slope is not negative: its gradient is told from what it made.
 * @param visible Tensors that stay: outputs, and those whose diffs are asked for or given.
 */
export function fuseForTraining(program: Program, visible: ReadonlySet<TensorId>): Program {
  const readers = new Map<TensorId, number>();
  for (const { inputs } of program.operations)
    for (const id of inputs) readers.set(id, (readers.get(id) ?? 0) + 1);
  const makers = new Map<TensorId, number>();
  const operations: ProgramOperation[] = [];
  for (const operation of program.operations) {
    const id = operation.inputs[0]!;
    const at = makers.get(id);
    const isPrivate = readers.get(id) === 1 && !visible.has(id) && operation.propagateDown === undefined;
    const merged =
      at === undefined || !isPrivate ? null : merge(operations[at]!, operation, program.tensors[id]!.shape);
    if (merged === null) {
      operations.push(operation);
      for (const made of operation.outputs) makers.set(made, operations.length - 1);
    } else {
      // Neither Scale nor ReLU reads anything else, so that the merged one can stand where the first stood.
      operations[at!] = { ...merged, outputs: operation.outputs };
      for (const made of operation.outputs) makers.set(made, at!);
    }
  }
  return { ...program, operations };
}

function merge(
  before: ProgramOperation,
  operation: ProgramOperation,
  shape: readonly number[],
): ProgramOperation | null {
  if (operation.kind === 'relu' && operation.negativeSlope >= 0) {
    if (!('relu' in before) || before.relu !== null) return null;
    if (before.kind === 'eltwise' && before.operation !== 'sum') return null;
    return { ...before, relu: { negativeSlope: operation.negativeSlope } };
  }
  if (operation.kind === 'scale' && before.kind === 'batchNorm') {
    const isPerChannel =
      operation.operand === 'none' &&
      shape.length > 1 &&
      operation.outer === shape[0] &&
      operation.channels === shape[1];
    const isFree = before.scale === null && before.bias === null && before.relu === null;
    if (isPerChannel && isFree)
      return { ...before, scale: operation.scale, bias: operation.bias, relu: operation.relu };
  }
  return null;
}
