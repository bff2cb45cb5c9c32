/** transform_param and augment, against values computed by hand from data_transformer.cpp. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, DataError } from '../../ts/base/errors.ts';
import { mix, seededRandom, shuffled } from '../../ts/base/random.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { type Augment, checkAugment } from '../../ts/data/augment.ts';
import { augmentPixels } from '../../ts/data/augment-pixels.ts';
import { pixelsOfDatum, pixelsOfImage, planesOf, resizePixels } from '../../ts/data/pixels.ts';
import { type Transform, transformedShape, transformPixels } from '../../ts/data/transform.ts';

const plain: Transform = {
  phase: 'TEST',
  scale: 1,
  mirror: false,
  cropSize: 0,
  mean: null,
  meanValues: [],
  colour: null,
  augment: {},
};
// Channel c, row y, column x has the value 100c + 10y + x.
const planes = (channels: number, height: number, width: number) =>
  pixelsOfDatum({
    channels,
    height,
    width,
    label: 0,
    encoded: false,
    floatData: null,
    data: Uint8Array.from(
      { length: channels * height * width },
      (_, i) => 100 * Math.floor(i / (height * width)) + 10 * (Math.floor(i / width) % height) + (i % width),
    ),
  });
const run = (pixels: ReturnType<typeof planes>, options: Partial<Transform>, random = seededRandom(1)) => {
  const transform = { ...plain, ...options };
  const shape = transformedShape(pixels, transform);
  const output = new Float32Array(elementCount(shape)).fill(Number.NaN);
  transformPixels(pixels, transform, random, shape, output, 0);
  return [...output];
};
/** A generator that returns these values. */
const draws =
  (...values: number[]) =>
  (): number => {
    assert.ok(values.length > 0, 'too many draws');
    return values.shift()!;
  };

test('without parameters the values are unchanged', () => {
  assert.equal(run(planes(2, 2, 3), {}), [0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112]);
});

test('bytes, which use a lookup table, give the same bits as floats', () => {
  const bytes = planes(3, 2, 2);
  const floats = { ...bytes, data: Float32Array.from(bytes.data) };
  const lighting = { eigenvalues: [30, 20, 10] };
  for (const options of [
    { scale: 0.1 },
    { scale: 1 / 255, meanValues: [104.1, 116.7, 122.3] },
    { scale: 3, meanValues: [0.3], augment: { lighting } },
  ])
    for (const seed of [1, 2])
      assert.equal(run(bytes, options, seededRandom(seed)), run(floats, options, seededRandom(seed)));
});

test('in TEST the crop is centred, with the smaller margin first', () => {
  assert.equal(run(planes(1, 4, 5), { cropSize: 2 }), [11, 12, 21, 22]);
  assert.equal(run(planes(1, 5, 5), { cropSize: 2 }), [11, 12, 21, 22]);
});

test('in TRAIN mirror, top and left are drawn in this order', () => {
  const options = { phase: 'TRAIN', cropSize: 2, mirror: true } as const;
  assert.equal(run(planes(1, 4, 5), options, draws(0.49, 0.99, 0)), [20, 21, 30, 31]);
  assert.equal(run(planes(1, 4, 5), options, draws(0.5, 0, 0.75)), [4, 3, 14, 13]);
});

test("the mean image is subtracted at the crop's position before scaling, and is mirrored with it", () => {
  const mean = { shape: [1, 1, 4, 5], data: Float32Array.from({ length: 20 }, (_, i) => i) };
  // Rows 2 and 3, columns 0 and 1: 20 − 10, 21 − 11, 30 − 15, 31 − 16.
  const options = { phase: 'TRAIN', cropSize: 2, mirror: true, mean, scale: 0.5 } as const;
  assert.equal(run(planes(1, 4, 5), options, draws(0, 0.99, 0)), [5, 5, 7.5, 7.5]);
  assert.equal(run(planes(1, 4, 5), { ...options, cropSize: 0 }, draws(0.9)).slice(0, 5), [0, 0, 0, 0, 0]);
  assert.equal(
    run(planes(1, 4, 5), { ...options, cropSize: 0 }, draws(0.9)).slice(5, 10),
    [2.5, 2.5, 2.5, 2.5, 2.5],
  );
});

test("a mean of the crop's size is subtracted from the crop", () => {
  const mean = { shape: [1, 2, 2], data: Float32Array.of(1, 2, 3, 4) };
  const options = { cropSize: 2, mean, augment: { meanOfCrop: true } };
  assert.equal(run(planes(1, 4, 5), options), [10, 10, 18, 18]);
  assert.equal(run(planes(1, 4, 5), { ...options, mirror: true }, draws(0.9)), [10, 10, 18, 18]);
});

