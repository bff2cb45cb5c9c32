/** What each kind's gradient needs, as operations/schema.ts says: which parameters have a diff, and which tensors it reads. */

import type { FusedRelu } from '../operations/operations.ts';
import type { Program, ProgramOperation, ProgramParameterId, TensorId } from '../operations/program.ts';
import type { Asked, Places, Reads, Row } from '../operations/row.ts';
import { schema } from '../operations/schema.ts';

const rowOf = ({ kind }: ProgramOperation) => schema[kind] as Row<ProgramOperation>;

const isIn = (places: Places, index: number): boolean =>
  places === 'all' || (places !== 'none' && (places[index] ?? false));

/** The parameters that learn, by their places among the outputs of a gradient; null: the operation has none there. */
export function learnedParameters(operation: ProgramOperation): readonly (ProgramParameterId | null)[] {
  const values = operation as unknown as Readonly<Record<string, ProgramParameterId | null>>;
  return Object.entries(rowOf(operation).fields)
    .filter(([, { learns }]) => learns)
    .map(([name]) => values[name]!);
}

/** Whether a diff of what the operation made has a meaning: labels, ranks and masks have none. */
export function isDifferentiable(
  operation: ProgramOperation,
  place: 'input' | 'output',
  index: number,
): boolean {
  const { gradient, differentiable = {} } = rowOf(operation);
  return gradient !== null && isIn(differentiable[`${place}s`] ?? 'all', index);
}

/** Which inputs and outputs of an operation its gradient reads. */
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

/** A sum that hands its diff to all its inputs as it is. */
export function isUnscaledSum(
  operation: ProgramOperation,
): operation is Extract<ProgramOperation, { kind: 'eltwise' }> {
  return (
    operation.kind === 'eltwise' &&
    operation.operation === 'sum' &&
    operation.coefficients.every((coefficient) => coefficient === 1)
  );
}

/** Terms of a sum at an operation's end that get its diff as it comes through the ReLU behind it. */
export interface SumBehind {
  readonly terms: readonly number[];
  readonly relu: FusedRelu | null;
}

/** Null: the operation ends in no sum that hands its diff on as it is. */
export function sumBehind(operation: ProgramOperation): SumBehind | null {
  const isBatchNorm = operation.kind === 'batchNorm' && operation.inputs.length === 2;
  if (!isBatchNorm && !isUnscaledSum(operation)) return null;
  const { relu, inputs } = operation;
  // A slope below 0 changes signs: what was made does not show where the ReLU cut.
  if (relu !== null && !(relu.negativeSlope >= 0)) return null;
  return { terms: isBatchNorm ? [1] : inputs.map((_, i) => i), relu };
}

/** As many diffs as sumBehindRelu adds up. */
export const MOST_PARTS = 4;

/** Whether a diff goes down to an input. */
export function goesDown(operation: ProgramOperation, input: number): boolean {
  return operation.propagateDown?.[input] !== false && isDifferentiable(operation, 'input', input);
}

/** Tensors that depend on something whose diff is asked for. */
export function carriersOf(
  { operations }: Program,
  parameters: ReadonlySet<ProgramParameterId>,
  wanted: ReadonlySet<TensorId>,
): ReadonlySet<TensorId> {
  const carries = new Set(wanted);
  for (const operation of operations) {
    const learns = learnedParameters(operation).some((id) => id !== null && parameters.has(id));
    if (!learns && !operation.inputs.some((id, i) => carries.has(id) && goesDown(operation, i))) continue;
    operation.outputs.forEach((id, i) => {
      if (isDifferentiable(operation, 'output', i)) carries.add(id);
    });
  }
  return carries;
}
