/** Plans for a GPU that is not present have the bytes that a device with resnode's own kernels plans and holds. */

import { dirname } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SGD_UPDATE, withLoss } from '../../ts/device/plan-training.ts';
import { openDevice, resnet } from '../../ts/index.ts';
import { emulatedBuild, openEmulated } from '../support/emulated.ts';

const GIB = 2 ** 30;
const library = process.env.RESNODE_TEST_CUDA === 'hardware' ? null : emulatedBuild('resnode_cuda');
if (library !== null) {
  const model = resnet({ depth: 20 });

  test('a plan without a GPU has the same bytes as one with a GPU, forward and in training', async () => {
    await using real = (await openEmulated())!;
    await using planning = await openDevice('cuda', { gpuMemory: 8 * GIB, libraryFolder: dirname(library) });
    assert.is(planning.memory().free, 8 * GIB);
    for (const precision of ['float32', 'float16'] as const) {
      const [here, there] = await Promise.all(
        [real, planning].map((device) => device.plan({ model, batch: 4, precision })),
      );
      assert.equal(
        [there!.parameterBytes, there!.arenaBytes, there!.workspaceBytes],
        [here!.parameterBytes, here!.arenaBytes, here!.workspaceBytes],
      );
      const training = { model: withLoss(model), batch: 4, precision, update: SGD_UPDATE };
      const [step, planned] = await Promise.all(
        [real, planning].map((device) => device.planTraining(training)),
      );
      assert.is(planned!.parameterBytes, step!.parameterBytes);
      assert.is(planned!.arenaBytes, step!.arenaBytes);
    }
  });

  test('such a device plans and does nothing else', async () => {
    await using planning = await openDevice('cuda', { gpuMemory: GIB, libraryFolder: dirname(library) });
    for (const attempt of [() => planning.load({ model }), () => planning.buffer({ shape: [4] })])
      await attempt().then(
        () => assert.unreachable(),
        (error: { code: string; message: string }) => {
          assert.is(error.code, 'device/unsupported');
          assert.match(error.message, /only plans, for a GPU that is not present/);
        },
      );
  });
}

test.run();
