/** Whether two engines computed the same: what is not the same is not worth timing. */
import type { Task } from './report.ts';
import { relativeDifference } from './statistics.ts';

/** Of the largest output, or of the first loss. */
const FORWARD = 1e-4;
/**
 * Of all that training changed in the losses. Gradients agree worse than outputs: rounding decides on which side of 0 a
 * ReLU's input lies, and torch's own two layouts lie 3% apart after three steps of ResNet-50 at batch 2. A step without
 * momentum would lie 45% apart.
 */
const CHANGE = 0.1;

/**
 * @param actual The first answer, or the losses of the first steps.
 * @param expected The same of the engine that is compared with.
 * @returns What differs, and by how much; null where they agree.
 */
export function findDifference(
  task: Task,
  actual: readonly number[],
  expected: readonly number[],
): string | null {
  const of = (values: readonly number[]) => (task === 'training' ? values.slice(0, 1) : values);
  const difference = relativeDifference(of(actual), of(expected));
  if (!(difference < FORWARD))
    return task === 'training'
      ? `differ in the first loss by ${difference} of it, expected less than ${FORWARD}`
      : `differ by ${difference} of the largest output, expected less than ${FORWARD}`;
  if (task === 'forward') return null;
  const changes = (losses: readonly number[]) => losses.map((loss) => loss - losses[0]!);
  const apart = relativeDifference(changes(actual), changes(expected));
  if (apart < CHANGE) return null;
  return `differ in what training changed in the losses by ${apart} of it, expected less than ${CHANGE}: ${actual.join(', ')} and ${expected.join(', ')}`;
}
