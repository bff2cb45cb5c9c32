/** Another process of a shared command failed; the first process reports this error instead. */
import { DeviceError } from '../base/errors.ts';

export class OtherFailed extends DeviceError {
  /** The exit status of the command. */
  readonly status: number;
  /** Whether a signal ended the process regularly. */
  readonly isStopped: boolean;

  constructor(rank: number, size: number, { text, status, isStopped }: Failed) {
    super('communicator/other-failed', 'mpi', `process ${rank} of ${size}: ${text}`);
    this.status = status;
    this.isStopped = isStopped;
  }
}

/** The report of the failed process. */
export interface Failed {
  readonly text: string;
  readonly status: number;
  readonly isStopped: boolean;
}
