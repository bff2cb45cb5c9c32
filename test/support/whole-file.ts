/**
 * Runs the given test file. Exits with 13, as Node does, if one of its top-level awaits never settles: uvu sets the
 * exit status first, and Node would leave it unchanged.
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
