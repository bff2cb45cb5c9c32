/** Labels, as layers that compute on the host read them. */

/**
 * The class of each item.
 * @throws Error for a label that is not a class, with its position
 */
export function classesOf(labels: Float32Array, classes: number): Int32Array {
  return Int32Array.from(labels, (label, item) => {
    const found = Math.trunc(label);
    if (!(found >= 0 && found < classes))
      throw new Error(`the label of item ${item} is ${label}; it must be a class, from 0 to ${classes - 1}`);
    return found;
  });
}
