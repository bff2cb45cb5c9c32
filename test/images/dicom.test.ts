/** DICOM and 16-bit images: they are shown as the file or the window says, and unsupported ones are refused. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeImage, loadPreprocess, openClassifier, preprocessImage } from '../../ts/api/images.ts';
import { ArgumentError, ImageError } from '../../ts/index.ts';
import { COMMAND, scriptArguments } from '../support/command.ts';
import { type DicomFields, dicomFile, shorts } from '../support/dicom.ts';
import { repositoryFolder } from '../support/golden.ts';

const fixtures = join(repositoryFolder, 'test/images/fixtures');
const expected = JSON.parse(readFileSync(join(fixtures, 'dicom.json'), 'utf8')) as Record<string, number[]>;
const folder = mkdtempSync(join(tmpdir(), 'resnode-dicom-'));
test.after(() => rmSync(folder, { recursive: true }));
const fashion = join(repositoryFolder, 'examples/fashion');
const net = { model: join(fashion, 'deploy.prototxt'), weights: join(fashion, 'model.caffemodel') };

const refusal = async (source: Uint8Array, options = {}): Promise<ImageError> => {
  const error = await decodeImage(source, { name: 'x.dcm', ...options }).then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.instance(error, ImageError);
  return error as ImageError;
};

for (const [name, levels] of Object.entries(expected))
  test(`the grey levels of ${name}.dcm equal pydicom's`, async () => {
    const image = await decodeImage(join(fixtures, 'dicom', `${name}.dcm`));
    assert.equal(
      [image.width * image.height * image.channels, image.channels],
      [levels.length, name === 'rgb' ? 3 : 1],
    );
    assert.equal(Array.from(image.data), levels);
  });

test('what was done is reported: rescaling, window and its origin, inversion', async () => {
  const rendering = async (name: string, options = {}) =>
    (await decodeImage(join(fixtures, 'dicom', `${name}.dcm`), options)).rendering ?? '';
  assert.is(await rendering('ct-12-bits'), '1 · stored − 1024, window 40/400 (of the file)');
  assert.is(await rendering('inverted'), 'window 2048/3000 (of the file), inverted (MONOCHROME1)');
  assert.match(await rendering('no-window'), /^window 2047.5\/4095 \(all that its bits can hold, .*--window/);
  assert.is(
    await rendering('ct-12-bits', { window: [300, 1500] }),
    '1 · stored − 1024, window 300/1500 (as given)',
  );
});

test('a given window replaces the file’s, in rescaled units; with width 1 it is a threshold', async () => {
  // Rescaled: −1, 0, 1, 2.
  const file = dicomFile({
    pixels: shorts([0, 1, 2, 3]),
    more: [
      [0x1050, 'DS', '0'],
      [0x1051, 'DS', '10'],
      [0x1052, 'DS', '-1'],
      [0x1053, 'DS', '1'],
    ],
  });
  const levels = async (window: readonly [number, number]) =>
    Array.from((await decodeImage(file, { window })).data);
  assert.equal(await levels([1, 1]), [0, 0, 255, 255]);
  assert.equal(
    await levels([1, 3]),
    [0, 64, 191, 255].map((_, i) => Math.round(255 * Math.min(1, Math.max(0, (i - 1 - 0.5) / 2 + 0.5)))),
  );
});

test('depth 16 keeps what 8 bits would lose', async () => {
  const values = Array.from({ length: 4 }, (_, i) => 2000 + i);
  const file = dicomFile({ pixels: shorts(values) });
  assert.is(new Set((await decodeImage(file)).data).size, 1);
  const deep = await decodeImage(file, { depth: 16 });
  assert.instance(deep.data, Uint16Array);
  assert.equal(
    Array.from(deep.data),
    values.map((value) => Math.round((value / 4095) * 65535)),
  );
});

test('bits above or below the stored ones are not part of a value', async () => {
  const levels = [0, 100, 2000, 4095];
  const plain = await decodeImage(dicomFile({ pixels: shorts(levels) }));
  // Overlays used to be in the upper bits (PS3.5 2004, section 8.1.2).
  const above = await decodeImage(dicomFile({ pixels: shorts(levels.map((value) => value | 0xb000)) }));
  const below = await decodeImage(
    dicomFile({ pixels: shorts(levels.map((value) => (value << 4) | 5)), highBit: 15 }),
  );
  assert.equal(above.data, plain.data);
  assert.equal(below.data, plain.data);
  const signed = await decodeImage(dicomFile({ pixels: shorts([-2048, -1, 0, 2047]), signed: 1 }));
  assert.equal(
    Array.from(signed.data),
    [0, 127, 128, 255].map((_, i) => Math.round((255 * ([-2048, -1, 0, 2047][i]! + 2048)) / 4095)),
  );
});

const pixels = shorts([1, 2, 3, 4]);
for (const [what, fields, code, words] of [
  [
    'JPEG',
    { pixels, syntax: '1.2.840.10008.1.2.4.70' },
    'image/dicom',
    /compressed \(JPEG, transfer syntax .*gdcmconv --raw/,
  ],
  ['JPEG 2000', { pixels, syntax: '1.2.840.10008.1.2.4.90' }, 'image/dicom', /JPEG 2000/],
  ['RLE', { pixels, syntax: '1.2.840.10008.1.2.5' }, 'image/dicom', /RLE/],
  ['deflated', { pixels, syntax: '1.2.840.10008.1.2.1.99' }, 'image/dicom', /deflated/],
  [
    'a transfer syntax that nobody knows',
    { pixels, syntax: '1.2.3' },
    'image/dicom',
    /transfer syntax 1\.2\.3/,
  ],
  [
    'several frames',
    { pixels: shorts(Array(8).fill(1)), more: [[0x0008, 'IS', '2']] },
    'image/dicom',
    /2 frames/,
  ],
  ['a palette', { pixels, photometric: 'PALETTE COLOR' }, 'image/dicom', /PALETTE COLOR/],
  [
    'YBR',
    { pixels: shorts(Array(8).fill(1)), photometric: 'YBR_FULL', samples: 3, allocated: 8, stored: 8 },
    'image/dicom',
    /YBR_FULL/,
  ],
  ['32 bits', { pixels: shorts(Array(8).fill(1)), allocated: 32, stored: 32 }, 'image/dicom', /32 bits/],
  ['one bit', { pixels, allocated: 1, stored: 1 }, 'image/dicom', /1 bits/],
  [
    'a table of values without a window',
    { pixels, more: [[0x3010, 'SQ', '']] },
    'image/dicom',
    /VOI LUT Sequence.*--window/,
  ],
  ['a table of units', { pixels, more: [[0x3000, 'SQ', '']] }, 'image/dicom', /Modality LUT/],
  [
    'a window without width',
    {
      pixels,
      more: [
        [0x1050, 'DS', '5'],
        [0x1051, 'DS', '0'],
      ],
    },
    'image/dicom',
    /Window Width .* is 0; .*--window/,
  ],
  ['no pixel data', { pixels: null }, 'image/unreadable', /no Pixel Data/],
  [
    'too few pixels',
    { pixels: shorts([1, 2, 3]) },
    'image/unreadable',
    /6 bytes of pixels, 8 are needed for 2×2; it is truncated/,
  ],
  ['no rows', { pixels, rows: 0 }, 'image/unreadable', /0 rows and 2 columns/],
  ['a slope of 0', { pixels, more: [[0x1053, 'DS', '0']] }, 'image/unreadable', /Rescale Slope .* is 0/],
  [
    'a slope that is no number',
    { pixels, more: [[0x1053, 'DS', 'steep']] },
    'image/unreadable',
    /\(0028,1053\) is "steep"/,
  ],
  ['more bits stored than there are', { pixels, stored: 17 }, 'image/unreadable', /stores 17 of 16 bits/],
] as readonly (readonly [string, DicomFields, string, RegExp])[])
  test(`DICOM with ${what} is refused with its name and the cure`, async () => {
    const error = await refusal(dicomFile(fields));
    assert.is(error.code, code, error.message);
    assert.match(error.message, words);
    assert.match(error.message, /^x\.dcm: /);
  });

test('DICOM that is truncated anywhere gives an image error', async () => {
  const whole = readFileSync(join(fixtures, 'dicom/ct-12-bits.dcm'));
  for (let length = 132; length < whole.length; length += 3) await refusal(whole.subarray(0, length));
});

test('--max-pixels applies before pixels are decoded', async () => {
  const file = dicomFile({ pixels, rows: 60000, columns: 60000 });
  assert.is((await refusal(file)).code, 'image/too-large');
});

test('without dicom-parser the error names the command that installs it', () => {
  const words = scriptArguments(
    (place) => `
    import { register } from 'node:module';
    register('data:text/javascript,' + encodeURIComponent('export async function resolve(name, context, next) { if (name === "dicom-parser") throw Object.assign(new Error("none"), { code: "ERR_MODULE_NOT_FOUND" }); return next(name, context); }'));
    const { decodeImage } = await import(${place('ts/api/images.ts')});
    await decodeImage(${JSON.stringify(join(fixtures, 'dicom/ct-12-bits.dcm'))}).catch((error) => console.log(error.code, error.message));`,
  );
  const said = execFileSync(process.execPath, words, { encoding: 'utf8' });
  assert.match(said, /^package\/missing Reading DICOM images needs .*: npm install dicom-parser@1\.8\n$/);
});

test('16-bit images that are reduced to 8 bits give one warning, with both cures', async () => {
  const warnings: string[] = [];
  const listen = ({ code, message }: Error & { code?: string }) => {
    if (code === 'image/depth') warnings.push(message);
  };
  process.on('warning', listen);
  for (let i = 0; i < 3; i++) await decodeImage(sixteenBytes, { name: `${i}.png` });
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listen);
  assert.is(warnings.length, 1);
  assert.match(
    warnings[0]!,
    /upper 8 bits, as in OpenCV; the first is 0.png. A window \(--window.*--depth 16/,
  );
});

const sixteen = await sharp(Uint16Array.from([0, 1000, 2000, 40000]), {
  raw: { width: 2, height: 2, channels: 1 },
}).toColourspace('grey16');
const write = (path: string, format: 'png' | 'tiff') =>
  (format === 'png' ? sixteen.clone().png() : sixteen.clone().tiff({ compression: 'deflate' })).toFile(path);

for (const format of ['png', 'tiff'] as const)
  test(`for a 16-bit ${format.toUpperCase()} a window maps its values from black to white`, async () => {
    const path = join(folder, `deep.${format}`);
    await write(path, format);
    const image = await decodeImage(path, { window: [1000.5, 2001] });
    assert.equal(
      Array.from(image.data),
      [0, 128, 255, 255].map((_, i) =>
        Math.round(255 * Math.min(1, Math.max(0, ([0, 1000, 2000, 40000][i]! - 1000) / 2000 + 0.5))),
      ),
    );
    assert.is(image.rendering, 'window 1000.5/2001 (as given)');
    const deep = await decodeImage(path, { window: [1000.5, 2001], depth: 16 });
    assert.equal(Array.from(deep.data), [0, 32768, 65535, 65535]);
  });

test('a window does not change 8-bit images', async () => {
  const png = await sharp(Uint8Array.from([0, 10, 200, 255]), { raw: { width: 2, height: 2, channels: 1 } })
    .png()
    .toBuffer();
  assert.equal((await decodeImage(png, { window: [5, 2] })).data, (await decodeImage(png)).data);
});

test('a window is two numbers, the width at least 1; others are refused with an explanation', async () => {
  for (const window of [[1], [1, 2, 3], [1, 0], [1, Number.NaN], 'wide'])
    assert.instance(
      await decodeImage(sixteenBytes, { window: window as never }).catch((e: unknown) => e),
      ArgumentError,
    );
  const run = spawnSync(
    process.execPath,
    [
      ...COMMAND,
      'classify',
      'x.png',
      '--model',
      net.model,
      '--weights',
      net.weights,
      '--mean',
      'none',
      '--window',
      '40',
    ],
    { encoding: 'utf8' },
  );
  assert.is(run.status, 2);
  assert.match(run.stderr, /--window: expected centre,width: two numbers.*, but received "?40/);
});
const sixteenBytes = await sixteen.clone().png().toBuffer();

/** A bright disc on noise, or only noise: 12 bits, whose upper half alone would show nothing. */
function scan(hasDisc: boolean, seed: number): Buffer {
  const values = Array.from({ length: 28 * 28 }, (_, at) => {
    const [x, y] = [(at % 28) - 14, Math.floor(at / 28) - 14];
    return 1000 + ((at * 7919 + seed * 104729) % 40) + (hasDisc && x * x + y * y < 40 ? 100 : 0);
  });
  return dicomFile({
    pixels: shorts(values),
    rows: 28,
    columns: 28,
    more: [
      [0x1050, 'DS', '1070'],
      [0x1051, 'DS', '150'],
    ],
  });
}

