/** Finds labels that are not classes, in the data of data layers, before anything is trained with them. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { ResnodeError } from '../base/errors.ts';
import { type LayerParameter, withDefaults } from '../caffe/net-parameter.ts';
import type { Fault, FaultKind, LearningNet } from '../graph/learning-faults.ts';
import { datumAt, openLmdb } from './lmdb.ts';

/** A label and its position: a line of a list, or a record of a database. */
export interface PlacedLabel {
  readonly label: number;
  readonly place: string;
}

/** The amount of a list or database that is read: enough to see how labels are counted, and read in an instant. */
const LIST_BYTES = 2 ** 22;
export const LABELS_LOOKED_AT = 1000;

/** The value of pixels without a class in label maps. */
const BORDER = 255;

type Text = Omit<FaultKind, 'check'>;
export const labelRange: Text = {
  name: 'label-range',
  level: 'error',
  inTests: true,
  finds: `labels that are not classes of the loss, in an image list or the first ${LABELS_LOOKED_AT} records of an LMDB (if it exists); training also checks LevelDB, HDF5 and label maps`,
  why: 'softmax_loss_layer.cpp reads the probability of class label; above num_output − 1 it reads out of bounds.',
  fix: 'count classes from 0, or give num_output the number of classes',
};

/**
 * @param find Resolves a file that the net names; undefined if it does not exist.
 * @param ahead Labels that were read before, of layers whose formats need asynchronous reading (`labelsAhead`).
 * @returns One fault per data layer, at its source.
 */
export function labelFaults(
  { layers, shapeOf }: Pick<LearningNet, 'layers' | 'shapeOf'>,
  find: (path: string) => string | undefined,
  ahead: ReadonlyMap<LayerParameter, readonly PlacedLabel[]> = new Map(),
): Fault[] {
  return layers.flatMap((loss) => {
    if (loss.type !== 'SoftmaxWithLoss' && loss.type !== 'Accuracy') return [];
    const [scores, label] = loss.bottom ?? [];
    const made = label === undefined ? undefined : labelMade(layers, label);
    const source = layers.find(
      (layer) =>
        layer.top?.[1] === made && (layer.type === 'ImageData' || layer.type === 'Data' || ahead.has(layer)),
    );
    const axis =
      ((loss.type === 'Accuracy' ? loss.accuracy_param : loss.softmax_param)?.axis as number | undefined) ??
      1;
    const classes = shapeOf(scores ?? '')?.at(axis) ?? writtenClasses(layers, scores);
    if (source === undefined || classes === undefined) return [];
    const message = wrongLabels(
      ahead.get(source) ?? labelsOf(source, find),
      classes,
      ignoredLabel(loss),
      filledLabel(source),
    );
    return message === null ? [] : [{ layer: source, message: `${message} (layer "${loss.name ?? ''}")` }];
  });
}

/** The label that a loss or an Accuracy ignores. */
export const ignoredLabel = (layer: LayerParameter | undefined): number | undefined =>
  (layer?.type === 'Accuracy' ? layer.accuracy_param : layer?.loss_param)?.ignore_label as number | undefined;

/** The value with which ImageSegData fills a label map if the crop is larger. */
export const filledLabel = (layer: LayerParameter | undefined): number | undefined =>
  layer?.type === 'ImageSegData'
    ? withDefaults<{ ignore_label: number }>('ImageDataParameter', layer.image_data_param).ignore_label
    : undefined;

/** Layers that only crop labels, or reduce them to those of every n-th pixel. */
const KEEPS_LABELS = ['Crop', 'Flatten', 'Interp', 'Reshape', 'Slice'];

/** The blob of the data layer from which a label was derived. */
export function labelMade(layers: readonly LayerParameter[], label: string): string {
  const maker = layers.find(({ top = [] }) => top.includes(label));
  const [from] = maker?.bottom ?? [];
  return from !== undefined && from !== label && KEEPS_LABELS.includes(maker!.type ?? '')
    ? labelMade(layers, from)
    : label;
}

