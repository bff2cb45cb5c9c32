/** The zip format of torch.save: <name>/data.pkl, and each storage in <name>/data/<key>. No entry is compressed. */
import type { Entry } from 'yauzl';
import { WeightsError } from '../../base/errors.ts';
import { MAX_TENSORS } from '../../base/files.ts';
import { type Storage, storageOf, type TorchFile, torchGlobals } from './torch-objects.ts';
import { unpickle } from './unpickle.ts';

/**
 * Entries stay views of `bytes`.
 * @throws WeightsError
 */
export async function readZip(bytes: Uint8Array, file: string): Promise<TorchFile> {
  const entries = await entriesOf(bytes, file);
  const fail = (message: string): never => {
    throw new WeightsError('torch/format', { file }, message);
  };
  const pickle = [...entries.keys()].find((name) => name === 'data.pkl' || /^[^/]+\/data\.pkl$/.test(name));
  if (pickle === undefined)
    return fail('it is a zip file without data.pkl; expected a file of torch.save (.pth, .pt)');
  const folder = pickle.slice(0, -'data.pkl'.length);
  if (entries.has(`${folder}constants.pkl`))
    return fail('it is a TorchScript archive, which holds code; save only model.state_dict()');
  const order = entries.get(`${folder}byteorder`);
  if (order !== undefined && Buffer.from(order).toString('latin1').trim() !== 'little')
    return fail('its values are big-endian; load it with torch and save it again on a little-endian machine');
  const { value } = unpickle(entries.get(pickle)!, { file, globals: torchGlobals, persistent: storageOf });
  const bytesOf = ({ key, size, offset, count }: Storage): Uint8Array => {
    const found = entries.get(`${folder}data/${key}`);
    const needed = (offset + count) * size;
    if (found === undefined || found.length < needed)
      return fail(
        `storage ${key} needs ${needed} bytes, ${found === undefined ? 'there is no such entry' : `its entry has ${found.length}`}`,
      );
    return found;
  };
  return { value, bytesOf };
}

async function entriesOf(bytes: Uint8Array, file: string): Promise<Map<string, Uint8Array>> {
  // Imported here, so that only this format loads it.
  const { fromBufferPromise } = await import('yauzl');
  const entries = new Map<string, Uint8Array>();
  try {
    const zip = await fromBufferPromise(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    if (zip.entryCount > MAX_TENSORS)
      throw new Error(`it has ${zip.entryCount} entries; at most ${MAX_TENSORS} are read`);
    for await (const entry of zip.eachEntry()) {
      if (!isStored(entry)) throw new Error(`the entry ${entry.fileName} is compressed or encrypted`);
      const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
      const end = fileDataStart + entry.uncompressedSize;
      if (end > bytes.length) throw new Error(`the entry ${entry.fileName} ends beyond the file`);
      entries.set(entry.fileName, bytes.subarray(fileDataStart, end));
    }
  } catch (error) {
    throw new WeightsError(
      'torch/zip',
      { file },
      `the zip file cannot be read (${(error as Error).message}); the file is truncated, damaged or was repacked`,
      { cause: error },
    );
  }
  return entries;
}

const isStored = (entry: Entry): boolean =>
  entry.compressionMethod === 0 && !entry.isEncrypted() && entry.compressedSize === entry.uncompressedSize;
