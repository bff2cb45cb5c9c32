/** Communication among the processes that `mpirun` (or another launcher) started. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ArgumentError, DeviceError } from '../base/errors.ts';
import { having, instance, integer, oneOf, signal } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import type { NativeCommunicator } from '../native/binding.ts';
import { convertError, loadBinding } from '../native/load.ts';

const INSTALL =
  'install an MPI (Debian: apt-get install libopenmpi-dev openmpi-bin) and build resnode from source';

const COMMUNICATOR_SUM = signature('communicator.sum', {
  values: required(instance('a Float32Array', Float32Array), 'The values; every process gives equally many.'),
});
const COMMUNICATOR_SEND = signature('communicator.send', {
  rank: required(integer(0), 'The rank of the receiver.'),
  message: required(instance('a Uint8Array', Uint8Array), 'The message.'),
});
const COMMUNICATOR_RECEIVE = signature('communicator.receive', {
  rank: required(integer(0), 'The rank of the sender.'),
  options: optional(
    options<ReceiveOptions>({
      signal: optional(signal, 'none', "Ends the wait; the promise rejects with the signal's reason."),
    }),
    'none',
    'How long to wait.',
  ),
});

/** Options of receiving a message. */
export interface ReceiveOptions {
  /** Cancels the wait; its reason is thrown. */
  readonly signal?: AbortSignal;
}

/** The shortest and the longest interval between two polls for a message, in milliseconds. */
const [SHORTEST, LONGEST] = [1, 20];

const COMMUNICATOR = signature('Communicator', {
  native: required(
    having<NativeCommunicator>('a native communicator (use openCommunicator)', 'sum', 'finish'),
    "The addon's communicator.",
  ),
});
/**
 * Communicates with the other processes. `sum` and `finish` are collective: every process makes the same calls in the same
 * order. If a process ends without `finish`, the launcher ends the others.
 */
export class Communicator {
  /** The rank of this process, from 0; process 0 writes files and logs. */
  readonly rank: number;
  readonly size: number;
  readonly #native: NativeCommunicator;

  /**
   * Use `openCommunicator`.
   * @internal
   */
  constructor(native: NativeCommunicator) {
    COMMUNICATOR.check(native);
    this.#native = native;
    this.rank = native.rank;
    this.size = native.size;
  }

  /**
   * The addon's communicator, for devices.
   * @internal
   */
  get native(): NativeCommunicator {
    return this.#native;
  }

  /**
   * Returns the sum over all processes, element by element, with the same bits in each.
   * @throws DeviceError
   */
  async sum(values: Float32Array): Promise<Float32Array> {
    COMMUNICATOR_SUM.check(values);
    return this.#call(() => this.#native.sum(values));
  }

  /**
   * Sends a message to another process, which receives the messages of this one in the order in which they were sent.
   * @param rank The rank of the other process.
   * @returns When the message may be changed; a long message has arrived by then.
   * @throws DeviceError; ArgumentError
   * @example if (communicator.rank > 0) await communicator.send(0, new TextEncoder().encode('done'));
   */
  async send(rank: number, message: Uint8Array): Promise<void> {
    COMMUNICATOR_SEND.check(rank, message);
    this.#checkOther(rank);
    await this.#call(() => this.#native.send(rank, message));
  }

  /**
   * Waits for the next message of another process without occupying a thread or a processor. Make one call at a time per
   * process.
   * @param rank The rank of the other process.
   * @throws DeviceError; ArgumentError; the signal's reason
   * @example const message = await communicator.receive(1);
   */
  async receive(rank: number, options: ReceiveOptions = {}): Promise<Uint8Array> {
    COMMUNICATOR_RECEIVE.check(rank, options);
    this.#checkOther(rank);
    const { signal } = options;
    return this.#call(async () => {
      for (let pause = SHORTEST; !this.#native.hasMessage(rank); pause = Math.min(2 * pause, LONGEST)) {
        signal?.throwIfAborted();
        await delay(pause);
      }
      return this.#native.receive(rank);
    });
  }

  #checkOther(rank: number): void {
    if (rank >= this.size || rank === this.rank)
      throw new ArgumentError(
        'rank',
        `another of the ${this.size} processes, this one is ${this.rank}`,
        rank,
      );
  }

  /**
   * Waits for all processes and leaves. Dispose the devices that use the communicator first.
   * @throws DeviceError
   */
  async finish(): Promise<void> {
    await this.#call(() => this.#native.finish());
    this.#native.dispose();
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw convertError(error, 'mpi');
    }
  }
}

const OPEN_COMMUNICATOR = signature('openCommunicator', {
  kind: optional(oneOf('mpi'), 'mpi', 'The library that connects the processes.'),
});

/**
 * Connects this process with the others that a launcher has started: `mpirun -n 2 node train.js`. Without a launcher there
 * is only this process. Call it once per process.
 * @throws DeviceError `communicator/unavailable` if there is no MPI, with the command that installs it; ArgumentError
 */
export async function openCommunicator(kind: 'mpi' = 'mpi'): Promise<Communicator> {
  OPEN_COMMUNICATOR.check(kind);
  const { binding, folder } = loadBinding();
  if (!existsSync(join(folder, 'libresnode_mpi.so')))
    throw new DeviceError(
      'communicator/unavailable',
      'mpi',
      `This build of resnode has no MPI (libresnode_mpi.so in ${folder}): ${INSTALL}`,
    );
  try {
    return new Communicator(await binding.openCommunicator(kind, folder));
  } catch (error) {
    throw convertError(error, 'mpi');
  }
}
