/**
 * Fuses the operations of a training step that one pass over the data can compute, so that fewer tensors are kept for the
 * backward pass.
 */
import type { Program, ProgramOperation, TensorId } from '../operations/program.ts';
import { isUnscaledSum } from './gradient-needs.ts';

/**
 * Merges BatchNorm → Scale → ReLU, BatchNorm → sum with a residual, and a ReLU into an operation with a ReLU of its own, if
 * nothing else reads the values between. The ReLU's slope must not be negative, because its gradient is derived from its
 * result.
 * @param visible Tensors that stay: outputs, and those whose diffs are requested or given.
 */
export function fuseForTraining(program: Program, visible: ReadonlySet<TensorId>): Program {
  const readers = new Map<TensorId, number>();
  for (const { inputs } of program.operations)
    for (const id of inputs) readers.set(id, (readers.get(id) ?? 0) + 1);
  const makers = new Map<TensorId, number>();
  // Null: merged into a later operation.
  const operations: (ProgramOperation | null)[] = [];
  // The position of the operation that makes a tensor, if that tensor has a single reader.
  const maker = (operation: ProgramOperation, input: number): number | undefined => {
    const id = operation.inputs[input]!;
    const isPrivate = readers.get(id) === 1 && !visible.has(id) && operation.propagateDown === undefined;
    return isPrivate ? makers.get(id) : undefined;
  };
  for (const operation of program.operations) {
    const normalised = normalisedTerm(operation, (input) => {
      const at = maker(operation, input);
      return at === undefined ? null : operations[at]!;
    });
    if (normalised !== null) {
      const at = maker(operation, normalised)!;
      const before = operations[at] as BatchNorm;
      // The residual may be made after the BatchNorm's input, so the merged operation is placed at the sum.
      operations[at] = null;
      const inputs = [before.inputs[0]!, operation.inputs[1 - normalised]!];
      makers.set(operation.outputs[0]!, operations.length);
      operations.push({ ...before, inputs, outputs: operation.outputs });
      continue;
    }
    const at = maker(operation, 0);
    const shape = program.tensors[operation.inputs[0]!]?.shape ?? [];
    const merged = at === undefined ? null : merge(operations[at]!, operation, shape);
    if (merged === null) {
      operations.push(operation);
      for (const made of operation.outputs) makers.set(made, operations.length - 1);
    } else {
      // Neither Scale nor ReLU reads anything else, so the merged operation can be placed at the first one.
      operations[at!] = { ...merged, outputs: operation.outputs };
      for (const made of operation.outputs) makers.set(made, at!);
    }
  }
  return { ...program, operations: operations.filter((operation) => operation !== null) };
}

type BatchNorm = Extract<ProgramOperation, { kind: 'batchNorm' }>;

// The term of a sum of two that a BatchNorm makes only for the sum; the second one if both are.
function normalisedTerm(
  operation: ProgramOperation,
  made: (input: number) => ProgramOperation | null,
): 0 | 1 | null {
  if (!isUnscaledSum(operation) || operation.relu !== null || operation.inputs.length !== 2) return null;
  const isFree = (input: 0 | 1) => {
    const before = made(input);
    return (
      before?.kind === 'batchNorm' &&
      before.relu === null &&
      before.inputs.length === 1 &&
      before.propagateDown === undefined
    );
  };
  return isFree(1) ? 1 : isFree(0) ? 0 : null;
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
