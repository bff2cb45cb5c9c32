/** Reads and filters the nets of a solver, and finds the files that a solver names. */
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { ArgumentError, type Position, PrototxtError } from '../base/errors.ts';
import { nearest } from '../base/suggest.ts';
import { type CheckedSolver, type SolverNet, solverNetState } from '../caffe/check-solver.ts';
import { positionOf } from '../caffe/message.ts';
import { filterNet, type NetParameter, type NetState, readNetFile } from '../caffe/net-parameter.ts';
import type { SolverParameter } from '../caffe/solver-parameter.ts';

/** A net of a solver, ready to be built. */
export interface ReadNet {
  /** As written, for `Device.load` and `Device.train` together with `state`. */
  readonly net: NetParameter;
  readonly state: Required<NetState>;
  /** The layers that this state keeps. */
  readonly filtered: NetParameter;
}

/** Additions to the training net's state, like the flags --level and --stage of `caffe train`. */
export interface TrainState {
  readonly level?: number;
  readonly stages?: readonly string[];
}

/**
 * The path of a file that a solver names: relative to the working folder, as in Caffe; if it does not exist there,
 * relative to the folder of the file that names it.
 * @param namedIn The file that names it; undefined for a solver made in code.
 */
export function findFile(path: string, namedIn: string | undefined): string {
  if (namedIn === undefined || isAbsolute(path) || existsSync(path)) return path;
  const sibling = join(dirname(namedIn), path);
  return existsSync(sibling) ? sibling : path;
}

/**
 * The same for a file that a field of a solver names.
 * @param position The position of the field.
 * @throws PrototxtError at the field if the file is not found, with the folders that were searched
 */
export function namedFile(
  path: string,
  field: string,
  position: Position | undefined,
  namedIn: string | undefined,
): string {
  const found = findFile(path, namedIn);
  if (position === undefined || existsSync(found)) return found;
  const folders = isAbsolute(path) || namedIn === undefined ? [] : [process.cwd(), resolve(dirname(namedIn))];
  const searched = isAbsolute(path)
    ? ''
    : `: neither in the working folder (${process.cwd()}) nor beside the solver (${folders.at(-1)})`;
  const near = folders.map((folder) => similarFile(join(folder, path))).find((each) => each !== undefined);
  throw new PrototxtError(
    'solver/file-not-found',
    position,
    `${field}: there is no file "${path}"${searched}; ${near === undefined ? 'write its path from one of them' : `did you mean "${near}"?`}`,
  );
}

/** A file with a similar name in the same folder. */
function similarFile(path: string): string | undefined {
  try {
    return nearest(basename(path), readdirSync(dirname(path)));
  } catch {
    return undefined;
  }
}

/** The solver's own file; undefined for one made in code. */
export const solverFile = (solver: SolverParameter): string | undefined => positionOf(solver)?.file;

/**
 * Reads a solver's net.
 * @throws PrototxtError at the solver's line if the file does not exist; ArgumentError if it cannot be read
 */
export function readSolverNet(
  solverNet: SolverNet,
  file: string | undefined,
  { level, stages = [] }: TrainState = {},
): ReadNet {
  const { source, field, position } = solverNet;
  const net = typeof source === 'string' ? readNetFile(namedFile(source, field, position, file)) : source;
  const requested = solverNetState(solverNet, net);
  const state = {
    phase: requested.phase!,
    level: level ?? requested.level!,
    stages: [...requested.stages!, ...stages],
  };
  return { net, state, filtered: filterNet(net, state) };
}

/** The files of this solver that are not in the working folder but in the solver's. */
export function filesBeside({ parameters, train, tests }: CheckedSolver, file: string | undefined): string[] {
  const nets = [train, ...tests].map(({ source }) => source).filter((source) => typeof source === 'string');
  const named = [...nets, ...(parameters.weights ?? []).flatMap(splitList)];
  return [...new Set(named)].filter((path) => findFile(path, file) !== path);
}

/** Caffe's comma-separated lists of weights. */
export const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/**
 * Checks, before anything is computed, that snapshots can be written (CheckSnapshotWritePermissions in solver.cpp).
 * @throws ArgumentError
 */
export function checkSnapshotFolder(prefix: string): void {
  const folder = dirname(prefix);
  try {
    accessSync(folder, constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const problem = code === 'ENOENT' ? 'there is no such folder' : `it cannot be written to (${code})`;
    throw new ArgumentError('snapshot_prefix', 'a prefix in a writable folder', prefix, problem);
  }
}
