/** For loops on the main thread: the event loop gets a turn every few milliseconds. */
import { setImmediate } from 'node:timers/promises';

/** A function to await in a loop; it returns at once unless `milliseconds` have passed since the loop last let go. */
export function yielding(milliseconds = 4): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < milliseconds) return undefined;
    return setImmediate().then(() => {
      since = performance.now();
    });
  };
}
