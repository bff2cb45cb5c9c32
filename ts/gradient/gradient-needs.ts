/** What each kind's gradient needs, as operations/schema.ts says: which parameters have a diff, and which tensors it reads. */

import type { ProgramOperation, ProgramParameterId } from '../operations/program.ts';
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
  asked: Asked,
): { readonly inputs: readonly boolean[]; readonly outputs: readonly boolean[] } {
  const { gradient } = rowOf(operation);
  const reads: Reads = typeof gradient === 'function' ? gradient(operation, asked) : (gradient ?? {});
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
