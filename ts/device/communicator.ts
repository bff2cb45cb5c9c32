/** The processes that `mpirun` (or another launcher) started, which train one net together. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DeviceError } from '../base/errors.ts';
import { having, instance, oneOf } from '../base/kinds.ts';
import { optional, required, signature } from '../base/options.ts';
import type { NativeCommunicator } from '../native/binding.ts';
import { convertError, loadBinding } from '../native/load.ts';

const INSTALL =
  'install an MPI (Debian: apt-get install libopenmpi-dev openmpi-bin) and build resnode from source';

const COMMUNICATOR_SUM = signature('communicator.sum', {
  values: required(instance('a Float32Array', Float32Array), 'As many in each process.'),
});
const COMMUNICATOR = signature('Communicator', {
  native: required(
    having<NativeCommunicator>('a native communicator (use openCommunicator)', 'sum', 'finish'),
    'Of the addon.',
  ),
});
/**
 * All calls but `rank` and `size` are collective: every process makes the same ones in the same order. A process that
 * ends without `finish` makes the launcher end the others.
 */
export class Communicator {
  /** From 0; 0 is the one that writes files and logs. */
  readonly rank: number;
  readonly size: number;
  readonly #native: NativeCommunicator;

  /** Use `openCommunicator`. @internal */
  constructor(native: NativeCommunicator) {
    COMMUNICATOR.check(native);
    this.#native = native;
    this.rank = native.rank;
    this.size = native.size;
  }

  /** What devices take. @internal */
  get native(): NativeCommunicator {
    return this.#native;
  }

  /** The sum over all processes, element by element: the same bits in each. @throws DeviceError */
  async sum(values: Float32Array): Promise<Float32Array> {
    COMMUNICATOR_SUM.check(values);
    return this.#call(() => this.#native.sum(values));
  }

  /** Waits for all processes and leaves. Dispose the devices that use it before. @throws DeviceError */
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
  kind: optional(oneOf('mpi'), 'mpi', 'What the processes meet by.'),
});

/**
 * Enters the world of processes that a launcher has started: `mpirun -n 2 node train.js`. Without a launcher it is a
 * world of one. Once a process.
 * @throws DeviceError `communicator/unavailable` where there is no MPI, with what installs it; ArgumentError
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
