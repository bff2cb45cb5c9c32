/** Another process of a shared command failed: the first says so in its place. */
import { DeviceError } from '../base/errors.ts';

export class OtherFailed extends DeviceError {
  /** What the command ends with. */
  readonly status: number;
  /** A signal ended it in order. */
  readonly isStopped: boolean;

  constructor(rank: number, size: number, { text, status, isStopped }: Failed) {
    super('communicator/other-failed', 'mpi', `process ${rank} of ${size}: ${text}`);
    this.status = status;
    this.isStopped = isStopped;
  }
}

/** What it says of itself. */
export interface Failed {
  readonly text: string;
  readonly status: number;
  readonly isStopped: boolean;
}
