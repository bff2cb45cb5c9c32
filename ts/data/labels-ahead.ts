/**
 * Reads the labels of data layers whose formats need asynchronous reading before a training begins: LevelDB, HDF5 and label
 * maps.
 */

import { ResnodeError } from '../base/errors.ts';
import { elementCount } from '../base/shape.ts';
import { type LayerParameter, withDefaults } from '../caffe/net-parameter.ts';
import { datumOf } from './database.ts';
import { hdf5Reader, readHdf5List } from './hdf5-reader.ts';
import { LABELS_LOOKED_AT, type PlacedLabel } from './label-faults.ts';
import { firstPixels, readLabelMap } from './label-map.ts';
import { refuserOf } from './layer-context.ts';
import { isLevelDb, LevelDb } from './leveldb/leveldb.ts';
import { segmentationSpecOf } from './segmentation-param.ts';

type Find = (path: string) => string | undefined;

/**
 * The first labels of each layer that has labels. Faults of the files themselves are reported when they are opened.
 * @param find Resolves a file that the net names; undefined if it does not exist.
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
  if (layer.type === 'ImageSegData') return mapLabels(layer, find);
  if (layer.type !== 'HDF5Data') return null;
  const { source = '' } = withDefaults<{ source?: string }>('HDF5DataParameter', layer.hdf5_data_param);
  const list = find(source);
  const [name] = list === undefined ? [] : await readHdf5List(list, layer.name ?? '');
  const file = name === undefined ? undefined : find(name);
  return file === undefined ? null : rowLabels(name!, file, label);
}

/** The number of label maps that are decoded before a training, which takes a few tenths of a second. */
const MAPS_LOOKED_AT = 20;

async function mapLabels(layer: LayerParameter, find: Find): Promise<PlacedLabel[] | null> {
  const { name = '', type = '', top: tops = [] } = layer;
  const path = (file: string) => find(file) ?? file;
  const refuse = refuserOf(layer);
  const options = { phase: 'TEST' } as const;
  const { lines, root, reader } = await segmentationSpecOf(layer, {
    name,
    type,
    tops,
    options,
    path,
    refuse,
  });
  if (reader.labels !== 'PIXEL') return null;
  const found: PlacedLabel[] = [];
  for (const { map, line } of lines.slice(0, MAPS_LOOKED_AT)) {
    const file = path(root + map!);
    for (const { label, pixel } of firstPixels(await readLabelMap(file)))
      found.push({ label, place: `${pixel} of ${reader.list}:${line} (${map})` });
  }
  return found;
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
