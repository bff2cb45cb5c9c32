/**
 * Convolutions with any group and stride, and deconvolutions, by the CPU device's own tiles, against the reference
 * loops.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { type Device, openDevice } from '../../ts/index.ts';
import { openAllKernels } from '../support/open-kernels.ts';
import { FILTERS, type Filter, layersOf, nameOf } from './filter-cases.ts';

const reference = await openDevice('reference');
const own = await openAllKernels({ winograd: false, tune: false });
test.after(() => [reference, ...own].forEach((device) => device.dispose()));

async function compute(device: Device, filter: Filter, spoil: (data: Float32Array) => void = () => {}) {
  await using model = await device.load({ model: { layer: layersOf(filter) } });
  const data = Float32Array.from({ length: elementCount(filter.input) }, (_, i) => Math.sin(i * i));
  spoil(data);
  const [output] = Object.values(await model.run({ data }));
  return {
    values: output!.data,
    implementations: model.plan().operations.map((each) => each.implementation),
  };
}

for (const filter of FILTERS) {
  test(`${nameOf(filter)}: as the reference, with the same bits on every instruction set and number of threads`, async () => {
    const { values: expected } = await compute(reference, filter);
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const answers = [];
    for (const device of own) answers.push(await compute(device, filter));
    for (const { values, implementations } of answers) {
      assert.ok(
        implementations.every((each) => /^(direct|depthwise|narrow groups) (AVX|NEON)/.test(each)),
        `${implementations}`,
      );
      assert.equal(values, answers[0]!.values);
      const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
      assert.ok(worst <= 1e-5 * largest, `differs by ${worst} of ${largest}`);
    }
  });
}

test('NaN in one group stays in that group, as in the reference', async () => {
  for (const filter of FILTERS.filter(({ group = 1 }) => group > 1)) {
    const [, channels, height, width] = filter.input;
    const at = (Math.min(filter.group! - 1, 1) * channels) / filter.group! + 0.5;
    const spoil = (data: Float32Array) =>
      data.fill(Number.NaN, Math.floor(at) * height * width, Math.floor(at) * height * width + 1);
    const spoilt = async (device: Device) =>
      [...(await compute(device, filter, spoil)).values].map(Number.isNaN);
    const expected = await spoilt(reference);
    assert.ok(expected.includes(false));
    for (const device of own) assert.equal(await spoilt(device), expected, JSON.stringify(filter));
  }
});

test.run();
