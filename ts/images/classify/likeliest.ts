/** A row of probabilities → its likeliest classes. */

/** A class of an image. */
export interface Classification {
  /** Of the net's output. */
  readonly index: number;
  readonly label: string;
  /** From 0 to 1. */
  readonly probability: number;
}

/** The likeliest classes, likeliest first. @param labels None: `class 0`, `class 1`, … */
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
