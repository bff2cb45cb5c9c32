/** Every layer's tops of one run, from any source. */

import { nullOr, oneOf, shapes } from '../../../base/kinds.ts';
import { optional, options, required, signature } from '../../../base/options.ts';
import { type WeightsFile, weightsFile } from '../../../caffe/caffemodel.ts';
import type { MatchOptions } from '../../../caffe/match-weights.ts';
import { matchOptions } from '../../../caffe/match-weights.ts';
import { type NetParameter, netParameter } from '../../../caffe/net-parameter.ts';
import { type Device, deviceLike, type LoadOptions } from '../../../device/device.ts';
import type { Shapes, Tensor } from '../../../device/tensor.ts';
import { graphFromCaffe } from '../../../graph/from-caffe.ts';
import type { Graph, ValueId } from '../../../graph/graph.ts';

/** A blob directly after a layer ran. */
export interface LayerTop {
  /** `blob@layer`. */
  readonly name: string;
  readonly blob: string;
  readonly layer: string;
  /** Caffe's layer type. */
  readonly type: string;
  readonly value: ValueId;
}

/** By `LayerTop.name`. */
export type Tops = ReadonlyMap<string, Tensor>;

/** A source of every layer's tops: a device, ONNX Runtime, a dump. */
export interface TopsSource {
  /** A description of the source. */
  readonly by: string;
  readonly run: (inputs: Readonly<Record<string, Tensor>>) => Promise<Tops>;
  readonly dispose: () => void;
}

/** A net with its weights (null: fillers), for given input shapes. */
export interface NetToRun {
  readonly net: NetParameter;
  readonly weights: WeightsFile | null;
  readonly match?: MatchOptions;
  /** Default: as written. */
  readonly inputShapes?: Shapes;
}

/**
 * The tops of a graph without the inputs, in order of execution. Of two layers with the same name and top, the last counts.
 */
export function layerTops(graph: Graph): LayerTop[] {
  const tops = new Map<string, LayerTop>();
  for (const { name: layer, type, outputs } of graph.nodes)
    for (const value of outputs) {
      const { blob } = graph.values[value]!;
      const name = `${blob}@${layer}`;
      tops.delete(name);
      tops.set(name, { name, blob, layer, type, value });
    }
  return [...tops.values()];
}

/** Rows of NetToRun. */
export const netToRunRows = {
  net: required(netParameter, 'The net.'),
  weights: required(nullOr(weightsFile), 'The weights; null: the values of the fillers.'),
  match: optional(matchOptions, 'all must fit', 'What happens to layers that the weights do not fit.'),
  inputShapes: optional(shapes, 'as written', 'The shapes of inputs, by blob name.'),
};

export const netToRun = options<NetToRun>(netToRunRows);

const DEVICE_TOPS = signature('deviceTops', {
  device: required(deviceLike, 'A device of openDevice.'),
  network: required(netToRun, 'The net to run, with its weights.'),
  options: optional(
    options<Pick<LoadOptions, 'precision'>>({
      precision: optional(
        oneOf('float32', 'tf32', 'float16', 'bfloat16', 'int8'),
        'float32',
        'The type in which values are multiplied.',
      ),
    }),
    'none',
    'How to run it.',
  ),
});

/** A device that runs the net layer by layer, as written. Throws as `Device.load`. */
export async function deviceTops(
  device: Device,
  network: NetToRun,
  options: Pick<LoadOptions, 'precision'> = {},
): Promise<TopsSource> {
  DEVICE_TOPS.check(device, network, options);
  const { net, weights, match = {}, inputShapes } = network;
  const shapes = inputShapes === undefined ? {} : { inputShapes };
  const model = await device.load({
    model: net,
    ...(weights === null ? {} : { weights, ...match }),
    ...shapes,
    ...options,
    optimize: false,
    outputs: layerTops(graphFromCaffe(net, shapes)).map(({ name }) => name),
  });
  return {
    by: device.name,
    run: async (inputs) => new Map(Object.entries(await model.run(inputs))),
    dispose: () => model.dispose(),
  };
}