test('a single mean value applies to all channels, several apply to one each, rounded as in float32 arithmetic', () => {
  assert.equal(run(planes(2, 1, 2), { meanValues: [10] }), [-10, -9, 90, 91]);
  assert.equal(run(planes(2, 1, 2), { meanValues: [10, 1] }), [-10, -9, 99, 100]);
  const [f, scale] = [Math.fround, 0.017];
  const by = run(planes(1, 1, 256), { meanValues: [103.94], scale });
  const expected = Array.from({ length: 256 }, (_, x) => f(f(x - f(103.94)) * f(scale)));
  assert.equal(by, expected);
  // Float64 arithmetic with one rounding would differ here.
  assert.ok(expected.some((value, x) => value !== f((x - f(103.94)) * scale)));
});

test("padding gives zeros in the net's input, on all sides", () => {
  const options = { phase: 'TRAIN', cropSize: 2, meanValues: [5], augment: { pad: 1 } } as const;
  assert.equal(run(planes(1, 2, 2), options, draws(0, 0)), [0, 0, 0, -5]);
  assert.equal(run(planes(1, 2, 2), options, draws(0.99, 0.99)), [6, 0, 0, 0]);
  assert.equal(run(planes(1, 2, 2), options, draws(0.5, 0.5)), [-5, -4, 5, 6]);
  assert.equal(run(planes(1, 2, 2), { ...options, mirror: true }, draws(0.9, 0, 0.5)), [0, 0, -4, -5]);
  assert.equal(run(planes(1, 2, 2), { ...options, phase: 'TEST' }), [-5, -4, 5, 6]);
  const mean = { shape: [1, 2, 2], data: Float32Array.of(1, 2, 3, 4) };
  assert.equal(run(planes(1, 2, 2), { ...options, meanValues: [], mean }, draws(0.99, 0)), [0, 7, 0, 0]);
});

test('lighting adds α·λ·p to R, G and B, which are planes 2, 1 and 0', () => {
  // Box–Muller: u = 1 − e^−½ and v = 0 give α = 1; v = ¼ gives 0.
  const one = [1 - Math.exp(-0.5), 0];
  const none = [1 - Math.exp(-0.5), 0.25];
  const random = draws(...one, ...none, ...none);
  const lighting = {
    std: 0.5,
    eigenvalues: [8, 1, 1],
    eigenvectors: [
      [3, 0, 0],
      [2, 0, 0],
      [1, 0, 0],
    ],
  };
  const lit = run(planes(3, 1, 1), { augment: { lighting } }, random);
  assert.equal(
    lit.map((value) => Math.round(value * 1e4) / 1e4),
    [0 + 4, 100 + 8, 200 + 12],
  );
  // The documented default: σ = 0.1 of fb.resnet.torch's values.
  const [, , red] = run(planes(3, 1, 1), { augment: { lighting: {} } }, draws(...one, ...none, ...none));
  assert.ok(Math.abs(red! - (200 - 0.1 * 55.4625 * 0.5675)) < 1e-3);
});

test('all positions are equally likely, half of the images are mirrored, and the same seed gives the same', () => {
  const counts = new Map<string, number>();
  let mirrored = 0;
  for (let i = 0; i < 9000; i++) {
    const options = { phase: 'TRAIN', cropSize: 2, mirror: true } as const;
    const [a, b] = run(planes(1, 4, 4), options, seededRandom(mix(7, i))) as [number, number];
    assert.equal(run(planes(1, 4, 4), options, seededRandom(mix(7, i))).slice(0, 2), [a, b]);
    mirrored += Number(a > b);
    const corner = String(Math.min(a, b));
    counts.set(corner, (counts.get(corner) ?? 0) + 1);
  }
  assert.is(counts.size, 9);
  // 9000 draws of 9 positions: 1000 expected, standard deviation 30; of 2: 4500, 47. The tolerance is five of these.
  for (const [corner, count] of counts) assert.ok(Math.abs(count - 1000) < 150, `${corner}: ${count}`);
  assert.ok(Math.abs(mirrored - 4500) < 240, `${mirrored}`);
});

test('the shorter side is drawn from the closed range, and the aspect is kept', async () => {
  const transform = { ...plain, cropSize: 4, augment: { shorterSide: [4, 6] as const } };
  const sides = new Map<number, number>();
  for (let i = 0; i < 300; i++) {
    const { width, height } = await augmentPixels(planes(3, 8, 16), transform, seededRandom(mix(i)));
    assert.is(width, 2 * height);
    sides.set(height, (sides.get(height) ?? 0) + 1);
  }
  assert.equal([...sides.keys()].sort(), [4, 5, 6]);
  for (const count of sides.values()) assert.ok(count > 60);
});

