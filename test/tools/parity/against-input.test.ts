/** Compares an image prepared here with an input that was prepared in another way: the difference is named. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeImage, type Preprocess, preprocessImage } from '../../../ts/api/images.ts';
import { compareInput } from '../../../ts/tools/parity/against/input.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-input-'));
test.after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'photo.png');
const [width, height] = [90, 60];
// Coloured, smooth and uneven, so that every change of the preparation has an effect.
const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
  const [x, y, c] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3];
  return 40 + 60 * c + 40 * Math.sin(x / 9) + 0.6 * y;
});
writeFileSync(
  file,
  await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer(),
);

const crop = { width: 32, height: 32 };
const meanImage = {
  shape: [3, 32, 32],
  data: Float32Array.from({ length: 3 * 32 * 32 }, (_, i) => 100 + 10 * Math.floor(i / 1024) + (i % 32)),
};
const base: Preprocess = { resize: { shorterSide: 40 }, crop, mean: [104, 117, 123] };

async function compare(here: Preprocess, there: Preprocess, change = (data: Float32Array) => data) {
  const data = change(await preprocessImage(await decodeImage(file), there, 3));
  // The second image of a batch.
  const batch = new Float32Array(2 * data.length);
  batch.set(data, data.length);
  return compareInput(file, here, { shape: [2, 3, 32, 32], data: batch }, 1);
}

const cases: [string, RegExp, Preprocess, Preprocess][] = [
  ['channel-order', /order RGB there/, base, { ...base, order: 'RGB' }],
  ['mean', /the other side subtracts no mean/, base, { ...base, mean: [0] }],
  ['mean', /average of each channel/, { ...base, mean: meanImage }, { ...base, mean: [115.5, 125.5, 135.5] }],
  ['mean', /in reverse channel order/, base, { ...base, mean: [123, 117, 104] }],
  [
    'mean',
    /the other side subtracts another mean: -14\.00, 3\.00, 0\.00 more/,
    base,
    { ...base, mean: [90, 120, 123] },
  ],
  ['scale', /multiplied by 0\.003922 there, here by 1/, base, { ...base, scale: 1 / 255 }],
  ['resize', /resizes the whole image to the crop/, base, { ...base, resize: crop }],
  ['resize', /256×256/, base, { ...base, resize: { width: 256, height: 256 } }],
  [
    'several',
    /order RGB there, and the other side subtracts no mean.*, and values are multiplied/,
    base,
    { ...base, order: 'RGB', mean: [0], scale: 1 / 255 },
  ],
];
for (const [name, text, here, there] of cases)
  test(`the input of a dump: ${name} (${text.source})`, async () => {
    const { ok, cause } = await compare(here, there);
    assert.not(ok);
    assert.is(cause!.name, name, cause!.text);
    assert.match(cause!.text, text);
  });

test('the same preparation agrees, and so does one with other rounding', async () => {
  const same = await compare(base, base);
  assert.equal([same.ok, same.absolute, same.mean, same.cause], [true, 0, 0, null]);
  const rounded = await compare(base, base, (data) => data.map((value, i) => value + (i % 3) - 1));
  assert.ok(rounded.ok && rounded.absolute === 1);
});

test('another image, and another size, are reported as unknown', async () => {
  const other = await compare(base, base, (data) => data.map((_, i) => (i * 37) % 200));
  assert.is(other.cause!.name, 'unknown');
  const smaller = await compareInput(file, base, { shape: [1, 3, 9, 9], data: new Float32Array(243) }, 0);
  assert.is(smaller.cause!.name, 'unknown');
});

test.run();
