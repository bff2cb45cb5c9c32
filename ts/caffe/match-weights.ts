/**
 * Assigns the blobs of a weights file to the parameters of a net, as Caffe's Net::CopyTrainedLayersFrom does, except that a
 * layer without weights is an error. Caffe leaves such a layer at its filler and continues.
 */

import { WeightsError } from '../base/errors.ts';
import { boolean } from '../base/kinds.ts';
import { optional, options } from '../base/options.ts';
import type { Blob } from './blob.ts';
import type { WeightsFile, WeightsLayer } from './caffemodel.ts';
import { splitNvidiaBlobs } from './nvidia-batch-norm.ts';
import { isReshaped, mismatchOf, missingWeights, type WeightsUse } from './weights-mismatch.ts';

export interface LayerReport {
  readonly layer: string;
  /** matched; ignored (the net has no such layer); missing (the file has no such layer); reshaped (other dimensions). */
  readonly status: 'matched' | 'ignored' | 'missing' | 'reshaped';
  readonly detail: string;
}

/** A parameter of a net, with its own layer and the layers that share it by `param { name }`. */
export interface MatchedParameter {
  readonly layer: string;
  readonly index: number;
  readonly shape: readonly number[];
  /** Whether its layer does not read it, so that any shape fits. */
  readonly unread?: true;
  readonly places?: readonly { readonly layer: string; readonly index: number }[];
}

export interface MatchOptions {
  /** Also refuse weights without a layer. Default false. */
  readonly strict?: boolean;
  /**
   * Layers without weights in the file keep their fillers. The report and a warning name them. Default false: they are an
   * error.
   */
  readonly partialWeights?: boolean;
  /**
   * Accept blobs of other dimensions with the same values in the same order: those of an InnerProduct for a 1×1 Convolution
   * and the reverse. Default false.
   */
  readonly reshapeWeights?: boolean;
}

/** The options of matchWeights. */
export const matchOptions = options<MatchOptions>({
  strict: optional(boolean, 'false', 'Makes it an error if the file has weights that no layer takes.'),
  partialWeights: optional(
    boolean,
    'false',
    'Lets layers that have no weights in the file keep the values of their fillers.',
  ),
  reshapeWeights: optional(
    boolean,
    'false',
    'Lets a Convolution take the weights of an InnerProduct with as many values, and the reverse.',
  ),
});

/** The assignment of a file's blobs. */
export interface Match {
  /** One for each parameter; null: its filler. */
  readonly blobs: (Blob | null)[];
  /** One for each layer with parameters, of the net or the file. */
  readonly report: LayerReport[];
}

/**
 * Matches by layer name. Weights of layers that the net lacks are ignored. Of layers with the same name in the file the last
 * counts. Number and shapes of blobs must match exactly (legacy 4-D shapes are padded with 1 on the left).
 * @param parameters The net's parameters; `layer` owns blob `index`.
 * @param use In a training, blobs that the file lacks start from their fillers; when weights are set, they stay unchanged.
 * An error is raised only if nothing matches and `partialWeights` is false. Default `run`.
 * @throws WeightsError `weights/missing` (or `weights/none-matched`), `weights/shape-mismatch`, `weights/blob-count`,
 * `weights/names-twice`, `weights/strict`, each with its cause and cure
 */
export function matchWeights(
  parameters: readonly MatchedParameter[],
  weights: WeightsFile,
  { strict = false, partialWeights = false, reshapeWeights = false }: MatchOptions = {},
  use: WeightsUse = 'run',
): Match {
  const isTraining = use === 'train';
  const mayLack = isTraining || use === 'set';
  const { file } = weights;
  refuseNamesTwice(parameters, file);
  const shapes = shapesByLayer(parameters);
  const { layers } = splitNvidiaBlobs(weights, (name) => shapes.has(name));
  const sources = lastOfEach(layers);
  for (const { layer, index, unread } of parameters) {
    const found = unread && sources.get(layer)?.blobs[index];
    if (found) shapes.get(layer)![index] = found.shape;
  }
  const mismatch = mismatchOf(sources, shapes, { isTraining, reshapeWeights });
  if (mismatch !== null) {
    const { code, layer, message } = mismatch;
    throw new WeightsError(code, { file: sources.get(layer)!.file ?? file, layer }, message);
  }
  const blobs = parameters.map((parameter) => blobFor(parameter, sources));
  const report = reportOf(parameters, blobs, sources, shapes);
  const missing = report.filter(({ status }) => status === 'missing').map(({ layer }) => layer);
  const isNone = missing.length === shapes.size;
  if (missing.length > 0 && !partialWeights && (!mayLack || isNone))
    throw new WeightsError(
      mayLack ? 'weights/none-matched' : 'weights/missing',
      { file, layer: missing[0]! },
      missingWeights(missing, shapes, weights, use),
    );
  const bad = report.find(({ status }) => strict && (status === 'ignored' || status === 'missing'));
  if (bad !== undefined)
    throw new WeightsError(
      'weights/strict',
      { file, layer: bad.layer },
      `layer "${bad.layer}" is ${bad.status}: ${bad.detail}`,
    );
  return { blobs, report };
}

