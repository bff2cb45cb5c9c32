/** Live weights and parts of nets on the emulated CUDA device, with lazy streams. */
import { test } from 'uvu';
import { openEmulated } from '../support/emulated.ts';
import { testLiveWeights } from '../support/live-weights-cases.ts';

process.env.RESNODE_EMULATED_STREAMS = 'lazy';
const device = await openEmulated();
if (device !== null) testLiveWeights(device, ['float32', 'float16']);

test.after(() => device?.dispose());
test.run();
