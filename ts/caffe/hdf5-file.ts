/** HDF5 files by h5wasm, which is loaded when it is first needed; nobody else pays for it. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Dataset, File } from 'h5wasm/node';
import { WeightsError } from '../errors.ts';
import { type Blob, elementCountOf } from './blob.ts';

// https://docs.hdfgroup.org/hdf5/latest/_f_m_t3.html, section II.A: the signature lies at 0, 512, 1024, 2048, …
const SIGNATURE = '\x89HDF\r\n\x1a\n';

export type Hdf5Library = typeof import('h5wasm/node');

export async function hdf5Library(): Promise<Hdf5Library> {
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
 * Opens a file for as long as `read` runs.
 * @throws WeightsError where it cannot be read, is no HDF5, or is damaged; what `read` throws
 */
export async function readHdf5<T>(
  path: string,
  read: (file: File, library: Hdf5Library) => T | Promise<T>,
): Promise<T> {
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
  let file: File | null = null;
  try {
    file = new h5wasm.File(path, 'r');
    return await read(file, h5wasm);
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

/** A dataset's values, copied. @param what Names it in errors. @throws WeightsError where they are no floats */
export function blobOfDataset(dataset: Dataset, at: { file: string; layer: string }, what: string): Blob {
  const shape = dataset.shape ?? [];
  // A scalar dataset's value is a number.
  const value = typeof dataset.value === 'number' ? Float64Array.of(dataset.value) : dataset.value;
  if (!(value instanceof Float32Array || value instanceof Float64Array))
    throw new WeightsError(
      'weights/hdf5',
      at,
      `layer "${at.layer}", ${what}: expected float values, found ${String(dataset.dtype)}`,
    );
  if (value.length !== elementCountOf(shape))
    throw new WeightsError(
      'weights/data-size',
      at,
      `layer "${at.layer}", ${what}: shape ${shape.join('×')} needs ${elementCountOf(shape)} values, found ${value.length}`,
    );
  return {
    shape,
    dtype: value instanceof Float32Array ? 'float32' : 'float64',
    bytes: new Uint8Array(value.buffer, value.byteOffset, value.byteLength),
  };
}
