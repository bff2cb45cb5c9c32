/** What `Device.load` takes, and the files that it names. */

import { ArgumentError } from '../base/errors.ts';
import {
  anything,
  boolean,
  either,
  integer,
  type Kind,
  list,
  oneOf,
  path,
  shapes,
  string,
} from '../base/kinds.ts';
import { internal, type Option, optional, options, optionsOf, required } from '../base/options.ts';
import { type FileSource, isFileSource, pathOf, resolveSource } from '../base/sources.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import { matchOptions } from '../caffe/match-weights.ts';
import { filesOfModelFolder, isFolder } from '../caffe/model-folder.ts';
import { filterNet, type NetParameter, netState, readNetSource } from '../caffe/net-parameter.ts';
import { readWeights } from '../caffe/read-weights.ts';
import { netSource, weightsSource } from '../caffe/source-kinds.ts';
import { type Calibration, calibration } from '../compile/calibration.ts';
import type { CompileOptions } from '../compile/compile.ts';
import type { NativeQuantization, Precision } from '../native/binding.ts';
import { mapFile } from '../native/host-memory.ts';
import type { Shapes } from './tensor.ts';

export interface LoadOptions extends CompileOptions {
  /**
   * A prototxt by its path, `file:` URL or bytes (a binary NetParameter too), or a NetParameter; or a model folder, whose
   * weights and, for int8, calibration are taken where none are given.
   */
  readonly model: FileSource | NetParameter;
  /**
   * A .caffemodel or .caffemodel.h5 by its path, `file:` URL or bytes, or one that was read. Without it parameters keep
   * their fillers (`seed`).
   */
  readonly weights?: FileSource | WeightsFile;
  /** Blobs to return: `blob` or `blob@layer`. Default: those that no layer reads, as Caffe. */
  readonly outputs?: readonly string[];
  /** Replaces the first dimension of every input. Default: as written. */
  readonly batch?: number;
  /**
   * More batch sizes, compiled now and kept: else each is compiled when it first occurs, and four are kept. Default none.
   */
  readonly batches?: readonly number[];
  /**
   * Shapes of inputs by blob name. Default: as written; of data layers as their text says (crop_size, MemoryData,
   * DummyData), else as the first record, image or row that they read.
   */
  readonly inputShapes?: Shapes;
  /** Decides BatchNorm's statistics, Dropout and which layers there are. Default: the net's own state, else TEST. */
  readonly phase?: 'TRAIN' | 'TEST';
  /** Caffe's NetState level. Default: the net's own state, else 0. */
  readonly level?: number;
  /** Caffe's NetState stages. Default: the net's own state, else none. */
  readonly stages?: readonly string[];
  /** Weights without a layer are errors too. Default false. */
  readonly strict?: boolean;
  /**
   * Layers that the weights lack keep their fillers, which `model.report` and a warning name. Default false: they are an
   * error.
   */
  readonly partialWeights?: boolean;
  /** An InnerProduct's weights are taken by a Convolution of as many values, and the reverse. Default false. */
  readonly reshapeWeights?: boolean;
  /** Run the fusing passes. Default: in phase TEST; false (and phase TRAIN) runs layer by layer as written. */
  readonly optimize?: boolean;
  /**
   * What activations and weights are stored and multiplied in. Default `float32`, which is IEEE float32; `int8` needs
   * the CPU device and a calibration, the others a CUDA device, and sums stay float32 in all of them. What is no
   * feature map (scores, labels, losses) stays float32 too.
   */
  readonly precision?: Precision;
  /** For int8: path of a file that `resnode quantize` wrote, or what `calibrate` made. */
  readonly calibration?: string | Calibration;
  /** Only implementations that give the same bits every time. Default: as the device was opened. */
  readonly deterministic?: boolean;
}

/** Rows that `load`, `plan`, `train` and `planTraining` have in common. */
export const netRows = {
  model: required(
    netSource,
    'The net: a prototxt by path, file: URL or bytes, a NetParameter; for load and plan a model folder too.',
  ),
  level: optional(integer(), "the net's own, else 0", "Caffe's NetState level."),
  stages: optional(list(string, { of: 'stage names' }), "the net's own", "Caffe's NetState stages."),
  inputShapes: optional(shapes, 'as written, or as data layers read', 'Shapes of inputs by blob name.'),
  batch: optional(integer(1), 'as written', 'Replaces the first dimension of every input.'),
  seed: optional(integer(), '1', 'Of the fillers and of Dropout.'),
  frozenBatchNorm: optional(boolean, 'false', 'Every BatchNorm uses its stored statistics.'),
};

