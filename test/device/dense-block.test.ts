/**
 * DenseBlock against its transitions, written out in float64 as caffe_ocr's code for GPUs computes them; GuidedDropout against the shares
 * that it keeps.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { blobFromFloats, toFloat32 } from '../../ts/caffe/blob.ts';
import type { Device, WeightsFile } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const [N, C, H, W, COUNT, GROWTH] = [2, 3, 4, 5, 3, 2] as const;
const AREA = H * W;
const text = (more = '', shape: readonly number[] = [N, C, H, W]) =>
  `${input('x', shape)}layer { name: "y" type: "DenseBlock" bottom: "x" top: "y" denseblock_param {
     numTransition: ${COUNT} initChannel: 64 growthRate: ${GROWTH} Filter_Filler { type: "msra" }
     BN_Scaler_Filler { type: "constant" value: 1 } BN_Bias_Filler { type: "constant" } ${more} } }`;

/** Of each blob other values; statistics as of a net that has learnt. */
async function weightsOf(device: Device, model: string): Promise<WeightsFile> {
  using trainer = await device.train({ model: net(model), update: null, phase: 'TEST' });
  const first = await trainer.weights();
  return {
    ...first,
    layers: first.layers.map((layer) => ({
      ...layer,
      blobs: layer.blobs.map(({ shape }, i) => {
        const values = draw(
          shape.reduce((a, b) => a * b, 1),
          i + 1,
        );
        const isVariance = Math.floor(i / COUNT) === 4 || Math.floor(i / COUNT) === 9;
        return blobFromFloats(shape, isVariance ? values.map((value) => value + 1.5) : values);
      }),
    })),
  };
}

/** [channels][pixels] of an item. */
type Maps = readonly (readonly number[])[];

/** What cuDNN calls a convolution: the filter is turned round. */
function convolved(x: Maps, filter: Float32Array, outputs: number, size: number): Maps {
  const half = (size - 1) / 2;
  return Array.from({ length: outputs }, (_, o) =>
    Array.from({ length: AREA }, (__, place) => {
      const [row, column] = [Math.floor(place / W), place % W];
      let sum = 0;
      x.forEach((plane, c) => {
        for (let i = 0; i < size; i++)
          for (let j = 0; j < size; j++) {
            const [r, s] = [row + half - i, column + half - j];
            if (r < 0 || s < 0 || r >= H || s >= W) continue;
            sum += filter[((o * x.length + c) * size + i) * size + j]! * plane[r * W + s]!;
          }
      });
      return sum;
    }),
  );
}

function block(x: Float32Array, blobs: readonly Float32Array[], hasBottlenecks: boolean): number[] {
  const made: number[] = [];
  const normalised = (maps: Maps, first: number, i: number): Maps =>
    maps.map((plane, c) => {
      const [scale, shift, mean, variance] = [0, 1, 2, 3].map((k) => blobs[(first + k) * COUNT + i]![c]!);
      return plane.map((value) =>
        Math.max(0, (scale! * (value - mean!)) / Math.sqrt(variance! + 1e-5) + shift!),
      );
    });
  for (let n = 0; n < N; n++) {
    let maps: Maps = Array.from({ length: C }, (_, c) => [
      ...x.subarray((n * C + c) * AREA, (n * C + c + 1) * AREA),
    ]);
    for (let i = 0; i < COUNT; i++) {
      let next = normalised(maps, 1, i);
      if (hasBottlenecks) next = normalised(convolved(next, blobs[5 * COUNT + i]!, 4 * GROWTH, 1), 6, i);
      maps = [...maps, ...convolved(next, blobs[i]!, GROWTH, 3)];
    }
    made.push(...maps.flat());
  }
  return made;
}

function assertNear(found: ArrayLike<number>, wanted: readonly number[]): void {
  assert.is(found.length, wanted.length);
  const scale = Math.max(...wanted.map(Math.abs));
  wanted.forEach((value, i) => {
    assert.ok(Math.abs(found[i]! - value) < 1e-5 * scale, `${i}: ${found[i]}, not ${value}`);
  });
}

