/** Scores of classes as probabilities. */

/** The softmax of each row of `classes` scores. */
export function softmax(rows: Float32Array, classes: number): Float64Array {
  const result = Float64Array.from(rows);
  for (let at = 0; at < result.length; at += classes) {
    const row = result.subarray(at, at + classes);
    const most = row.reduce((a, b) => Math.max(a, b));
    row.forEach((value, i) => {
      row[i] = Math.exp(value - most);
    });
    const sum = row.reduce((a, b) => a + b);
    row.forEach((value, i) => {
      row[i] = value / sum;
    });
  }
  return result;
}
