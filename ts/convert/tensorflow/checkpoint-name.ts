/** The names of a TensorFlow checkpoint. Version 2 consists of several files, none of which has the checkpoint's own name. */
import { existsSync } from 'node:fs';

const DATA = /\.data-\d{5}-of-\d{5}$/;

/**
 * The file with the table of a checkpoint.
 * @param path The prefix, NAME.index, NAME.data-00000-of-00001, or the file of version 1.
 */
export function tableOf(path: string): string {
  if (DATA.test(path)) return path.replace(DATA, '.index');
  return !existsSync(path) && existsSync(`${path}.index`) ? `${path}.index` : path;
}

/** Whether a path names a checkpoint but not its table. */
export const isCheckpointName = (path: string): boolean =>
  tableOf(path) !== path && existsSync(tableOf(path));
