/**
 * What is read at most of one file, so that it takes memory in proportion to its size: the smallest items of a format (an
 * empty node, a string of one letter) otherwise take a hundred times theirs. All are far beyond any net; docs/limits.md
 * lists them, with those that belong to one format alone.
 */
import { ResnodeError } from './errors.ts';
import { isSpecial, specialFile, statsOf } from './regular-file.ts';

const MIB = 2 ** 20;

/** Text of a prototxt; the deploy net of ResNet-1202 has 0.8 MiB. */
export const MAX_PROTOTXT_BYTES = 16 * MIB;
/** Parsed on the calling thread in one piece: these two hold it up for about a second at most. */
export const MAX_PROTOTXT_TOKENS = 1_000_000;
/** Messages in braces; the deploy net of ResNet-1202 has 9026. */
export const MAX_PROTOTXT_MESSAGES = 60_000;
/** Characters of a name or a number outside of quotes. */
export const MAX_WORD = 4096;

/** Fields of all messages of one binary file, weights counted as one each. */
export const MAX_FIELDS = 1_000_000;
export const MAX_LAYERS = 100_000;
/** NumPy's limit is 64; Caffe's and ours is 32. */
export const MAX_DIMENSIONS = 64;

/** Tensors of a safetensors file, entries of a zip file. */
export const MAX_TENSORS = 100_000;
export const MAX_SAFETENSORS_HEADER = 16 * MIB;
export const MAX_PICKLE_OPCODES = 2_000_000;

/** A line of a list: a path has at most 4096 bytes on Linux, labels follow. */
export const MAX_LINE = 64 * 1024;
export const MAX_LINES = 20_000_000;
/** Lists that are read in one piece. */
export const MAX_LIST_BYTES = 256 * MIB;
export const MAX_LABELS_BYTES = 16 * MIB;
export const MAX_JSON_BYTES = 64 * MIB;

/**
 * Refuses a file that is larger than its kind can be, or is none, before it is read. What cannot be looked at is left to its reader.
 * @param what In the plural, e.g. `label files`.
 * @throws ResnodeError `file/too-large`; `file/special` for what is no plain file
 */
export function checkFileSize(file: string, most: number, what: string): void {
  const stats = statsOf(file);
  if (stats !== null && isSpecial(stats)) throw specialFile(file);
  const size = stats?.size ?? 0;
  if (size > most)
    throw new ResnodeError(
      'file/too-large',
      `${file}: has ${size} bytes; ${what} have at most ${most}. Is it another file?`,
    );
}
