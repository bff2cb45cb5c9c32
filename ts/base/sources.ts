/** A file as a caller names it: by path, by `file:` URL, or as the bytes that were read. */
import { fileURLToPath } from 'node:url';
import { describedAs, either, type Kind, kind, readFirst } from './kinds.ts';

export type FileSource = string | URL | Uint8Array | ArrayBuffer;

const REMOTE = /^(?!file:)[a-z][a-z0-9+.-]+:\/\//i;
const DATA = /^data:[^,]*;base64,/i;

const isFileUrl = (value: unknown) =>
  value instanceof URL ? value.protocol === 'file:' : typeof value === 'string' && /^file:\/\//i.test(value);

/** A path, or a `file:` URL as an object or a string. */
export const location: Kind<string | URL> = kind(
  ['a path', 'a file: URL'],
  (value) => {
    if (isFileUrl(value)) return isPath(value as string | URL);
    if (typeof value !== 'string' || value === '' || value.includes('\0')) return false;
    return !REMOTE.test(value) && !DATA.test(value);
  },
  (value) => {
    if (DATA.test(String(value))) return "give its bytes: Buffer.from(url.split(',')[1], 'base64')";
    return value instanceof URL || REMOTE.test(String(value)) ? 'download it and give its bytes' : undefined;
  },
);

const contents: Kind<Uint8Array | ArrayBuffer> = kind(
  'a Buffer, Uint8Array or ArrayBuffer that is not empty',
  (value) => (value instanceof Uint8Array || value instanceof ArrayBuffer) && value.byteLength > 0,
  readFirst,
);

export const fileSource: Kind<FileSource> = describedAs(
  either(location, contents),
  'a path',
  'a file: URL',
  'the bytes of a file (Buffer, Uint8Array, ArrayBuffer)',
);

/** Whether a value names a file. It may be any value, even a Proxy that throws when it is read. */
export function isLocation(value: unknown): value is string | URL {
  try {
    return typeof value === 'string' || value instanceof URL;
  } catch {
    return false;
  }
}

export const isFileSource = (value: unknown): value is FileSource =>
  typeof value === 'string' ||
  value instanceof URL ||
  value instanceof Uint8Array ||
  value instanceof ArrayBuffer;

/** False for a URL of another host, or one that cannot be decoded. */
function isPath(url: string | URL): boolean {
  try {
    return !fileURLToPath(url).includes('\0');
  } catch {
    return false;
  }
}

export const pathOf = (place: string | URL): string =>
  isFileUrl(place) ? fileURLToPath(place) : (place as string);

/** The path, or the bytes as one kind of array. */
export function resolveSource(source: FileSource): string | Uint8Array {
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (!(source instanceof Uint8Array)) return pathOf(source);
  // Shared memory may change while it is read, and libraries take no view of it.
  return source.buffer instanceof ArrayBuffer ? source : new Uint8Array(source);
}
