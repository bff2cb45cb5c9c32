/** A few of test/fuzz's random nets on the CUDA device: our own kernels on the emulated runtime. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '../../ts/index.ts';
import { compareNets, describeFigures } from '../fuzz/random-nets.ts';
import { forward, forwardComparison, QUIET, training, trainingComparison } from '../fuzz/sides.ts';
import { openEmulated } from '../support/emulated.ts';

// One takes as long here as twenty on the CPU.
const NETS = Number(process.env.RESNODE_FUZZ_NETS ?? 12);
const SEED = Number(process.env.RESNODE_FUZZ_SEED ?? 3);

const cuda = await openEmulated(QUIET);
if (cuda !== null) {
  const reference = await openDevice('reference', QUIET);
  test.after(() => [cuda, reference].forEach((device) => device.dispose()));
  const comparisons = {
    'forward passes': forwardComparison(reference, [forward('CUDA', cuda, { optimize: true })]),
    'training steps': trainingComparison(reference, [
      training('CUDA', cuda),
      training('computed again on CUDA', cuda, { recompute: true }),
    ]),
  };
  for (const [kind, comparison] of Object.entries(comparisons))
    test(`${kind} of ${NETS} random nets equal the reference's, layer by layer`, async () => {
      const figures = await compareNets(comparison, SEED, 0, NETS);
      console.log(`figures: ${kind}: ${describeFigures(figures)}`);
      assert.is(figures.differences.join('\n\n'), '');
    });
}

test.run();
