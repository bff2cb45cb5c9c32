/** FocalLoss, against the paper's formula (arXiv:1708.02002, equation 4) in float64, and its gradient against differences. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const [N, C, P] = [2, 4, 3] as const;
const LABELS = Float32Array.of(0, 3, 1, 2, 2, 0);

const text = (more: string) =>
  `${input('x', [N, C, P])}${input('label', [N, P])}layer { name: "l" type: "FocalLoss" bottom: "x" bottom: "label" top: "l" loss_weight: 2 ${more} }`;

function loss(
  x: ArrayLike<number>,
  alpha: number,
  gamma: number,
  ignored: number,
  divisor: (count: number) => number,
) {
  let [sum, count] = [0, 0];
  LABELS.forEach((label, i) => {
    if (label === ignored) return;
    const [n, p] = [Math.floor(i / P), i % P];
    const at = (c: number) => Math.exp(x[(n * C + c) * P + p]!);
    const share = at(label) / [0, 1, 2, 3].reduce((total, c) => total + at(c), 0);
    sum -= alpha * (1 - share) ** gamma * Math.log(share);
    count++;
  });
  return sum / divisor(count);
}

const x = draw(N * C * P, 1, -2, 2);
const CASES = [
  ['focal_loss_param { alpha: 0.25 }', 0.25, 2, -1, (count: number) => count],
  ['focal_loss_param { alpha: 1 gamma: 0 } loss_param { normalization: NONE }', 1, 0, -1, () => 1],
  [
    'focal_loss_param { alpha: 0.5 gamma: 1.5 } loss_param { ignore_label: 2 normalize: false }',
    0.5,
    1.5,
    2,
    () => N,
  ],
] as const;

for (const device of devices)
  for (const [more, alpha, gamma, ignored, divisor] of CASES)
    test(`${more} is the paper's loss, on ${device.kind}`, async () => {
      using trainer = await device.train({
        model: net(text(more)),
        update: null,
        diffs: ['x'],
        phase: 'TRAIN',
      });
      const { outputs, blobs } = await trainer.gradients({ x, label: LABELS });
      const at = (i: number, by: number) =>
        loss(
          Float64Array.from(x, (value, k) => value + (k === i ? by : 0)),
          alpha,
          gamma,
          ignored,
          divisor,
        );
      assert.ok(Math.abs(outputs.l!.data[0]! - at(0, 0)) < 1e-5);
      blobs.x!.data.forEach((diff, i) => {
        const slope = (2 * (at(i, 1e-5) - at(i, -1e-5))) / 2e-5;
        assert.ok(Math.abs(diff - slope) < 1e-5, `dx[${i}]: ${diff}, not ${slope}`);
      });
    });

test('what forks define differently, and what makes no sense, is refused', () => {
  assertRefused(net(text('')), /alpha must be given: forks of Caffe assume 0\.25 or 1/);
  assertRefused(net(text('focal_loss_param { alpha: 1 type: LINEAR }')), /type must be ORIGIN, found LINEAR/);
  assertRefused(net(text('focal_loss_param { alpha: 1 gamma: -1 }')), /gamma must be at least 0, found -1/);
  assertRefused(net(text('focal_loss_param { alpha: 0 }')), /alpha must be above 0, found 0/);
});

test.run();
