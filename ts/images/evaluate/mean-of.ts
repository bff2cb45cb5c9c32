/** Means over classes, of which some may not occur. */

/** The mean of what is a number; null where nothing is. */
export function meanOf(values: readonly (number | null)[]): number | null {
  const counted = values.filter((value) => value !== null);
  return counted.length === 0 ? null : counted.reduce((sum, value) => sum + value, 0) / counted.length;
}
