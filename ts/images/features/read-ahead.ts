/** Prepares the next batch of items while the consumer works on the current one. */

/**
 * @param prepare Prepares one batch of at most `size` items.
 * @throws The errors of `prepare` when their batch is due; the signal's reason before waiting for a batch
 */
export async function* readAhead<Item, Batch>(
  items: readonly Item[],
  size: number,
  prepare: (part: readonly Item[]) => Promise<Batch>,
  signal?: AbortSignal,
): AsyncGenerator<{ readonly begin: number; readonly end: number; readonly batch: Batch }> {
  const from = (begin: number) => {
    const prepared = prepare(items.slice(begin, begin + size));
    prepared.catch(() => {}); // awaited when it is due; an earlier failure is neither lost nor unhandled
    return prepared;
  };
  let next = from(0);
  for (let begin = 0; begin < items.length; begin += size) {
    signal?.throwIfAborted();
    const batch = await next;
    const end = Math.min(begin + size, items.length);
    if (end < items.length) next = from(end);
    yield { begin, end, batch };
  }
}
