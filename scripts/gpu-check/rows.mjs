/**
 * The rows of a program that prints a line of JSON for each. If it was killed in the middle of a row, the rows before
 * it.
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

/**
 * The results of recorded cases that were compared before the program ended.
 * @param {any[]} rows of bench/gpu/parity.ts
 * @param {string | null} reason why the program failed
 */
export function parityOf(rows, reason) {
  const beyond = rows.filter(({ ok }) => !ok);
  return {
    cases: rows.filter(({ checks }) => checks > 0).length,
    comparisons: rows.reduce((sum, { checks }) => sum + checks, 0),
    beyond: beyond.map(({ folder, firstDivergence, error }) => ({ folder, firstDivergence, error })),
    worstRelative: rows.reduce((most, { worstRelative }) => Math.max(most, worstRelative), 0),
    reason,
  };
}
