/**
 * Runs one command in the processes that mpirun started. The first process distributes the work in batches, each process
 * does its share, and the first collects the results in the order of the batches. It alone prints and writes. The batches
 * are those of a single process, so the results are the same. A single process distributes the work to itself.
 */
import type { Command } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import { onAbort } from '../base/on-abort.ts';
import { takeWarnings, warn } from '../base/warn.ts';
import type { Communicator } from '../device/communicator.ts';
import { failureOf } from './failure.ts';
import { OtherFailed } from './other-failed.ts';
import { inOwnWords } from './own-words.ts';
import { enterProcesses, leaveProcesses, type ProcessFlags } from './processes.ts';
import { Queue } from './queue.ts';
import { type Order, type Report, receive, send } from './share-messages.ts';

/** The work of this process and the total. */
export interface Dealt<Item> {
  /** The items of this process: every `size`th batch from the `rank`th on. */
  readonly own: readonly Item[];
  /** The number of items of all processes. */
  readonly total: number;
}

/** Processes the batches of this process and passes the result of each to `put`. */
export type Work<Part> = (put: (part: Part) => void, signal: AbortSignal) => Promise<void>;

export interface Share {
  readonly rank: number;
  readonly size: number;
  /** Null if this process is alone. */
  readonly communicator: Communicator | null;
  /** The first process does its work before the others, so that they find what it wrote. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result>;
  /** @param make Lists the work; only the first process calls it. */
  deal<Item>(batch: number, make: () => Promise<readonly Item[]>): Promise<Dealt<Item>>;
  /**
   * Works on the batches while the first process collects all results in the order of the batches. An error is reported when
   * its batch is due.
   * @param batches The number of batches of all processes.
   * @param signal Cancels the work; its reason is thrown.
   */
  collect<Part>(
    batches: number,
    work: Work<Part>,
    take: (part: Part) => void,
    signal?: AbortSignal,
  ): Promise<void>;
}

/** Whether this process prints and writes. */
export const isFirst = ({ rank }: Pick<Share, 'rank'>): boolean => rank === 0;

/** The index of an item of this process among those of all. */
export const placeOf = (own: number, batch: number, { rank, size }: Pick<Share, 'rank' | 'size'>): number =>
  (Math.floor(own / batch) * size + rank) * batch + (own % batch);

/**
 * Runs a command's work in the processes of the launcher, or only in this one. If one process fails, all exit with its
 * status, and the first says why.
 * @throws The errors of the work, in the first process
 */
export async function shared(
  command: Command,
  flags: ProcessFlags,
  work: (share: Share) => Promise<void>,
): Promise<void> {
  const communicator = await enterProcesses(flags);
  if (communicator === null || communicator.size === 1) {
    await work(new First(null));
    return communicator?.finish();
  }
  if (communicator.rank > 0) {
    await new Other(communicator).run(command, work);
    return leaveProcesses(communicator);
  }
  const first = new First(communicator);
  let failure: { readonly error: unknown } | null = null;
  try {
    await first.meet();
    await work(first);
  } catch (error) {
    failure = { error };
  }
  await first.end(failure === null ? Number(process.exitCode ?? 0) : failureOf(failure.error).status);
  await leaveProcesses(communicator);
  if (failure !== null) throw failure.error;
}

class First implements Share {
  readonly rank = 0;
  readonly size: number;
  readonly communicator: Communicator | null;
  /** The processes that have sent their last message. */
  readonly #over = new Set<number>();

  constructor(communicator: Communicator | null) {
    this.communicator = communicator;
    this.size = communicator?.size ?? 1;
  }

  /** @throws ArgumentError if another process has another command line */
  async meet(): Promise<void> {
    const own = process.argv.slice(2);
    for (const rank of this.#others) {
      const hello = await this.#hear(rank);
      if (hello.kind === 'hello' && hello.words.join('\0') !== own.join('\0'))
        throw new ArgumentError(
          'the processes of mpirun',
          `one command line (${own.join(' ')})`,
          `${hello.words.join(' ')} in process ${rank}`,
          '--no-mpi lets each process do all of its work',
        );
    }
  }

  async inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = await work();
    for (const rank of this.#others) await this.#tell(rank, { kind: 'go' });
    return result;
  }

