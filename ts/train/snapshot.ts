/**
 * Snapshots: weights and state in Caffe's formats, which Caffe reads, and a JSON file of our own with what these do not
 * store: the position of the data and the seed of its order. Caffe starts its data anew when it resumes.
 */

import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { WeightsError } from '../base/errors.ts';
import { yielding } from '../base/yielding.ts';
import { saveFileAtomically } from '../caffe/atomic-file.ts';
import { blobFromFloats, toFloat32 } from '../caffe/blob.ts';
import { writeHdf5Weights } from '../caffe/hdf5-weights.ts';
import { readJsonFile } from '../caffe/json.ts';
import { readSolverState, saveHdf5SolverState, saveSolverState } from '../caffe/solver-state.ts';
import { type NetWeights, saveCaffemodel } from '../caffe/write-caffemodel.ts';
import type { LossScaleState } from '../device/loss-scale.ts';
import type { Learnable } from '../device/trainer.ts';
import { findFile } from './solver-nets.ts';

/** The state that Caffe's own files do not contain. */
export interface ExtraState {
  readonly format: 'resnode-solver-state/1';
  readonly iteration: number;
  /** The seed of the data and of Dropout (and of fillers, which a resumed run does not use). */
  readonly seed: number;
  /** The solver's type; absent in older snapshots. */
  readonly rule?: string;
  /** The parameters of the trained net, each as `layer/blob shape`; absent in older snapshots. */
  readonly parameters?: readonly string[];
  /** The state of a dynamic loss scale; absent if the scale is a constant. */
  readonly lossScale?: LossScaleState;
  /** `DataSource.state()` of the training net and of each test net. */
  readonly data: { readonly train: unknown; readonly tests: readonly unknown[] };
}

/** The content of `ExtraState.parameters`. Caffe's own state has only shapes, which another net may share. */
export const parameterNames = (learnable: readonly Pick<Learnable, 'shape' | 'places'>[]): string[] =>
  learnable.map(
    ({ shape, places }) =>
      `${places.map(({ layer, index }) => `${layer}/${index}`).join(' = ')} ${shape.join('×')}`,
  );

/** The files of a snapshot. */
export interface SnapshotFiles {
  readonly weights: string;
  /** The average of the weights if the solver has an ema_decay; otherwise null. */
  readonly average: string | null;
  readonly state: string;
}

/** Caffe's names: `<prefix>_iter_<iteration>.caffemodel` and `.solverstate`, with `.h5` added for HDF5. */
export function snapshotFiles(
  prefix: string,
  iteration: number,
  format: 'BINARYPROTO' | 'HDF5',
  hasAverage = false,
): SnapshotFiles {
  const suffix = format === 'HDF5' ? '.h5' : '';
  const base = `${prefix}_iter_${iteration}`;
  const weights = `${base}.caffemodel${suffix}`;
  const average = hasAverage ? averageFile(weights) : null;
  return { weights, average, state: `${base}.solverstate${suffix}` };
}

/** The path of the average of a snapshot's weights: `<prefix>_iter_<iteration>.ema.caffemodel`. */
export const averageFile = (weights: string): string =>
  weights.replace(/\.caffemodel(\.h5)?$/, '.ema.caffemodel$1');

/**
 * Writes a snapshot. Each file is written completely or not at all, and the .solverstate last: if it exists, so do the
 * others.
 * @param weights The weights and, if there is one, their average.
 * @param history As returned by `Trainer.history`.
 * @throws WeightsError; ResnodeError `file/write`
 */
export async function saveSnapshot(
  files: SnapshotFiles,
  { weights, average }: { readonly weights: NetWeights; readonly average: NetWeights | null },
  history: readonly Float32Array[],
  learnable: readonly Pick<Learnable, 'shape'>[],
  currentStep: number,
  extra: ExtraState,
): Promise<void> {
  const isHdf5 = files.weights.endsWith('.h5');
  const save = isHdf5 ? writeHdf5Weights : saveCaffemodel;
  await save(files.weights, weights);
  if (files.average !== null && average !== null) await save(files.average, average);
  await saveFileAtomically(extraFile(files.state), [`${JSON.stringify(extra)}\n`]);
  await (isHdf5 ? saveHdf5SolverState : saveSolverState)(files.state, {
    iter: extra.iteration,
    learned_net: files.weights,
    current_step: currentStep,
    history: history.map((values, i) => blobFromFloats(learnable[i % learnable.length]!.shape, values)),
  });
}

/** The state from which a run resumes. */
export interface Resumed {
  readonly iteration: number;
  readonly currentStep: number;
  /** The path of its weights. */
  readonly weights: string;
  readonly history: readonly Float32Array[];
  /** Null if Caffe wrote the snapshot, or if its JSON file is missing. */
  readonly extra: ExtraState | null;
}

/**
 * Reads a .solverstate, ours or Caffe's. Its weights are searched at the path that it names, relative to the working
 * folder, and then in its own folder.
 * @throws WeightsError
 */
export async function readSnapshot(path: string): Promise<Resumed> {
  const { iter, learned_net, current_step, history } = await readSolverState(path);
  if (learned_net === '')
    throw new WeightsError(
      'weights/solver-state',
      { file: path },
      'it names no weights (learned_net) to resume with',
    );
  const found = findFile(learned_net, path);
  const yieldIfDue = yielding();
  const values: Float32Array[] = [];
  for (const blob of history) {
    values.push(toFloat32(blob));
    await yieldIfDue();
  }
  return {
    iteration: iter,
    currentStep: current_step,
    weights: found === learned_net ? findFile(basename(learned_net), path) : found,
    history: values,
    extra: readExtra(path, iter),
  };
}

const extraFile = (state: string) => join(dirname(state), `${basename(state)}.json`);

function readExtra(state: string, iteration: number): ExtraState | null {
  const file = extraFile(state);
  if (!existsSync(file)) return null;
  const refusal = (reason: string, cause?: unknown) =>
    new WeightsError(
      'weights/solver-state',
      { file },
      `${reason}; remove it to begin with the data's first sample`,
      { cause },
    );
  const extra = readJsonFile(file, 'snapshot state', refusal) as ExtraState;
  if (extra?.format !== 'resnode-solver-state/1' || !Array.isArray(extra.data?.tests))
    throw refusal('expected the format resnode-solver-state/1');
  if (extra.iteration !== iteration)
    throw refusal(`it belongs to iteration ${extra.iteration}, the .solverstate beside it to ${iteration}`);
  const { lossScale } = extra;
  if (lossScale !== undefined && !(lossScale.factor > 0 && lossScale.since >= 0))
    throw refusal('expected lossScale to be a factor above 0 and a number of updates since it changed');
  return extra;
}