/** Rows that `load` and `train` have in common. */
export const matchRows = {
  partialWeights: matchOptions.table.partialWeights as Option<boolean>,
  reshapeWeights: matchOptions.table.reshapeWeights as Option<boolean>,
};

const outputs = optional(
  list(string, { of: 'blob names' }),
  'those that no layer reads',
  'Blobs to return: `blob` or `blob@layer`.',
);

const commonRows = {
  ...netRows,
  phase: optional(
    oneOf('TRAIN', 'TEST'),
    "the net's own, else TEST",
    "Decides BatchNorm's statistics, Dropout and which layers there are.",
  ),
  strict: optional(boolean, 'false', 'Weights without a layer are errors.'),
  ...matchRows,
  optimize: optional(boolean, 'true in phase TEST', 'Run the fusing passes.'),
  precision: optional(
    oneOf('float32', 'tf32', 'float16', 'bfloat16', 'int8'),
    'float32',
    'What activations and weights are stored and multiplied in: int8 needs the CPU device and a calibration, the others but float32 a CUDA device.',
  ),
  calibration: optional(
    either(path, calibration),
    'none',
    'For int8: a file of `resnode quantize`, or what `calibrate` made.',
  ),
  deterministic: optional(
    boolean,
    'as the device',
    'Only implementations that give the same bits every time.',
  ),
  tune: optional(boolean, 'as the device', 'Measure convolutions that are new to this machine.'),
  quantization: internal<NativeQuantization>(anything as Kind<NativeQuantization>),
};

/** Rows of what is loaded for outputs that its user knows. */
export const loadRows = {
  ...commonRows,
  batches: optional(
    list(integer(1), { of: 'batch sizes' }),
    'none',
    'More batch sizes, compiled now and kept.',
  ),
  weights: optional(weightsSource, 'the fillers', 'By path, file: URL or bytes, or as they were read.'),
};

export const loadOptions = options<LoadOptions>({ ...loadRows, outputs });

export const planOptions = options<Omit<LoadOptions, 'weights' | 'batches'>>({ ...commonRows, outputs });

/**
 * Options whose model is a model folder, with its files.
 * @param needed What the folder must have.
 * @throws ArgumentError naming what it lacks
 */
export function withFolder<T extends Pick<LoadOptions, 'model'> & Partial<LoadOptions>>(
  options: T,
  needed: readonly ('model' | 'weights')[],
): T {
  const { model } = options;
  if (!(typeof model === 'string' || model instanceof URL) || !isFolder(pathOf(model))) return options;
  const files = filesOfModelFolder(pathOf(model), options.weights === undefined ? needed : ['model']);
  return {
    ...options,
    model: files.model,
    ...(options.weights === undefined && needed.includes('weights') ? { weights: files.weights } : {}),
    ...(options.precision === 'int8' && options.calibration === undefined && files.calibration !== undefined
      ? { calibration: files.calibration }
      : {}),
  };
}

/**
 * The net, filtered for its state.
 * @param fallback The phase where neither the options nor the net says one.
 * @throws PrototxtError, ArgumentError
 */
export function readModel(
  options: Pick<LoadOptions, 'model' | 'phase' | 'level' | 'stages'>,
  fallback: 'TRAIN' | 'TEST' = 'TEST',
): NetParameter {
  const read = readNetSource(options.model);
  const net = filterNet(read, {
    ...optionsOf(netState, options),
    phase: options.phase ?? read.state?.phase ?? fallback,
  });
  if ((net.layer ?? []).length === 0)
    throw new ArgumentError('model', 'a net with layers in this phase', net.name ?? 'a net without layers');
  return net;
}

/** The weights, mapped where they are a path. @throws WeightsError */
export async function readGivenWeights(weights: LoadOptions['weights']): Promise<WeightsFile | null> {
  if (weights === undefined) return null;
  return isFileSource(weights) ? readWeights(resolveSource(weights), mapFile) : weights;
}
