/** Compares every layer's tops on a device with those of another source: how much they differ, where first, and why. */

import { ResnodeError } from '../../../base/errors.ts';
import { having, iterable, number, oneOf } from '../../../base/kinds.ts';
import { optional, options, required, signature } from '../../../base/options.ts';
import { filterNet } from '../../../caffe/net-parameter.ts';
import { type Device, deviceLike } from '../../../device/device.ts';
import type { Tensor } from '../../../device/tensor.ts';
import { graphFromCaffe } from '../../../graph/from-caffe.ts';
import type { Graph } from '../../../graph/graph.ts';
import { type FloatPrecision, ROUNDINGS } from '../check-case.ts';
import type { Difference } from '../difference.ts';
import { apartBy } from '../difference.ts';
import { type Cause, findCause } from './cause.ts';
import {
  deviceTops,
  type LayerTop,
  layerTops,
  type NetToRun,
  netToRunRows,
  type Tops,
  type TopsSource,
} from './tops.ts';

/** The tolerance between programs that sum in other orders, over a whole net, relative to a blob's largest value. */
const DEFAULT_TOLERANCE = 1e-4;

/** One top, with the largest difference over all inputs. */
export interface LayerDifference extends Difference {
  /** `blob@layer`; the blob's name if the net ran fused. */
  readonly name: string;
  readonly layer: string;
  readonly type: string;
  readonly shape: readonly number[];
  /** `layer by layer` as written, or `fused` as it runs by default. */
  readonly mode: 'layer by layer' | 'fused';
}

export interface LayersComparison {
  readonly device: string;
  readonly against: string;
  /** The number of compared runs. */
  readonly runs: number;
  readonly ok: boolean;
  /** In order of execution, then the outputs of the fused net. */
  readonly layers: readonly LayerDifference[];
  /** The first top beyond its tolerance, and its likely cause. */
  readonly firstDivergence: (LayerDifference & { readonly cause: Cause }) | null;
  /** Tops that the other source lacks. */
  readonly notCompared: readonly string[];
}

export interface CompareOptions extends NetToRun {
  /** The device under test. */
  readonly device: Device;
  /** The source to compare with. */
  readonly source: TopsSource;
  /** One element for each run, which has every input of the net in the same shapes. */
  readonly inputs:
    | Iterable<Readonly<Record<string, Tensor>>>
    | AsyncIterable<Readonly<Record<string, Tensor>>>;
  /**
   * The tolerance of tops, relative to their largest value. Default 1e-4. With a precision other than float32 it is half a
   * unit in the last place for each layer up to the top and four more, if that is larger.
   */
  readonly tolerance?: number;
  readonly precision?: FloatPrecision;
}

const COMPARE_LAYERS = signature('compareLayers', {
  options: required(
    options<CompareOptions>({
      ...netToRunRows,
      device: required(deviceLike, 'The device to test.'),
      source: required(having<TopsSource>('a TopsSource', 'run', 'dispose'), 'What to compare it with.'),
      inputs: required(iterable<CompareOptions['inputs']>('inputs'), 'The inputs, one entry per run.'),
      tolerance: optional(
        number({ from: 0, to: 1 }),
        '1e-4 in float32',
        'How much tops may differ, relative to their largest value.',
      ),
      precision: optional(
        oneOf('float32', 'tf32', 'float16', 'bfloat16'),
        'float32',
        'The precision in which the device computes.',
      ),
    }),
    'The two sides of the comparison.',
  ),
});

/**
 * Runs a net (upgraded; filtered here for phase TEST) layer by layer and fused, and compares every layer's tops.
 * @throws ResnodeError `parity/nothing` if the source has none of the layers; as `Device.load` and `Model.run`; the
 * source's own errors
 */