/** The report of a net without a file: all layers at their fillers. */
export function noWeights(parameters: readonly MatchedParameter[]): Match {
  const layers = [...shapesByLayer(parameters).keys()];
  const detail = 'no weights were given; keeps the values of its fillers';
  return {
    blobs: parameters.map(() => null),
    report: layers.map((layer) => ({ layer, status: 'missing', detail })),
  };
}

/** `20 of 23 layers have weights from the file; at their fillers: fc; unused in the file: fc1000, loss`. */
export function matchText(report: readonly LayerReport[]): string {
  const named = (...wanted: LayerReport['status'][]) =>
    report.filter(({ status }) => wanted.includes(status)).map(({ layer }) => layer);
  const [taken, filled, unused] = [named('matched', 'reshaped'), named('missing'), named('ignored')];
  return [
    `${taken.length} of ${taken.length + filled.length} layers have weights from the file`,
    ...(filled.length > 0 ? [`with the values of their fillers: ${filled.join(', ')}`] : []),
    ...(unused.length > 0 ? [`unused in the file: ${unused.join(', ')}`] : []),
  ].join('; ');
}

/**
 * Refuses a net whose weights no file can store.
 * @throws WeightsError `weights/names-twice`
 */
export function refuseNamesTwice(parameters: readonly MatchedParameter[], file: string): void {
  const [name] = namesTwice(parameters);
  if (name === undefined) return;
  throw new WeightsError(
    'weights/names-twice',
    { ...(file === '' ? {} : { file }), layer: name },
    `the net has several layers with parameters of the name "${name}", and files store one set of weights per name; give each layer its own name`,
  );
}

/** Layer → the shapes of its blobs, including shared ones. */
function shapesByLayer(parameters: readonly MatchedParameter[]): Map<string, (readonly number[])[]> {
  const shapes = new Map<string, (readonly number[])[]>();
  for (const { layer, index, shape, places = [{ layer, index }] } of parameters)
    for (const place of places) {
      if (!shapes.has(place.layer)) shapes.set(place.layer, []);
      shapes.get(place.layer)![place.index] = shape;
    }
  return shapes;
}

/** In the order of the file. Of layers with one name, the last counts. */
function lastOfEach(layers: readonly WeightsLayer[]): Map<string, WeightsLayer> {
  const sources = new Map<string, WeightsLayer>();
  for (const layer of layers) {
    sources.delete(layer.name);
    sources.set(layer.name, layer);
  }
  return sources;
}

// Several layers may share a blob. Caffe copies each layer's values into the same memory, so the last in the file count.
function blobFor(
  { layer, index, unread, places = [{ layer, index }] }: MatchedParameter,
  sources: ReadonlyMap<string, WeightsLayer>,
): Blob | null {
  if (unread) return null;
  if (places.length === 1) return sources.get(layer)?.blobs[index] ?? null;
  const order = [...sources.keys()];
  const last = Math.max(...places.map((place) => order.indexOf(place.layer)));
  const place = places.find((each) => each.layer === order[last]);
  return place === undefined ? null : sources.get(place.layer)!.blobs[place.index]!;
}

function reportOf(
  parameters: readonly MatchedParameter[],
  blobs: readonly (Blob | null)[],
  sources: ReadonlyMap<string, WeightsLayer>,
  shapes: ReadonlyMap<string, readonly (readonly number[])[]>,
): LayerReport[] {
  const empty = new Set<string>();
  const reshaped = new Map<string, string>();
  parameters.forEach(({ layer, index, shape, unread, places = [{ layer, index }] }, i) => {
    if (unread) return;
    const blob = blobs[i]!;
    for (const place of places)
      if (blob === null) empty.add(place.layer);
      else if (isReshaped(blob.shape, shape)) reshaped.set(place.layer, 'its values in other dimensions');
      else if (blob.shape.length !== shape.length) reshaped.set(place.layer, 'legacy dimensions');
  });
  const unused = [...sources.values()].filter(({ name, blobs: own }) => own.length > 0 && !shapes.has(name));
  return [
    ...unused.map(
      ({ name }): LayerReport => ({
        layer: name,
        status: 'ignored',
        detail: 'the net has no layer of this name with parameters',
      }),
    ),
    ...[...shapes.keys()].map((layer): LayerReport => {
      if (empty.has(layer))
        return { layer, status: 'missing', detail: 'not in the file; keeps the values of its fillers' };
      const detail = reshaped.get(layer);
      return { layer, status: detail === undefined ? 'matched' : 'reshaped', detail: detail ?? '' };
    }),
  ];
}

/** Names that several layers with their own parameters have. Blobs shared by `param { name }` are one blob. */
export function namesTwice(parameters: readonly Pick<MatchedParameter, 'layer' | 'index'>[]): string[] {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const { layer, index } of parameters) {
    const key = `${index}/${layer}`;
    if (seen.has(key)) twice.add(layer);
    seen.add(key);
  }
  return [...twice];
}