// Images of any size have no shape before they are read, but the layer that computes the scores gives the number of classes.
function writtenClasses(layers: readonly LayerParameter[], scores: string | undefined): number | undefined {
  const maker = layers.find(({ top = [] }) => top.includes(scores ?? ''));
  return (maker?.inner_product_param?.num_output ?? maker?.convolution_param?.num_output) as
    | number
    | undefined;
}

/**
 * The fault of labels for a given number of classes; null if there is none.
 * @param ignored The label that the loss ignores.
 * @param filled The label with which the data layer fills crops larger than the map.
 */
export function wrongLabels(
  labels: Iterable<PlacedLabel>,
  classes: number,
  ignored: number | undefined,
  filled?: number,
): string | null {
  let first: PlacedLabel | null = null;
  let [smallest, largest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const each of labels) {
    if (each.label === ignored) continue;
    smallest = Math.min(smallest, each.label);
    largest = Math.max(largest, each.label);
    if (!(each.label >= 0 && each.label < classes && Number.isInteger(each.label))) first ??= each;
  }
  if (first === null) return null;
  const found = `has the label ${first.label} at ${first.place}, but the classes of ${classes} scores are 0 to ${classes - 1}`;
  if (first.label === filled && (filled !== BORDER || ignored !== undefined))
    return `${found}; the data layer's ignore_label is ${filled}, with which it fills the part of a crop outside the image, but the loss ${ignored === undefined ? 'has no ignore_label' : `has ignore_label: ${ignored}`}: give the loss ignore_label: ${filled}`;
  if (smallest === 1 && largest === classes)
    return `${found}; yours seem to begin at 1: subtract 1 from each`;
  if (largest === BORDER && first.label === BORDER)
    return `${found}; if it marks pixels without a class, such as borders in PASCAL VOC's maps, give the loss ignore_label: ${BORDER}`;
  if (smallest >= 0)
    return `${found}; the largest label is ${largest}: num_output would have to be ${largest + 1}`;
  return found;
}

function* labelsOf(layer: LayerParameter, find: (path: string) => string | undefined): Iterable<PlacedLabel> {
  if (layer.type === 'ImageData') {
    const { source = '' } = withDefaults<{ source?: string }>('ImageDataParameter', layer.image_data_param);
    const file = find(source);
    if (file !== undefined) yield* listedLabels(source, file);
    return;
  }
  const source = (layer.data_param?.source as string | undefined) ?? '';
  const folder = find(source);
  if (folder !== undefined && existsSync(join(folder, 'data.mdb'))) yield* recordedLabels(source, folder);
}

function* listedLabels(source: string, file: string): Iterable<PlacedLabel> {
  const bytes = Buffer.alloc(LIST_BYTES);
  const opened = openSync(file, 'r');
  const length = readSync(opened, bytes, 0, LIST_BYTES, 0);
  closeSync(opened);
  const lines = bytes.subarray(0, length).toString('utf8').split('\n');
  // The last line may be incomplete.
  if (length === LIST_BYTES) lines.pop();
  for (const [i, line] of lines.entries()) {
    const label = /[ \t](-?\d{1,10})\s*$/.exec(line)?.[1];
    if (label !== undefined) yield { label: Number(label), place: `${source}:${i + 1}` };
  }
}

function* recordedLabels(source: string, folder: string): Iterable<PlacedLabel> {
  let database: ReturnType<typeof openLmdb> | null = null;
  try {
    database = openLmdb(folder);
    for (let i = 0; i < Math.min(LABELS_LOOKED_AT, database.count); i++) {
      const { key, datum } = datumAt(database, i);
      yield { label: datum.label ?? 0, place: `record "${key}" of ${source}` };
    }
  } catch (error) {
    // Faults of the database itself are reported when it is opened for reading.
    if (!(error instanceof ResnodeError)) throw error;
  } finally {
    database?.close();
  }
}
