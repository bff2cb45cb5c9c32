/** JPEGs that OpenCV reads completely with a warning are read here, too; incomplete ones are still refused. */
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeImage } from '../../ts/images/decode.ts';

const pixels = Uint8Array.from({ length: 3 * 40 * 33 }, (_, i) => (i * 7919) % 251);
const jpegOf = (progressive: boolean) =>
  sharp(pixels, { raw: { width: 40, height: 33, channels: 3 } })
    .jpeg({ progressive, quality: 80 })
    .toBuffer();
const insert = (jpeg: Buffer, at: number, ...bytes: number[]) =>
  Buffer.concat([jpeg.subarray(0, at), Buffer.from(bytes), jpeg.subarray(at)]);
const markerAt = (jpeg: Buffer, code: number, from = 2) => jpeg.indexOf(Buffer.of(0xff, code), from);

async function warningsOf<T>(work: () => Promise<T>): Promise<{ result: T; said: string[] }> {
  const said: string[] = [];
  const listen = (warning: Error & { code?: string }) => said.push(`${warning.code} ${warning.message}`);
  process.on('warning', listen);
  try {
    const result = await work();
    await new Promise(setImmediate);
    return { result, said };
  } finally {
    process.removeListener('warning', listen);
  }
}

for (const progressive of [false, true]) {
  const kind = progressive ? 'progressive' : 'sequential';
  test(`${kind}: extra bytes before a marker are skipped with a warning, and the pixels are those of the clean file`, async () => {
    const jpeg = await jpegOf(progressive);
    const clean = await decodeImage(jpeg);
    const end = jpeg.length - 2;
    const odd = {
      'before the end': insert(jpeg, end, 1, 2, 3),
      'before the frame': insert(jpeg, markerAt(jpeg, progressive ? 0xc2 : 0xc0), 9),
      'before the first scan': insert(jpeg, markerAt(jpeg, 0xda), 7, 7),
      'before two markers': insert(
        insert(jpeg, markerAt(jpeg, 0xda), 5, 6, 7, 8),
        markerAt(jpeg, progressive ? 0xc2 : 0xc0),
        9,
      ),
    };
    for (const [where, bytes] of Object.entries(odd)) {
      const name = `${kind} ${where}`;
      const { result, said } = await warningsOf(() => decodeImage(bytes, { name }));
      assert.equal(result.data, clean.data, name);
      // Nothing is read after the last scan.
      if (where === 'before the end') continue;
      assert.is(said.length, 1, `${name}: ${said.join()}`);
      assert.match(said[0]!, new RegExp(`^image/mended ${name}: .*\\d extraneous bytes before marker 0x`));
    }
  });

  test(`${kind}: a truncated or damaged file is refused, also among others that are repaired`, async () => {
    const jpeg = await jpegOf(progressive);
    const odd = insert(jpeg, jpeg.length - 2, 1, 2, 3);
    const cut = jpeg.subarray(0, jpeg.length - 200);
    const cutAndClosed = Buffer.concat([cut, Buffer.of(0xff, 0xd9)]);
    const all = Array.from({ length: 12 }, (_, i) => [odd, cut, cutAndClosed][i % 3]!);
    const { result } = await warningsOf(() =>
      Promise.allSettled(all.map((bytes, i) => decodeImage(bytes, { name: `${kind} ${i}` }))),
    );
    for (const [i, { status }] of result.entries())
      if (i % 3 !== 0) assert.is(status, 'rejected', `${kind} ${i}`);
  });
}

test('scan parameters that a sequential JPEG does not use are skipped with a warning', async () => {
  const jpeg = await jpegOf(false);
  const clean = await decodeImage(jpeg);
  const odd = Buffer.from(jpeg);
  const scan = markerAt(odd, 0xda);
  odd[scan + 2 + odd.readUInt16BE(scan + 2) - 2] = 0;
  const { result, said } = await warningsOf(() => decodeImage(odd, { name: 'odd scan' }));
  assert.equal(result.data, clean.data);
  assert.match(said.join(), /image\/mended odd scan: the JPEG has invalid parameters of a scan/);
});

test.run();
