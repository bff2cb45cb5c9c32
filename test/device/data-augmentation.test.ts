/** DataAugmentation and L1Loss of FlowNet 2, against what the fork's CUDA code computes, written out in float64. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { type Device, graphFromCaffe, type WeightsFile } from '../../ts/index.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();

const augmented = (param: string, size: readonly [number, number] = [5, 6]) =>
  `${input('x', [2, 3, ...size])}layer { name: "aug" type: "DataAugmentation" bottom: "x" top: "y" augmentation_param { ${param} } }`;

/** A file's weights: the number of iterations, a mean of pixels of any size, the mean of channels. */
const weightsOf = (pixels: Float32Array, side: readonly number[], channels: Float32Array): WeightsFile =>
  ({
    file: 'aug.caffemodel',
    name: 'aug',
    layers: [
      {
        name: 'aug',
        type: 'DataAugmentation',
        blobs: [
          blobFromFloats([1, 1, 1, 1], Float32Array.of(99)),
          blobFromFloats([1, 3, ...side], pixels),
          blobFromFloats([1, 3, 1, 1], channels),
        ],
      },
    ],
  }) as unknown as WeightsFile;

/**
 * SpatialAugmentation: the middle of the image, read between pixels, up to 1.05 pixels from the right and lower edges.
 */
function middle(x: Float32Array, [H, W]: readonly number[], [h, w]: readonly number[]): number[] {
  return Array.from({ length: (x.length / H! / W!) * h! * w! }, (_, i) => {
    const [plane, y, column] = [Math.floor(i / (h! * w!)), Math.floor(i / w!) % h!, i % w!];
    const clamp = (value: number, size: number) => Math.min(Math.max(value, 0), size - 1.05);
    const [row, at] = [clamp(y + (H! - h!) / 2, H!), clamp(column + (W! - w!) / 2, W!)];
    const [top, left] = [Math.floor(row), Math.floor(at)];
    const pixel = (r: number, c: number) => x[(plane * H! + r) * W! + c] ?? 0;
    const [dy, dx] = [row - top, at - left];
    return (
      (1 - dy) * ((1 - dx) * pixel(top, left) + dx * pixel(top, left + 1)) +
      dy * ((1 - dx) * pixel(top + 1, left) + dx * pixel(top + 1, left + 1))
    );
  });
}

const isNear = (found: ArrayLike<number>, wanted: readonly number[], what: string, most = 1e-5) => {
  assert.is(found.length, wanted.length, what);
  wanted.forEach((value, i) => {
    assert.ok(
      Math.abs(found[i]! - value) <= most * Math.max(1, Math.abs(value)),
      `${what}[${i}]: ${found[i]}, not ${value}`,
    );
  });
};

const MEANS = Float32Array.of(0.4, 0.5, 0.6);

for (const device of devices) {
  const run = async (text: string, x: Float32Array, weights?: WeightsFile) => {
    using loaded = await device.load({ model: net(text), ...(weights ? { weights } : {}) });
    return (await loaded.run({ x })).y!;
  };
  const x = draw(2 * 3 * 30, 1);

  test(`the mean of each channel is subtracted, whatever size training had, on ${device.kind}`, async () => {
    const text = augmented('augment_during_test: true recompute_mean: 1000 mean_per_pixel: false');
    const y = await run(text, x, weightsOf(draw(3 * 7 * 9, 2), [7, 9], MEANS));
    assert.equal(y.shape, [2, 3, 5, 6]);
    isNear(
      y.data,
      [...x].map((value, i) => value - MEANS[Math.floor(i / 30) % 3]!),
      'y',
    );
  });

  for (const size of [
    [5, 6],
    [3, 4],
    [4, 3],
    [1, 1],
  ] as const)
    test(`a crop of ${size.join('×')} is read as the fork reads it, on ${device.kind}`, async () => {
      const text = augmented(`crop_height: ${size[0]} crop_width: ${size[1]} recompute_mean: 0`);
      isNear((await run(text, x, only())).data, middle(x, [5, 6], size), 'y');
    });

  test(`the mean of each pixel is subtracted, on ${device.kind}`, async () => {
    const text = augmented('recompute_mean: 10 mean_per_pixel: true');
    const pixels = draw(3 * 30, 3);
    const y = await run(text, x, weightsOf(pixels, [5, 6], MEANS));
    isNear(
      y.data,
      [...x].map((value, i) => value - pixels[i % 90]!),
      'y',
    );
  });

  test(`written means are subtracted, on ${device.kind}`, async () => {
    const text = augmented('mean: 0.4 mean: 0.5 mean: 0.6 mean_per_pixel: false');
    const y = await run(text, x, only());
    isNear(
      y.data,
      [...x].map((value, i) => value - MEANS[Math.floor(i / 30) % 3]!),
      'y',
    );
  });
}

