/**
 * Dropout in phase TRAIN on the CUDA device, on the emulated runtime with lazy streams, compared with the CPU device: a
 * run that changes its device continues with the same masks.
 */
import { dirname } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice, readNet } from '../../ts/index.ts';
import { openDropping, stepsOf, testDropout } from '../support/dropout-cases.ts';
import { emulatedBuild, openEmulated } from '../support/emulated.ts';
import { noise } from '../support/run-program.ts';

process.env.RESNODE_EMULATED_STREAMS = 'lazy';
const device = await openEmulated();
if (device !== null) {
  const library = process.env.RESNODE_TEST_CUDA === 'hardware' ? null : emulatedBuild('resnode_cuda');
  testDropout(device, library === null ? {} : { libraryFolder: dirname(library) });
  const reference = await openDevice('reference');
  test.after(() => reference.dispose());

  // Between convolutions the values are nhwc on the GPU, with padded channels.
  const spatial = readNet(
    `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 3 dim: 2 dim: 7 dim: 5 } } }
     layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
       convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "constant" value: 1 } } }
     layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
     layer { name: "last" type: "Convolution" bottom: "conv" top: "last"
       convolution_param { num_output: 1 kernel_size: 1 weight_filler { type: "constant" value: 1 } } }`,
    { file: 'spatial' },
  );

  test('feature maps drop the same values as on the reference device, forward and backward', async () => {
    // Small integers, whose sums are exact in any order.
    const integers = (count: number, seed: number) =>
      noise(count, seed).map((value) => Math.round(value * 8));
    const pass = async (on: typeof device) => {
      using trainer = await on.train({ model: spatial, update: null, seed: 11, diffs: ['data'] });
      const topDiffs = { last: integers(3 * 5 * 3, 2) };
      const { outputs, blobs } = await trainer.gradients(
        { data: integers(3 * 2 * 7 * 5, 1) },
        { topDiffs, iteration: 9 },
      );
      return [outputs.last!.data, blobs.data!.data];
    };
    assert.equal(await pass(device), await pass(reference));
  });

  test('a run that changes its device drops what it would have dropped', async () => {
    using whole = await openDropping(reference);
    const losses = await stepsOf(whole, 0, 6);
    using begun = await openDropping(device);
    const before = await stepsOf(begun, 0, 3);
    using resumed = await openDropping(reference, {
      weights: await begun.weights(),
      history: await begun.history(),
    });
    const after = await stepsOf(resumed, 3, 6);
    // Another mask changes a loss by percents, another order of a sum only by rounding errors.
    [...before, ...after].forEach((loss, i) => {
      assert.ok(Math.abs(loss - losses[i]!) < 1e-4 * losses[i]!, `${i}: ${loss}, ${losses[i]}`);
    });
  });
}

test.after(() => device?.dispose());
test.run();
