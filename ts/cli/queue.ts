/** Passes items in order from a producer to a waiting consumer. */
export class Queue<Item> {
  readonly #items: Item[] = [];
  readonly #waiting: { resolve: (item: Item) => void; reject: (reason: unknown) => void }[] = [];
  #failure: { readonly reason: unknown } | null = null;

  push(item: Item): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#items.push(item);
    else next.resolve(item);
  }

  /** After the items that were pushed, consumers get this reason. */
  fail(reason: unknown): void {
    this.#failure ??= { reason };
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }

  next(): Promise<Item> {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift()!);
    if (this.#failure !== null) return Promise.reject(this.#failure.reason);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }
}
