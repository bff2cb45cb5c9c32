/** A label that no class has, found by a device: which sample it is of. */

import { DataError, DeviceError } from '../base/errors.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { wrongLabels } from '../data/label-faults.ts';
import type { Batch, DataSource } from '../data/source.ts';

/**
 * @param error Of a pass over a batch.
 * @param net Filtered.
 * @returns For a device's `label/invalid` a DataError that names the sample and the cure; any other error as it is.
 */
export async function explainLabel(
  error: unknown,
  net: NetParameter,
  source: Pick<DataSource, 'nameOf'>,
  batch: Batch,
): Promise<unknown> {
  if (!(error instanceof DeviceError && error.code === 'label/invalid')) return error;
  // Both devices say the layer and the largest class.
  const [, layer, largest] = /^layer "(.*)": .* from 0 to (\d+)$/.exec(error.message) ?? [];
  const blob = net.layer?.find(({ name }) => name === layer)?.bottom?.[1];
  const labels = blob === undefined ? undefined : batch[blob];
  const maker = net.layer?.find(({ top }) => top?.includes(blob ?? ''))?.name;
  if (labels === undefined || largest === undefined) return error;
  const classes = Number(largest) + 1;
  const place = Array.from(labels).findIndex(
    (label) => !(label >= 0 && label < classes && Number.isInteger(label)),
  );
  if (place < 0) return error;
  const name = (await source.nameOf?.(batch, place)) ?? `sample ${place} of the batch`;
  const placed = Array.from(labels, (label, i) => ({ label, place: i === place ? name : `sample ${i}` }));
  return new DataError(
    'label/invalid',
    maker === undefined ? {} : { layer: maker },
    `${wrongLabels(placed, classes, undefined)} (layer "${layer}"); count classes from 0, or give num_output the number of classes`,
    { cause: error },
  );
}
