/** Loops over the samples of an image in pieces, between which the event loop runs. */

/** The number of steps in a piece; they take some milliseconds. */
const PIECE = 1 << 20;

/**
 * Calls `work` with [begin, end) for pieces of `count` steps.
 * @throws the signal's reason
 */
export async function inPieces(
  count: number,
  signal: AbortSignal | undefined,
  work: (begin: number, end: number) => void,
): Promise<void> {
  for (let begin = 0; begin < count; begin += PIECE) {
    if (begin > 0) await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
    work(begin, Math.min(begin + PIECE, count));
  }
}

/** Reduces 16 bits to 8 with `reduce`. */
export async function reduced(
  samples: Uint16Array,
  signal: AbortSignal | undefined,
  reduce: (sample: number) => number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(samples.length);
  await inPieces(samples.length, signal, (begin, end) => {
    for (let i = begin; i < end; i++) bytes[i] = reduce(samples[i]!);
  });
  return bytes;
}

/** OpenCV's reduction for all formats except TIFF in colour. */
export const highByte = (sample: number): number => sample >> 8;
