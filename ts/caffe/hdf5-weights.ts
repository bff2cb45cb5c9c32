/**
 * Caffe's HDF5 weights (Net::ToHDF5, Net::CopyTrainedLayersFromHDF5): /data/<layer>/<blob index>.
 */
import type { Dataset, Group } from 'h5wasm/node';
import { WeightsError } from '../errors.ts';
import type { Blob } from './blob.ts';
import type { WeightsFile, WeightsLayer } from './caffemodel.ts';
import { blobOfDataset, readHdf5, writeBlob, writeHdf5 } from './hdf5-file.ts';
import type { NetWeights } from './write-caffemodel.ts';

/**
 * Reads all layers of a .caffemodel.h5; values are copied, float32 or float64.
 * @throws WeightsError naming the file, and where it is damaged the layer
 */
export function readHdf5Weights(path: string): Promise<WeightsFile> {
  return readHdf5(path, (file, h5wasm) => {
    const root = file.get('data');
    if (!(root instanceof h5wasm.Group))
      throw new WeightsError(
        'weights/hdf5',
        { file: path },
        'there is no group /data; expected the HDF5 form of Caffe weights',
      );
    const layers: WeightsLayer[] = [];
    const visit = (group: Group, name: string): void => {
      const blobs: [number, Blob][] = [];
      for (const key of group.keys()) {
        const entry = group.get(key);
        if (entry instanceof h5wasm.Group) visit(entry, name === '' ? key : `${name}/${key}`);
        else if (/^\d+$/.test(key))
          blobs.push([
            Number(key),
            blobOfDataset(entry as Dataset, { file: path, layer: name }, `blob ${key}`),
          ]);
      }
      blobs.sort(([a], [b]) => a - b);
      if (blobs.length > 0) layers.push({ name, type: '', blobs: blobs.map(([, blob]) => blob) });
    };
    visit(root, '');
    return { file: path, name: '', layers };
  });
}

// HDF5 takes a slash in a layer's name for a path.
function groupAt(root: Group, path: string, isGroup: typeof Group): Group {
  return path.split('/').reduce((group, part) => {
    const found = group.keys().includes(part) ? group.get(part) : null;
    return found instanceof isGroup ? found : group.create_group(part);
  }, root);
}

/**
 * Writes weights in Caffe's HDF5 form, float32, whole or not at all.
 * @throws WeightsError, or the file system's error
 */
export async function writeHdf5Weights(path: string, weights: NetWeights): Promise<void> {
  await writeHdf5(path, async (file, h5wasm) => {
    const root = file.create_group('data');
    for (const { name, blobs } of weights.layers) {
      const group = groupAt(root, name, h5wasm.Group);
      for (const [i, blob] of blobs.entries()) await writeBlob(group, i, blob);
    }
  });
}
