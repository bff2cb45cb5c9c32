/** Every backward pass and solver run that real Caffe recorded, on every device that computes in main memory. */
import { test } from 'uvu';
import { testTrainingCases } from '../support/golden-cases.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();

for (const device of devices) testTrainingCases(device);

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
