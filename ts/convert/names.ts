/** Gives unique names. */
export class Names {
  readonly #next = new Map<string, number>();

  /** @param taken Names that must not be used. */
  constructor(taken: Iterable<string> = []) {
    for (const name of taken) this.#next.set(name, 2);
  }

  /** Returns and reserves `name`, or if it is in use `name_2`, `name_3`, …. */
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
