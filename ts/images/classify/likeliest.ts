/** Finds the most probable classes in a row of probabilities. */

/** A class of an image. */
export interface Classification {
  /** The index in the net's output. */
  readonly index: number;
  readonly label: string;
  /** From 0 to 1. */
  readonly probability: number;
}

/**
 * The most probable classes, in descending order.
 * @param labels Without labels: `class 0`, `class 1`, …
 */
export const likeliest = (
  probabilities: ArrayLike<number>,
  labels: readonly string[] | null,
  top: number,
): Classification[] =>
  Array.from(probabilities, (probability, index) => ({
    index,
    label: labels?.[index] ?? `class ${index}`,
    probability,
  }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top);
