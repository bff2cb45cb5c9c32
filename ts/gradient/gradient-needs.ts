/**
 * The needs of each kind's gradient according to operations/schema.ts: the parameters that have a diff, and the tensors that
 * it reads.
 */

import type { FusedRelu } from '../operations/operations.ts';
import type { Program, ProgramOperation, ProgramParameterId, TensorId } from '../operations/program.ts';
import type { Asked, Places, Reads, Row } from '../operations/row.ts';
import { schema } from '../operations/schema.ts';

const rowOf = ({ kind }: ProgramOperation) => schema[kind] as Row<ProgramOperation>;

const isIn = (places: Places, index: number): boolean =>
  places === 'all' || (places !== 'none' && (places[index] ?? false));

/** The learnable parameters, by their positions among a gradient's outputs; null: the operation has no parameter there. */
export function learnedParameters(operation: ProgramOperation): readonly (ProgramParameterId | null)[] {
  const values = operation as unknown as Readonly<Record<string, ProgramParameterId | null>>;
  return Object.entries(rowOf(operation).fields)
    .filter(([, { learns }]) => learns)
    .map(([name]) => values[name]!);
}

/** Whether the diff of an operation's result is meaningful. Labels, ranks and masks have none. */
function isDifferentiable(operation: ProgramOperation, place: 'input' | 'output', index: number): boolean {
  const { gradient, differentiable = {} } = rowOf(operation);
  return gradient !== null && isIn(differentiable[`${place}s`] ?? 'all', index);
}

/** The inputs and outputs of an operation that its gradient reads. */
export function readAgain(
  operation: ProgramOperation,
  asked: Omit<Asked, 'made'>,
): { readonly inputs: readonly boolean[]; readonly outputs: readonly boolean[] } {
  const { gradient } = rowOf(operation);
  const reads: Reads =
    typeof gradient === 'function'
      ? gradient(operation, { ...asked, made: operation.outputs.length })
      : (gradient ?? {});
  return {
    inputs: operation.inputs.map((_, i) => isIn(reads.inputs ?? 'none', i)),
    outputs: operation.outputs.map((_, i) => isIn(reads.outputs ?? 'none', i)),
  };
}

/** A sum that passes its diff unchanged to all its inputs. */
export function isUnscaledSum(
  operation: ProgramOperation,
): operation is Extract<ProgramOperation, { kind: 'eltwise' }> {
  return (
    operation.kind === 'eltwise' &&
    operation.operation === 'sum' &&
    operation.coefficients.every((coefficient) => coefficient === 1)
  );
}

/** The terms of a sum at an operation's end whose diff is the one after the following ReLU. */
export interface SumBehind {
  readonly terms: readonly number[];
  readonly relu: FusedRelu | null;
}

/** Null: the operation does not end in a sum that passes its diff on unchanged. */
export function sumBehind(operation: ProgramOperation): SumBehind | null {
  const isBatchNorm = operation.kind === 'batchNorm' && operation.inputs.length === 2;
  if (!isBatchNorm && !isUnscaledSum(operation)) return null;
  const { relu, inputs } = operation;
  // A slope below 0 changes signs, so the result does not show where the ReLU cut.
  if (relu !== null && !(relu.negativeSlope >= 0)) return null;
  return { terms: isBatchNorm ? [1] : inputs.map((_, i) => i), relu };
}

/** The largest number of diffs that sumBehindRelu adds. */
export const MOST_PARTS = 4;

/** Whether a diff goes down to an input. */
export function goesDown(operation: ProgramOperation, input: number): boolean {
  return operation.propagateDown?.[input] !== false && isDifferentiable(operation, 'input', input);
}

/** Tensors that depend on a tensor whose diff is requested. */
export function carriersOf(
  { operations }: Program,
  parameters: ReadonlySet<ProgramParameterId>,
  requested: ReadonlySet<TensorId>,
): ReadonlySet<TensorId> {
  const carries = new Set(requested);
  for (const operation of operations) {
    const learns = learnedParameters(operation).some((id) => id !== null && parameters.has(id));
    if (!learns && !operation.inputs.some((id, i) => carries.has(id) && goesDown(operation, i))) continue;
    operation.outputs.forEach((id, i) => {
      if (isDifferentiable(operation, 'output', i)) carries.add(id);
    });
  }
  return carries;
}