test('finetune, evaluate, classify and openClassifier read DICOM with one decoder, and keep the window', async () => {
  const images = join(folder, 'scans');
  for (const [name, hasDisc] of [
    ['clear', false],
    ['lesion', true],
  ] as const) {
    mkdirSync(join(images, name), { recursive: true });
    for (let i = 0; i < 10; i++) writeFileSync(join(images, name, `${i}.dcm`), scan(hasDisc, i));
  }
  const out = join(folder, 'tuned');
  const resnode = (...words: string[]) => {
    const run = spawnSync(process.execPath, [...COMMAND, ...words], { encoding: 'utf8' });
    assert.is(run.status, 0, run.stderr);
    return run;
  };
  const tuned = resnode(
    'finetune',
    images,
    '--model',
    net.model,
    '--weights',
    net.weights,
    '--mean-value',
    '73',
    '--no-resize',
    '--window',
    '1060,160',
    '--epochs',
    '4',
    '--batch',
    '8',
    '--rate',
    '0.01',
    '--out',
    out,
  );
  assert.match(tuned.stderr, /window 1060\/160 \(as given\)/);
  assert.equal(loadPreprocess(join(out, 'preprocess.json')).window, [1060, 160]);
  assert.equal(JSON.parse(readFileSync(join(out, 'training/augment.json'), 'utf8')).TEST.window, [1060, 160]);
  const result = JSON.parse(resnode('evaluate', '--model', out, '--images', images, '--json').stdout);
  assert.is(result.images, 20);
  assert.equal(result.recipe.window, [1060, 160]);
  const file = join(images, 'lesion/3.dcm');
  const line = JSON.parse(resnode('classify', file, '--model', out, '--json').stdout);
  await using classifier = await openClassifier(out, { device: 'cpu' });
  const [best] = await classifier.classify(file);
  assert.equal(
    [best!.label, best!.probability.toFixed(4)],
    [line.top[0].label, line.top[0].probability.toFixed(4)],
  );
  const preprocess = loadPreprocess(join(out, 'preprocess.json'));
  const pixelsOf = async (window: readonly [number, number]) =>
    preprocessImage(await decodeImage(file, { window }), preprocess, 1);
  assert.not.equal(await pixelsOf([1060, 160]), await pixelsOf([1060, 600]));
});

test.run();
