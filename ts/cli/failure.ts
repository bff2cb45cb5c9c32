/** What becomes of an error. */
import { CommanderError } from 'commander';
import { ArgumentError, ResnodeError } from '../base/errors.ts';
import { OtherFailed } from './other-failed.ts';

/** What a failure is said in, null where commander has said it, and the exit status: 2 for misuse, 1 for failure. */
export function failureOf(error: unknown): { readonly text: string | null; readonly status: number } {
  if (error instanceof CommanderError) return { text: null, status: error.exitCode === 0 ? 0 : 2 };
  const known = error instanceof ResnodeError || (error as NodeJS.ErrnoException).code !== undefined;
  return {
    text: `resnode: ${known ? (error as Error).message : (error as Error).stack}`,
    status: error instanceof OtherFailed ? error.status : error instanceof ArgumentError ? 2 : 1,
  };
}
