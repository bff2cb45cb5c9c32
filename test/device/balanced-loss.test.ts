/** SigmoidCrossEntropyBalanceLoss against equation 2 of holistically-nested edge detection (arXiv:1504.06375) in float64. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openEmulated } from '../support/emulated.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const SHAPE = [3, 1, 4, 5];
const [ITEMS, PLACES] = [3, 20];
const text = (label: readonly number[] = SHAPE) =>
  `${input('x', SHAPE)}${input('label', label)}layer { name: "y" type: "SigmoidCrossEntropyBalanceLoss" bottom: "x" bottom: "label" top: "y" loss_weight: 2 }`;

/**
 * The mean over items of β Σ −log σ(x) over edges and (1 − β) Σ −log(1 − σ(x)) over the rest; β is the share of the
 * rest.
 */
function loss(x: ArrayLike<number>, label: Float32Array): number {
  let sum = 0;
  for (let item = 0; item < ITEMS; item++) {
    const places = Array.from({ length: PLACES }, (_, i) => item * PLACES + i);
    const edges = places.filter((i) => label[i] === 1);
    const others = places.filter((i) => label[i] === 0);
    const beta = others.length / (edges.length + others.length);
    const sigmoid = (i: number) => 1 / (1 + Math.exp(-x[i]!));
    if (edges.length > 0) for (const i of edges) sum -= beta * Math.log(sigmoid(i));
    if (others.length > 0) for (const i of others) sum -= (1 - beta) * Math.log(1 - sigmoid(i));
  }
  return sum / ITEMS;
}

/** An item with few edges and a position that is neither, one with edges only, and a mixed one. */
const label = Float32Array.from({ length: ITEMS * PLACES }, (_, i) =>
  i < PLACES ? (i === 7 ? 255 : Number(i % 9 === 0)) : i < 2 * PLACES ? 1 : Number(i % 3 === 0),
);

for (const device of devices) {
  test(`edges are weighted by the share of the rest in their item, on ${device.kind}`, async () => {
    const x = draw(ITEMS * PLACES, 1, -3, 3);
    using trainer = await device.train({
      model: { ...net(text()), force_backward: true },
      update: null,
      diffs: ['x'],
    });
    const { outputs, blobs } = await trainer.gradients({ x, label });
    const wanted = loss(x, label);
    assert.ok(Math.abs(outputs.y!.data[0]! / wanted - 1) < 1e-5, `${outputs.y!.data[0]}, not ${wanted}`);
    blobs.x!.data.forEach((diff, i) => {
      const moved = (by: number) =>
        loss(
          Float64Array.from(x, (value, j) => value + (i === j ? by : 0)),
          label,
        );
      const slope = (2 * (moved(1e-5) - moved(-1e-5))) / 2e-5;
      assert.ok(Math.abs(diff - slope) < 1e-6, `${i}: ${diff}, not ${slope}`);
    });
    assert.is(blobs.x!.data[7], 0);
  });

  test(`scores whose exponential exceeds float32 give finite losses, and labels without classes give 0, on ${device.kind}`, async () => {
    using loaded = await device.load({ model: net(text()) });
    const x = new Float32Array(ITEMS * PLACES).fill(-1000);
    const { y } = await loaded.run({ x, label });
    const beta = 16 / 19;
    const mixed = label.subarray(2 * PLACES).filter((each) => each === 1).length;
    const expected = (1000 * (3 * beta + (mixed * (PLACES - mixed)) / PLACES)) / ITEMS;
    assert.ok(Math.abs(y!.data[0]! / expected - 1) < 1e-5, `${y!.data[0]}, not ${expected}`);
    const none = await loaded.run({ x, label: new Float32Array(ITEMS * PLACES).fill(255) });
    assert.is(none.y!.data[0], 0);
  });
}

test('labels with another size are refused', () => {
  assertRefused(net(text([3, 1, 4, 4])), /needs a label for each score, found 3×1×4×4 for 3×1×4×5/);
});

test.run();
