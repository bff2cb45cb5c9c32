/** Decides whether a command runs in the processes that mpirun started, and connects them. */

import type { Command } from 'commander';
import { DeviceError } from '../base/errors.ts';
import { type Communicator, openCommunicator } from '../device/communicator.ts';
import { launched } from '../device/launcher.ts';
import { own } from './flag.ts';

export interface ProcessFlags {
  /** Undefined: share the work if mpirun started several processes. */
  readonly mpi?: boolean;
}

/** Adds --mpi and --no-mpi. */
export const processOptions = (command: Command): Command =>
  command.addOption(own('mpi')).addOption(own('noMpi'));

/** Whether the flags and the launcher say that processes share the work. */
export const isShared = ({ mpi }: ProcessFlags): boolean => mpi ?? launched() !== null;

/**
 * @returns The processes, possibly only this one; null if each works alone
 * @throws DeviceError `communicator/unavailable`, also if MPI sees another number of processes than the launcher started
 */
export async function enterProcesses(flags: ProcessFlags): Promise<Communicator | null> {
  if (!isShared(flags)) return null;
  const communicator = await openCommunicator().catch((error: unknown) => {
    if (!(error instanceof DeviceError) || flags.mpi === true) throw error;
    throw new DeviceError(
      error.code,
      error.device,
      `${error.message}; --no-mpi lets each process do all of the work`,
      { cause: error },
    );
  });
  const launcher = launched();
  if (launcher === null || launcher.size === communicator.size) return communicator;
  throw new DeviceError(
    'communicator/unavailable',
    'mpi',
    `${launcher.variable} says that ${launcher.size} processes were started, and MPI finds ${communicator.size}: start them with the mpirun of the MPI that resnode was built with, or give --no-mpi, so that each does all of the work`,
  );
}

/**
 * Ends the communication. mpirun sends SIGTERM to the other processes as soon as one has exited with a failure; those that
 * are about to exit keep their own status and their last words.
 */
export async function leaveProcesses(communicator: Communicator): Promise<void> {
  process.on('SIGTERM', () => {});
  // Where the event loop just ends, Node.js closes its signal handlers long before the process is gone.
  process.once('beforeExit', () => process.exit());
  await communicator.finish();
}
