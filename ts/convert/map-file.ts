/** Files as views. */

import { existsSync } from 'node:fs';
import { WeightsError } from '../base/errors.ts';
import { type NeededKind, wrongKind, wrongKindAt } from '../caffe/wrong-kind.ts';
import { mapFile as map } from '../native/host-memory.ts';

/**
 * Maps a file read-only.
 * @param needed The kind of file that is needed; other kinds are refused. Default: any.
 * @throws WeightsError `weights/not-found`, `weights/wrong-kind`, and those of native/host-memory.ts
 */
export function mapFile(file: string, needed?: NeededKind): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = map(file);
  } catch (error) {
    if (error instanceof WeightsError) throw error;
    const wrong = needed === undefined ? null : wrongKindAt(file, needed);
    if (wrong !== null) throw new WeightsError('weights/wrong-kind', { file }, wrong);
    const why = existsSync(file) ? 'cannot be read' : 'there is no such file';
    throw new WeightsError('weights/not-found', { file }, why, { cause: error });
  }
  const wrong = needed === undefined ? null : wrongKind(bytes, needed);
  if (wrong !== null) throw new WeightsError('weights/wrong-kind', { file }, wrong);
  return bytes;
}
