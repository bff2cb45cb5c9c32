/** Calls take effect in the order in which they were made, though some need several turns of the event loop until then. */
export class CallOrder {
  #last: Promise<void> | null = null;

  /** Whether a call may take effect at once: none before it is still being prepared. */
  get isClear(): boolean {
    return this.#last === null;
  }

  /** Prepares a call behind those before it; calls that come meanwhile wait until `prepare` has settled. */
  behind<T>(prepare: () => Promise<T>): Promise<T> {
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
