/** Every forward pass that real Caffe recorded, on every device that computes in main memory. */
import { test } from 'uvu';
import { type Device, openDevice } from '../../ts/index.ts';
import { testGoldenCases } from '../support/golden-cases.ts';

const devices: Device[] = [await openDevice('reference')];
try {
  devices.push(await openDevice('cpu', { threads: 2 }));
} catch (error) {
  console.log(`skipped: the cpu device: ${(error as Error).message}`);
}

for (const device of devices) testGoldenCases(device);

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
