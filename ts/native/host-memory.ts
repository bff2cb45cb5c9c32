/** Memory that native code holds as it is, so that it copies nothing while the event loop waits. */
import type { breather } from '../breathe.ts';
import { loadBinding } from './load.ts';

const PIECE = 2 ** 20;
/** Fewer bytes are copied at the call. */
const FEW = 2 ** 16;
const held = new WeakSet<ArrayBufferLike>();

/** A file, mapped read-only. @throws the file system's error */
export function mapFile(path: string): Uint8Array {
  return hold(loadBinding().binding.mapFile(path));
}

/** Memory that is not cleared. @throws an Error with code `device/out-of-memory` */
export function allocateMemory(bytes: number): Uint8Array {
  return bytes < FEW ? new Uint8Array(bytes) : hold(loadBinding().binding.allocateMemory(bytes));
}

/** The bytes where native code can hold them: as they are, or copied with turns for others in between. */
export async function inHeldMemory(
  bytes: Uint8Array,
  breathe: ReturnType<typeof breather>,
): Promise<Uint8Array> {
  if (bytes.length < FEW || held.has(bytes.buffer)) return bytes;
  const copy = allocateMemory(bytes.length);
  for (let at = 0; at < bytes.length; at += PIECE) {
    copy.set(bytes.subarray(at, at + PIECE), at);
    await breathe();
  }
  return copy;
}

function hold(buffer: ArrayBuffer): Uint8Array {
  held.add(buffer);
  return new Uint8Array(buffer);
}
