/** Memory that native code uses in place, so that it need not copy while the event loop waits. */

import { constants } from 'node:buffer';
import type { CodeOf } from '../base/error-codes.ts';
import { DeviceError, WeightsError } from '../base/errors.ts';
import type { yielding } from '../base/yielding.ts';
import { loadBinding } from './load.ts';

const PIECE = 2 ** 20;
/** Fewer bytes than this are copied at the call. */
const FEW = 2 ** 16;
const held = new WeakSet<ArrayBufferLike>();

/**
 * The bytes of a file, which must not be modified: mapped, or read if there are few. `checkIntact` detects later
 * modifications by others.
 * @throws WeightsError `weights/special-file`, `weights/too-large`, `weights/out-of-memory`; the file system's error
 */
export function mapFile(path: string): Uint8Array {
  const { binding } = loadBinding();
  try {
    return hold(binding.mapFile(path));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const refuse = (what: CodeOf<'weights'>, text: string): never => {
      throw new WeightsError(`weights/${what}`, { file: path }, text, { cause: error });
    };
    if (code === 'file/special')
      return refuse(
        'special-file',
        'this is a FIFO, a socket or a device, which resnode does not read; write its data to a file, and give that',
      );
    if (code === 'memory/too-large') return refuse('too-large', `the file has ${tooLarge(message)}`);
    if (code === 'device/out-of-memory') return refuse('out-of-memory', message);
    throw error;
  }
}

/**
 * Allocates memory without clearing it.
 * @throws DeviceError `device/too-large`; an Error with code `device/out-of-memory`
 */
export function allocateMemory(bytes: number, what = 'an array'): Uint8Array {
  if (bytes < FEW) return new Uint8Array(bytes);
  const { binding } = loadBinding();
  try {
    return hold(binding.allocateMemory(bytes));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'memory/too-large') throw error;
    throw new DeviceError('device/too-large', 'cpu', `${what} has ${tooLarge(message)}`, { cause: error });
  }
}

/**
 * Whether bytes belong to a weights file, mapped or read; such memory belongs to its reader and does not count as a
 * device's.
 */
export function isOfFile(bytes: Uint8Array): boolean {
  return held.has(bytes.buffer) && loadBinding().binding.isOfFile(bytes);
}

/**
 * Refuses bytes of a mapped file that others have modified or truncated since it was mapped: the bytes read may belong to
 * neither version.
 * @throws WeightsError `weights/changed`
 */
export function checkIntact(bytes: Uint8Array, file: string): void {
  if (bytes.length >= FEW && held.has(bytes.buffer) && !loadBinding().binding.isIntact(bytes))
    throw new WeightsError(
      'weights/changed',
      { file },
      'the file was modified or truncated while it was read; try again, and replace files by writing the new version beside the old one and renaming it',
    );
}

// Node 20's arrays have at most 4 GiB, those of Node 22 more than there is memory.
const tooLarge = (message: string): string =>
  `${message}: Node ${process.versions.node} has arrays of at most ${constants.MAX_LENGTH} bytes; ` +
  (constants.MAX_LENGTH <= 2 ** 32 ? 'run it with Node 22 or later' : 'divide it');

/** The bytes in memory that native code can use: unchanged, or copied while yielding to the event loop. */
export async function inHeldMemory(
  bytes: Uint8Array,
  yieldIfDue: ReturnType<typeof yielding>,
): Promise<Uint8Array> {
  if (bytes.length < FEW || held.has(bytes.buffer)) return bytes;
  const copy = allocateMemory(bytes.length);
  for (let at = 0; at < bytes.length; at += PIECE) {
    copy.set(bytes.subarray(at, at + PIECE), at);
    await yieldIfDue();
  }
  return copy;
}

function hold(buffer: ArrayBuffer): Uint8Array {
  held.add(buffer);
  return new Uint8Array(buffer);
}
