/** Decoding compared with OpenCV's results for the same files. docs/decode-parity.md lists all differences. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeImage, preprocessImage } from '../../ts/api/images.ts';
import { ImageError } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const folder = join(repositoryFolder, 'test/images/fixtures/decode');
const page = readFileSync(join(repositoryFolder, 'docs/decode-parity.md'), 'utf8');
const versions = JSON.parse(readFileSync(join(folder, 'versions.json'), 'utf8'));
// NAME.png.colour.png is OpenCV's result for NAME.png.
const names = readdirSync(folder).filter((name) => /^[^.]+\.(?!json)\w+$/.test(name));
const cut = names.filter((name) => name.startsWith('truncated'));
const float = names.filter((name) => name.includes('float'));
const whole = names.filter((name) => !cut.includes(name) && !float.includes(name));

/** `0`, or the largest and mean difference and the share of values that differ. */
async function apart(name: string, kind: 'colour' | 'grey'): Promise<string> {
  const image = await decodeImage(join(folder, name));
  const { width, height } = image;
  const channels = kind === 'colour' ? 3 : 1;
  const { data, info } = await sharp(join(folder, `${name}.${kind}.png`))
    .raw()
    .toBuffer({ resolveWithObject: true });
  assert.equal([width, height], [info.width, info.height], name);
  const ours = await preprocessImage(
    image,
    { resize: null, crop: { width, height }, mean: [0], order: 'RGB' },
    channels,
  );
  let [largest, sum, count] = [0, 0, 0];
  ours.forEach((value, i) => {
    const [channel, pixel] = [Math.floor(i / width / height), i % (width * height)];
    const differs = Math.abs(value - data[pixel * info.channels + (info.channels === 1 ? 0 : channel)]!);
    largest = Math.max(largest, differs);
    sum += differs;
    if (differs > 0) count++;
  });
  if (largest === 0) return '0';
  return `${largest}, ${(sum / ours.length).toFixed(3)}, ${((100 * count) / ours.length).toFixed(1)}%`;
}

for (const name of whole)
  test(`${name} equals OpenCV's result, except for what docs/decode-parity.md lists`, async () => {
    const row = `| ${name} | ${await apart(name, 'colour')} | ${await apart(name, 'grey')} |`;
    assert.ok(page.includes(row), `expected in docs/decode-parity.md: ${row}`);
  });

test("colour equals OpenCV's byte for byte in every file, and the page lists every file and the versions", () => {
  const rows = page.split('\n').filter((line) => /^\| [^| ]+\.\w+ \|/.test(line));
  assert.is(rows.length, whole.length);
  for (const row of rows) assert.is(row.split('|')[2]!.trim(), '0', row);
  for (const version of [
    versions.opencv,
    versions.JPEG.match(/[\d.]+(?=-)/)[0],
    sharp.versions.sharp,
    sharp.versions.vips,
  ])
    assert.ok(page.includes(version), `docs/decode-parity.md names another version than ${version}`);
});

test('a truncated file is refused by name, although OpenCV fills the rest of a JPEG', async () => {
  assert.is(cut.length, 3);
  for (const name of cut) {
    const error = await decodeImage(join(folder, name)).catch((thrown: unknown) => thrown);
    assert.instance(error, ImageError);
    assert.match((error as Error).message, name);
  }
  const refused = ['truncated-rgb.png (colour)', 'truncated-rgb.png (grey)'];
  assert.equal(
    versions.refusedByOpenCV.filter((name: string) => name.startsWith('truncated')),
    refused,
  );
});

test('float samples have no agreed range, and are refused, as OpenCV refuses them', async () => {
  assert.is(float.length, 2);
  for (const name of float) {
    const error = await decodeImage(join(folder, name)).catch((thrown: unknown) => thrown);
    assert.instance(error, ImageError);
    assert.is((error as ImageError).code, 'image/depth');
    assert.match((error as ImageError).message, '8 or 16 bits');
    for (const kind of ['colour', 'grey']) assert.ok(versions.refusedByOpenCV.includes(`${name} (${kind})`));
  }
});

test.run();
