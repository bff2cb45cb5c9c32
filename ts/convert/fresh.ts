/** Names that are given once. */

/** `name`, or `name_2`, `name_3`, … where it is taken; and takes it. */
export function fresh(taken: Set<string>, name: string): string {
  let unused = name;
  for (let i = 2; taken.has(unused); i++) unused = `${name}_${i}`;
  taken.add(unused);
  return unused;
}
