/** Rewrites errors of the library for the command line: options become flags, and missing files are named. */
import type { Command } from 'commander';
import { NOTHING } from '../base/describe.ts';
import { ArgumentError, ResnodeError } from '../base/errors.ts';
import { readCause } from '../base/files.ts';
import { Flag } from './flag.ts';

/** Options whose flag has another name and another row. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  batches: '--batch',
  file: '--model',
  inputs: '--input',
  inputShapes: '--input-shape',
  outputModel: '--out-model',
  scales: '--multi-scale',
  stages: '--stage',
  to: '--out',
};

/** The error in the terms of this command. */
export function inOwnWords(error: unknown, command: Command): unknown {
  if (error instanceof ArgumentError) {
    const { expected, actual, hint } = error;
    const flag = flagOf(error.argument, command);
    return flag === null ? error : new ArgumentError(flag, expected, actual ?? NOTHING, hint);
  }
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  if (error instanceof ResnodeError || path === undefined || syscall === undefined) return error;
  return new ResnodeError(
    code === 'ENOENT' ? 'file/not-found' : 'file/unreadable',
    `${path}: ${readCause(error as Error)}`,
    { cause: error },
  );
}

/** `labels` → `--labels`, `warmup.rate` → `--warmup-rate`; null if this command has no such flag, or it is already a flag. */
function flagOf(argument: string, command: Command): string | null {
  const flags = command.options.filter((option) => option instanceof Flag);
  const path = /^[a-z]\w*(?:\.\w+)*/i.exec(argument)?.[0];
  if (path === undefined || /\s/.test(argument)) return null;
  const name = path.split('.').at(-1)!;
  const isGiven = (flag: Flag) => command.getOptionValueSource(flag.attributeName()) === 'cli';
  // Either of the two flags gives a mean.
  if (name === 'mean' && flags.some((flag) => flag.long === '--mean-value' && isGiven(flag)))
    return '--mean-value';
  const found =
    flags.find((flag) => flag.option === path || flag.option === name) ??
    flags.find((flag) => flag.attributeName() === name || flag.long === OTHER_NAMES[name]);
  if (found !== undefined) return found.long!;
  return name === 'model' || name === 'file' ? 'the prototxt' : null;
}