export async function compareLayers(options: CompareOptions): Promise<LayersComparison> {
  COMPARE_LAYERS.check(options);
  const { device, source, weights, match = {}, inputShapes, precision = 'float32' } = options;
  const net = filterNet(options.net);
  const shapes = inputShapes === undefined ? {} : { inputShapes };
  const graph = graphFromCaffe(net, shapes);
  const tops = layerTops(graph);
  const tested = await deviceTops(device, { net, weights, match, ...shapes }, { precision });
  const fused = await device
    .load({ model: net, ...(weights === null ? {} : { weights, ...match }), ...shapes, precision })
    .catch((error: unknown) => {
      tested.dispose();
      throw error;
    });
  const toleranceOf = (index: number) =>
    options.tolerance ?? Math.max(DEFAULT_TOLERANCE, (5 + index) * ROUNDINGS[precision]);
  const rows = new Map<string, LayerDifference>();
  const missing = new Set<string>();
  let [runs, earliest] = [0, Number.POSITIVE_INFINITY];
  let diverged: { actual: Tops; expected: Tops } | null = null;
  try {
    for await (const inputs of options.inputs) {
      runs++;
      const expected = withInputs(await source.run(inputs), graph, inputs);
      const actual = await tested.run(inputs);
      const outputs = await fused.run(inputs);
      const note = (
        key: string,
        top: LayerTop,
        index: number,
        mode: LayerDifference['mode'],
        ours: Tensor,
      ) => {
        const theirs = expected.get(top.name);
        if (theirs === undefined) return missing.add(top.name);
        const deviation = apartBy(ours, theirs, toleranceOf(index));
        const { layer, type } = top;
        if (!(deviation.relative <= (rows.get(key)?.relative ?? -1)))
          rows.set(key, {
            name: mode === 'fused' ? top.blob : top.name,
            layer,
            type,
            shape: ours.shape,
            mode,
            ...deviation,
          });
        if (deviation.ok || mode === 'fused' || index >= earliest) return;
        earliest = index;
        diverged = { actual, expected };
      };
      for (const [i, top] of tops.entries()) note(top.name, top, i, 'layer by layer', actual.get(top.name)!);
      for (const id of graph.outputs) {
        const index = tops.findIndex(({ value }) => value === id);
        const top = tops[index];
        if (top !== undefined) note(`${top.name}, fused`, top, index, 'fused', outputs[top.blob]!);
      }
    }
    if (rows.size === 0)
      throw new ResnodeError(
        'parity/nothing',
        `${source.by} has no top of any layer of this net (as "${tops[0]?.name ?? ''}"); was it made with another prototxt?`,
      );
    const order = tops.flatMap(({ name }) => rows.get(name) ?? []);
    const layers = [...order, ...[...rows.values()].filter(({ mode }) => mode === 'fused')];
    const first = layers.find(({ ok }) => !ok) ?? null;
    return {
      device: device.name,
      against: source.by,
      runs,
      ok: first === null,
      layers,
      firstDivergence:
        first === null
          ? null
          : {
              ...first,
              cause:
                diverged === null
                  ? FUSED
                  : await findCause({
                      device,
                      net,
                      weights,
                      graph,
                      tops,
                      index: earliest,
                      ...(diverged as Both),
                    }),
            },
      notCompared: [...missing],
    };
  } finally {
    tested.dispose();
    fused.dispose();
  }
}

type Both = { readonly actual: Tops; readonly expected: Tops };

const FUSED: Cause = {
  name: 'fused',
  layer: null,
  text: 'layer by layer every top agrees: the difference comes from fusing layers',
};

/** The other side's tops, and the inputs as `blob@layer`, so that the bottoms of the first layers are known too. */
function withInputs(tops: Tops, graph: Graph, inputs: Readonly<Record<string, Tensor>>): Tops {
  const all = new Map(tops);
  for (const id of graph.inputs) {
    const { blob, layer } = graph.values[id]!;
    all.set(`${blob}@${layer}`, inputs[blob]!);
  }
  return all;
}