for (const device of devices) {
  for (const hasBottlenecks of [false, true])
    test(`DenseBlock ${hasBottlenecks ? 'with' : 'without'} bottlenecks adds channels, transition by transition, on ${device.kind}`, async () => {
      const model = text(`use_BC: ${hasBottlenecks}`);
      const weights = await weightsOf(device, model);
      const blobs = weights.layers.at(-1)!.blobs.map(toFloat32);
      assert.is(blobs.length, (hasBottlenecks ? 10 : 5) * COUNT + 1);
      const x = draw(N * C * AREA, 90);
      for (const optimize of [true, false]) {
        using loaded = await device.load({ model: net(model), weights, optimize });
        const { y } = await loaded.run({ x });
        assert.equal(y!.shape, [N, C + COUNT * GROWTH, H, W]);
        assertNear(y!.data, block(x, blobs, hasBottlenecks));
      }
    });

  test(`DenseBlock learns by the statistics of the batch, on ${device.kind}`, async () => {
    const one = text('use_BC: true use_dropout: true dropout_amount: 0.25').replace(
      `numTransition: ${COUNT}`,
      'numTransition: 1',
    );
    const { compared, kinks } = await checkGradients(device, {
      net: one,
      seed: 5,
      step: 1e-3,
      threshold: 5e-3,
    });
    assert.ok(compared > 30 && kinks < compared / 5, `${kinks} of ${compared} on a kink`);
    using trainer = await device.train({ model: net(text()), update: null });
    await trainer.gradients({ x: draw(N * C * AREA, 91, 1, 3) });
    const blobs = (await trainer.weights()).layers.at(-1)!.blobs.map(toFloat32);
    // What counts is not read, and stays.
    assert.equal([...blobs.at(-1)!], [0]);
    // moving_average_fraction is 0.1, of means from 1 to 3 and variances around 1/3.
    assert.ok(blobs[3 * COUNT]!.every((mean) => mean > 0.15 && mean < 0.25));
    assert.ok(blobs[4 * COUNT]!.every((variance) => variance > 0.92 && variance < 0.95));
  });

  test(`GuidedDropout keeps what the guidance is above, and scales it by how many are, on ${device.kind}`, async () => {
    const guidance = Float32Array.of(1, -1, 0.5, 3, -2, -1, -3, 0);
    const x = draw(2 * 4 * 3, 92);
    const model = (more: string) =>
      net(
        `${input('x', [2, 4, 3])}${input('g', [2, 4])}layer { name: "y" type: "GuidedDropout" bottom: "x" bottom: "g" top: "y" ${more} }`,
      );
    using loaded = await device.load({ model: model('guided_dropout_param { guidance_threshold: 0.25 }') });
    const { y } = await loaded.run({ x, g: guidance });
    assertNear(
      y!.data,
      Array.from(x, (value, i) => (guidance[Math.floor(i / 3)]! > 0.25 ? (value * 4) / 3 : 0)),
    );
    const drawn = 'guided_dropout_param { type: "stochastic" sigmoid_scaler: 2 }';
    using tested = await device.load({ model: model(drawn) });
    assert.equal([...(await tested.run({ x, g: guidance })).y!.data], [...x]);
    using trainer = await device.train({ model: model(drawn), update: null, diffs: ['x'] });
    const kept = new Float64Array(8);
    const passes = 150;
    for (let i = 0; i < passes; i++) {
      const ones = new Float32Array(x.length).fill(1);
      const { outputs, blobs } = await trainer.gradients({ x: ones, g: guidance }, { topDiffs: { y: ones } });
      assert.equal([...outputs.y!.data], [...blobs.x!.data]);
      for (let c = 0; c < 8; c++) kept[c]! += Number(outputs.y!.data[3 * c]! > 0) / passes;
    }
    kept.forEach((share, c) => {
      const wanted = 1 / (1 + Math.exp(-2 * guidance[c]!));
      assert.ok(Math.abs(share - wanted) < 0.15, `channel ${c}: ${share}, not ${wanted}`);
    });
  });
}

test('what these layers cannot be is refused at its place', () => {
  const refused = (said: string, why: RegExp) => assertRefused(net(said), why);
  refused(
    text('numTransition: 0').replace(`numTransition: ${COUNT}`, ''),
    /numTransition must be from 1 to 256, found 0/,
  );
  refused(text('', [2, 3]), /expected a first bottom of 4 dimensions/);
  refused(
    text('use_dropout: true dropout_amount: 1'),
    /dropout_amount must be at least 0 and below 1, found 1/,
  );
  const guided = (shape: readonly number[], more = '') =>
    `${input('x', [2, 4, 3])}${input('g', shape)}layer { name: "y" type: "GuidedDropout" bottom: "x" bottom: "g" top: "y" ${more} }`;
  refused(guided([2, 3]), /needs a number for each channel of each item, 2×4, found 2×3/);
  refused(
    guided([2, 4], 'guided_dropout_param { type: "other" }'),
    /"deterministic" or "stochastic", found "other"/,
  );
});

test.run();
