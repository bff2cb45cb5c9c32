/** Batches of prepared items: the next one is prepared while its reader works on the last one given. */

/**
 * @param prepare Makes one batch of the items it is given, at most `size` of them.
 * @throws What `prepare` throws, in its batch's turn; the signal's reason, before a batch is waited for
 */
export async function* readAhead<Item, Batch>(
  items: readonly Item[],
  size: number,
  prepare: (part: readonly Item[]) => Promise<Batch>,
  signal?: AbortSignal,
): AsyncGenerator<{ readonly begin: number; readonly end: number; readonly batch: Batch }> {
  const from = (begin: number) => {
    const prepared = prepare(items.slice(begin, begin + size));
    prepared.catch(() => {}); // is awaited in its turn, if that comes: a failure before is not lost, nor unhandled
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
