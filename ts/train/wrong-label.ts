/** Finds the sample of a label for which there is no class, after a device reported such a label. */

import { DataError, DeviceError } from '../base/errors.ts';
import { elementCount } from '../base/shape.ts';
import { type LayerParameter, type NetParameter, withDefaults } from '../caffe/net-parameter.ts';
import { filledLabel, ignoredLabel, labelMade, wrongLabels } from '../data/label-faults.ts';
import type { Batch, DataSource } from '../data/source.ts';

/**
 * @param error The error of a pass over a batch.
 * @param net The net after filtering.
 * @returns For a device's `label/invalid`, a DataError that names the sample and the cure; otherwise `error`.
 */
export async function explainLabel(
  error: unknown,
  net: NetParameter,
  source: Pick<DataSource, 'nameOf' | 'shapes'>,
  batch: Batch,
): Promise<unknown> {
  if (!(error instanceof DeviceError && error.code === 'label/invalid')) return error;
  // The messages of both devices contain the layer and the largest class.
  const [, layer, largest] = /^layer "(.*)": .* from 0 to (\d+)$/.exec(error.message) ?? [];
  const { layer: layers = [] } = net;
  const loss = layers.find(({ name }) => name === layer);
  if (loss?.type === 'MultiBoxLoss')
    return (await wrongBox(error, { layers, loss, largest: Number(largest) }, source, batch)) ?? error;
  const blob = loss?.bottom?.[1] === undefined ? undefined : labelMade(layers, loss.bottom[1]);
  const labels = blob === undefined ? undefined : batch[blob];
  const maker = layers.find(({ top }) => top?.includes(blob ?? ''));
  if (labels === undefined || largest === undefined) return error;
  const classes = Number(largest) + 1;
  const ignored = ignoredLabel(loss);
  const place = Array.from(labels).findIndex(
    (label) => label !== ignored && !(label >= 0 && label < classes && Number.isInteger(label)),
  );
  if (place < 0) return error;
  // A label map has a label for each pixel.
  const sample = Math.floor(place / elementCount((source.shapes[blob!] ?? []).slice(1)));
  const name = (await source.nameOf?.(batch, sample, labels[place]!)) ?? `sample ${sample} of the batch`;
  const placed = Array.from(new Set(labels), (label) => ({ label, place: name }));
  const cure =
    filledLabel(maker) === labels[place]
      ? ''
      : '; count classes from 0, or give num_output the number of classes';
  return new DataError(
    'label/invalid',
    maker?.name === undefined ? {} : { layer: maker.name },
    `${wrongLabels(placed, classes, ignored, filledLabel(maker))} (layer "${layer}")${cure}`,
    { cause: error },
  );
}

interface BoxLoss {
  readonly layers: readonly LayerParameter[];
  readonly loss: LayerParameter;
  readonly largest: number;
}

/** A row of AnnotatedData: image (−1: no box), class, instance, x1, y1, x2, y2, difficult. */
const ROW = 8;

/**
 * The first true box whose class is the background's or none of the net's; undefined if there is none. The device reports a
 * box of the background by a number that is no class.
 */
async function wrongBox(
  error: DeviceError,
  { layers, loss, largest }: BoxLoss,
  source: Pick<DataSource, 'nameOf'>,
  batch: Batch,
): Promise<DataError | undefined> {
  const blob = labelMade(layers, loss.bottom?.[3] ?? '');
  const rows = batch[blob];
  if (rows === undefined) return undefined;
  const { background_label_id: background } = withDefaults<{ background_label_id: number }>(
    'MultiBoxLossParameter',
    loss.multibox_loss_param,
  );
  for (let at = 0; at + ROW <= rows.length; at += ROW) {
    const [image, label] = [rows[at]!, rows[at + 1]!];
    if (image === -1) continue;
    if (Number.isInteger(label) && label >= 0 && label <= largest && label !== background) continue;
    const name = (await source.nameOf?.(batch, image, label)) ?? `image ${image} of the batch`;
    const maker = layers.find(({ top }) => top?.includes(blob))?.name;
    return new DataError(
      'label/invalid',
      maker === undefined ? {} : { layer: maker },
      `has a box of class ${label} in ${name}, but boxes of layer "${loss.name ?? ''}" have classes from 0 to ${largest} other than the background's, ${background}; number the classes of the label map so, or change num_classes or background_label_id`,
      { cause: error },
    );
  }
  return undefined;
}
