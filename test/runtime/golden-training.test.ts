/** Every backward pass and every run of a solver that real Caffe recorded, on every device that trains. */
import { basename } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Device, openDevice } from '../../ts/index.ts';
import { checkCase } from '../../ts/parity/check-case.ts';
import { readGoldenCase } from '../../ts/parity/golden-case.ts';
import { goldenCases } from '../support/golden.ts';

const devices: Device[] = [await openDevice('reference')];
try {
  devices.push(await openDevice('cpu', { threads: 2 }));
} catch (error) {
  console.log(`skipped: the cpu device: ${(error as Error).message}`);
}

for (const device of devices)
  for (const group of ['layers', 'mini-resnet', 'solver', 'train'])
    for (const folder of goldenCases(group)) {
      const golden = readGoldenCase(folder);
      const trains = golden.kind === 'solver' || (golden.kind === 'net' && golden.backward !== undefined);
      if (!trains) continue;
      test(`${group}/${basename(folder)} on ${device.kind}`, async () => {
        const { checks, firstDivergence, notChecked } = await checkCase(device, golden);
        const modes = new Set(checks.map(({ mode }) => mode));
        assert.equal(notChecked, []);
        assert.ok([...modes].some((mode) => /^(backward|training)/.test(mode)));
        assert.is(firstDivergence, null, JSON.stringify(firstDivergence));
      });
    }

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
