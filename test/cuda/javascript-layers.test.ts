/**
 * Layers in JavaScript on the CUDA backend, on the emulated runtime: their values are copied to main memory and back.
 */
import { test } from 'uvu';
import { openEmulated } from '../support/emulated.ts';
import { testJavaScriptLayers } from '../support/javascript-layers.ts';

const device = await openEmulated();
if (device !== null) testJavaScriptLayers(device);

test.after(() => device?.dispose());
test.run();
