/**
 * Makes calls take effect in the order in which they were made, even if their preparation takes several turns of the event
 * loop.
 */
export class CallOrder {
  #last: Promise<void> | null = null;

  /** Whether a call may take effect at once, because no earlier call is still being prepared. */
  get isClear(): boolean {
    return this.#last === null;
  }

  /** Prepares a call after the earlier ones; later calls wait until `prepare` has settled. */
  afterEarlier<T>(prepare: () => Promise<T>): Promise<T> {
    const result = (this.#last ?? Promise.resolve()).then(prepare);
    const settled = result.then(
      () => {},
      () => {},
    );
    this.#last = settled;
    void settled.then(() => {
      if (this.#last === settled) this.#last = null;
    });
    return result;
  }
}
