/**
 * Every recorded forward pass on the CUDA backend, on the emulated runtime. Streams are lazy: their operations run when
 * somebody waits for them, so that a missing wait shows as old data. The third run of a net is the second one from a
 * graph.
 */
import { test } from 'uvu';
import { openEmulated } from '../support/emulated.ts';
import { testGoldenCases } from '../support/golden-cases.ts';

process.env.RESNODE_EMULATED_STREAMS = 'lazy';
const device = await openEmulated();
if (device !== null) testGoldenCases(device, { repeat: 3 });

test.after(() => device?.dispose());
test.run();
