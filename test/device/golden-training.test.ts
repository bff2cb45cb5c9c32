/** Every backward pass and every run of a solver that real Caffe recorded, on every device that computes in main memory. */
import { test } from 'uvu';
import { type Device, openDevice } from '../../ts/index.ts';
import { testTrainingCases } from '../support/golden-cases.ts';

const devices: Device[] = [await openDevice('reference')];
try {
  devices.push(await openDevice('cpu', { threads: 2 }));
} catch (error) {
  console.log(`skipped: the cpu device: ${(error as Error).message}`);
}

for (const device of devices) testTrainingCases(device);

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
