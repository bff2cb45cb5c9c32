/**
 * Caffe's debug_info: mean absolute values of blobs, diffs and parameters (Net::ForwardDebugInfo and BackwardDebugInfo in
 * net.cpp), for the first batch of an iteration, before its update.
 *
 * A training program keeps no blob longer than necessary, so a separate trainer that returns everything runs the batch
 * again. This is for inspecting a net, not for speed.
 */
import { optionsOf } from '../base/options.ts';
import { toFloat32 } from '../caffe/blob.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import type { Batch } from '../data/source.ts';
import type { TrainOptions } from '../device/trainer.ts';
import { graphFromCaffe, graphOptions } from '../graph/from-caffe.ts';
import type { DebugInfoEvent } from './events.ts';
import type { ReadNet } from './solver-nets.ts';
import type { TrainingDevice } from './training-device.ts';

/**
 * Computes the event of one iteration.
 * @throws as Device.train and Trainer.gradients
 */
export async function debugInfo(
  device: Pick<TrainingDevice, 'train'>,
  { net, state, filtered }: ReadNet,
  weights: WeightsFile,
  batch: Batch,
  options: Pick<
    TrainOptions,
    'inputShapes' | 'frozenBatchNorm' | 'passesBefore' | 'seed' | 'precision' | 'lossScale'
  > & { readonly iteration: number },
): Promise<DebugInfoEvent> {
  const { iteration, ...rest } = options;
  const graph = graphFromCaffe(filtered, { phase: 'TRAIN', ...optionsOf(graphOptions, rest) });
  const given = new Set(graph.inputs.map((id) => graph.values[id]!.blob));
  const blobs = [...graph.blobs.keys()];
  const { level, stages } = state;
  using trainer = await device.train({
    ...{ model: net, level, stages, weights, update: null },
    outputs: blobs,
    diffs: blobs.filter((blob) => !given.has(blob)),
    ...rest,
  });
  const result = await trainer.gradients(batch, { iteration });
  const values = new Map(
    weights.layers.flatMap(({ name, blobs }) =>
      blobs.map((blob, i) => [`${name}/${i}`, toFloat32(blob)] as const),
    ),
  );
  const learned = trainer.learnable.flatMap(({ layer, index }, i) => {
    const diff = result.parameters[i];
    return diff == null ? [] : [{ layer, index, data: values.get(`${layer}/${index}`)!, diff: diff.data }];
  });
  const norms = (part: 'data' | 'diff') => ({
    l1: learned.reduce((sum, each) => sum + absoluteSum(each[part]), 0),
    l2: Math.sqrt(learned.reduce((sum, each) => sum + squareSum(each[part]), 0)),
  });
  return {
    type: 'debug_info',
    iteration,
    blobs: blobs.map((blob) => {
      const diff = result.blobs[blob];
      return {
        blob,
        data: meanAbsolute(result.outputs[blob]!.data),
        diff: diff === undefined ? null : meanAbsolute(diff.data),
      };
    }),
    parameters: learned.map(({ layer, index, data, diff }) => ({
      ...{ layer, index },
      data: meanAbsolute(data),
      diff: meanAbsolute(diff),
    })),
    norms: { data: norms('data'), diff: norms('diff') },
  };
}

const absoluteSum = (values: Float32Array) => values.reduce((sum, value) => sum + Math.abs(value), 0);
const squareSum = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0);
const meanAbsolute = (values: Float32Array) => absoluteSum(values) / values.length;
