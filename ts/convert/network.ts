/** The form between source and target in every conversion: a net of Caffe and its weights. */
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

/** The content of a file: weights, and the net if the file contains it or the caller gives it. */
export interface ReadResult {
  readonly net: NetParameter | null;
  readonly weights: WeightsFile;
  /** The net's outputs if the file names them. Caffe's outputs are the blobs that no layer reads. */
  readonly outputs?: readonly string[];
  /** The preprocessing of the net's inputs, if it is known for nets of this format. */
  readonly preprocess?: Preprocess;
  /** One sentence about each part of the file that the result lacks. */
  readonly notes?: readonly string[];
}

/** What a format can store of a net for images, cropped or whole. */
export type NetworkToWrite = Omit<ReadResult, 'preprocess'> & {
  readonly preprocess?: Pick<Preprocess, 'mean' | 'order'>;
};

/** The options of readers for files that contain a net, as rows of their signatures. */
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

/** The option of readers whose files name the values between layers. */
export const outputsOfFile = optional(
  list(string, { of: 'names' }),
  'as the file says',
  "The values of an ONNX model that become the outputs of the net instead of the model's own.",
);

/**
 * The blob of each parameter of a net by Caffe's rules. None may be missing, unlike in training.
 * @throws WeightsError naming the layer
 */
export function blobsOf(graph: Graph, weights: WeightsFile): (parameter: ParameterId) => Blob {
  const { blobs } = matchWeights(graph.parameters, weights, {}, 'write');
  return (parameter) => blobs[parameter]!;
}
