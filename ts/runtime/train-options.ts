/** What `Device.train` takes, whether that can be, and the history that training begins with. */
import type { WeightsFile } from '../caffe/caffemodel.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { ArgumentError } from '../errors.ts';
import type { UpdateRule } from '../program/append-update.ts';
import type { ParameterData } from '../program/program.ts';
import type { LoweredTraining } from './lower-training.ts';
import { elementCount, type Shapes } from './tensor.ts';
import type { TrainPrecision } from './training-precision.ts';

export type { TrainPrecision } from './training-precision.ts';

export interface TrainOptions {
  /** Path of a prototxt, or a NetParameter; not filtered yet. */
  readonly model: string | NetParameter;
  /** Default: the net's own state, else TRAIN. */
  readonly phase?: 'TRAIN' | 'TEST';
  /** Caffe's NetState level. Default 0. */
  readonly level?: number;
  /** Caffe's NetState stages. Default none. */
  readonly stages?: readonly string[];
  /** Matched by layer name as at `load`; what they have not keeps its filler. */
  readonly weights?: string | WeightsFile;
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
   * not become 0 in 16 bits (NVCaffe's global_grad_scale). Default 1024 for `float16`, else 1. In 16 bits an update
   * whose diffs are not finite is left out.
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

const TYPES = ['SGD', 'Nesterov', 'AdaGrad', 'RMSProp', 'AdaDelta', 'Adam'];

const PRECISIONS: readonly TrainPrecision[] = ['float32', 'tf32', 'float16', 'bfloat16'];

/** @throws ArgumentError */
export function checkTrainOptions(options: Omit<TrainOptions, 'model'>): void {
  const { update, seed, history, diffs, precision, lossScale } = options;
  if (precision !== undefined && !PRECISIONS.includes(precision))
    throw new ArgumentError('precision', PRECISIONS.map((each) => `"${each}"`).join(', '), precision);
  if (lossScale !== undefined && !(lossScale > 0 && Number.isFinite(lossScale)))
    throw new ArgumentError('lossScale', 'a number above 0', lossScale);
  if (seed !== undefined && !Number.isInteger(seed)) throw new ArgumentError('seed', 'an integer', seed);
  if (update === null) {
    if (history !== undefined) throw new ArgumentError('history', 'none where update is null', history);
    return;
  }
  if (diffs !== undefined) throw new ArgumentError('diffs', 'none where there is an update', diffs);
  if (typeof update !== 'object') throw new ArgumentError('update', 'an UpdateRule or null', update);
  if (!TYPES.includes(update.type)) throw new ArgumentError('update.type', TYPES.join(', '), update.type);
  for (const field of ['momentum', 'momentum2', 'delta', 'rms_decay', 'weight_decay'] as const)
    if (!Number.isFinite(update[field]))
      throw new ArgumentError(`update.${field}`, 'a number', update[field]);
  const { clip_gradients, iter_size, regularization_type } = update;
  if (clip_gradients !== null && !(clip_gradients >= 0))
    throw new ArgumentError('update.clip_gradients', 'a number of at least 0, or null', clip_gradients);
  if (!(Number.isInteger(iter_size) && iter_size >= 1))
    throw new ArgumentError('update.iter_size', 'an integer of at least 1', iter_size);
  if (regularization_type !== 'L1' && regularization_type !== 'L2')
    throw new ArgumentError('update.regularization_type', '"L1" or "L2"', regularization_type);
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
