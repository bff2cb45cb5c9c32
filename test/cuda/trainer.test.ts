/** The guarantees of a Trainer on the emulated CUDA device, with lazy streams. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openEmulated } from '../support/emulated.ts';
import { batch, open, testTrainer, valuesOf } from '../support/trainer-cases.ts';

process.env.RESNODE_EMULATED_STREAMS = 'lazy';
const device = await openEmulated();
if (device !== null) {
  testTrainer(device);

  test('a step that was queued is completed, whenever it is aborted', async () => {
    using trainer = await open(device);
    using other = await open(device);
    for (let iteration = 0; iteration < 3; iteration++) {
      const controller = new AbortController();
      const step = trainer.step(batch(iteration), { rate: 0.05, iteration }, { signal: controller.signal });
      await new Promise((resolve) => setTimeout(resolve, iteration));
      controller.abort(new Error('enough'));
      const isDone = await step.then(
        () => true,
        () => false,
      );
      // Both its result and its update exist, or neither.
      if (isDone) await other.step(batch(iteration), { rate: 0.05, iteration });
      const fc = async (which: typeof trainer) => new Map(await valuesOf(which)).get('fc/0');
      assert.equal(await fc(trainer), await fc(other));
    }
  });
}

test.after(() => device?.dispose());
test.run();
