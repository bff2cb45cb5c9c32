/**
 * Caffe's HDF5 weights (Net::ToHDF5, Net::CopyTrainedLayersFromHDF5): /data/<layer>/<blob index>.
 */

import { WeightsError } from '../base/errors.ts';
import { path } from '../base/kinds.ts';
import { required, signature } from '../base/options.ts';
import { yielding } from '../base/yielding.ts';
import { Hdf5Dataset } from '../hdf5/dataset.ts';
import { Hdf5Group } from '../hdf5/file.ts';
import type { Blob } from './blob.ts';
import type { WeightsFile, WeightsLayer } from './caffemodel.ts';
import { blobOfDataset, hdf5Holds, readHdf5 } from './hdf5-file.ts';
import { type Hdf5Entry, writeHdf5 } from './hdf5-writer.ts';
import { type NetWeights, netWeights, refuseLayersTwice } from './write-caffemodel.ts';

/** Slashes in a layer's name make nested groups. */
const MAX_DEPTH = 64;

const READ_HDF5_WEIGHTS = signature('readHdf5Weights', {
  path: required(path, 'The path of a .caffemodel.h5.'),
});

/**
 * Reads all layers of a .caffemodel.h5. Values are copied as float32 or float64.
 * @throws WeightsError naming the file and, if it is damaged, the layer
 */
export async function readHdf5Weights(path: string): Promise<WeightsFile> {
  READ_HDF5_WEIGHTS.check(path);
  return hdf5Weights(path);
}

/**
 * The same, for arguments that are checked.
 * @param bytes The file's content, if it is in memory; `path` then is its name in errors.
 */
export async function hdf5Weights(path: string, bytes?: Uint8Array): Promise<WeightsFile> {
  const read = async (file: Hdf5Group): Promise<WeightsFile> => {
    const root = file.get('data');
    if (!(root instanceof Hdf5Group))
      throw new WeightsError(
        'weights/hdf5',
        { file: path },
        `there is no group /data, expected the HDF5 form of Caffe weights; ${hdf5Holds(file)}`,
      );
    const layers: WeightsLayer[] = [];
    const yieldIfDue = yielding();
    const visit = async (group: Hdf5Group, name: string, above: readonly number[]): Promise<void> => {
      if (above.includes(group.address))
        throw new WeightsError('weights/hdf5', { file: path }, `the group /data/${name} contains itself`);
      if (above.length > MAX_DEPTH)
        throw new WeightsError(
          'weights/hdf5-limit',
          { file: path },
          `its groups are nested deeper than ${MAX_DEPTH}`,
        );
      const blobs: [number, Blob][] = [];
      for (const key of group.names()) {
        const entry = group.get(key);
        await yieldIfDue();
        if (entry instanceof Hdf5Group)
          await visit(entry, name === '' ? key : `${name}/${key}`, [...above, group.address]);
        else if (entry instanceof Hdf5Dataset && /^\d+$/.test(key))
          blobs.push([Number(key), await blobOfDataset(entry, { file: path, layer: name }, `blob ${key}`)]);
      }
      blobs.sort(([a], [b]) => a - b);
      if (blobs.length > 0) layers.push({ name, type: '', blobs: blobs.map(([, blob]) => blob) });
    };
    await visit(root, '', []);
    return { file: path, name: '', layers };
  };
  return readHdf5(path, read, bytes);
}

const WRITE_HDF5_WEIGHTS = signature('writeHdf5Weights', {
  path: required(path, 'The path of the file to write.'),
  weights: required(netWeights, 'The layers with their blobs.'),
});

/**
 * Writes weights in Caffe's HDF5 format as float32, without blocking the event loop. The file is complete or unchanged.
 * @throws WeightsError `weights/write`; `weights/names-twice` if two layers have one name
 */
export async function writeHdf5Weights(path: string, weights: NetWeights): Promise<void> {
  WRITE_HDF5_WEIGHTS.check(path, weights);
  refuseLayersTwice(weights.layers);
  return writeHdf5(path, weightsEntries(weights));
}

function* weightsEntries({ layers }: NetWeights): Generator<Hdf5Entry> {
  yield { group: 'data' };
  for (const { name, blobs } of layers) {
    yield { group: `data/${name}` };
    for (const [i, blob] of blobs.entries()) yield { dataset: `data/${name}/${i}`, blob };
  }
}
