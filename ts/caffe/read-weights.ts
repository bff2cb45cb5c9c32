/** Weights by path: .caffemodel, or its HDF5 form. */
import { WeightsError } from '../base/errors.ts';
import { readCause } from '../base/files.ts';
import { readCaffemodel, type WeightsFile } from './caffemodel.ts';
import { fileKind } from './file-kind.ts';
import { wrongKind, wrongKindAt } from './wrong-kind.ts';

/** What bytes without a path are called in errors. */
const BYTES = '<weights>';

/**
 * Reads a weights file, whose format is detected from its first bytes.
 * @param source A path, or the file's bytes.
 * @param map Maps a file read-only, or reads it. The blobs of a .caffemodel are views into it.
 * @throws WeightsError
 */
export async function readWeights(
  source: string | Uint8Array,
  map: (path: string) => Uint8Array | Promise<Uint8Array>,
): Promise<WeightsFile> {
  if (typeof source !== 'string') {
    refuseOthers(source, BYTES);
    return fileKind(source) === 'hdf5' ? readHdf5(BYTES, source) : readCaffemodel(source, { file: BYTES });
  }
  let bytes: Uint8Array;
  try {
    bytes = await map(source);
  } catch (error) {
    if (error instanceof WeightsError) throw error;
    const wrong = wrongKindAt(source, 'weights');
    if (wrong !== null) throw new WeightsError('weights/wrong-kind', { file: source }, wrong);
    throw new WeightsError(
      'weights/not-found',
      { file: source },
      `${readCause(error as NodeJS.ErrnoException)}; give the path of a .caffemodel or .caffemodel.h5`,
      { cause: error },
    );
  }
  refuseOthers(bytes, source);
  return fileKind(bytes) === 'hdf5' ? readHdf5(source) : readCaffemodel(bytes, { file: source });
}

function refuseOthers(bytes: Uint8Array, file: string): void {
  const wrong = wrongKind(bytes, 'weights');
  if (wrong !== null) throw new WeightsError('weights/wrong-kind', { file }, wrong);
}

/** The HDF5 reader is loaded only when it is needed. */
async function readHdf5(path: string, bytes?: Uint8Array): Promise<WeightsFile> {
  const { hdf5Weights } = await import('./hdf5-weights.ts');
  return hdf5Weights(path, bytes);
}
