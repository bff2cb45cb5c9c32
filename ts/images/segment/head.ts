/** Recognises by its layers where a net's map comes from: scores of classes, indices of classes, or edges. */
import { ArgumentError, GraphError } from '../../base/errors.ts';
import type { LayerParameter, NetParameter } from '../../caffe/net-parameter.ts';
import { graphFromCaffe } from '../../graph/from-caffe.ts';
import type { Graph } from '../../graph/graph.ts';
import { describeOutputs, makerOf } from '../features/blob-makers.ts';
import type { ImageInput } from '../features/image-input.ts';
import type { Size } from '../geometry.ts';

/** The content of a blob N×C×H×W. */
export interface SegmenterHead {
  /** `scores` of classes, of which the largest counts; `indices` of classes from an ArgMax; or `edges` from 0 to 1. */
  readonly kind: 'scores' | 'indices' | 'edges';
  readonly blob: string;
  readonly classes: number;
}

/** The largest number of classes in a map of bytes. */
const MOST_CLASSES = 256;

/**
 * @param net A net that is filtered for phase TEST.
 * @param output The blob. Default: the last output, or the ArgMax from which its values come.
 * @throws GraphError `segmenter/no-map` that names the outputs; ArgumentError for an unknown blob
 */
export function findSegmenterHead(net: NetParameter, graph: Graph, output?: string): SegmenterHead {
  const layers = net.layer ?? [];
  if (output !== undefined && !graph.blobs.has(output))
    throw new ArgumentError('output', 'a blob of the net', output, describeOutputs(layers, graph));
  const name = output ?? lastOutput(layers, graph);
  const maker = makerOf(layers, name);
  const blob = maker?.type === 'ArgMax' ? maker.top![0]! : name;
  const [, channels = 0, height = 1, width = 1] = shapeOf(graph, blob);
  const isMap = shapeOf(graph, blob).length === 4 && height * width > 1;
  if (isMap && maker?.type === 'ArgMax' && channels === 1) {
    const classes = shapeOf(graph, maker.bottom![0]!)[1]!;
    if (classes <= MOST_CLASSES && isOfIndices(maker)) return { kind: 'indices', blob, classes };
  } else if (isMap && channels === 1 && maker?.type === 'Sigmoid') return { kind: 'edges', blob, classes: 1 };
  else if (isMap && channels > 1 && channels <= MOST_CLASSES && maker?.type !== 'ArgMax')
    return { kind: 'scores', blob, classes: channels };
  throw new GraphError(
    'segmenter/no-map',
    {},
    `expected a segmenter, a deploy net that ends in scores of 2 to ${MOST_CLASSES} classes, N×C×H×W (FCN, DeepLab, PSPNet), in their ArgMax along axis 1, or in a Sigmoid N×1×H×W (HED): "${name}" is ${shapeOf(graph, name).join('×')}; the outputs are ${describeOutputs(layers, graph)}`,
  );
}

const isOfIndices = ({ argmax_param: param = {} }: LayerParameter): boolean =>
  !(param as { out_max_val?: boolean }).out_max_val && (param as { axis?: number }).axis !== undefined;

const shapeOf = (graph: Graph, blob: string): readonly number[] =>
  graph.values[graph.blobs.get(blob)!]!.shape;

/** The last of several outputs: HED's fused map comes after its side outputs. */
function lastOutput(layers: readonly LayerParameter[], graph: Graph): string {
  const outputs = new Set(graph.outputs.map((id) => graph.values[id]!.blob));
  const tops = layers.flatMap(({ top = [] }) => top).filter((top) => outputs.has(top));
  return tops.at(-1) ?? [...outputs].at(-1)!;
}

/**
 * Whether the net accepts images of any size with the same weights, and its map adapts: "fully convolutional" (Long,
 * Shelhamer and Darrell 2015). It is tried on the graph, at sizes that its strides and pads treat differently.
 */
export function takesAnySize(net: NetParameter, input: ImageInput, blob: string): boolean {
  const at = ({ width, height }: Size): Graph | null => {
    try {
      return graphFromCaffe(net, { inputShapes: { [input.name]: [1, input.channels, height, width] } });
    } catch (error) {
      if (error instanceof GraphError) return null;
      throw error;
    }
  };
  const { width, height } = input.size;
  const [written, larger, odd] = [
    at(input.size),
    at({ width: width + 64, height: height + 96 }),
    at({ width: width + 37, height: height + 21 }),
  ];
  if (written === null || larger === null || odd === null) return false;
  const parameters = (graph: Graph) => graph.parameters.map(({ shape }) => shape.join('×')).join();
  const [, , rows, columns] = shapeOf(written, blob);
  const [, , moreRows, moreColumns] = shapeOf(larger, blob);
  return (
    [larger, odd].every((graph) => parameters(graph) === parameters(written)) &&
    moreRows! > rows! &&
    moreColumns! > columns!
  );
}
