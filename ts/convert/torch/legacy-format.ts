/**
 * The format of torch.save before 1.6: pickles of a magic number, a protocol, the machine, the value and the keys of the
 * storages, then for each storage its number of values (int64) and the values (torch/serialization.py, _legacy_save).
 */
import type { CodeOf } from '../../base/error-codes.ts';
import { WeightsError } from '../../base/errors.ts';
import { type Storage, storageOf, type TorchFile, torchGlobals } from './torch-objects.ts';
import { type PickleValue, unpickle } from './unpickle.ts';

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

/**
 * Storages stay views of `bytes`.
 * @throws WeightsError
 */
export function readLegacy(bytes: Uint8Array, file: string): TorchFile {
  const fail = (code: CodeOf<'torch'>, message: string): never => {
    throw new WeightsError(`torch/${code}`, { file }, message);
  };
  let position = 0;
  // The size of a value for the key of each storage. All views of a key have one type.
  const sizes = new Map<string, number>();
  const persistent = (id: PickleValue): Storage => {
    const storage = storageOf(id);
    if ((sizes.get(storage.key) ?? storage.size) !== storage.size)
      throw 'one storage has values of two sizes';
    sizes.set(storage.key, storage.size);
    return storage;
  };
  const next = (): PickleValue => {
    const read = unpickle(bytes, { file, offset: position, globals: torchGlobals, persistent });
    position = read.end;
    return read.value;
  };

  if (!(bytes[0] === 0x80 && next() === MAGIC))
    fail('format', 'this is not a file of torch.save: it has no magic number and is not a zip file');
  const protocol = next();
  if (protocol !== PROTOCOL) fail('format', `protocol ${String(protocol)} is unknown; expected ${PROTOCOL}`);
  const machine = next();
  if (machine instanceof Map && machine.get('little_endian') === false)
    fail(
      'format',
      'its values are big-endian; load it with torch and save it again on a little-endian machine',
    );
  const value = next();
  const keys = next();
  if (!Array.isArray(keys)) return fail('format', 'the list of its storages is missing');

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const storages = new Map<string, Uint8Array>();
  for (const key of keys) {
    const size = typeof key === 'string' ? sizes.get(key) : undefined;
    if (size === undefined) return fail('format', `its storage ${String(key)} belongs to no tensor`);
    const start = position + 8;
    const count = start <= bytes.length ? Number(view.getBigInt64(position, true)) : 0;
    const end = start + count * size;
    if (!(count >= 0 && end <= bytes.length))
      fail(
        'truncated',
        `storage ${String(key)} ends at byte ${end}, the file at ${bytes.length}; it is truncated`,
      );
    storages.set(key as string, bytes.subarray(start, end));
    position = end;
  }
  const bytesOf = ({ key, size, offset, count }: Storage): Uint8Array => {
    const found = storages.get(key);
    const needed = (offset + count) * size;
    if (found === undefined || found.length < needed)
      return fail('format', `storage ${key} needs ${needed} bytes, found ${found?.length ?? 0}`);
    return found;
  };
  return { value, bytesOf };
}
