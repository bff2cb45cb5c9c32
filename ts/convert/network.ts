/** What every conversion goes through: a net in Caffe's terms and its weights. */
import { list, path, shapes, string } from '../base/kinds.ts';
import { optional, options, required } from '../base/options.ts';
import type { Blob } from '../caffe/blob.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import { matchWeights } from '../caffe/match-weights.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { Graph } from '../graph/graph.ts';
import type { Preprocess } from '../images/preprocess.ts';
import type { ParameterId } from '../layers/operation.ts';

export interface Network {
  readonly net: NetParameter;
  readonly weights: WeightsFile;
}

/** What a file gives: weights, and the net where the file, or the caller, says it. */
export interface ReadResult {
  readonly net: NetParameter | null;
  readonly weights: WeightsFile;
  /** The blobs that the file's net puts out, where it says them: in Caffe those that no layer reads. */
  readonly outputs?: readonly string[];
  /** What the net takes, where the format's nets are known to take it. */
  readonly preprocess?: Preprocess;
  /** What of the file is no part of the result, in a sentence each. */
  readonly notes?: readonly string[];
}

/** What readers of a net in one file take: rows of their signatures. */
export const readerParameters = {
  file: required(path, 'The path of the file.'),
  options: optional(
    options<{ inputShapes?: Readonly<Record<string, readonly number[]>> }>({
      inputShapes: optional(shapes, 'as the file says', 'The shapes of inputs, by blob name.'),
    }),
    'none',
    'The shapes of inputs and the outputs of the net.',
  ),
};

/** A row for readers of formats whose files name the values between layers. */
export const outputsOfFile = optional(
  list(string, { of: 'names' }),
  'as the file says',
  "The values of an ONNX model that become the outputs of the net instead of the model's own.",
);

/**
 * The blob of each parameter of a net, by Caffe's rules; unlike for training, none may be missing.
 * @throws WeightsError naming the layer
 */
export function blobsOf(graph: Graph, weights: WeightsFile): (parameter: ParameterId) => Blob {
  const { blobs } = matchWeights(graph.parameters, weights, {}, 'write');
  return (parameter) => blobs[parameter]!;
}
