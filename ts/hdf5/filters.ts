/** Filters of chunks (IV.A.2.l): deflate, shuffle and Fletcher's checksum, which are all of HDF5's own except szip. */
import { promisify } from 'node:util';
import { inflate as inflateWithCallback } from 'node:zlib';
import { MESSAGE, type ObjectHeader } from './object-header.ts';
import { damaged, unsupported } from './source.ts';

const inflate = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflateWithCallback);

export interface Filter {
  readonly id: number;
  readonly parameters: readonly number[];
}

const DEFLATE = 1;
const SHUFFLE = 2;
const FLETCHER = 3;

const NAMES: Readonly<Record<number, string>> = {
  4: 'szip',
  5: 'nbit',
  6: 'scale-offset',
  307: 'bzip2',
  32000: 'LZF',
  32001: 'Blosc',
  32004: 'LZ4',
  32008: 'bitshuffle',
  32013: 'ZFP',
  32015: 'Zstandard',
  32026: 'Blosc2',
};

export function readFilters(header: ObjectHeader): Filter[] {
  const cursor = header.first(MESSAGE.filters);
  if (cursor === undefined) return [];
  const version = cursor.checkVersion('filters', 1, 2);
  const count = cursor.u8();
  if (version === 1) cursor.skip(6);
  const filters = Array.from({ length: count }, () => {
    const id = cursor.u16();
    const nameBytes = version === 1 || id >= 256 ? cursor.u16() : 0;
    cursor.skip(2);
    const values = cursor.u16();
    cursor.skip(version === 1 ? Math.ceil(nameBytes / 8) * 8 : nameBytes);
    const parameters = Array.from({ length: values }, () => cursor.u32());
    if (version === 1 && values % 2 === 1) cursor.skip(4);
    return { id, parameters };
  });
  const unknown = filters.find(({ id }) => ![DEFLATE, SHUFFLE, FLETCHER].includes(id));
  if (unknown !== undefined)
    throw unsupported(
      `its values are compressed with ${NAMES[unknown.id] ?? `filter ${unknown.id}`}; write them again with gzip or without compression (h5repack -f NONE)`,
    );
  return filters;
}

/**
 * A chunk's values.
 * @param mask One bit for each filter that was not applied to this chunk.
 * @param size The expected number of bytes.
 */
export async function unfiltered(
  bytes: Uint8Array,
  filters: readonly Filter[],
  mask: number,
  size: number,
): Promise<Uint8Array> {
  let values = bytes;
  for (const [i, { id, parameters }] of [...filters.entries()].reverse()) {
    if ((mask >>> i) & 1) continue;
    if (id === DEFLATE) values = await inflated(values, size + 4);
    else if (id === SHUFFLE) values = unshuffled(values, parameters[0] ?? 1);
    else values = checkedByFletcher(values);
  }
  if (values.length !== size) throw damaged(`a chunk has ${values.length} bytes instead of ${size}`);
  return values;
}

async function inflated(bytes: Uint8Array, maxOutputLength: number): Promise<Uint8Array> {
  try {
    return await inflate(bytes, { maxOutputLength });
  } catch (error) {
    throw damaged(`a chunk cannot be inflated: ${(error as Error).message}`);
  }
}

// The first bytes of all values, then the second bytes, and so on. Bytes that do not fill a value stay at the end.
function unshuffled(bytes: Uint8Array, size: number): Uint8Array {
  const count = Math.floor(bytes.length / size);
  if (size <= 1 || count <= 1) return bytes;
  const result = new Uint8Array(bytes);
  for (let byte = 0; byte < size; byte++)
    for (let i = 0; i < count; i++) result[i * size + byte] = bytes[byte * count + i]!;
  return result;
}

/** Fletcher's checksum over big-endian pairs of bytes (H5checksum.c, H5_checksum_fletcher32). */
function checkedByFletcher(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 4) throw damaged('a chunk is shorter than its checksum');
  const values = bytes.subarray(0, -4);
  let [a, b] = [0, 0];
  for (let i = 0; i < values.length; i += 2) {
    a = (a + ((values[i]! << 8) | (values[i + 1] ?? 0))) % 65535;
    b = (b + a) % 65535;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const written = view.getUint32(bytes.length - 4, true);
  // 0 and 65535 are equal in this arithmetic.
  if ((written & 0xffff) % 65535 !== a || (written >>> 16) % 65535 !== b)
    throw damaged('the checksum of a chunk is wrong');
  return values;
}
