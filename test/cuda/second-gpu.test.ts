/** A device that is not the first: nothing creates a context on the first GPU, which may belong to another process. */
import { dirname } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resnet } from '../../ts/index.ts';
import { emulatedBuild, openEmulated } from '../support/emulated.ts';
import { traced } from '../support/emulated-trace.ts';
import { useStandInCudnn } from '../support/stand-in-cudnn.ts';

process.env.RESNODE_EMULATED_DEVICES = '2';
const library = emulatedBuild('resnode_cuda');
if (library !== null && useStandInCudnn()) {
  test('opening, running, asking for memory and disposing use only its own GPU', async () => {
    const lines = await traced(async () => {
      for (const cudnn of [false, true]) {
        await using device = (await openEmulated({ cudnn, libraryFolder: dirname(library) }, 'cuda:1'))!;
        await using model = await device.load({ model: resnet({ depth: 20 }) });
        for (let run = 0; run < 3; run++) await model.run({ data: new Float32Array(3 * 32 * 32) });
        using _ = await device.buffer({ shape: [4] });
        assert.ok(device.memory().driver!.free < device.memory().driver!.total);
      }
    });
    assert.equal(
      lines.filter((line) => line.startsWith('context')),
      ['context 1'],
    );
  });
}

test.run();
