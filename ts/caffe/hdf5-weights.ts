/**
 * Caffe's HDF5 weights (Net::ToHDF5, Net::CopyTrainedLayersFromHDF5): /data/<layer>/<blob index>.
 * The library is loaded when it is first needed; nobody else pays for it.
 */
import { closeSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { Dataset, Group } from 'h5wasm/node';
import { WeightsError } from '../errors.ts';
import { temporaryFor } from './atomic-file.ts';
import { type Blob, elementCountOf, toFloat32 } from './blob.ts';
import type { WeightsFile, WeightsLayer } from './caffemodel.ts';
import type { NetWeights } from './write-caffemodel.ts';

// https://docs.hdfgroup.org/hdf5/latest/_f_m_t3.html, section II.A: the signature lies at 0, 512, 1024, 2048, …
const SIGNATURE = '\x89HDF\r\n\x1a\n';

/** The library, its errors thrown. */
export async function hdf5Library() {
  const h5wasm = await import('h5wasm/node');
  const { activate_throwing_error_handler: throwErrors } = (await h5wasm.ready) as unknown as {
    activate_throwing_error_handler(): void;
  };
  // Otherwise every refusal prints HDF5's own stack on stderr.
  throwErrors();
  return h5wasm;
}

/** True where the file begins as HDF5 does. */
export function isHdf5(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(0, 8)).toString('latin1') === SIGNATURE;
}

/**
 * Reads all layers of a .caffemodel.h5; values are copied, float32 or float64.
 * @throws WeightsError naming the file, and where it is damaged the layer
 */
export async function readHdf5Weights(path: string): Promise<WeightsFile> {
  const head = new Uint8Array(8);
  try {
    const descriptor = openSync(path, 'r');
    readSync(descriptor, head);
    closeSync(descriptor);
  } catch (error) {
    throw new WeightsError('weights/not-found', { file: path }, 'cannot be read', { cause: error });
  }
  if (!isHdf5(head)) throw new WeightsError('weights/hdf5', { file: path }, 'this is no HDF5 file');
  const h5wasm = await hdf5Library();
  let file: InstanceType<typeof h5wasm.File> | null = null;
  try {
    file = new h5wasm.File(path, 'r');
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
        else if (/^\d+$/.test(key)) blobs.push([Number(key), blobOf(entry as Dataset, path, name, key)]);
      }
      blobs.sort(([a], [b]) => a - b);
      if (blobs.length > 0) layers.push({ name, type: '', blobs: blobs.map(([, blob]) => blob) });
    };
    visit(root, '');
    return { file: path, name: '', layers };
  } catch (error) {
    if (error instanceof WeightsError) throw error;
    const reason = (error as Error).message.split('\n')[0];
    throw new WeightsError('weights/hdf5', { file: path }, `the HDF5 data is damaged (${reason})`, {
      cause: error,
    });
  } finally {
    file?.close();
  }
}

/** A float dataset's values and shape. @internal */
export function blobOf(dataset: Dataset, file: string, layer: string, index: string): Blob {
  const shape = dataset.shape ?? [];
  const at = { file, layer };
  // A scalar dataset's value is a number.
  const value = typeof dataset.value === 'number' ? Float64Array.of(dataset.value) : dataset.value;
  if (!(value instanceof Float32Array || value instanceof Float64Array))
    throw new WeightsError(
      'weights/hdf5',
      at,
      `layer "${layer}", blob ${index}: expected float values, found ${String(dataset.dtype)}`,
    );
  if (value.length !== elementCountOf(shape))
    throw new WeightsError(
      'weights/data-size',
      at,
      `layer "${layer}", blob ${index}: shape ${shape.join('×')} needs ${elementCountOf(shape)} values, found ${value.length}`,
    );
  return {
    shape,
    dtype: value instanceof Float32Array ? 'float32' : 'float64',
    bytes: new Uint8Array(value.buffer, value.byteOffset, value.byteLength),
  };
}

// HDF5 takes a slash in a layer's name for a path.
function groupAt(root: Group, path: string, isGroup: typeof Group): Group {
  return path.split('/').reduce((group, part) => {
    const found = group.keys().includes(part) ? group.get(part) : null;
    return found instanceof isGroup ? found : group.create_group(part);
  }, root);
}

/**
 * Writes weights in Caffe's HDF5 form, float32, whole or not at all; the event loop gets its turn after each blob.
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

/** Writes one blob as the dataset of its number, float32. @internal */
export async function writeBlob(group: Group, index: number, blob: Blob): Promise<void> {
  const data = toFloat32(blob);
  group.create_dataset({ name: String(index), data, shape: [...blob.shape], dtype: '<f4' });
  await setImmediate();
}

type Library = Awaited<ReturnType<typeof hdf5Library>>;

/** Writes an HDF5 file, whole or not at all. @throws WeightsError @internal */
export async function writeHdf5(
  path: string,
  fill: (file: InstanceType<Library['File']>, library: Library) => Promise<void>,
): Promise<void> {
  const h5wasm = await hdf5Library();
  const temporary = temporaryFor(path);
  try {
    const file = new h5wasm.File(temporary, 'w');
    try {
      await fill(file, h5wasm);
    } finally {
      file.close();
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    const reason = `cannot be written (${(error as Error).message.split('\n')[0]})`;
    throw new WeightsError('weights/write', { file: path }, reason, { cause: error });
  }
}
