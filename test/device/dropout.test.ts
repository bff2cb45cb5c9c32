/** Dropout in phase TRAIN on the processor: dropout-cases.ts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { philox, testDropout } from '../support/dropout-cases.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
test.after(() => devices.forEach((device) => device.dispose()));

test("Philox gives Random123's known answers", () => {
  assert.equal(philox([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  const pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
  assert.equal(philox(pi, [0xa4093822, 0x299f31d0]), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
});

for (const device of devices) testDropout(device);

test.run();
