/** The library that the tests of the CPU's kernels use: test/cpu/sanitized.test.ts names another. */
import { loadBinding } from '../../ts/native/load.ts';

/** Options of `openDevice('cpu')` and `openNative('cpu')`. */
export const cpuLibrary = { libraryFolder: process.env.RESNODE_TEST_CPU ?? loadBinding().folder };
