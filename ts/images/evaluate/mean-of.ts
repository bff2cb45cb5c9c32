/** Means over classes, some of which may not occur. */

/** The mean of the values that are numbers; null if there are none. */
export function meanOf(values: readonly (number | null)[]): number | null {
  const counted = values.filter((value) => value !== null);
  return counted.length === 0 ? null : counted.reduce((sum, value) => sum + value, 0) / counted.length;
}
