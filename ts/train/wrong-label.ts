/** Finds the sample of a label for which there is no class, after a device reported such a label. */

import { DataError, DeviceError } from '../base/errors.ts';
import { elementCount } from '../base/shape.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
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
