/** The names of a checkpoint of TensorFlow: version 2 is several files, of which none has the name that programs give. */
import { existsSync } from 'node:fs';

const DATA = /\.data-\d{5}-of-\d{5}$/;

/** The table of a checkpoint by any of its names: its prefix, NAME.index, NAME.data-00000-of-00001, or the file of version 1. */
export function tableOf(path: string): string {
  if (DATA.test(path)) return path.replace(DATA, '.index');
  return !existsSync(path) && existsSync(`${path}.index`) ? `${path}.index` : path;
}

/** Whether a path leads to a checkpoint without being its table. */
export const isCheckpointName = (path: string): boolean =>
  tableOf(path) !== path && existsSync(tableOf(path));
