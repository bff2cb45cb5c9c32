/** Messages of one cause, which differ only by the names in quotes and the numbers in them. */

/** The message without what tells one place from another. */
export const causeOf = (message: string): string => message.replace(/"[^"]*"/g, '""').replace(/\d+/g, '0');

/** Groups in the order of their first members, by a key of each. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string | number): T[][] {
  const groups = new Map<string | number, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
