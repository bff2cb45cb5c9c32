/** Weights by path: .caffemodel, or its HDF5 form. */
import { WeightsError } from '../errors.ts';
import { readCaffemodel, type WeightsFile } from './caffemodel.ts';
import { isHdf5 } from './hdf5-file.ts';
import { readHdf5Weights } from './hdf5-weights.ts';

/**
 * Reads a weights file; what it is, is seen from its first bytes.
 * @param map Maps a file read-only, or reads it; blobs of a .caffemodel are views into it.
 * @throws WeightsError
 */
export async function readWeights(
  path: string,
  map: (path: string) => Uint8Array | Promise<Uint8Array>,
): Promise<WeightsFile> {
  let bytes: Uint8Array;
  try {
    bytes = await map(path);
  } catch (error) {
    throw new WeightsError(
      'weights/not-found',
      { file: path },
      'cannot be read; give the path of a .caffemodel or .caffemodel.h5',
      { cause: error },
    );
  }
  return isHdf5(bytes) ? readHdf5Weights(path) : readCaffemodel(bytes, { file: path });
}