test('planes and decoded pixels are resized alike; colour and grey are converted into each other', async () => {
  const width = 6;
  const rgb = Uint8Array.from({ length: width * 4 * 3 }, (_, i) => (i * 37) % 256);
  const image = { width, height: 4, channels: 3, data: rgb, file: '' } as const;
  const bgr = pixelsOfImage(image, true);
  const asDatum = pixelsOfDatum({
    channels: 3,
    height: 4,
    width,
    label: 0,
    encoded: false,
    floatData: null,
    data: planesOf(bgr),
  });
  assert.equal(planesOf(await resizePixels(asDatum, 5, 3)), planesOf(await resizePixels(bgr, 5, 3)));
  assert.equal([...planesOf(bgr).subarray(0, 2)], [rgb[2], rgb[5]]);
  const [r, g, b] = rgb as unknown as [number, number, number];
  const grey = pixelsOfImage(image, false);
  assert.ok(Math.abs(planesOf(grey)[0]! - (0.299 * r + 0.587 * g + 0.114 * b)) <= 0.51);
  const single = { ...image, channels: 1, data: rgb.subarray(0, 24) } as const;
  const tripled = planesOf(pixelsOfImage(single, true));
  assert.equal([...tripled], [...single.data, ...single.data, ...single.data]);
  assert.is(planesOf(await resizePixels(pixelsOfImage(single, true), 5, 3)).length, 45);
});

test('sizes that do not fit are refused with both sizes', () => {
  const refused = (work: () => unknown, message: RegExp) => {
    try {
      work();
    } catch (error) {
      assert.instance(error, DataError);
      return assert.match((error as Error).message, message);
    }
    assert.unreachable(`${message}`);
  };
  refused(() => run(planes(1, 3, 3), { cropSize: 4 }), /1×3×3, smaller than crop_size 4/);
  refused(
    () => run(planes(2, 3, 3), { meanValues: [1, 2, 3] }),
    /has 2 channels; give mean_value once or 2 times/,
  );
  const mean = { shape: [1, 2, 2], data: new Float32Array(4) };
  refused(() => run(planes(1, 3, 3), { mean }), /needs a mean image of 1×3×3; mean_file has 1×2×2/);
  refused(
    () => run(planes(1, 3, 3), { cropSize: 3, mean, augment: { meanOfCrop: true } }),
    /of 1×3×3; mean_file/,
  );
  refused(() => run(planes(1, 3, 3), { augment: { lighting: {} } }), /three, B, G, R/);
  const output = new Float32Array(9);
  const into = (shape: number[]) => transformPixels(planes(1, 3, 3), plain, Math.random, shape, output, 0);
  refused(() => into([1, 3, 4]), /1×3×3, the first one 1×3×4: all must have one size; set crop_size/);
  refused(() => into([3, 3, 3]), /has 1 channels, the first one 3; set force_color/);
});

test('augment is checked field by field', () => {
  const wrong: [unknown, RegExp][] = [
    [{ shorterside: 256 }, /augment .*"shorterside"|only the fields .*"shorterside"/],
    [{ shorterSide: [480, 256] }, /augment\.shorterSide/],
    [{ shorterSide: [1, 2, 3] }, /augment\.shorterSide/],
    [{ pad: -1 }, /augment\.pad/],
    [{ meanOfCrop: 1 }, /augment\.meanOfCrop/],
    [{ lighting: { std: 'x' } }, /augment\.lighting\.std/],
    [{ lighting: { eigenvalues: [1, 2] } }, /augment\.lighting\.eigenvalues/],
    [{ lighting: { eigenvectors: [[1], [2], [3]] } }, /augment\.lighting\.eigenvectors/],
    [[], /an object/],
  ];
  for (const [value, message] of wrong) {
    try {
      checkAugment(value);
    } catch (error) {
      assert.instance(error, ArgumentError);
      assert.match((error as Error).message, message);
      continue;
    }
    assert.unreachable(JSON.stringify(value));
  }
  const right: Augment = { shorterSide: [256, 480], pad: 0, lighting: {}, meanOfCrop: true, shuffle: true };
  assert.equal(checkAugment(right), right);
});

test('a shuffled order has every number once, and all orders are equally likely', async () => {
  const order = await shuffled(100_000, 3);
  assert.equal(
    order.slice().sort(),
    Uint32Array.from({ length: 100_000 }, (_, i) => i),
  );
  assert.equal(await shuffled(100_000, 3), order);
  const counts = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const key = (await shuffled(3, mix(i))).join('');
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  assert.is(counts.size, 6);
  for (const [key, count] of counts) assert.ok(Math.abs(count - 1000) < 150, `${key}: ${count}`);
});

test.run();
