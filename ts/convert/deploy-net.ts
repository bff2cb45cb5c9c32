/** Makes a deploy net, which maps an image to probabilities, from a net for training and testing (train_val). */

import { GraphError } from '../base/errors.ts';
import { shapes } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import type { Shapes } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import {
  droppedLayers,
  filterNet,
  type LayerParameter,
  type NetParameter,
  netParameter,
} from '../caffe/net-parameter.ts';
import { readInputShapes } from '../data/read-shapes.ts';
import {
  checkInputNames,
  declaredShapes,
  inputNames,
  shapeCure,
  shapeGiven,
  textShapes,
} from '../layers/data.ts';
import { isLossType } from '../layers/index.ts';
import { refuseForeignLayers } from '../layers/known-layers.ts';
import { isSink } from '../layers/sinks.ts';

export interface DeployOptions {
  /** Shapes of inputs by blob name, if neither the net nor its data determines them. The batch becomes 1. */
  readonly inputShapes?: Shapes;
}

/** The losses that imply probabilities, with the layer that computes those from the scores. */
const PROBABILITIES: Readonly<Record<string, 'Softmax' | 'Sigmoid'>> = {
  SoftmaxWithLoss: 'Softmax',
  SigmoidCrossEntropyLoss: 'Sigmoid',
};

const isLoss = ({ type = '' }: LayerParameter) => isLossType(type);
const isMeasure = ({ type = '' }: LayerParameter) =>
  type === 'Accuracy' || type === 'SegAccuracy' || isSink(type);
const isSource = ({ bottom = [], type }: LayerParameter) => bottom.length === 0 && type !== 'Parameter';

const DEPLOY_NET = signature('deployNet', {
  net: required(netParameter, 'The net.'),
  options: optional(
    options<DeployOptions>({
      inputShapes: optional(shapes, 'as the net or its data says', 'The shapes of inputs, by blob name.'),
    }),
    'none',
    'What the net does not say.',
  ),
});

/**
 * Makes the deploy net of any net. The data layers become one Input layer of batch 1. Losses and accuracies are removed,
 * and so are all layers that served only them (labels, auxiliary heads). The scores of SoftmaxWithLoss get a Softmax
 * called `prob`. Of several losses over the same labels, those with the largest loss_weight count; heads over other labels
 * all stay. Layers keep their names, and so their weights. A deploy net stays as it is, but loses its labels.
 * @param net As read, not filtered.
 * @throws GraphError `graph/no-deploy` with the reason: no layer remains, or a remaining layer needs labels; or
 * `graph/input-shape`. PrototxtError for a fork's field.
 * @example printPrototxt(await deployNet(readNetFile('train_val.prototxt')))
 */
export async function deployNet(net: NetParameter, options: DeployOptions = {}): Promise<NetParameter> {
  DEPLOY_NET.check(net, options);
  const { inputShapes = {} } = options;
  checkInputNames(inputNames(net.layer ?? []), inputShapes);
  const { state: _, ...stateless } = net;
  const filtered = phaseWithInputs(stateless);
  const layers = filtered.layer ?? [];
  const sources = layers.filter(isSource);
  const body = layers.filter((layer) => !isSource(layer) && !isLoss(layer) && !isMeasure(layer));
  const heads = headsOf(filtered, body);
  const needed = [...heads.flatMap(({ bottom = [] }) => bottom), ...outputsOf(layers, body)];
  const kept = reachable(body, needed);
  if (kept.length === 0) throw refuse(net, 'it has only data layers, losses and measures');
  checkKept(kept, sources);
  const read = new Set([...kept, ...heads].flatMap(({ bottom = [] }) => bottom));
  const shapes = await readInputShapes(
    { ...filtered, layer: sources.filter((each) => isRead(each, read)) },
    inputShapes,
  );
  const result = {
    ...(net.name === undefined ? {} : { name: net.name }),
    layer: [...inputLayers(sources, read, shapes), ...kept.map(deployed), ...heads],
  };
  checkMade(result.layer);
  return result;
}

const refuse = (layer: object, text: string, name?: LayerParameter) => {
  const position = positionOf(layer);
  return new GraphError(
    'graph/no-deploy',
    {
      ...(name?.name === undefined ? {} : { layer: name.name, type: name.type ?? '' }),
      ...(position === undefined ? {} : { position }),
    },
    `the net has no deploy form: ${text}`,
  );
};

/** Filters the net for phase TEST if it has inputs there, and for TRAIN otherwise. */
function phaseWithInputs(net: NetParameter): NetParameter {
  const test = filterNet(net, { phase: 'TEST' });
  const hasInputs = (filtered: NetParameter) => (filtered.layer ?? []).some(isSource);
  if (hasInputs(test)) return test;
  const train = filterNet(net, { phase: 'TRAIN' });
  return hasInputs(train) ? train : test;
}

/**
 * The layers that compute probabilities. Some nets have a loss only in TRAIN, and some show their scores only by an
 * Accuracy.
 */
