/** ScaleTanH of HashNet and GradientScaler of ddtm's fork, against what the forks' code computes. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Trainer } from '../../ts/index.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const COUNT = 12;
const layer = (type: string, param: string) =>
  `${input('x', [3, 4])}layer { name: "y" type: "${type}" bottom: "x" top: "y" ${param} }`;
const isNear = (found: ArrayLike<number>, wanted: readonly number[], what: string) => {
  wanted.forEach((value, i) => {
    assert.ok(
      Math.abs(found[i]! - value) < 1e-5 * Math.max(1, Math.abs(value)),
      `${what}[${i}]: ${found[i]}, not ${value}`,
    );
  });
};
const [x, dy] = [draw(COUNT, 1, -2, 2), draw(COUNT, 2)];

for (const device of devices) {
  const trainer = (text: string): Promise<Trainer> =>
    device.train({
      model: { ...net(text), force_backward: true },
      update: null,
      diffs: ['x'],
      phase: 'TRAIN',
    });
  const pass = async (by: Trainer) => {
    const { outputs, blobs } = await by.gradients({ x }, { topDiffs: { y: dy } });
    return { y: outputs.y!.data, dx: blobs.x!.data };
  };

  test(`ScaleTanH grows steeper every step_size passes, on ${device.kind}`, async () => {
    const param = 'scale_tanh_param { init_scale: 1.5 step_size: 3 gamma: 0.25 power: 0.5 }';
    using by = await trainer(layer('ScaleTanH', param));
    // The count of passes begins at 2: Caffe reshapes once before the first.
    let scale = 1.5;
    for (const iteration of [2, 3, 4, 5, 6]) {
      if (iteration % 3 === 0) scale = 1.5 * Math.sqrt(1 + 0.25 * iteration);
      const { y, dx } = await pass(by);
      const wanted = [...x].map((value) => Math.tanh(scale * value));
      isNear(y, wanted, `y of ${iteration}`);
      isNear(
        dx,
        wanted.map((value, i) => scale * dy[i]! * (1 - value * value)),
        `dx of ${iteration}`,
      );
    }
    using loaded = await device.load({ model: net(layer('ScaleTanH', param)) });
    for (let run = 0; run < 4; run++)
      isNear(
        (await loaded.run({ x })).y!.data,
        [...x].map((value) => Math.tanh(1.5 * value)),
        'in phase TEST',
      );
  });

  test(`GradientScaler turns diffs round, more with every pass, on ${device.kind}`, async () => {
    const param = 'gradient_scaler_param { lower_bound: 0.1 upper_bound: 0.7 alpha: 10 max_iter: 4 }';
    using by = await trainer(layer('GradientScaler', param));
    for (const iteration of [0, 1, 2, 3, 4, 5]) {
      const progress = Math.min(1, iteration / 4);
      const factor = (2 * 0.6) / (1 + Math.exp(-10 * progress)) - 0.6 + 0.1;
      const { y, dx } = await pass(by);
      assert.equal([...y], [...x]);
      isNear(
        dx,
        [...dy].map((value) => -factor * value),
        `dx of ${iteration}`,
      );
    }
    using loaded = await device.load({ model: net(layer('GradientScaler', param)) });
    assert.equal([...(await loaded.run({ x })).y!.data], [...x]);
  });
}

test('settings that make no sense are refused with their position', () => {
  for (const [type, param, message] of [
    ['ScaleTanH', 'scale_tanh_param { step_size: 0 }', /net\.prototxt:\d+:\d+: step_size must be at least 1/],
    ['GradientScaler', 'gradient_scaler_param { lower_bound: 2 }', /lower_bound 2 is above upper_bound 1/],
    ['GradientScaler', 'gradient_scaler_param { alpha: -1 }', /alpha must be at least 0, found -1/],
    ['GradientScaler', 'gradient_scaler_param { max_iter: 0 }', /max_iter must be at least 1, found 0/],
  ] as const)
    assertRefused(net(layer(type, param)), message);
});

test.run();
