/** Work that is waited for only so long. */

/**
 * Waits for `work` at most so many seconds, and no longer than until the signal. What cannot be stopped works on, and
 * what becomes of it is lost.
 * @param late Makes the error of a deadline that passed.
 * @throws what `work` throws, or `late()`, or the signal's reason
 */
export function withDeadline<Result>(
  work: Promise<Result>,
  { seconds, signal, late }: { seconds: number; signal: AbortSignal | undefined; late: () => Error },
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal!.reason);
    const timer = setTimeout(() => reject(late()), 1000 * seconds);
    signal?.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    });
  });
}
