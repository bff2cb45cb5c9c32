/** Labels of data layers whose formats are read in turns, looked at before a training begins: LevelDB and HDF5. */

import { ResnodeError } from '../base/errors.ts';
import { elementCount } from '../base/shape.ts';
import { type LayerParameter, withDefaults } from '../caffe/net-parameter.ts';
import { datumOf } from './database.ts';
import { hdf5Reader, readHdf5List } from './hdf5-reader.ts';
import { LABELS_LOOKED_AT, type PlacedLabel } from './label-faults.ts';
import { isLevelDb, LevelDb } from './leveldb/leveldb.ts';

type Find = (path: string) => string | undefined;

/**
 * The first labels of each layer that has some; what is wrong with the files themselves is said where they are opened.
 * @param find Where a file that the net names lies; undefined: it is not there.
 */
export async function labelsAhead(
  layers: readonly LayerParameter[],
  find: Find,
): Promise<Map<LayerParameter, readonly PlacedLabel[]>> {
  const found = new Map<LayerParameter, readonly PlacedLabel[]>();
  for (const layer of layers) {
    try {
      const labels = await labelsOf(layer, find);
      if (labels !== null) found.set(layer, labels);
    } catch (error) {
      if (!(error instanceof ResnodeError)) throw error;
    }
  }
  return found;
}

async function labelsOf(layer: LayerParameter, find: Find): Promise<PlacedLabel[] | null> {
  const label = layer.top?.[1];
  if (label === undefined) return null;
  if (layer.type === 'Data') {
    const source = String(layer.data_param?.source ?? '');
    const folder = find(source);
    return folder !== undefined && (await isLevelDb(folder)) ? recordedLabels(source, folder) : null;
  }
  if (layer.type !== 'HDF5Data') return null;
  const { source = '' } = withDefaults<{ source?: string }>('HDF5DataParameter', layer.hdf5_data_param);
  const list = find(source);
  const [name] = list === undefined ? [] : await readHdf5List(list, layer.name ?? '');
  const file = name === undefined ? undefined : find(name);
  return file === undefined ? null : rowLabels(name!, file, label);
}

async function recordedLabels(source: string, folder: string): Promise<PlacedLabel[]> {
  const database = await LevelDb.open(folder);
  try {
    return Array.from({ length: Math.min(LABELS_LOOKED_AT, database.count) }, (_, i) => {
      const { key, datum } = datumOf(database.at(i), folder);
      return { label: datum.label ?? 0, place: `record "${key}" of ${source}` };
    });
  } finally {
    database.close();
  }
}

async function rowLabels(name: string, file: string, top: string): Promise<PlacedLabel[] | null> {
  const reader = hdf5Reader({ kind: 'hdf5', files: [file], tops: [top] });
  const { shapes, rows } = await reader.describe({ index: 0, seed: 0 });
  const size = elementCount(shapes[top]!);
  const count = Math.min(LABELS_LOOKED_AT, rows![0]!);
  if (size * count > 2 ** 24) return null;
  const values = new Float32Array(size * count);
  const samples = Array.from({ length: count }, (_, index) => ({ index, seed: 0 }));
  await reader.read(samples, shapes, { [top]: values }, () => false);
  return Array.from(values, (label, i) => ({ label, place: `row ${Math.floor(i / size)} of ${name}` }));
}
