/**
 * `.solverstate` and `.solverstate.h5`: the state that Caffe needs in addition to the weights to resume (SGDSolver's
 * SnapshotSolverStateTo… and RestoreSolverStateFrom… in sgd_solver.cpp). It is read and written as Caffe does.
 */
import { readFile } from 'node:fs/promises';
import { WeightsError } from '../base/errors.ts';
import { checkRegularFile, readCause, statsOf } from '../base/files.ts';
import { integer, type Kind, list, path, string } from '../base/kinds.ts';
import { fields, required, signature } from '../base/options.ts';
import { yielding } from '../base/yielding.ts';
import { Hdf5Dataset } from '../hdf5/dataset.ts';
import { Hdf5Group } from '../hdf5/file.ts';
import { saveFileAtomically } from './atomic-file.ts';
import { type Blob, blob } from './blob.ts';
import { readBlob } from './caffemodel.ts';
import { fileKind } from './file-kind.ts';
import { blobOfDataset, hdf5Holds, readHdf5 } from './hdf5-file.ts';
import { type Hdf5Entry, writeHdf5 } from './hdf5-writer.ts';
import { bytesField, FieldBudget, integerField, lengthDelimited, readFields } from './wire.ts';
import { blobChunks } from './write-caffemodel.ts';
import { wrongKind, wrongKindAt } from './wrong-kind.ts';

/** caffe.proto's SolverState. */
export interface SolverState {
  /** The number of iterations done. */
  readonly iter: number;
  /** The path of the weights, as written; empty if there is none. */
  readonly learned_net: string;
  /** The number of steps that the rate has taken. */
  readonly current_step: number;
  /** One blob for each learnable parameter, followed by a second one for each with Adam and AdaDelta. */
  readonly history: readonly Blob[];
}

const solverState: Kind<SolverState> = fields<SolverState>('a SolverState', {
  iter: required(integer(0), 'The number of iterations done.'),
  learned_net: required(string, 'The path of the weights.'),
  current_step: required(integer(0), 'The number of steps that the learning rate has taken.'),
  history: required(
    list(blob, { of: 'blobs' }),
    "The solver's histories: for each slot, one blob per learnable parameter.",
  ),
});

const FIELD = { iter: 1, learned_net: 2, history: 3, current_step: 4 };

const READ_SOLVER_STATE = signature('readSolverState', {
  path: required(path, 'The path of a .solverstate or .solverstate.h5.'),
});

/**
 * Reads a solver's state in either form, which is detected from its first bytes.
 * @throws WeightsError naming the file and the error
 */
export async function readSolverState(path: string): Promise<SolverState> {
  READ_SOLVER_STATE.check(path);
  checkRegularFile(path);
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const wrong = wrongKindAt(path, 'state');
    if (wrong !== null) throw new WeightsError('weights/wrong-kind', { file: path }, wrong);
    if ((error as NodeJS.ErrnoException).code === 'ERR_FS_FILE_TOO_LARGE')
      throw new WeightsError(
        'weights/too-large',
        { file: path },
        `has ${statsOf(path)?.size} bytes; of a solver's state at most 2 GiB are read. Is it the right file?`,
        { cause: error },
      );
    throw new WeightsError(
      'weights/not-found',
      { file: path },
      `${readCause(error as NodeJS.ErrnoException)}; give the path of a .solverstate or .solverstate.h5`,
      { cause: error },
    );
  }
  const wrong = wrongKind(bytes, 'state');
  if (wrong !== null) throw new WeightsError('weights/wrong-kind', { file: path }, wrong);
  return fileKind(bytes) === 'hdf5' ? readHdf5State(path) : readBinaryState(bytes, path);
}

const SAVE_SOLVER_STATE = signature('saveSolverState', {
  path: required(path, 'The path of the file to write.'),
  state: required(solverState, 'What Caffe needs to resume.'),
});

/**
 * Writes a .solverstate. The file is complete or unchanged.
 * @throws ResnodeError `file/write`
 */
export async function saveSolverState(path: string, state: SolverState): Promise<void> {
  SAVE_SOLVER_STATE.check(path, state);
  return saveFileAtomically(path, stateChunks(state));
}

const SAVE_HDF5_SOLVER_STATE = signature('saveHdf5SolverState', {
  path: required(path, 'The path of the file to write.'),
  state: required(solverState, 'What Caffe needs to resume.'),
});

/**
 * Writes a .solverstate.h5 without blocking the event loop. The file is complete or unchanged.
 * @throws WeightsError `weights/write`
 */
