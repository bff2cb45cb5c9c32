/** Float preprocessing compared with caffe.io, and the effect of std, scale and order. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type DeepImage, decodeImage, type Image, preprocessImage } from '../../ts/api/images.ts';
import { ArgumentError } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

interface Fixtures {
  resize: {
    width: number;
    height: number;
    channels: 1 | 3;
    bits: 8 | 16;
    resizedWidth: number;
    resizedHeight: number;
    pixels: string;
    resized: string;
  }[];
  grey: { width: number; height: number; pixels: string; grey: string };
}
const recorded: Fixtures = JSON.parse(
  readFileSync(join(repositoryFolder, 'test/images/fixtures/caffe-io.json'), 'utf8'),
);
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));
const floatsOf = (text: string) => new Float32Array(bytesOf(text).buffer);

function near(actual: Float32Array, expected: Float32Array): void {
  assert.is(actual.length, expected.length);
  actual.forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]!) < 1e-3, `${i}: ${value}, expected ${expected[i]}`);
  });
}

for (const { width, height, channels, bits, resizedWidth, resizedHeight, pixels, resized } of recorded.resize)
  test(`${bits} bits, ${width}×${height}×${channels} to ${resizedWidth}×${resizedHeight} in floats equals caffe.io's result`, async () => {
    const bytes = bytesOf(pixels);
    const image = {
      ...{ width, height, channels, file: 'picture' },
      data: bits === 8 ? bytes : new Uint16Array(bytes.buffer),
    } as Image | DeepImage;
    const size = { width: resizedWidth, height: resizedHeight };
    const values = await preprocessImage(
      image,
      { resize: size, crop: size, mean: [0], order: 'RGB', interpolation: 'float' },
      channels,
    );
    const area = resizedWidth * resizedHeight;
    const theirs = floatsOf(resized);
    near(
      values,
      theirs.map((_, i) => theirs[(i % area) * channels + Math.floor(i / area)]!),
    );
  });

test("in floats, grey has scikit-image's weights", async () => {
  const { width, height, pixels, grey } = recorded.grey;
  const image = { width, height, channels: 3 as const, data: bytesOf(pixels), file: 'picture' };
  const values = await preprocessImage(
    image,
    { resize: null, crop: { width, height }, mean: [0], interpolation: 'float' },
    1,
  );
  near(values, floatsOf(grey));
});

test('of a larger resize only the crop is computed, at its position', async () => {
  const { width, height, pixels } = recorded.resize[0]!;
  const image = { width, height, channels: 3 as const, data: bytesOf(pixels), file: 'picture' };
  const options = { resize: { width: 13, height: 12 }, mean: [7], interpolation: 'float' } as const;
  const whole = await preprocessImage(image, { ...options, crop: options.resize }, 3);
  const crop = await preprocessImage(image, { ...options, crop: { width: 4, height: 6 } }, 3);
  crop.forEach((value, i) => {
    const [c, y, x] = [Math.floor(i / 24), Math.floor((i % 24) / 4), i % 4];
    assert.is(value, whole[(c * 12 + y + 3) * 13 + x + 4]);
  });
});

test('(pixel − mean) · scale / std, each in the order of the channels, in bytes and in floats', async () => {
  const image: Image = { width: 1, height: 1, channels: 3, data: Uint8Array.of(10, 20, 30), file: 'picture' };
  for (const interpolation of ['bytes', 'float'] as const)
    for (const [order, pixel] of [
      ['RGB', [10, 20, 30]],
      ['BGR', [30, 20, 10]],
    ] as const) {
      const preprocess = {
        ...{ resize: null, crop: { width: 1, height: 1 }, mean: [1, 2, 3], std: [2, 4, 8] },
        ...{ scale: 0.5, order, interpolation },
      };
      assert.equal(
        Array.from(await preprocessImage(image, preprocess, 3)),
        pixel.map((value, c) => ((value - [1, 2, 3][c]!) * 0.5) / [2, 4, 8][c]!),
      );
    }
});

test('16 bits keep their fractions of 0 to 255 in floats, and are refused in bytes with the cure', async () => {
  const file = join(repositoryFolder, 'test/images/fixtures/decode/rgb-16.png');
  const image = await decodeImage(file, { depth: 16 });
  const { width, height } = image;
  const preprocess = { resize: null, crop: { width, height }, mean: [0], order: 'RGB' } as const;
  const values = await preprocessImage(image, { ...preprocess, interpolation: 'float' }, 3);
  assert.is(values[5], Math.fround(image.data[15]! / 257));
  const refused = await preprocessImage(image, preprocess, 3).catch((error: unknown) => error);
  assert.instance(refused, ArgumentError);
  assert.match((refused as Error).message, /--interpolation float/);
});

test('invalid scale and std are refused', async () => {
  const image: Image = { width: 1, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3), file: 'picture' };
  const preprocess = { resize: null, crop: { width: 1, height: 1 }, mean: [0] };
  for (const wrong of [
    { scale: 0 },
    { scale: Number.NaN },
    { std: [0] },
    { std: [1, 2] },
    { std: [1, -1, 1] },
  ]) {
    const refused = await preprocessImage(image, { ...preprocess, ...wrong }, 3).catch(
      (error: unknown) => error,
    );
    assert.instance(refused, ArgumentError, JSON.stringify(wrong));
  }
});

test.run();
