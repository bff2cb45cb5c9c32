/** What `Device.train` takes, whether that can be, and the history that training begins with. */

import { ArgumentError } from '../base/errors.ts';
import { boolean, instance, integer, type Kind, list, nullOr, number, oneOf, string } from '../base/kinds.ts';
import { optional, options, required } from '../base/options.ts';
import { elementCount } from '../base/shape.ts';
import { weightsSource } from '../caffe/source-kinds.ts';
import type { UpdateRule } from '../gradient/append-update.ts';
import type { LoweredTraining } from '../gradient/lower-training.ts';
import type { TrainPrecision } from '../gradient/training-precision.ts';
import type { ParameterData } from '../operations/program.ts';
import { type LoadOptions, matchRows, netRows } from './load-options.ts';
import type { Shapes } from './tensor.ts';

export type { TrainPrecision } from '../gradient/training-precision.ts';

export interface TrainOptions {
  /** As for `load`; not filtered yet. */
  readonly model: LoadOptions['model'];
  /** Default: the net's own state, else TRAIN. */
  readonly phase?: 'TRAIN' | 'TEST';
  /** Caffe's NetState level. Default 0. */
  readonly level?: number;
  /** Caffe's NetState stages. Default none. */
  readonly stages?: readonly string[];
  /** Matched by layer name as at `load`; layers that they lack begin at their fillers, but one must match. */
  readonly weights?: LoadOptions['weights'];
  /** Weights of which nothing matches are taken too. Default false. */
  readonly partialWeights?: boolean;
  /** An InnerProduct's weights are taken by a Convolution of as many values, and the reverse. Default false. */
  readonly reshapeWeights?: boolean;
  /** Shapes of inputs by blob name. Default: as for `Device.load`. */
  readonly inputShapes?: Shapes;
  /** Replaces the first dimension of every input. Default: as written. */
  readonly batch?: number;
  /** What becomes of the diffs; null: nothing, `gradients` returns them. */
  readonly update: UpdateRule | null;
  /** Of a .solverstate, in its order: slot 0 of all learnable blobs, then slot 1. Default: zeros. */
  readonly history?: readonly Float32Array[];
  /** Of the fillers and of Dropout. Default 1. */
  readonly seed?: number;
  /** Blobs that a step returns besides the net's outputs: `blob` or `blob@layer`. Each is kept to the step's end. */
  readonly outputs?: readonly string[];
  /** Blobs whose diffs `gradients` returns besides those of the parameters; with `update: null`. */
  readonly diffs?: readonly string[];
  /**
   * What feature maps and their diffs are stored and multiplied in; all but `float32` (the default) need a CUDA device.
   * Weights, their diffs, histories, BatchNorm's statistics, losses and every sum are float32 in all of them.
   */
  readonly precision?: TrainPrecision;
  /**
   * The backward pass begins with so many times the losses' diffs, and the update divides by it, so that small diffs do
   * not become 0 in 16 bits (NVCaffe's global_grad_scale). Default 1024 for `float16`, else 1. In 16 bits updates with
   * non-finite gradients are skipped.
   */
  readonly lossScale?: number;
  /** Less memory for more time: what lies inside the blocks is computed again in the backward pass. Default false. */
  readonly recompute?: boolean;
  /**
   * With a communicator on the device: BatchNorm's batch statistics are those of all processes' batches together, which
   * must be equally large. Default false: each process's own, as Caffe's.
   */
  readonly synchronisedBatchNorm?: boolean;
  /** Every BatchNorm uses its stored statistics, whatever the layer says. Default false. */
  readonly frozenBatchNorm?: boolean;
}

