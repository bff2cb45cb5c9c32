/** Names that are given once. */
export class Names {
  readonly #next = new Map<string, number>();

  /** @param taken Names that are not to be given. */
  constructor(taken: Iterable<string> = []) {
    for (const name of taken) this.#next.set(name, 2);
  }

  /** `name`, or where it is taken `name_2`, `name_3`, …; takes it. */
  take(name: string): string {
    let unused = name;
    while (this.#next.has(unused)) {
      const number = this.#next.get(name)!;
      this.#next.set(name, number + 1);
      unused = `${name}_${number}`;
    }
    this.#next.set(unused, 2);
    return unused;
  }
}
