/**
 * Runs the test file that is named, and ends with 13, as Node does, where a top-level await of it never settles: uvu sets
 * the exit status first, and Node then leaves it as it is.
 */
import { pathToFileURL } from 'node:url';

let isPending = true;
process.on('beforeExit', () => {
  if (!isPending) return;
  console.error('A top-level await never settled: what stands behind it did not run.');
  process.exitCode = 13;
});
await import(pathToFileURL(process.argv[2]!).href).finally(() => {
  isPending = false;
});