const updateRule: Kind<UpdateRule> = options<UpdateRule>({
  type: required(oneOf('SGD', 'Nesterov', 'AdaGrad', 'RMSProp', 'AdaDelta', 'Adam'), "Caffe's solver."),
  momentum: required(number(), "Caffe's momentum."),
  momentum2: required(number(), "Adam's second momentum."),
  delta: required(number(), 'Of AdaGrad, RMSProp, AdaDelta and Adam.'),
  rms_decay: required(number(), 'Of RMSProp.'),
  clip_gradients: required(nullOr(number({ from: 0 })), 'The greatest L2 norm of all diffs; null: any.'),
  iter_size: required(integer(1), 'Passes an update.'),
  weight_decay: required(number(), 'Before decay_mult.'),
  regularization_type: required(oneOf('L1', 'L2'), 'What decays.'),
});

/** What a Solver hands on. */
export const solverRows = {
  precision: optional(
    oneOf('float32', 'tf32', 'float16', 'bfloat16'),
    'float32',
    'What feature maps and their diffs are stored and multiplied in: all but float32 need a CUDA device.',
  ),
  lossScale: optional(
    number({ above: 0 }),
    '1024 in float16, else 1',
    'The backward pass computes with so many times the diffs.',
  ),
  recompute: optional(boolean, 'false', 'Less memory for more time.'),
  synchronisedBatchNorm: optional(boolean, 'false', "BatchNorm's statistics are those of all processes."),
};

const planRows = {
  ...netRows,
  phase: optional(oneOf('TRAIN', 'TEST'), 'TRAIN', 'Which layers there are.'),
  ...matchRows,
  update: required(nullOr(updateRule), 'What becomes of the diffs; null: `gradients` returns them.'),
  outputs: optional(
    list(string, { of: 'blob names' }),
    'none',
    "Blobs that a step returns besides the net's outputs.",
  ),
  diffs: optional(
    list(string, { of: 'blob names' }),
    'none',
    'Blobs whose diffs `gradients` returns; with update: null.',
  ),
  ...solverRows,
};

export const trainOptions = options<TrainOptions>({
  ...planRows,
  weights: optional(weightsSource, 'the fillers', 'By path, file: URL or bytes, or as they were read.'),
  history: optional(
    list(instance('a Float32Array', Float32Array), { of: 'Float32Arrays' }),
    'zeros',
    'Of a .solverstate, in its order.',
  ),
});

export const planTrainingOptions = options<Omit<TrainOptions, 'weights' | 'history'>>(planRows);

/** What options mean for each other. @throws ArgumentError */
export function checkTrainOptions({ update, history, diffs }: Omit<TrainOptions, 'model'>): void {
  if (update === null && history !== undefined)
    throw new ArgumentError('history', 'none where update is null', history);
  if (update !== null && diffs !== undefined)
    throw new ArgumentError('diffs', 'none where there is an update', diffs);
}

/** The parameters' bytes with the history of a .solverstate in its place. @throws ArgumentError where it does not fit */
export function withHistory(
  data: readonly (ParameterData | null)[],
  { learnable, history }: Pick<LoweredTraining, 'learnable' | 'history'>,
  given: TrainOptions['history'],
): (ParameterData | null)[] {
  const result = [...data];
  if (given === undefined) return result;
  const slots = history.find((each) => each !== null)?.length ?? 1;
  if (given.length !== slots * learnable.length)
    throw new ArgumentError(
      'history',
      `${slots * learnable.length} arrays, ${slots} for each of the net's ${learnable.length} learnable blobs`,
      `${given.length}`,
    );
  given.forEach((values, i) => {
    const { layer, index, shape } = learnable[i % learnable.length]!;
    if (!(values instanceof Float32Array) || values.length !== elementCount(shape))
      throw new ArgumentError(
        `the history of layer "${layer}", blob ${index}`,
        `a Float32Array of ${elementCount(shape)} values`,
        values,
      );
    const id = history[i % learnable.length]?.[Math.floor(i / learnable.length)];
    if (id === undefined) return;
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    result[id] = { bytes, dtype: 'float32', channelScale: null };
  });
  return result;
}
