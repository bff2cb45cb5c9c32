/** Turns an error into the message and exit status of the command. */
import { CommanderError } from 'commander';
import { ArgumentError, ResnodeError } from '../base/errors.ts';
import { OtherFailed } from './other-failed.ts';

/**
 * The message of a failure, or null if commander has already printed it, and the exit status: 2 for misuse, 1 for a failure.
 */
export function failureOf(error: unknown): { readonly text: string | null; readonly status: number } {
  if (error instanceof CommanderError) return { text: null, status: error.exitCode === 0 ? 0 : 2 };
  const known = error instanceof ResnodeError || (error as NodeJS.ErrnoException).code !== undefined;
  return {
    text: `resnode: ${known ? (error as Error).message : (error as Error).stack}`,
    status: error instanceof OtherFailed ? error.status : error instanceof ArgumentError ? 2 : 1,
  };
}
