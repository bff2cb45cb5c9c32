/** Random positions and colours, against numbers from torch, PIL and Python's colorsys (each test names its source). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, DataError } from '../../ts/base/errors.ts';
import { mix, seededRandom } from '../../ts/base/random.ts';
import { affinePixels, drawAffine } from '../../ts/data/affine.ts';
import { type Augment, checkAugment } from '../../ts/data/augment.ts';
import { augmentPixels, drawPart } from '../../ts/data/augment-pixels.ts';
import { jitterPixels } from '../../ts/data/jitter.ts';
import { type Pixels, pixelsOfImage } from '../../ts/data/pixels.ts';
import { type Transform, transformPixels } from '../../ts/data/transform.ts';

const STILL: Transform = {
  ...{ phase: 'TRAIN', scale: 1, mirror: false, cropSize: 0, mean: null, meanValues: [], colour: null },
  augment: {},
};
/** Grey: value i is 37·i, modulo 256. */
const grey = (width: number, height: number): Pixels =>
  pixelsOfImage(
    {
      ...{ width, height, channels: 1, file: '' },
      data: Uint8Array.from({ length: width * height }, (_, i) => (37 * i) % 256),
    },
    false,
  );
const close = (found: ArrayLike<number>, expected: readonly number[], tolerance: number) => {
  assert.is(found.length, expected.length);
  expected.forEach((value, i) => {
    assert.ok(Math.abs(found[i]! - value) <= tolerance, `${i}: ${found[i]}, expected ${value}`);
  });
};
const STAY = { rotation: 0, shiftX: 0, shiftY: 0, scale: 1, shear: 0 };

test("an affine map gives the result of torch's grid_sample for torchvision's matrix", () => {
  const map = { rotation: 30, shiftX: 1, shiftY: -1, scale: 1.2, shear: 10 };
  const { data } = affinePixels(grey(6, 5), map, 7);
  close(
    data,
    [
      ...[114.19, 189.536, 203.336, 55.686, 47.988, 86.138],
      ...[146.972, 185.123, 172.617, 49.377, 43.575, 81.726],
      ...[123.175, 180.711, 206.888, 67.721, 39.163, 77.314],
      ...[22.904, 102.674, 202.431, 119.437, 40.049, 72.901],
      ...[7, 7, 46.696, 36.528, 30.338, 58.639],
    ],
    2e-3,
  );
});

test('whole turns, shifts and the identity map pixels to pixels', () => {
  const image = grey(4, 4);
  const at = (x: number, y: number) => image.data[4 * y + x]!;
  const moved = (map: object, from: (x: number, y: number) => number) =>
    close(
      affinePixels(image, { ...STAY, ...map }, 9).data,
      Array.from({ length: 16 }, (_, i) => from(i % 4, Math.floor(i / 4))),
      1e-3,
    );
  moved({}, at);
  // Clockwise: the left side moves to the top.
  moved({ rotation: 90 }, (x, y) => at(y, 3 - x));
  moved({ rotation: 180 }, (x, y) => at(3 - x, 3 - y));
  moved({ shiftX: 1, shiftY: -2 }, (x, y) => (x < 1 || y > 1 ? 9 : at(x - 1, y + 2)));
});

test('angles, shifts, scales and shears are drawn from the given ranges, in both directions', () => {
  const affine = { rotation: 10, translate: [0.1, 0.25], scale: [0.5, 2], shear: [-3, 1] } as const;
  const drawn = Array.from({ length: 400 }, (_, i) =>
    drawAffine(affine, { width: 40, height: 20 }, seededRandom(mix(i))),
  );
  for (const [name, low, high] of [
    ['rotation', -10, 10],
    ['shiftX', -4, 4],
    ['shiftY', -5, 5],
    ['scale', 0.5, 2],
    ['shear', -3, 1],
  ] as const) {
    const values = drawn.map((each) => each[name]);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    assert.ok(least >= low && most <= high, `${name}: ${least} to ${most}`);
    assert.ok(
      least < low + 0.1 * (high - low) && most > high - 0.1 * (high - low),
      `${name}: ${least} to ${most}`,
    );
  }
  assert.ok(drawn.every(({ shiftX, shiftY }) => Number.isInteger(shiftX) && Number.isInteger(shiftY)));
});

// R, G, B of four pixels.
const COLOURS = [200, 30, 90, 10, 250, 128, 77, 77, 80, 255, 0, 5];
const colours = pixelsOfImage(
  { width: 2, height: 2, channels: 3, data: Uint8Array.from(COLOURS), file: '' },
  true,
);
/**
 * R, G, B of the result, which is stored as B, G, R.
 * @param draw 0 to 1.
 */
const jittered = (jitter: Augment['jitter'], draw: number) => {
  const { data } = jitterPixels(colours, jitter!, () => draw);
  return COLOURS.map((_, i) => data[i - (i % 3) + 2 - (i % 3)]!);
};

test("brightness, contrast and saturation are those of PIL's ImageEnhance, which rounds to bytes", () => {
  close(jittered({ brightness: 1 }, 0.65), [255, 39, 116, 13, 255, 166, 100, 100, 104, 255, 0, 6], 1);
  close(jittered({ contrast: 1 }, 0.3), [160, 58, 94, 46, 190, 117, 87, 87, 88, 193, 40, 43], 1);
  close(jittered({ saturation: 1 }, 0.85), [255, 0, 91, 0, 255, 102, 77, 77, 82, 255, 0, 0], 1);
});

test("hue turns as in Python's colorsys", () => {
  close(jittered({ hue: 0.5 }, 0.6), [200, 72, 30, 10, 228, 250, 78.8, 77, 80, 255, 148, 0], 1e-3);
});

