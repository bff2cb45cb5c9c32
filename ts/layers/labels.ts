/** Labels as the layers read them that compute on the host. */

/**
 * The class of each item.
 * @throws Error for a label that is no class, with its place
 */
export function classesOf(labels: Float32Array, classes: number): Int32Array {
  return Int32Array.from(labels, (label, item) => {
    const found = Math.trunc(label);
    if (!(found >= 0 && found < classes))
      throw new Error(`the label of item ${item} is ${label}; it must be a class, from 0 to ${classes - 1}`);
    return found;
  });
}
