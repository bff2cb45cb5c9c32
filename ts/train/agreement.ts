/**
 * Common decisions of processes that train together. At every edge of the solver's loop each process announces requests and
 * errors, and all act on the announcements of all: they stop, write and fail at the same point, and none waits for a process
 * that does not arrive.
 */
import { DeviceError } from '../base/errors.ts';
import type { TrainingDevice } from './training-device.ts';

const WISHES = ['stop', 'snapshot', 'diverged'] as const;
/** What a process announces at an edge. */
export type Wish = (typeof WISHES)[number];

/** For each wish the processes that have it; a wish of no process is absent. */
export type Agreed = ReadonlyMap<Wish, readonly number[]>;

const SAYINGS = [...WISHES, 'failed'] as const;
type Saying = (typeof SAYINGS)[number];

export class Agreement {
  readonly rank: number;
  readonly size: number;
  readonly #communicator: NonNullable<TrainingDevice['communicator']> | null;
  #isOver = false;

  constructor(communicator: TrainingDevice['communicator']) {
    this.#communicator = communicator ?? null;
    this.rank = communicator?.rank ?? 0;
    this.size = communicator?.size ?? 1;
  }

  /** The first process tests, writes and reports; the others only train. */
  get isFirst(): boolean {
    return this.rank === 0;
  }

  /**
   * Reaches an edge of the loop, as every process does, and returns what the others announced.
   * @throws DeviceError `communicator/other-failed` if one of them has left
   */
  async reach(wishes: ReadonlySet<Wish> = new Set()): Promise<Agreed> {
    return (await this.#meet(wishes)).agreed;
  }

  /**
   * Runs work in which processes wait for each other, such as a training step. An error in it cannot be announced: the
   * process must exit, so that the launcher ends the others.
   */
  async together<T>(work: () => Promise<T>): Promise<T> {
    const wasOver = this.#isOver;
    this.#isOver = true;
    const result = await work();
    this.#isOver = wasOver;
    return result;
  }

  /**
   * An edge at which the first process chooses a number for all; float32 must be able to represent it.
   * @throws as `reach`
   */
  async choose(choice: () => number): Promise<number> {
    const { chosen } = await this.#meet(new Set(), this.isFirst ? choice() : 0);
    return chosen;
  }

  /** The last edge: after it no process needs another one. */
  async finish(): Promise<void> {
    await this.reach();
    this.#isOver = true;
  }

  /** Ends this process's part; if the others have not ended, they learn of it at the next edge. */
  async leave(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    await this.#say(new Set(['failed']), 0);
  }

  async #meet(wishes: ReadonlySet<Wish>, choice = 0): Promise<{ agreed: Agreed; chosen: number }> {
    const { said, chosen } = await this.#say(wishes, choice);
    const failed = said.get('failed');
    if (failed === undefined) return { agreed: said as Agreed, chosen };
    this.#isOver = true;
    throw new DeviceError(
      'communicator/other-failed',
      'mpi',
      `Process ${failed.join(', ')} of ${this.size} ended its run, and its own message says why; process ${this.rank} cannot continue alone`,
    );
  }

  // Messages have the same form at all edges, because a process that leaves may meet others at any of them.
  async #say(own: ReadonlySet<Saying>, choice: number) {
    const message = new Float32Array(SAYINGS.length * this.size + 1);
    SAYINGS.forEach((saying, i) => {
      message[this.rank * SAYINGS.length + i] = Number(own.has(saying));
    });
    message[message.length - 1] = choice;
    const all = this.#communicator === null ? message : await this.#communicator.sum(message);
    const sayings = new Map<Saying, number[]>();
    all.subarray(0, -1).forEach((flag, i) => {
      if (flag === 0) return;
      const saying = SAYINGS[i % SAYINGS.length]!;
      sayings.set(saying, [...(sayings.get(saying) ?? []), Math.floor(i / SAYINGS.length)]);
    });
    return { said: sayings, chosen: this.#communicator === null ? choice : all.at(-1)! };
  }
}
