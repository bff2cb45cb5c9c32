/**
 * Every backward pass and solver run that real Caffe recorded, on the CUDA backend, on the emulated runtime with lazy
 * streams (golden.test.ts). A solver's first step is launched, and later ones are replayed from a graph.
 */
import { test } from 'uvu';
import { openEmulated } from '../support/emulated.ts';
import { testTrainingCases } from '../support/golden-cases.ts';

process.env.RESNODE_EMULATED_STREAMS = 'lazy';
const device = await openEmulated();
if (device !== null) testTrainingCases(device);

test.after(() => device?.dispose());
test.run();