  async deal<Item>(batch: number, make: () => Promise<readonly Item[]>): Promise<Dealt<Item>> {
    const items = await make();
    const total = items.length;
    const batches = Math.ceil(total / batch);
    const idle = this.size - batches;
    if (idle > 0)
      console.error(
        `resnode: ${idle} of ${this.size} processes have nothing to do, since ${total} images in batches of ${batch} make ${batches} ${batches === 1 ? 'share' : 'shares'}${batch === 1 ? '' : '; a smaller --batch gives more shares'}`,
      );
    const of = (rank: number) => items.filter((_, i) => Math.floor(i / batch) % this.size === rank);
    for (const rank of this.#others) await this.#tell(rank, { kind: 'dealt', items: of(rank), total });
    return { own: this.size === 1 ? items : of(0), total };
  }

  async collect<Part>(
    batches: number,
    work: Work<Part>,
    take: (part: Part) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    signal?.throwIfAborted();
    const own = new Queue<Part>();
    const controller = new AbortController();
    const withdraw = onAbort(signal, () => controller.abort(signal!.reason));
    const done = work((part) => own.push(part), controller.signal).catch((reason: unknown) => {
      own.fail(reason);
      throw reason;
    });
    done.catch(() => {}); // awaited below
    try {
      for (let batch = 0; batch < batches; batch++) {
        const rank = batch % this.size;
        take(rank === 0 ? await own.next() : await this.#partOf<Part>(rank, signal));
      }
      await done;
    } catch (error) {
      controller.abort(error);
      await done.catch(() => {});
      throw error;
    } finally {
      withdraw();
    }
  }

  /** Ends the other processes whatever they are doing, and receives their remaining messages. */
  async end(status: number): Promise<void> {
    for (const rank of this.#others) await this.#tell(rank, { kind: 'end', status });
    for (const rank of this.#others)
      while (!this.#over.has(rank)) {
        const report = await this.#hear(rank);
        // Nothing waits for the work of that process.
        if (report.kind === 'failed' && status === 0)
          console.error(`resnode: ${new OtherFailed(rank, this.size, report).message}; it had nothing to do`);
      }
  }

  get #others(): readonly number[] {
    return Array.from({ length: this.size - 1 }, (_, i) => i + 1);
  }

  #tell(rank: number, order: Order): Promise<void> {
    return send(this.communicator!, rank, order);
  }

  /** The next message that is not a warning. */
  async #hear(rank: number, signal?: AbortSignal): Promise<Report> {
    for (;;) {
      const report = await receive<Report>(this.communicator!, rank, signal);
      if (report.kind === 'over') this.#over.add(rank);
      if (report.kind !== 'warning') return report;
      warn(report.code, report.message);
    }
  }

  async #partOf<Part>(rank: number, signal?: AbortSignal): Promise<Part> {
    const report = await this.#hear(rank, signal);
    if (report.kind === 'part') return report.part as Part;
    if (report.kind === 'failed') throw new OtherFailed(rank, this.size, report);
    throw new Error(`process ${rank} says "${report.kind}" where a part was due`);
  }
}

class Other implements Share {
  readonly rank: number;
  readonly size: number;
  readonly communicator: Communicator;
  readonly #orders = new Queue<Exclude<Order, { kind: 'end' }>>();
  /** Aborted when the first process ends the work. */
  readonly #ended = new AbortController();
  readonly #status: Promise<number>;
  #sent: Promise<void> = Promise.resolve();

  constructor(communicator: Communicator) {
    this.communicator = communicator;
    this.rank = communicator.rank;
    this.size = communicator.size;
    this.#status = this.#listen();
    this.#status.catch(() => {}); // awaited at the end
  }

  /** Does the work, reports an error, and exits with the status of the first process. */
  async run(command: Command, work: (share: Share) => Promise<void>): Promise<void> {
    takeWarnings(({ code, message }) => this.#tell({ kind: 'warning', code, message }));
    this.#tell({ kind: 'hello', words: process.argv.slice(2) });
    try {
      await work(this);
    } catch (error) {
      const { text, status } = failureOf(inOwnWords(error, command));
      if (!this.#ended.signal.aborted)
        this.#tell({
          kind: 'failed',
          text: (text ?? '').replace(/^resnode: /, ''),
          status,
          isStopped: error instanceof Error && error.name === 'AbortError',
        });
    }
    const status = await this.#status;
    this.#tell({ kind: 'over' });
    await this.#sent;
    process.exitCode = status;
  }

  async inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    await this.#orders.next();
    return work();
  }

  async deal<Item>(): Promise<Dealt<Item>> {
    const { items, total } = (await this.#orders.next()) as Extract<Order, { kind: 'dealt' }>;
    return { own: items as readonly Item[], total };
  }

  async collect<Part>(
    _batches: number,
    work: Work<Part>,
    _take: (part: Part) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    this.#ended.signal.throwIfAborted();
    const controller = new AbortController();
    const withdraw = [signal, this.#ended.signal].map((each) =>
      onAbort(each, () => controller.abort(each!.reason)),
    );
    try {
      await work((part) => this.#tell({ kind: 'part', part }), controller.signal);
    } finally {
      for (const each of withdraw) each();
    }
  }

  #tell(report: Report): void {
    this.#sent = this.#sent.then(() => send(this.communicator, 0, report));
    this.#sent.catch(() => {}); // awaited at the end
  }

  async #listen(): Promise<number> {
    for (;;) {
      const order = await receive<Order>(this.communicator, 0);
      if (order.kind !== 'end') this.#orders.push(order);
      else {
        this.#ended.abort();
        this.#orders.fail(this.#ended.signal.reason);
        return order.status;
      }
    }
  }
}