/** Weights of a layer that has only its count. */
function only(): WeightsFile {
  const whole = weightsOf(draw(3, 2), [1, 1], MEANS);
  return {
    ...whole,
    layers: whole.layers.map((layer) => ({ ...layer, blobs: layer.blobs.slice(0, 1) })),
  } as WeightsFile;
}

test('a mean that the fork does not read is reported', async () => {
  const warnings: string[] = [];
  const listen = (warning: Error) => warnings.push(warning.message);
  process.on('warning', listen);
  graphFromCaffe(net(augmented('mean: 104 mean_per_pixel: false')));
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listen);
  assert.match(
    warnings.join(),
    /layer "aug" .* nothing is subtracted, because the fork reads mean only with mean_per_pixel: false and 3 values/,
  );
});

test('what is random, and what does not fit, is refused with what to do', () => {
  for (const [param, message] of [
    ['crop_height: 9 crop_width: 6', /from 1 to the image's size, found 9 and 6 for 2×3×5×6/],
    [
      'augment_during_test: true zoom { spread: 0.4 }',
      /augment_during_test: true with zoom .* write augment_during_test: false/,
    ],
  ] as const)
    assertRefused(net(augmented(param)), message);
  const text = augmented('zoom { spread: 0.4 }');
  graphFromCaffe(net(text));
  try {
    graphFromCaffe(net(text), { phase: 'TRAIN' });
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /in phase TRAIN .* give its top, "y", as an input/);
  }
});

/** The loss and the diffs of both bottoms. */
async function l1(device: Device, param: string, a: Float32Array, b: Float32Array) {
  const text = `${input('a', [2, 3, 1, 2])}${input('b', [2, 3, 1, 2])}layer { name: "l" type: "L1Loss" bottom: "a" bottom: "b" top: "l" loss_weight: 2 ${param} }`;
  using trainer = await device.train({
    model: { ...net(text), force_backward: true },
    update: null,
    diffs: ['a', 'b'],
    phase: 'TRAIN',
  });
  const { outputs, blobs } = await trainer.gradients({ a, b });
  return { loss: outputs.l!.data[0]!, da: blobs.a!.data, db: blobs.b!.data };
}

for (const device of devices) {
  const [a, b] = [draw(12, 5), draw(12, 6)];
  b[3] = Number.NaN;
  a[7] = b[7]!;
  const d = [...a].map((value, i) => value - b[i]!);
  const known = d.map((value) => (Number.isNaN(value) ? 0 : value));
  const signs = (zero: number) =>
    known.map((value, i) => (i === 3 ? 0 : value === 0 ? zero : Math.sign(value)));

  test(`L1Loss adds distances of numbers over the batch, on ${device.kind}`, async () => {
    const sum = known.reduce((total, value) => total + Math.abs(value), 0);
    for (const [param, zero, divisor] of [
      ['', 0, 2],
      ['l1_loss_param { }', -1, 2],
      ['l1_loss_param { normalize_by_num_entries: true }', -1, 11 / 3],
    ] as const) {
      const { loss, da, db } = await l1(device, param, a, b);
      isNear([loss], [sum / divisor], `${param} loss`);
      const slopes = signs(zero).map((sign) => (2 * sign) / divisor);
      isNear(da, slopes, `${param} da`);
      isNear(
        db,
        slopes.map((slope) => -slope),
        `${param} db`,
      );
    }
  });

  test(`L1Loss of lengths at each place, without those of the plateau, on ${device.kind}`, async () => {
    for (const [param, weight, plateau] of [
      ['l2_per_location: true', 1, 0],
      ['l2_per_location: true l2_prescale_by_channels: true plateau: 0.5', 1 / 3, 0.5],
    ] as const) {
      const { loss, da } = await l1(device, `l1_loss_param { ${param} }`, a, b);
      const squares = [0, 1, 2, 3].map((place) => {
        const first = Math.floor(place / 2) * 6 + (place % 2);
        return [0, 2, 4].reduce((total, step) => total + weight * known[first + step]! ** 2, 0);
      });
      const flat = squares.map((square) => square < plateau ** 2);
      if (plateau > 0) assert.ok(flat.includes(true) && flat.includes(false), 'the case shows nothing');
      const lengths = squares.map((square, i) => Math.sqrt((flat[i] ? 0 : square) + 0.01));
      isNear([loss], [lengths.reduce((x, y) => x + y) / 2], `${param} loss`);
      isNear(
        da,
        known.map((value, i) => {
          const place = Math.floor(i / 6) * 2 + (i % 2);
          return flat[place] ? 0 : (2 * weight * value) / lengths[place]! / 2;
        }),
        `${param} da`,
      );
    }
  });
}

test.run();
