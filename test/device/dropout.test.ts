/** Dropout in phase TRAIN on the CPU: dropout-cases.ts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice, readNet } from '../../ts/index.ts';
import { philox, testDropout } from '../support/dropout-cases.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
test.after(() => devices.forEach((device) => device.dispose()));

test("Philox gives Random123's published answers", () => {
  assert.equal(philox([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  const pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
  assert.equal(philox(pi, [0xa4093822, 0x299f31d0]), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
});

for (const device of devices) testDropout(device);

test("sample_weights_test of SegNet's fork draws in phase TEST as in training, with another mask in each run", async () => {
  const text = (
    param: string,
  ) => `layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 500 } } }
    layer { name: "drop" type: "Dropout" bottom: "x" top: "drop" dropout_param { dropout_ratio: 0.25 ${param} } }`;
  const x = new Float32Array(1000).fill(3);
  await using device = await openDevice('cpu', { threads: 2 });
  await using model = await device.load({
    model: readNet(text('sample_weights_test: true'), { file: 'net.prototxt' }),
  });
  const [first, second] = [(await model.run({ x })).drop!.data, (await model.run({ x })).drop!.data];
  for (const data of [first, second]) {
    assert.equal([...new Set(data)].sort(), [0, 4]);
    const kept = data.filter((value) => value > 0).length;
    assert.ok(kept > 690 && kept < 810, `${kept} of 1000 are kept`);
  }
  assert.not.equal(first, second);
  await using plain = await device.load({
    model: readNet(text('sample_weights_test: false'), { file: 'net.prototxt' }),
  });
  assert.equal((await plain.run({ x })).drop!.data, x);
});

test.run();
