/**
 * Layers of Caffe's forks on the CUDA backend, on the emulated runtime: the results of their own code, forward and
 * backward.
 */
import { test } from 'uvu';
import { openEmulated } from '../support/emulated.ts';
import { testForkCases } from '../support/golden-cases.ts';

const device = await openEmulated();
if (device !== null) testForkCases(device);

test.after(() => device?.dispose());
test.run();
