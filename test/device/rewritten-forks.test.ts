/**
 * Small layers of forks that are rewritten as other operations: results against the forks' formulas in float64, and gradients
 * against differences.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { openEmulated } from '../support/emulated.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const SHAPE = [2, 3, 2, 4];
const layer = (type: string, param = '', tops = 'top: "y"') =>
  `layer { name: "l" type: "${type}" bottom: "x" ${tops} ${param} }`;
const near = (found: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 2e-6) => {
  assert.is(found.length, expected.length);
  for (let i = 0; i < expected.length; i++)
    assert.ok(Math.abs(found[i]! - expected[i]!) <= tolerance, `${i}: ${found[i]}, ${expected[i]}`);
};

const clip = (x: number, from: number, to: number) => Math.min(to, Math.max(from, x));
const ACTIVATIONS: readonly [type: string, param: string, of: (x: number) => number][] = [
  ['HardSigmoid', '', (x) => clip(0.2 * x + 0.5, 0, 1)],
  ['HardSigmoid', 'hard_sigmoid_param { alpha: 0.5 beta: 0.25 }', (x) => clip(0.5 * x + 0.25, 0, 1)],
  ['HardSigmoid', 'hardsigmoid_param { alpha: 0.1666667 }', (x) => clip(0.1666667 * x + 0.5, 0, 1)],
  ['HSigmoid', '', (x) => clip(x + 3, 0, 6) / 6],
  ['HSwish', '', (x) => (x * clip(x + 3, 0, 6)) / 6],
];

for (const device of devices) {
  for (const [type, param, of] of ACTIVATIONS) {
    const text = `${input('x', SHAPE)}${layer(type, param)}`;
    test(`${type} ${param} by its formula, forward and backward, on ${device.kind}`, async () => {
      using model = await device.load({ model: net(text) });
      const x = draw(elementCount(SHAPE), 3, -6, 6);
      near((await model.run({ x })).y!.data, x.map(of));
      const fill = (_: string, count: number) => draw(count, 4, -6, 6);
      const { compared, kinks } = await checkGradients(device, { net: text, fill, seed: 1 });
      assert.ok(compared >= 7 && kinks <= 1, `${compared}, ${kinks}`);
    });
  }

  test(`the second top of a ReLU is 1 where the bottom is above 0, also in place, and has no diff, on ${device.kind}`, async () => {
    for (const top of ['y', 'x']) {
      const text = `${input('x', SHAPE)}${layer('ReLU', 'relu_param { negative_slope: 0.1 }', `top: "${top}" top: "mask"`)}`;
      using model = await device.load({ model: net(text) });
      const x = draw(elementCount(SHAPE), 5);
      const { mask, [top]: made } = await model.run({ x });
      near(
        mask!.data,
        x.map((value) => (value > 0 ? 1 : 0)),
        0,
      );
      near(
        made!.data,
        x.map((value) => (value > 0 ? value : 0.1 * value)),
        1e-7,
      );
    }
    const text = `${input('x', SHAPE)}${layer('ReLU', '', 'top: "y" top: "mask"')}`;
    const fill = (_: string, count: number) =>
      Float32Array.from({ length: count }, (_value, i) => (i % 2 ? 1 : -1) + i / 99);
    await checkGradients(device, { net: text, fill, seed: 2 });
  });

  test(`GRN divides the channels of each position by their length, on ${device.kind}`, async () => {
    for (const bias of [undefined, 0.5]) {
      const text = `${input('x', SHAPE)}${layer('GRN', bias === undefined ? '' : `grn_param { bias: ${bias} }`)}`;
      using model = await device.load({ model: net(text) });
      const x = draw(elementCount(SHAPE), 6);
      const at = (n: number, c: number, place: number) => x[(n * 3 + c) * 8 + place]!;
      const expected = x.map((value, i) => {
        const [n, place] = [Math.floor(i / 24), i % 8];
        const sum = [0, 1, 2].reduce((total, c) => total + at(n, c, place) ** 2, bias ?? 1e-7);
        return value / Math.sqrt(sum);
      });
      const { y } = await model.run({ x });
      assert.equal(y!.shape, SHAPE);
      near(y!.data, expected);
      await checkGradients(device, { net: text, seed: 3 });
    }
  });

  test(`Convert makes a sequence W×N×C of N×C×1×W, whose steps after the first continue, on ${device.kind}`, async () => {
    const [n, c, w] = [2, 3, 4];
    const text = `${input('x', [n, c, 1, w])}${layer('Convert', '', 'top: "y" top: "cont"')}`;
    using model = await device.load({ model: net(text) });
    const x = draw(n * c * w, 7);
    const { y, cont } = await model.run({ x });
    assert.equal(
      [y!.shape, cont!.shape],
      [
        [w, n, c],
        [w, n],
      ],
    );
    const expected = Array.from({ length: w }, (_, t) =>
      Array.from({ length: n }, (_item, i) =>
        Array.from({ length: c }, (_channel, j) => x[(i * c + j) * w + t]!),
      ),
    );
    near(y!.data, expected.flat(2), 0);
    near(cont!.data, [0, 0, 1, 1, 1, 1, 1, 1], 0);
    await checkGradients(device, { net: text, seed: 4 });
  });

  test(`an old EltwiseAccuracy is BVLC's Accuracy of all positions, on ${device.kind}`, async () => {
    const inputs = `input: "x" input_dim: 2 input_dim: 3 input_dim: 2 input_dim: 2
      input: "label" input_dim: 2 input_dim: 1 input_dim: 2 input_dim: 2\n`;
    const old = `${inputs}layers { name: "a" type: ELTWISE_ACCURACY bottom: "x" bottom: "label" top: "a"
      eltwise_accuracy_param { top_k: 2 ignore_label: 255 } }`;
    using model = await device.load({ model: net(old) });
    const x = draw(24, 8);
    const label = Float32Array.of(0, 1, 255, 2, 2, 255, 1, 0);
    const { a } = await model.run({ x, label });
    let right = 0;
    for (let i = 0; i < 8; i++) {
      const scores = [0, 1, 2].map((k) => x[Math.floor(i / 4) * 12 + k * 4 + (i % 4)]!);
      const best = [0, 1, 2].toSorted((p, q) => scores[q]! - scores[p]!).slice(0, 2);
      if (best.includes(label[i]!)) right++;
    }
    near(a!.data, [right / 6]);
  });

  test(`a Parameter starts with the values of its filler, on ${device.kind}`, async () => {
    const text = (filler: string) =>
      `layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 2 dim: 3 } ${filler} } }`;
    using model = await device.load({
      model: net(text('filler { type: "constant" value: 1.5 }')),
      partialWeights: true,
    });
    near((await model.run({})).p!.data, [1.5, 1.5, 1.5, 1.5, 1.5, 1.5], 0);
  });
}

test('what these layers cannot take is refused', () => {
  const refused = (text: string, said: RegExp) => assertRefused(net(text), said);
  refused(
    `${input('x', [2, 3, 2, 4])}${layer('Convert', '', 'top: "y" top: "c"')}`,
    /needs a bottom of N×C×W or N×C×1×W/,
  );
  refused(
    `${input('x', SHAPE)}${layer('GRN', 'grn_param { bias: -1 }')}`,
    /bias must be at least 0, found -1/,
  );
  refused(
    `${input('x', SHAPE)}${layer('ReLU', 'relu_param { relu6: true }', 'top: "y" top: "mask"')}`,
    /relu6 has no second top/,
  );
});

test.run();
