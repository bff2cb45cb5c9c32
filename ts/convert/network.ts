/** What every conversion goes through: a net in Caffe's terms and its weights. */
import type { Blob } from '../caffe/blob.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import { matchWeights } from '../caffe/match-weights.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { Graph, ParameterId } from '../graph/graph.ts';

export interface Network {
  readonly net: NetParameter;
  readonly weights: WeightsFile;
}

/**
 * The blob of each parameter of a net, by Caffe's rules; unlike for training, none may be missing.
 * @throws WeightsError naming the layer
 */
export function blobsOf(graph: Graph, weights: WeightsFile): (parameter: ParameterId) => Blob {
  const { blobs } = matchWeights(graph.parameters, weights, {}, 'write');
  return (parameter) => blobs[parameter]!;
}
