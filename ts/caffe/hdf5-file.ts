/** Weights in HDF5 files. All problems of a file become a WeightsError. */
import { WeightsError } from '../base/errors.ts';
import type { Hdf5Dataset } from '../hdf5/dataset.ts';
import { Hdf5File, type Hdf5Group } from '../hdf5/file.ts';
import { Hdf5Problem } from '../hdf5/source.ts';
import type { Blob } from './blob.ts';
import { wrongKindAt } from './wrong-kind.ts';

/**
 * Opens a file while `read` runs.
 * @param path Its path; with `bytes`, its name in errors.
 * @param bytes Its content, if it is in memory.
 * @throws WeightsError `weights/not-found` if it cannot be read, `weights/hdf5` if it is not HDF5 or is damaged,
 * `weights/hdf5-external` if values are in other files, `weights/hdf5-unsupported`, `weights/hdf5-limit`; the errors of
 * `read`
 */
export async function readHdf5<T>(
  path: string,
  read: (root: Hdf5Group) => T | Promise<T>,
  bytes?: Uint8Array,
): Promise<T> {
  let file: Hdf5File | null = null;
  try {
    file = await Hdf5File.open(bytes ?? path);
    return await read(file.root);
  } catch (error) {
    const wrong = bytes !== undefined || error instanceof WeightsError ? null : wrongKindAt(path, 'hdf5');
    if (wrong !== null) throw new WeightsError('weights/wrong-kind', { file: path }, wrong);
    if (error instanceof Hdf5Problem) throw weightsError(error, path);
    if (file === null)
      throw new WeightsError('weights/not-found', { file: path }, 'cannot be read', { cause: error });
    throw error;
  } finally {
    await file?.close();
  }
}

function weightsError(problem: Hdf5Problem, file: string): WeightsError {
  const { kind, message } = problem;
  return kind === 'damaged'
    ? new WeightsError('weights/hdf5', { file }, `the HDF5 data is damaged (${message})`, { cause: problem })
    : new WeightsError(`weights/hdf5-${kind}`, { file }, message, { cause: problem });
}

/** The content of an HDF5 file of another kind, by the names in its root. */
export function hdf5Holds(root: Hdf5Group): string {
  const names = root.names();
  const has = (...expected: string[]) => expected.every((name) => names.includes(name));
  if (has('iter', 'history'))
    return 'this is a solver state (HDF5): `resnode train --snapshot` resumes from it; its weights are the .caffemodel.h5 of the same iteration';
  if (has('model_weights') || root.texts('layer_names') !== undefined)
    return 'these are weights of Keras: `resnode convert net.h5 --out net.caffemodel` makes a caffemodel and a prototxt from them if they are a ResNet';
  if (has('label'))
    return 'this is the data of an HDF5Data layer: it belongs in the list that the layer names';
  if (has('data')) return 'these are weights (HDF5): give them as the weights (--weights)';
  return `it holds ${names.slice(0, 5).join(', ') || 'nothing'}`;
}

/**
 * A copy of a dataset's values.
 * @param what The name for errors.
 * @throws WeightsError if they are not floats
 */
export async function blobOfDataset(
  dataset: Hdf5Dataset,
  at: { file: string; layer: string },
  what: string,
): Promise<Blob> {
  const named = `layer "${at.layer}", ${what}: `;
  if (dataset.type.kind !== 'float')
    throw new WeightsError('weights/hdf5', at, `${named}expected float values, found ${dataset.typeName}`);
  try {
    const values = await dataset.values();
    return {
      shape: dataset.shape,
      dtype: values instanceof Float64Array ? 'float64' : 'float32',
      bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    };
  } catch (error) {
    // The error also names the dataset.
    if (error instanceof Hdf5Problem) throw new Hdf5Problem(error.kind, `${named}${error.message}`);
    throw error;
  }
}
