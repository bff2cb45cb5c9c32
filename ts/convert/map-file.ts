/** Files as views. */
import { WeightsError } from '../errors.ts';
import { loadBinding } from '../native/load.ts';

/** Maps a file read-only. @throws WeightsError `weights/not-found` */
export function mapFile(file: string): Uint8Array {
  const { binding } = loadBinding();
  try {
    return new Uint8Array(binding.mapFile(file));
  } catch (error) {
    throw new WeightsError('weights/not-found', { file }, 'cannot be read', { cause: error });
  }
}
