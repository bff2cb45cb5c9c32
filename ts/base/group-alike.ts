/** Groups messages with the same cause, which differ only in quoted names and numbers. */

/** The message without the parts that depend on the position. */
export const causeOf = (message: string): string => message.replace(/"[^"]*"/g, '""').replace(/\d+/g, '0');

/** Groups items by a key, in the order of their first members. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string | number): T[][] {
  const groups = new Map<string | number, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
