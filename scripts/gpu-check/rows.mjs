/**
 * Of a program that prints a line of JSON for each row; of one that was ended in the middle of a row the rows before it.
 * @param {string} stdout
 * @returns {any[]}
 */
export function rowsOf(stdout) {
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .flatMap((line) => {
      try {
        return [JSON.parse(line)];
      } catch {
        return [];
      }
    });
}
