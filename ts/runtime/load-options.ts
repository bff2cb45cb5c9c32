/** What `Device.load` takes, and the files that it names. */
import type { WeightsFile } from '../caffe/caffemodel.ts';
import { filterNet, type NetParameter, readNetFile } from '../caffe/net-parameter.ts';
import { readWeights } from '../caffe/read-weights.ts';
import { ArgumentError } from '../errors.ts';
import type { Precision } from '../native/binding.ts';
import { mapFile } from '../native/host-memory.ts';
import type { Calibration } from './calibration.ts';
import type { CompileOptions } from './compile.ts';
import type { Shapes } from './tensor.ts';

const PRECISIONS: readonly Precision[] = ['float32', 'tf32', 'float16', 'bfloat16', 'int8'];

export interface LoadOptions extends CompileOptions {
  /** Path of a prototxt, or a NetParameter. */
  readonly model: string | NetParameter;
  /** Path of a .caffemodel or .caffemodel.h5, or one that was read. Without it parameters keep their fillers (seed 1). */
  readonly weights?: string | WeightsFile;
  /** Blobs to return: `blob` or `blob@layer`. Default: those that no layer reads, as Caffe. */
  readonly outputs?: readonly string[];
  /** Replaces the first dimension of every input. Default: as written. */
  readonly batch?: number;
  /** Shapes of inputs by blob name; needed where the net begins with a data layer. */
  readonly inputShapes?: Shapes;
  /** Decides BatchNorm's statistics, Dropout and which layers there are. Default TEST. */
  readonly phase?: 'TRAIN' | 'TEST';
  /** Caffe's NetState level. Default 0. */
  readonly level?: number;
  /** Caffe's NetState stages. Default none. */
  readonly stages?: readonly string[];
  /** Layers without weights, and weights without a layer, are errors. Default false. */
  readonly strict?: boolean;
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

/** The net, filtered for its phase. @throws PrototxtError, ArgumentError */
export function readModel(options: Omit<LoadOptions, 'weights'>): NetParameter {
  const { model, precision = 'float32', batch } = options;
  if (!PRECISIONS.includes(precision))
    throw new ArgumentError('precision', PRECISIONS.map((each) => `"${each}"`).join(', '), precision);
  if (batch !== undefined && !(Number.isInteger(batch) && batch >= 1))
    throw new ArgumentError('batch', 'a positive integer', batch);
  return filterNet(typeof model === 'string' ? readNetFile(model) : model, options);
}

/** The weights, mapped where they are a path. @throws WeightsError */
export async function readGivenWeights(
  weights: string | WeightsFile | undefined,
): Promise<WeightsFile | null> {
  return typeof weights === 'string' ? readWeights(weights, mapFile) : (weights ?? null);
}
