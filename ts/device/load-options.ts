/** The options of `Device.load`, and the files that they name. */

import { InWords } from '../base/describe.ts';
import { ArgumentError } from '../base/errors.ts';
import {
  anything,
  boolean,
  either,
  integer,
  isObject,
  type Kind,
  list,
  oneOf,
  path,
  shapes,
  string,
} from '../base/kinds.ts';
import { internal, type Option, optional, options, optionsOf, required } from '../base/options.ts';
import { type FileSource, fileSource, isFileSource, pathOf, resolveSource } from '../base/sources.ts';
import { type WeightsFile, weightsFile } from '../caffe/caffemodel.ts';
import { matchOptions } from '../caffe/match-weights.ts';
import { filesOfModelFolder, isFolder } from '../caffe/model-folder.ts';
import {
  filterNet,
  type NetParameter,
  netParameter,
  netState,
  readNetSource,
} from '../caffe/net-parameter.ts';
import { readWeights } from '../caffe/read-weights.ts';
import { type Calibration, calibration } from '../compile/calibration.ts';
import type { CompileOptions } from '../compile/compile.ts';
import type { NativeQuantization } from '../native/binding.ts';
import { mapFile } from '../native/host-memory.ts';
import type { Shapes } from './tensor.ts';

/** Options that identify a net. */
export interface NetOptions {
  /** A prototxt as a path, `file:` URL or bytes (a binary NetParameter is possible, too), or a NetParameter. */
  readonly model: FileSource | NetParameter;
  /** Caffe's NetState level. Default: the net's own state, else 0. */
  readonly level?: number;
  /** Caffe's NetState stages. Default: the net's own state, else none. */
  readonly stages?: readonly string[];
  /**
   * Shapes of inputs by blob name. Default: the shapes in the net. For data layers: the shapes that the prototxt implies
   * (crop_size, MemoryData, DummyData), else that of the first record, image or row of their data.
   */
  readonly inputShapes?: Shapes;
  /**
   * A .caffemodel or .caffemodel.h5 as a path, `file:` URL or bytes, or the result of a reader. Without it parameters keep
   * the values of their fillers (`seed`).
   */
  readonly weights?: FileSource | WeightsFile;
}

export interface LoadOptions extends NetOptions, CompileOptions {
  /** As in NetOptions, or a model folder, whose weights and, for int8, calibration are used unless others are given. */
  readonly model: FileSource | NetParameter;
  /**
   * More batch sizes to measure, compile and keep when loading. Other sizes are compiled when they first occur (see
   * `keptShapes`). Default none.
   */
  readonly batches?: readonly number[];
  /**
   * The number of further input shapes that stay compiled after a run. Each holds the memory of its activations; the least
   * recently used one is dropped first. All shapes share the parameters and use the convolution algorithms of the loaded
   * shape. Default 4.
   */
  readonly keptShapes?: number;
  /**
   * Decides which statistics BatchNorm uses, whether Dropout drops values, and which layers exist. Default: the net's own
   * state, else TEST.
   */
  readonly phase?: 'TRAIN' | 'TEST';
  /** For int8: the path of a file that `resnode quantize` wrote, or the result of `calibrate`. */
  readonly calibration?: string | Calibration;
}