test('absent settings change nothing, and grey images have neither saturation nor hue', () => {
  assert.equal(jittered({}, 0.9), COLOURS);
  const image = grey(3, 2);
  assert.equal([...jitterPixels(image, { saturation: 1, hue: 0.5 }, seededRandom(1)).data], [...image.data]);
  const lit = jitterPixels(image, { brightness: 0.5 }, () => 0).data;
  assert.equal(
    [...lit],
    [...image.data].map((value) => value / 2),
  );
});

test('parts are inside the image, have the requested areas and aspects, and together cover all of it', () => {
  const [width, height] = [60, 40];
  const corners = new Set<string>();
  for (let i = 0; i < 600; i++) {
    const part = drawPart({ width, height }, { area: [0.2, 0.5], ratio: [0.5, 2] }, seededRandom(mix(i)));
    assert.ok(part.x >= 0 && part.y >= 0 && part.x + part.width <= width && part.y + part.height <= height);
    // A side is rounded to whole pixels.
    const share = (part.width * part.height) / (width * height);
    assert.ok(share > 0.17 && share < 0.54, `${share}`);
    assert.ok(part.width / part.height > 0.47 && part.width / part.height < 2.12);
    for (const [x, name] of [
      [part.x === 0, 'left'],
      [part.x + part.width === width, 'right'],
      [part.y === 0, 'top'],
      [part.y + part.height === height, 'bottom'],
    ] as const)
      if (x) corners.add(name);
  }
  assert.equal([...corners].sort(), ['bottom', 'left', 'right', 'top']);
  // No part of a long strip has this aspect ratio and this much area, so the largest part with the aspect ratio is
  // taken from the centre.
  assert.equal(drawPart({ width: 100, height: 10 }, { area: [1, 1] }, seededRandom(1)), {
    ...{ x: 43, y: 0, width: 13, height: 10 },
  });
});

test('a resized part has the crop size, and the whole image as a part gives the resized image', async () => {
  const transform = { ...STILL, cropSize: 5, augment: { resizedCrop: {} } };
  const { width, height } = await augmentPixels(grey(30, 20), transform, seededRandom(3));
  assert.equal([width, height], [5, 5]);
  const whole = { area: [1, 1], ratio: [1, 1] } as const;
  const same = await augmentPixels(
    grey(6, 6),
    { ...STILL, cropSize: 6, augment: { resizedCrop: whole } },
    seededRandom(1),
  );
  assert.equal([...same.data], [...grey(6, 6).data]);
});

test("cutout makes squares of zeros in the net's input, clipped at the edges", () => {
  const sizes = new Set<number>();
  for (let i = 0; i < 200; i++) {
    const output = new Float32Array(100).fill(Number.NaN);
    const transform = { ...STILL, meanValues: [-1000], augment: { cutout: { size: 4 } } };
    transformPixels(grey(10, 10), transform, seededRandom(mix(i)), [1, 10, 10], output, 0);
    const holes = [...output.keys()].filter((at) => output[at] === 0);
    const rows = new Set(holes.map((at) => Math.floor(at / 10)));
    const columns = new Set(holes.map((at) => at % 10));
    assert.is(holes.length, rows.size * columns.size);
    assert.ok(rows.size >= 2 && rows.size <= 4 && columns.size >= 2 && columns.size <= 4);
    assert.is(Math.max(...rows) - Math.min(...rows), rows.size - 1);
    sizes.add(holes.length);
  }
  assert.ok(sizes.has(16) && sizes.has(4), [...sizes].join());
});

test('augmentations are checked field by field, and contradictions are refused', () => {
  for (const [value, message] of [
    [
      { jitter: { brightnes: 0.4 } },
      /the fields of augment\.jitter: .*"brightnes"; did you mean "brightness"/,
    ],
    [{ jitter: { hue: 0.6 } }, /augment\.jitter\.hue/],
    [{ affine: { rotation: [10, -10] } }, /augment\.affine\.rotation/],
    [{ affine: { scale: [0, 1] } }, /augment\.affine\.scale/],
    [{ affine: { translate: 0.1 } }, /augment\.affine\.translate/],
    [{ resizedCrop: { area: [0.5, 2] } }, /augment\.resizedCrop\.area/],
    [{ resizedCrop: true }, /augment\.resizedCrop/],
    [{ resizedCrop: {}, pad: 4 }, /augment\.pad: expected none beside resizedCrop/],
    [{ resizedCrop: {}, shorterSide: 256 }, /none beside resizedCrop/],
    [{ cutout: {} }, /augment\.cutout\.size/],
    [{ cutout: { size: 0 } }, /augment\.cutout\.size/],
    [{ cutOut: { size: 8 } }, /did you mean "cutout"/],
  ] as const)
    assert.throws(
      () => checkAugment(value),
      (error: unknown) => error instanceof ArgumentError && message.test(error.message),
      JSON.stringify(value),
    );
  const right: Augment = {
    resizedCrop: { area: [0.08, 1] },
    affine: { rotation: [-5, 20], translate: [0, 0.2], fill: 128 },
    jitter: { brightness: 0.4, hue: 0.1 },
    cutout: { size: 16, count: 2 },
  };
  assert.equal(checkAugment(right), right);
});

test('float images are refused where bytes are needed', async () => {
  const image = grey(4, 4);
  const floats = { ...image, data: Float32Array.from(image.data) };
  for (const augment of [{ jitter: { hue: 0.1 } }, { affine: { rotation: 5 } }, { resizedCrop: {} }]) {
    let found: unknown;
    await augmentPixels(floats, { ...STILL, cropSize: 4, augment }, seededRandom(1)).catch((error) => {
      found = error;
    });
    assert.instance(found, DataError);
    assert.match((found as Error).message, new RegExp(`augment\\.${Object.keys(augment)[0]}`));
  }
});

test.run();
