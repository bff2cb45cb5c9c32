/**
 * NumPy's archives: zip files of .npy, stored or compressed
 * (https://numpy.org/doc/stable/reference/generated/numpy.savez.html).
 */
import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';
import type { Entry } from 'yauzl';
import { WeightsError } from '../../base/errors.ts';
import { MAX_TENSORS } from '../../base/files.ts';
import { readNpy } from '../../caffe/npy.ts';
import { mapFile } from '../map-file.ts';
import type { SourceTensor, SourceTensors } from '../source-tensor.ts';

/** The limit of all decompressed arrays of a file: ten times the file's size, or this number if it is larger. */
const MAX_UNPACKED = 256 * 2 ** 20;

const unpack = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflateRaw);

/**
 * Arrays by name, without `.npy` and TensorFlow's `:0`.
 * @throws WeightsError `npz/format`, `npz/limit`
 */
export async function readNpz(file: string): Promise<SourceTensors> {
  const bytes = mapFile(file);
  const { fromBufferPromise } = await import('yauzl');
  const tensors = new Map<string, SourceTensor>();
  const limit = Math.max(MAX_UNPACKED, 10 * bytes.length);
  let unpacked = 0;
  try {
    const zip = await fromBufferPromise(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    if (zip.entryCount > MAX_TENSORS)
      throw new Error(`it has ${zip.entryCount} entries; at most ${MAX_TENSORS} are read`);
    for await (const entry of zip.eachEntry()) {
      if (!entry.fileName.endsWith('.npy')) continue;
      const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
      const end = fileDataStart + entry.compressedSize;
      if (end > bytes.length) throw new Error(`the entry ${entry.fileName} ends beyond the file`);
      const stored = bytes.subarray(fileDataStart, end);
      const data = isStored(entry) ? stored : await unpacker(entry, stored, limit - unpacked, file);
      unpacked += data === stored ? 0 : data.length;
      tensors.set(
        entry.fileName.slice(0, -'.npy'.length).replace(/:0$/, ''),
        tensorOf(data, `${file}#${entry.fileName}`),
      );
    }
  } catch (error) {
    if (error instanceof WeightsError) throw error;
    throw new WeightsError(
      'npz/format',
      { file },
      `the archive cannot be read (${(error as Error).message}); it is truncated or damaged`,
      { cause: error },
    );
  }
  return tensors;
}

const isStored = (entry: Entry): boolean => entry.compressionMethod === 0 && !entry.isEncrypted();

async function unpacker(entry: Entry, stored: Uint8Array, limit: number, file: string): Promise<Uint8Array> {
  if (entry.compressionMethod !== 8 || entry.isEncrypted())
    throw new Error(`the entry ${entry.fileName} is encrypted or compressed with another method`);
  try {
    return await unpack(stored, { maxOutputLength: limit });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw error;
    throw new WeightsError(
      'npz/limit',
      { file },
      `its arrays take more than ten times the file; save them with numpy.savez, which does not compress`,
      { cause: error },
    );
  }
}

/** Arrays of other types, such as the number of a step, appear in the table and are refused when they are read. */
function tensorOf(bytes: Uint8Array, file: string): SourceTensor {
  try {
    const blob = readNpy(bytes, { file });
    return { shape: blob.shape, type: blob.dtype, blob: () => blob };
  } catch (error) {
    if (!(error instanceof WeightsError) || error.code !== 'weights/npy-dtype') throw error;
    return {
      shape: [],
      type: 'no floats',
      blob: () => {
        throw error;
      },
    };
  }
}