const looksLikePrototxt = (value: unknown) =>
  typeof value === 'string' && /[\n{]|^\s*(?:name|layers?|input)\s*:/.test(value);
const TEXT_HINT =
  'this is the text of a prototxt: give Buffer.from(text), or readNet(text, { file }) with a name for errors';

/** A prototxt as a file, or a net that was read before. */
const netSource: Kind<FileSource | NetParameter> = sourceOr(netParameter, looksLikePrototxt, TEXT_HINT);

/** A weights file, or weights that were read before. */
export const weightsSource: Kind<FileSource | WeightsFile> = sourceOr(weightsFile, () => false, '');

function sourceOr<T>(read: Kind<T>, isText: (value: unknown) => boolean, hint: string): Kind<FileSource | T> {
  const { expected } = either(fileSource, read);
  return {
    expected,
    mistake(value) {
      if (isText(value)) return { path: '', expected, actual: value, hint };
      const isFile =
        !isObject(value) || value instanceof URL || ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
      const mistake = (isFile ? fileSource : read).mistake(value);
      return mistake?.path === '' && !mistake.expected.startsWith('the fields')
        ? { ...mistake, expected }
        : mistake;
    },
  };
}

/** Rows that `load`, `plan`, `train` and `planTraining` share. */
export const netRows = {
  model: required(
    netSource,
    'The net: a prototxt by path, file: URL or bytes, or a NetParameter. load and plan also take a model folder.',
  ),
  level: optional(integer(), "the net's own, else 0", "Caffe's NetState level."),
  stages: optional(list(string, { of: 'stage names' }), "the net's own", "Caffe's NetState stages."),
  inputShapes: optional(
    shapes,
    'as in the net or the data of its data layers',
    'The shapes of inputs, by blob name.',
  ),
  batch: optional(
    integer(1),
    'as written',
    'The batch size, which replaces the first dimension of every input.',
  ),
  seed: optional(integer(), '1', 'The seed of the fillers and of Dropout.'),
  frozenBatchNorm: optional(
    boolean,
    'false',
    "Every BatchNorm uses its stored statistics instead of the batch's.",
  ),
  passesBefore: internal(integer(0)),
};

/** Rows that `load` and `train` share. */
export const matchRows = {
  partialWeights: matchOptions.table.partialWeights as Option<boolean>,
  reshapeWeights: matchOptions.table.reshapeWeights as Option<boolean>,
};

const outputs = optional(
  list(string, { of: 'blob names' }),
  'the blobs that no layer reads',
  'The blobs to return, as `blob` or `blob@layer`.',
);

const commonRows = {
  ...netRows,
  phase: optional(
    oneOf('TRAIN', 'TEST'),
    "the net's own, else TEST",
    'Selects layers, and decides whether BatchNorm and Dropout behave as in training.',
  ),
  strict: optional(boolean, 'false', 'Makes it an error if the file has weights that no layer takes.'),
  ...matchRows,
  optimize: optional(
    boolean,
    'true in phase TEST',
    'Fuses layers where this does not change the results beyond rounding.',
  ),
  precision: optional(
    oneOf('float32', 'tf32', 'float16', 'bfloat16', 'int8'),
    'float32',
    'The type in which activations and weights are stored and multiplied: int8, which needs a calibration, and bfloat16 on the CPU or a CUDA device; tf32 and float16 on a CUDA device.',
  ),
  calibration: optional(
    either(path, calibration),
    'none',
    'For int8: a file that `resnode quantize` wrote, or the result of `calibrate`.',
  ),
  deterministic: optional(
    boolean,
    'as the device',
    'Uses only implementations that give the same bits every time.',
  ),
  tune: optional(boolean, 'as the device', 'Measures convolutions that are new to this machine.'),
  moreOutputs: internal<readonly string[]>(list(string, { of: 'blob names' })),
  quantization: internal<NativeQuantization>(anything as Kind<NativeQuantization>),
};

/** Rows for nets with outputs that the caller knows. */
export const loadRows = {
  ...commonRows,
  batches: optional(
    list(integer(1), { of: 'batch sizes' }),
    'none',
    'More batch sizes to compile and measure at once.',
  ),
  keptShapes: optional(
    integer(1),
    '4',
    'How many other input shapes stay compiled after a run; the least recently used is dropped first.',
  ),
  weights: optional(
    weightsSource,
    'the fillers',
    'The weights: a path, file: URL or bytes, or the result of a reader.',
  ),
};

export const loadOptions = options<LoadOptions>({ ...loadRows, outputs });

export const planOptions = options<Omit<LoadOptions, 'weights' | 'batches' | 'keptShapes'>>({
  ...commonRows,
  outputs,
});

/**
 * Replaces a model folder in options by its files.
 * @param needed The files that the folder must have.
 * @throws ArgumentError that names a missing file
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
 * @param fallback The phase if neither the options nor the net set one.
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
    throw new ArgumentError('model', 'a net with layers in this phase', new InWords('a net without layers'));
  return net;
}

/**
 * The weights, memory-mapped if given as a path.
 * @throws WeightsError
 */
export async function readGivenWeights(weights: LoadOptions['weights']): Promise<WeightsFile | null> {
  if (weights === undefined) return null;
  return isFileSource(weights) ? readWeights(resolveSource(weights), mapFile) : weights;
}
