/** Keeps the nets that were compiled for further shapes and selections; the least recently used one is dropped first. */
import type { Compiled, Lowered } from '../compile/compile.ts';
import { free, type Runner } from './runner.ts';

export class KeptPlans<L extends Lowered> {
  readonly #runner: Runner<L>;
  readonly #most: number;
  /** Ordered by last use, least recent first. */
  readonly #kept = new Map<string, Compiled<L>>();

  constructor(runner: Runner<L>, most: number) {
    this.#runner = runner;
    this.#most = most;
  }

  /** @throws the errors of `compile`, and DeviceError if the net was disposed meanwhile */
  async get(key: string, compile: () => Promise<Compiled<L>>): Promise<Compiled<L>> {
    const known = this.#kept.get(key);
    this.#kept.delete(key);
    while (this.#kept.size >= this.#most) this.giveUpOldest();
    const compiled = known ?? (await compile());
    if (this.#runner.isDisposed) free(compiled);
    this.#runner.checkOpen();
    this.#kept.set(key, compiled);
    return compiled;
  }

  /** Drops the least recently used plan; false if none is kept. */
  readonly giveUpOldest = (): boolean => {
    const [oldest] = this.#kept;
    if (oldest === undefined) return false;
    this.#kept.delete(oldest[0]);
    free(oldest[1]);
    return true;
  };

  dispose(): void {
    for (const compiled of this.#kept.values()) free(compiled);
    this.#kept.clear();
  }
}