export async function saveHdf5SolverState(path: string, state: SolverState): Promise<void> {
  SAVE_HDF5_SOLVER_STATE.check(path, state);
  return writeHdf5(path, stateEntries(state));
}

function* stateEntries({ iter, learned_net, current_step, history }: SolverState): Generator<Hdf5Entry> {
  const integer = (dataset: string, value: number): Hdf5Entry => ({
    dataset,
    data: Int32Array.of(value),
    shape: [1],
    dtype: '<i4',
  });
  yield integer('iter', iter);
  // Caffe reads as many bytes as the type has and uses them as a C string, so they must include its zero.
  const length = Buffer.byteLength(learned_net) + 1;
  yield { dataset: 'learned_net', data: learned_net, shape: [], dtype: `S${length}` };
  yield integer('current_step', current_step);
  yield { group: 'history' };
  for (const [i, blob] of history.entries()) yield { dataset: `history/${i}`, blob };
}

function readBinaryState(bytes: Uint8Array, file: string): SolverState {
  const state = { iter: 0, learned_net: '', current_step: 0, history: [] as Blob[] };
  let known = false;
  const budget = new FieldBudget();
  for (const { number, wireType, value, bytes: payload } of readFields(bytes, {
    file,
    what: 'SolverState',
    budget,
  })) {
    if (wireType === 0 && number === FIELD.iter) {
      state.iter = value;
      known = true;
    } else if (wireType === 0 && number === FIELD.current_step) state.current_step = value;
    else if (wireType === 2 && number === FIELD.learned_net)
      state.learned_net = Buffer.from(payload).toString('utf8');
    else if (wireType === 2 && number === FIELD.history)
      state.history.push(readBlob(payload, file, `history ${state.history.length}`, budget));
  }
  // A caffemodel is a NetParameter: its field 1 is the name, a string.
  if (!known)
    throw new WeightsError(
      'weights/solver-state',
      { file },
      'this is not a solver state, it has no iteration; give the .solverstate beside the .caffemodel',
    );
  return checked(state, file);
}

function checked(state: SolverState, file: string): SolverState {
  const { iter, current_step } = state;
  if (!(Number.isInteger(iter) && iter >= 0 && Number.isInteger(current_step) && current_step >= 0))
    throw new WeightsError(
      'weights/solver-state',
      { file },
      `iteration ${iter} and step ${current_step} are invalid; the file is damaged`,
    );
  return state;
}

function readHdf5State(path: string): Promise<SolverState> {
  return readHdf5(path, async (file) => {
    const history = file.get('history');
    const datasetAt = (name: string): Hdf5Dataset | null => {
      const found = file.get(name);
      return found instanceof Hdf5Dataset ? found : null;
    };
    const integer = async (name: string) => Number((await datasetAt(name)?.values())?.[0] ?? 0);
    if (!(history instanceof Hdf5Group) || datasetAt('iter') === null)
      throw new WeightsError(
        'weights/solver-state',
        { file: path },
        `there is no /iter and /history, expected the HDF5 form of a Caffe solver state; ${hdf5Holds(file)}`,
      );
    const indices = history
      .names()
      .map(Number)
      .sort((a, b) => a - b);
    const blobs: Blob[] = [];
    const yieldIfDue = yielding();
    for (const i of indices) {
      const blob = history.get(String(i));
      if (!(blob instanceof Hdf5Dataset))
        throw new WeightsError(
          'weights/solver-state',
          { file: path },
          `the members of /history are not blobs 0, 1, 2, … but ${history.names().slice(0, 3).join(', ')}`,
        );
      blobs.push(await blobOfDataset(blob, { file: path, layer: 'history' }, `blob ${i}`));
      await yieldIfDue();
    }
    return checked(
      {
        iter: await integer('iter'),
        learned_net: (await datasetAt('learned_net')?.text()) ?? '',
        current_step: await integer('current_step'),
        history: blobs,
      },
      path,
    );
  });
}

function* stateChunks({ iter, learned_net, current_step, history }: SolverState): Generator<Uint8Array> {
  yield integerField(FIELD.iter, iter);
  if (learned_net !== '') yield bytesField(FIELD.learned_net, learned_net);
  for (const blob of history) {
    const { head, data } = blobChunks(blob);
    yield lengthDelimited(FIELD.history, head.length + data.length);
    yield head;
    yield data;
  }
  yield integerField(FIELD.current_step, current_step);
}
