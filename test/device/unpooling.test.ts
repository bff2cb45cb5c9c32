/** Unpooling of DeconvNet, and Eltwise with one bottom from FlowNet's fork. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openEmulated } from '../support/emulated.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const unpooled = (param: string, [height, width]: readonly [number, number] = [6, 4]) =>
  `input: "x" input_dim: 2 input_dim: 3 input_dim: ${height} input_dim: ${width}
layers { name: "pool" type: POOLING bottom: "x" top: "pool" top: "mask" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layers { name: "y" type: UNPOOLING bottom: "pool" bottom: "mask" top: "y" unpooling_param { unpool: MAX ${param} } }`;
const one = (param: string) =>
  `${input('x', [2, 3])}layer { name: "y" type: "Eltwise" bottom: "x" top: "y" eltwise_param { ${param} } }`;

for (const device of devices) {
  test(`the maximum of each window returns to its position, and all else is 0, on ${device.kind}`, async () => {
    for (const param of ['kernel_size: 2 stride: 2 unpool_size: 6', 'kernel_size: 2 stride: 2']) {
      const width = param.includes('unpool_size') ? 6 : 4;
      const x = draw(2 * 3 * 6 * width, 3);
      using loaded = await device.load({ model: net(unpooled(param, [6, width])) });
      const { y } = await loaded.run({ x });
      assert.equal(y!.shape, [2, 3, 6, width]);
      const largest = (i: number) => {
        const [row, column] = [Math.floor(i / width), i % width];
        const first = (row - (row % 2)) * width + column - (column % 2);
        return Math.max(...[0, 1, width, width + 1].map((step) => x[first + step]!));
      };
      assert.equal(
        [...y!.data],
        Array.from(x, (value, i) => (value === largest(i) ? value : 0)),
      );
    }
  });

  test(`an Eltwise with one bottom multiplies it by its coeff, on ${device.kind}`, async () => {
    const x = draw(6, 4);
    for (const [param, factor] of [
      ['operation: SUM coeff: -0.5', -0.5],
      ['', 1],
    ] as const) {
      using loaded = await device.load({ model: net(one(param)) });
      assert.equal(
        [...(await loaded.run({ x })).y!.data],
        Array.from(x, (value) => Math.fround(value * factor)),
      );
    }
  });

  test(`diffs return to where the values came from, on ${device.kind}`, async () => {
    for (const text of [
      `${input('x', [2, 3, 2, 2])}layer { name: "pool" type: "Pooling" bottom: "x" top: "pool" top: "mask" pooling_param { kernel_size: 1 } }
layer { name: "y" type: "Unpooling" bottom: "pool" bottom: "mask" top: "y" unpooling_param { unpool_size: 3 } }`,
      one('coeff: 3'),
    ])
      assert.ok((await checkGradients(device, { net: text, seed: 5 })).compared > 0);
  });
}

test('a top that is too small, or a second coeff, is refused with its position', () => {
  for (const [text, said] of [
    [unpooled('unpool_size: 2'), /the top would be 2×2, its bottom is 3×2; give unpool_size/],
    [unpooled('kernel_size: 2 stride: 2 pad: 2'), /the top would be 2×0/],
    [one('operation: MAX'), /MAX takes at least 2 bottoms, found 1; SUM takes one/],
    [one('coeff: 1 coeff: 2'), /1 bottoms need as many coeff/],
  ] as const)
    assertRefused(net(text), said);
});

test.run();
