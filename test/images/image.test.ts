/** Decoding, resizing and preprocessing: the results of OpenCV and Caffe, and all kinds of bad images. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  decodeImage,
  type Image,
  loadPreprocess,
  msraPreprocess,
  type Preprocess,
  preprocessImage,
  readLabels,
  savePreprocess,
} from '../../ts/api/images.ts';
import { centreCrop, resizedSize } from '../../ts/images/geometry.ts';
import { ArgumentError, ImageError } from '../../ts/index.ts';
import { loadBinding } from '../../ts/native/load.ts';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-image-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));
const noise = (count: number) =>
  Uint8Array.from({ length: count }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 13) & 255);
const picture = (width: number, height: number, channels: 1 | 3 = 3): Image => ({
  width,
  height,
  channels,
  data: noise(width * height * channels),
  file: 'picture',
});
const encode = (width: number, height: number, channels: 1 | 3 | 4 = 3) =>
  sharp(noise(width * height * channels), { raw: { width, height, channels } });

async function imageError(promise: Promise<unknown>): Promise<ImageError> {
  const outcome = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  assert.instance(outcome, ImageError);
  return outcome as ImageError;
}

interface Fixtures {
  resize: {
    width: number;
    height: number;
    channels: number;
    resizedWidth: number;
    resizedHeight: number;
    pixels: string;
    resized: string;
  }[];
  grey: { width: number; height: number; pixels: string; grey: string };
}
const opencv = JSON.parse(
  readFileSync(join(repositoryFolder, 'test/images/fixtures/opencv.json'), 'utf8'),
) as Fixtures;

for (const { pixels, resized, ...sizes } of opencv.resize) {
  test(`resizing ${sizes.width}×${sizes.height} to ${sizes.resizedWidth}×${sizes.resizedHeight} gives exactly OpenCV's bytes`, async () => {
    assert.equal(await loadBinding().binding.resizeImage(bytes(pixels), sizes), bytes(resized));
  });
}

test("grey from colour equals OpenCV's byte for byte", async () => {
  const { width, height, pixels, grey } = opencv.grey;
  const image = { width, height, channels: 3 as const, data: bytes(pixels), file: '' };
  const values = await preprocessImage(image, { resize: null, crop: { width, height }, mean: [0] }, 1);
  assert.equal(Uint8Array.from(values), bytes(grey));
});

test("MSRA's preprocessing: planes B, G, R of the centre, minus the mean", async () => {
  const image = picture(260, 256);
  const values = await preprocessImage(image, msraPreprocess([104, 117, 123]), 3);
  assert.is(values.length, 3 * 224 * 224);
  for (const [c, mean] of [104, 117, 123].entries())
    for (const [y, x] of [
      [0, 0],
      [100, 7],
      [223, 223],
    ] as const)
      assert.is(values[(c * 224 + y) * 224 + x], image.data[((y + 16) * 260 + x + 18) * 3 + (2 - c)]! - mean);
});

test('a mean image is subtracted at its centre; RGB and scale work as named', async () => {
  const data = Float32Array.from({ length: 3 * 4 * 6 }, (_, i) => i);
  const image = picture(4, 2);
  const values = await preprocessImage(
    image,
    {
      resize: null,
      crop: { width: 4, height: 2 },
      mean: { shape: [1, 3, 4, 6], data },
      order: 'RGB',
      scale: 0.5,
    },
    3,
  );
  for (let c = 0; c < 3; c++)
    for (let y = 0; y < 2; y++)
      for (let x = 0; x < 4; x++)
        assert.is(
          values[(c * 2 + y) * 4 + x],
          (image.data[(y * 4 + x) * 3 + c]! - data[(c * 4 + y + 1) * 6 + x + 1]!) * 0.5,
        );
});

test('sizes: the shorter side is exact, the longer one rounded to the nearest', () => {
  assert.equal(resizedSize({ width: 500, height: 375 }, { shorterSide: 256 }), { width: 341, height: 256 });
  assert.equal(resizedSize({ width: 333, height: 500 }, { shorterSide: 256 }), { width: 256, height: 384 });
  assert.equal(resizedSize({ width: 10, height: 20 }, { width: 7, height: 9 }), { width: 7, height: 9 });
  assert.equal(centreCrop({ width: 341, height: 256 }, { width: 224, height: 224 }), { left: 58, top: 16 });
});

test('crops and means that do not fit are refused with both sizes', async () => {
  const crop = { width: 5, height: 5 };
  assert.match(
    (await imageError(preprocessImage(picture(4, 9), { resize: null, crop, mean: [0] }, 3))).message,
    /is 4×9, smaller than the crop 5×5; resize it to at least that \(resize; --resize, --shorter-side\)/,
  );
  for (const [mean, says] of [
    [[1, 2], /1 or 3 values/],
    [{ shape: [3, 4, 4], data: new Float32Array(48) }, /at least 5×5, but received 3×4×4 with 48 values/],
    [{ shape: [1, 9, 9], data: new Float32Array(81) }, /of 3 channels .* but received 1×9×9 with 81 values/],
    [{ shape: [3, 9, 9], data: new Float32Array(81) }, /but received 3×9×9 with 81 values/],
  ] as const) {
    const outcome = await preprocessImage(picture(9, 9), { resize: null, crop, mean }, 3).catch(
      (error: unknown) => error,
    );
    assert.instance(outcome, ArgumentError);
    assert.match((outcome as Error).message, says);
  }
});

test('images of 1×1 and 20,000 pixels are preprocessed, or refused before memory is allocated', async () => {
  const crop = { width: 224, height: 224 };
  writeFileSync(path('one.png'), await encode(1, 1).png().toBuffer());
  const one = await decodeImage(path('one.png'));
  const values = await preprocessImage(one, { resize: { shorterSide: 256 }, crop, mean: [0] }, 3);
  assert.ok(values.every((value, i) => value === one.data[2 - Math.floor(i / 224 / 224)]));
  writeFileSync(path('wide.png'), await encode(20_000, 100).png().toBuffer());
  const wide = await decodeImage(path('wide.png'));
  assert.is((await preprocessImage(wide, msraPreprocess([0]), 3)).length, 3 * 224 * 224);
  writeFileSync(path('line.png'), await encode(20_000, 1).png().toBuffer());
  const line = await imageError(preprocessImage(await decodeImage(path('line.png')), msraPreprocess([0]), 3));
  assert.is(line.code, 'image/too-large');
});

test('an image bomb of 20,000×20,000 pixels in a few kilobytes is refused without being decoded', async () => {
  const bomb = await sharp({
    create: { width: 20_000, height: 20_000, channels: 3, background: '#000' },
    limitInputPixels: false,
  })
    .png({ compressionLevel: 1 })
    .toBuffer();
  assert.is((await imageError(decodeImage(bomb))).code, 'image/too-large');
});

test('every truncated image is refused by name', async () => {
  for (const [name, encoded] of [
    ['cut.jpg', await encode(64, 48).jpeg().toBuffer()],
    ['cut.png', await encode(64, 48).png().toBuffer()],
  ] as const) {
    for (const share of [0, 0.1, 0.5, 0.9]) {
      writeFileSync(path(name), encoded.subarray(0, Math.floor(encoded.length * share)));
      assert.match((await imageError(decodeImage(path(name)))).message, name);
    }
  }
});

test('files that are no images, missing files and folders are refused by name', async () => {
  for (const [file, code] of [
    [join(repositoryFolder, 'package.json'), 'image/unreadable'],
    [path('none.jpg'), 'image/not-found'],
    [folder, 'image/not-a-file'],
  ] as const) {
    const error = await imageError(decodeImage(file));
    assert.match(error.message, file);
    assert.is(error.code, code);
  }
});

test('grey, alpha, 16-bit, CMYK, rotated and animated images are decoded by the documented rules', async () => {
  const rgb = noise(6 * 4 * 3);
  const raw = { raw: { width: 6, height: 4, channels: 3 as const } };
  const grey = await decodeImage(
    await sharp(noise(24), { raw: { width: 6, height: 4, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toBuffer(),
  );
  assert.equal([grey.width, grey.height], [6, 4]);
  for (let i = 0; i < 24; i++) assert.is(grey.data[i * grey.channels], noise(24)[i]);
  const alpha = await decodeImage(await sharp(rgb, raw).ensureAlpha(0.5).png().toBuffer());
  assert.equal(new Uint8Array(alpha.data), rgb);
  const deep = Uint16Array.from(rgb, (value) => value * 256 + 255);
  const deepPng = await sharp(deep, raw).toColourspace('rgb16').png().toBuffer();
  assert.is((await sharp(deepPng).metadata()).depth, 'ushort');
  assert.equal(new Uint8Array((await decodeImage(deepPng)).data), rgb);
  const cmyk = await decodeImage(
    await sharp({ create: { width: 8, height: 8, channels: 3, background: '#ff0000' } })
      .toColourspace('cmyk')
      .jpeg()
      .toBuffer(),
  );
  assert.ok(
    cmyk.channels === 3 && cmyk.data[0]! > 180 && cmyk.data[1]! < 80 && cmyk.data[2]! < 80,
    `${cmyk.data.subarray(0, 3)}`,
  );
  const turned = await sharp(rgb, raw).withMetadata({ orientation: 6 }).png().toBuffer();
  const upright = await decodeImage(turned);
  assert.equal([upright.width, upright.height], [4, 6]);
  const asStored = await decodeImage(turned, { orientation: 'ignored' });
  assert.equal([asStored.width, asStored.height], [6, 4]);
  const frames = await sharp(Buffer.concat([Buffer.alloc(48, 200), Buffer.alloc(48, 10)]), {
    raw: { width: 4, height: 8, channels: 3, pageHeight: 4 },
  })
    .gif({ loop: 0 })
    .toBuffer();
  const first = await decodeImage(frames);
  assert.equal([first.width, first.height, first.data[0]], [4, 4, 200]);
});

test('preprocessing is saved and loaded unchanged, including the mean image, and leaves no other file', async () => {
  const data = Float32Array.from({ length: 3 * 5 * 6 }, (_, i) => i / 7);
  const before = readdirSync(folder).length;
  for (const mean of [[104, 117, 123], { shape: [1, 3, 5, 6], data }]) {
    const preprocess: Preprocess = {
      ...{ ...msraPreprocess(mean), order: 'BGR', scale: 0.017, std: [58, 57, 56] },
      ...{ interpolation: 'float', orientation: 'ignored', depth: 16 },
    };
    savePreprocess(path('preprocess.json'), preprocess);
    assert.equal(loadPreprocess(path('preprocess.json')), preprocess);
  }
  assert.is(readdirSync(folder).length, before + 2);
});

test('an invalid preprocess file is refused by field', async () => {
  const good = {
    format: 'resnode-preprocess/1',
    resize: null,
    crop: { width: 2, height: 2 },
    mean: [0],
    order: 'BGR',
    scale: 1,
  };
  for (const [change, field] of [
    [{ format: 'other' }, 'format'],
    [{ crop: { width: 0, height: 2 } }, 'crop.width'],
    [{ crop: null }, 'crop.width'],
    [{ resize: { shorterSide: 1.5 } }, 'resize.shorterSide'],
    [{ mean: ['a'] }, 'mean[0]'],
    [{ mean: [1, 2] }, 'mean'],
    [{ mean: { file: '../x' } }, 'mean'],
    [{ order: 'GBR' }, 'order'],
    [{ scale: '1' }, 'scale'],
    [{ crops: 1 }, 'crops'],
    [{ resize: { shorterSide: 5, width: 5 } }, 'resize.width'],
    [{ resize: 5 }, 'resize'],
    [{ crop: { width: 2, height: 2, depth: 2 } }, 'crop.depth'],
    [{ scale: 0 }, 'scale'],
    [{ std: [1, 2] }, 'std'],
    [{ std: [1, 0, 1] }, 'std[1]'],
    [{ interpolation: 'cubic' }, 'interpolation'],
    [{ orientation: true }, 'orientation'],
    [{ depth: 12 }, 'depth'],
    [{ depth: 16 }, 'interpolation'],
  ] as const) {
    writeFileSync(path('wrong.json'), JSON.stringify({ ...good, ...change }));
    const outcome = (() => {
      try {
        return loadPreprocess(path('wrong.json'));
      } catch (error) {
        return error;
      }
    })();
    assert.instance(outcome, ImageError);
    assert.ok(
      (outcome as Error).message.startsWith(`${path('wrong.json')}: ${field}: expected`),
      (outcome as Error).message,
    );
  }
  writeFileSync(path('wrong.json'), JSON.stringify({ ...good, interpolatoin: 'float' }));
  assert.throws(
    () => loadPreprocess(path('wrong.json')),
    /interpolatoin: expected "interpolation"\? one of format/,
  );
  writeFileSync(path('wrong.json'), '{');
  assert.throws(
    () => loadPreprocess(path('wrong.json')),
    (error: unknown) => error instanceof ImageError,
  );
});

test('labels: BOM and CRLF do not matter, but the number of classes does', () => {
  writeFileSync(path('labels.txt'), '\uFEFFn01440764 tench, Tinca tinca\r\nn01443537 goldfish\r\n');
  assert.equal(readLabels(path('labels.txt'), 2), ['n01440764 tench, Tinca tinca', 'n01443537 goldfish']);
  assert.throws(() => readLabels(path('labels.txt'), 3), /3 lines.*; it has 2/);
  assert.throws(
    () => readLabels(path('none.txt')),
    (error: unknown) => error instanceof ArgumentError,
  );
});

test.run();
