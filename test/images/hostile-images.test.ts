/**
 * Images from strangers: a file in an unsupported format reaches no decoder, and a supported one stays within the
 * limits.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeImage } from '../../ts/api/images.ts';
import { ArgumentError, ImageError } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-hostile-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const fixture = (name: string) => join(repositoryFolder, 'test/images/fixtures/decode', name);

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  );
}

async function imageError(promise: Promise<unknown>, code: string, words: RegExp): Promise<void> {
  const error = await errorOf(promise);
  assert.instance(error, ImageError);
  assert.is((error as ImageError).code, code);
  assert.match((error as ImageError).message, words);
}

const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="red"/></svg>`;
const box = (brand: string) => Buffer.from(`\0\0\0\x1cftyp${brand}\0\0\0\0mif1`, 'latin1');

for (const [name, bytes, words] of [
  ['an SVG drawing', Buffer.from(SVG), /an SVG drawing/],
  [
    'an SVG drawing behind an XML declaration',
    Buffer.from(`<?xml version="1.0"?>\n<!-- x -->${SVG}`),
    /an SVG drawing/,
  ],
  ['an SVG drawing compressed with gzip', execFileSync('gzip', { input: SVG }), /gzip/],
  [
    'an AVIF image',
    await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .avif()
      .toBuffer(),
    /AVIF/,
  ],
  ['a HEIF image', box('heic'), /HEIF/],
  ['a PDF document', Buffer.from('%PDF-1.7\n'), /PDF/],
  ['a JPEG XL image', Buffer.from([0xff, 0x0a, 1, 2, 3]), /JPEG XL/],
  ['a JPEG 2000 image', Buffer.from('\0\0\0\x0cjP  \r\n\x87\n', 'latin1'), /JPEG 2000/],
  ['an HTML page', Buffer.from('<!DOCTYPE html><title>404</title>'), /HTML/],
  [
    'a pointer of Git LFS',
    Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'),
    /git lfs pull/,
  ],
  ['nothing', Buffer.alloc(0), /is empty/],
  ['zeros', Buffer.alloc(64), /first bytes are 00 00/],
  ["libvips's own format", Buffer.from('b6a6f208', 'hex'), /an unknown image format/],
] as const)
  test(`${name} is refused by its content, whatever its name, in a file and in memory`, async () => {
    writeFileSync(path('cat.jpg'), bytes);
    await imageError(decodeImage(path('cat.jpg')), 'image/unreadable', words);
    await imageError(
      decodeImage(new Uint8Array(bytes)),
      'image/unreadable',
      /expected a whole image: JPEG, PNG/,
    );
  });

test('a picture is read by its content, whatever its name', async () => {
  for (const name of ['rgb.png', 'rgb.tif', 'rgb.bmp', 'rgb.ppm', 'lossless.webp', 'palette.gif']) {
    writeFileSync(path('cat.txt'), readFileSync(fixture(name)));
    assert.is((await decodeImage(path('cat.txt'))).channels, 3, name);
  }
});

test('more pixels than maxPixels are refused with both figures before they are decoded', async () => {
  const black = (width: number, height: number) =>
    sharp({ create: { width, height, channels: 3, background: '#000' }, limitInputPixels: false });
  const large = await black(16384, 8192).png().toBuffer();
  const before = process.resourceUsage().maxRSS;
  await imageError(decodeImage(large), 'image/too-large', /16384×8192.*67108864.*--max-pixels/);
  assert.ok(process.resourceUsage().maxRSS - before < 32 * 1024, 'memory was taken');
  await imageError(decodeImage(large, { maxPixels: undefined } as never), 'image/too-large', /67108864/);
  const small = await black(40, 30).jpeg().toBuffer();
  await imageError(decodeImage(small, { maxPixels: 1199 }), 'image/too-large', /40×30/);
  assert.is((await decodeImage(small, { maxPixels: 1200 })).width, 40);
  const wide =
    '\x42\x4d' +
    '\0'.repeat(8) +
    '\x36\0\0\0\x28\0\0\0' +
    '\xff\xff\xff\x7f'.repeat(2) +
    '\x01\0\x18\0' +
    '\0'.repeat(24);
  await imageError(decodeImage(Buffer.from(wide, 'latin1')), 'image/too-large', /2147483647×2147483647/);
  await imageError(decodeImage(Buffer.from('P6 999999 999999 255\n')), 'image/too-large', /999999×999999/);
});

test("the first of an animation's thousand frames is decoded", async () => {
  const frames = 1000;
  const gif = await sharp(Buffer.alloc(16 * 16 * frames * 3, 7), {
    raw: { width: 16, height: 16 * frames, channels: 3, pageHeight: 16 },
    limitInputPixels: false,
  })
    .gif()
    .toBuffer();
  const { width, height } = await decodeImage(gif, { maxPixels: 16 * 16 });
  assert.equal([width, height], [16, 16]);
});

test('a signal ends the wait with its reason; a deadline is an error of the image itself', async () => {
  const signal = AbortSignal.abort(new Error('enough'));
  assert.is(await errorOf(decodeImage(fixture('rgb.png'), { signal })), signal.reason);
  const noise = Buffer.from(
    Uint8Array.from({ length: 2400 * 1600 * 3 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 24),
  );
  const slow = await sharp(noise, { raw: { width: 2400, height: 1600, channels: 3 } })
    .jpeg()
    .toBuffer();
  const controller = new AbortController();
  const decoding = decodeImage(slow, { signal: controller.signal });
  setImmediate(() => controller.abort(new Error('gone')));
  assert.is(((await errorOf(decoding)) as Error).message, 'gone');
  for (const timeout of [0, 1.5, 3601, '1' as never])
    assert.instance(await errorOf(decodeImage(slow, { timeout })), ArgumentError);
});

test('a photograph with damaged data is refused, not filled with grey, however many are decoded at once', async () => {
  const whole = readFileSync(fixture('progressive-444.jpg'));
  const scan = whole.indexOf(Buffer.from([0xff, 0xda]));
  const torn = Buffer.concat([whole.subarray(0, scan + 400), whole.subarray(scan + 700)]);
  await imageError(
    decodeImage(torn, { name: 'torn.jpg' }),
    'image/unreadable',
    /^torn\.jpg: cannot be decoded/,
  );
  // If the end marker comes early, the file is still complete: libjpeg fills the rest with grey.
  const baseline = readFileSync(fixture('baseline-444.jpg'));
  const ended = Buffer.concat([baseline.subarray(0, baseline.length / 2), Buffer.of(0xff, 0xd9)]);
  await imageError(decodeImage(ended), 'image/unreadable', /premature end/i);
  // libvips mixes the messages of its threads, so a refusal must not depend on them.
  const odd = Buffer.concat([whole.subarray(0, -2), Buffer.alloc(30, 0x11), whole.subarray(-2)]);
  // A file with extra bytes, which OpenCV also reads, is accepted every time.
  const many = Array.from({ length: 24 }, (_, i) =>
    decodeImage(i % 2 === 0 ? odd : ended).then(
      () => null,
      (error: unknown) => error,
    ),
  );
  for (const [i, error] of (await Promise.all(many)).entries())
    if (i % 2 === 0) assert.is(error, null);
    else assert.instance(error, ImageError);
});

for (const name of [
  'rgb.bmp',
  'bits-4.bmp',
  'palette.bmp',
  'bits-16.bmp',
  'rgb.ppm',
  'rgb-16.ppm',
  'plain.pgm',
  'bits-1.pbm',
  'rgb.tif',
  'lossless.webp',
  'palette.gif',
  'rgb.png',
])
  test(`${name}, truncated anywhere, is refused with a typed error`, async () => {
    const bytes = readFileSync(fixture(name));
    for (let part = 0; part < 20; part++)
      assert.instance(
        await errorOf(decodeImage(bytes.subarray(0, Math.floor((bytes.length * part) / 20)))),
        ImageError,
      );
  });

test('false headers of BMP and PNM are refused with the error', async () => {
  const bmp = readFileSync(fixture('palette.bmp'));
  const changed = (at: number, value: number) => {
    const copy = Buffer.from(bmp);
    copy.writeUInt32LE(value, at);
    return copy;
  };
  for (const [bytes, words] of [
    [changed(30, 1), /compressed \(kind 1\)/],
    [changed(46, 1000), /palette/],
    [changed(10, 0xffffffff), /truncated/],
    [changed(18, 0x80000000), /-2147483648×14/],
    [changed(46, 2), /index \d+ of a palette of 2/],
    [Buffer.from('P5 2 2 70000\n1234'), /largest value is 70000/],
    [Buffer.from('P2 2 1 9\n3 10'), /a sample is 10, over its largest value 9/],
    [Buffer.from('P2 2 1 255\n3 x'), /not a number/],
    [Buffer.from('P6 2 12345678 255\n'), /height is not a number of at most 7 digits/],
  ] as const)
    await imageError(decodeImage(bytes), 'image/unreadable', words);
});

test('16 bits are kept if requested and reduced otherwise; 8-bit images stay unchanged', async () => {
  for (const name of [
    'rgb-16.png',
    'grey-16.png',
    'rgb-16.tif',
    'grey-16.tif',
    'rgb-16.ppm',
    'grey-16.pgm',
  ]) {
    const deep = await decodeImage(fixture(name), { depth: 16 });
    const shallow = await decodeImage(fixture(name));
    assert.instance(deep.data, Uint16Array, name);
    assert.is(deep.data.length, shallow.data.length);
    assert.ok(deep.data.some((value) => value > 255 && value % 257 !== 0));
    deep.data.forEach((value, i) => {
      assert.ok(Math.abs(value / 257 - shallow.data[i]!) < 1.01, name);
    });
  }
  assert.instance((await decodeImage(fixture('rgb.png'), { depth: 16 })).data, Uint8Array);
});

test('paths, file: URLs and all kinds of bytes are accepted; other values give an ArgumentError', async () => {
  const bytes = readFileSync(fixture('rgb.png'));
  const plain = new Uint8Array(bytes);
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  const { data } = await decodeImage(fixture('rgb.png'));
  for (const source of [pathToFileURL(fixture('rgb.png')), bytes, plain, plain.buffer, shared])
    assert.equal((await decodeImage(source)).data, data);
  for (const source of [
    undefined,
    null,
    5,
    {},
    [],
    new Float32Array(4),
    new URL('https://example.org/cat.jpg'),
  ])
    assert.instance(await errorOf(decodeImage(source as never)), ArgumentError);
  for (const options of [
    { maxPixels: 0 },
    { maxPixels: '5' },
    { depth: 12 },
    { orientation: 'upright' },
    { maxPixel: 5 },
  ])
    assert.instance(await errorOf(decodeImage(bytes, options as never)), ArgumentError);
});

test('a pipe is refused before it is opened', async () => {
  execFileSync('mkfifo', [path('pipe.jpg')]);
  await imageError(decodeImage(path('pipe.jpg')), 'image/not-a-file', /pipe\.jpg/);
});

test.run();
