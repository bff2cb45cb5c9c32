/** For loops on the main thread: they yield to the event loop every few milliseconds. */
import { setImmediate } from 'node:timers/promises';

/** A function to await in a loop; it returns at once unless `milliseconds` have passed since the loop last yielded. */
export function yielding(milliseconds = 4): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < milliseconds) return undefined;
    return setImmediate().then(() => {
      since = performance.now();
    });
  };
}