function headsOf(net: NetParameter, body: readonly LayerParameter[]): LayerParameter[] {
  const made = new Set(body.flatMap(({ top = [] }) => top));
  const layers = net.layer ?? [];
  const losses = [...layers, ...(layers.some(isLoss) ? [] : droppedLayers(net))].filter(
    (layer) => Object.hasOwn(PROBABILITIES, layer.type ?? '') && made.has(layer.bottom?.[0] ?? ''),
  );
  const strongest = losses.filter((loss) => {
    const rivals = losses.filter((other) => other.bottom?.[1] === loss.bottom?.[1]).map(weightOf);
    return weightOf(loss) === Math.max(...rivals);
  });
  const accuracy = layers.findLast(({ type, bottom }) => type === 'Accuracy' && made.has(bottom?.[0] ?? ''));
  const scored = strongest.length > 0 ? strongest : accuracy === undefined ? [] : [accuracy];
  const taken = new Set(body.flatMap(({ name = '', top = [] }) => [name, ...top]));
  const free = (name: string): string => (taken.has(name) ? free(`${name}_`) : name);
  const byScores = new Map(scored.map((layer) => [layer.bottom![0]!, layer]));
  return [...byScores.values()].flatMap((layer, i, all) => {
    const scores = layer.bottom![0]!;
    const type = PROBABILITIES[layer.type!] ?? 'Softmax';
    // The net has these probabilities already, or the scores are themselves probabilities.
    const isMade = body.some(
      (each) => each.type === type && (each.bottom?.includes(scores) || each.top?.includes(scores)),
    );
    if (isMade) return [];
    const name = free(i === all.length - 1 ? 'prob' : `prob_${scores}`);
    taken.add(name);
    const { softmax_param } = layer;
    return [
      {
        name,
        type,
        bottom: [scores],
        top: [name],
        ...(softmax_param && type === 'Softmax' ? { softmax_param } : {}),
      },
    ];
  });
}

const weightOf = ({ loss_weight = [1] }: LayerParameter) => loss_weight[0] ?? 1;

/** The net's own outputs: blobs that nothing reads, or only measures and losses without probabilities (predictions). */
function outputsOf(layers: readonly LayerParameter[], body: readonly LayerParameter[]): string[] {
  const readBy = new Map<string, LayerParameter[]>();
  for (const layer of layers)
    for (const blob of layer.bottom ?? []) readBy.set(blob, [...(readBy.get(blob) ?? []), layer]);
  const made = [...new Set(body.flatMap(({ top = [] }) => top))];
  return made.filter((blob) => {
    const readers = (readBy.get(blob) ?? []).filter((layer) => !(layer.top ?? []).includes(blob));
    return (
      readers.length === 0 ||
      (readers.every((layer) => isLoss(layer) || isMeasure(layer)) &&
        readers.some(
          (layer) => isLoss(layer) && !Object.hasOwn(PROBABILITIES, layer.type!) && layer.bottom![0] === blob,
        ))
    );
  });
}

function reachable(layers: readonly LayerParameter[], roots: readonly string[]): LayerParameter[] {
  const needed = new Set(roots);
  const kept: LayerParameter[] = [];
  for (const layer of [...layers].reverse()) {
    if (!(layer.top ?? []).some((top) => needed.has(top))) continue;
    for (const bottom of layer.bottom ?? []) needed.add(bottom);
    kept.unshift(layer);
  }
  return kept;
}

const LABELLED = ['Data', 'ImageData', 'ImageSegData', 'MemoryData', 'WindowData'];

function checkKept(kept: readonly LayerParameter[], sources: readonly LayerParameter[]): void {
  const labels = sources
    .filter(({ type = '' }) => LABELLED.includes(type))
    .flatMap(({ top = [] }) => top.slice(1));
  refuseForeignLayers(kept);
  for (const layer of kept) {
    const label = layer.bottom?.find((blob) => labels.includes(blob));
    if (label !== undefined)
      throw refuse(
        layer,
        `this layer reads the labels "${label}", which do not exist for a new image`,
        layer,
      );
  }
}

const isRead = ({ top = [] }: LayerParameter, read: ReadonlySet<string>) =>
  top.some((blob) => read.has(blob));

/** One Input layer for each source, with the tops that some layer reads. */
function inputLayers(
  sources: readonly LayerParameter[],
  read: ReadonlySet<string>,
  given: Shapes,
): LayerParameter[] {
  const inputs = sources.filter((layer) => isRead(layer, read));
  return inputs.map((layer) => {
    const tops = layer.top ?? [];
    const fail = (text: string) => refuse(layer, `${text}; ${shapeCure(layer)}`, layer);
    const text =
      layer.type === 'Input' && layer.input_param === undefined
        ? null
        : layer.type === 'Input'
          ? declaredShapes(layer, fail)
          : textShapes(layer, given, fail);
    const readTops = tops.flatMap((top, i) => {
      if (!read.has(top)) return [];
      const shape = shapeGiven(given, top) ?? text?.[i];
      if (shape === undefined) throw fail(`the shape of "${top}" is unknown`);
      return [{ top, dim: layer.type === 'Input' ? [...shape] : [1, ...shape.slice(1)] }];
    });
    return {
      name: layer.name ?? 'data',
      type: 'Input',
      top: readTops.map(({ top }) => top),
      input_param: { shape: readTops.map(({ dim }) => ({ dim })) },
    };
  });
}

/** Removes the fields that only training reads. */
function deployed(layer: LayerParameter): LayerParameter {
  const { include: _, exclude: __, loss_weight: ___, propagate_down: ____, phase: _____, ...rest } = layer;
  return rest;
}

function checkMade(layers: readonly LayerParameter[]): void {
  const made = new Set<string>();
  for (const layer of layers) {
    const missing = layer.bottom?.find((blob) => !made.has(blob));
    if (missing !== undefined)
      throw refuse(layer, `this layer reads "${missing}", which no remaining layer produces`, layer);
    for (const top of layer.top ?? []) made.add(top);
  }
}
