/** Images → LMDB and mean image, by the library and by `resnode dataset`. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ResnodeError } from '../../ts/base/errors.ts';
import { convertImages, convertRawImages } from '../../ts/data/convert-dataset.ts';
import { type Datum, writeDatum } from '../../ts/data/datum.ts';
import { readLmdb } from '../../ts/data/lmdb.ts';
import { meanOfImages, writeMeanImage } from '../../ts/data/mean-image.ts';
import { readCifar, readIdx } from '../../ts/data/raw-images.ts';
import { LmdbWriter } from '../../ts/data/write-lmdb.ts';
import { readMeanImage } from '../../ts/images/mean-file.ts';
import { COMMAND } from '../support/command.ts';
import { repositoryFolder, sharedFolder } from '../support/golden.ts';

const folder = () => mkdtempSync(join(tmpdir(), 'resnode-'));
const all = async (path: string) => {
  const records: { key: string; datum: Datum }[] = [];
  for await (const record of readLmdb(path)) records.push(record);
  return records;
};
const refused = async (work: Promise<unknown>, code: string, message: RegExp) => {
  const error = await work.then(
    () => assert.unreachable(`${code} ${message}`),
    (thrown: unknown) => thrown,
  );
  assert.instance(error, ResnodeError, String((error as Error).stack));
  assert.is((error as ResnodeError).code, code);
  assert.match((error as Error).message, message);
};
const resnode = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, ...words], {
    encoding: 'utf8',
    cwd: repositoryFolder,
  });

const idxOf = (shape: number[], values: Uint8Array) => {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head.writeUInt32BE(0x800 + shape.length, 0);
  shape.forEach((dim, i) => head.writeUInt32BE(dim, 4 + 4 * i));
  return Buffer.concat([head, values]);
};
const pixels = Uint8Array.from({ length: 5 * 2 * 3 }, (_, i) => i * 8);

function idxFolder(): string {
  const root = folder();
  writeFileSync(join(root, 't-images-idx3-ubyte.gz'), gzipSync(idxOf([5, 2, 3], pixels)));
  writeFileSync(join(root, 't-labels-idx1-ubyte.gz'), gzipSync(idxOf([5], Uint8Array.of(4, 3, 2, 1, 0))));
  return root;
}

test('IDX files become records as convert_mnist_data writes them', async () => {
  const root = idxFolder();
  const out = join(root, 'out.lmdb');
  const raw = await readIdx(join(root, 't-images-idx3-ubyte.gz'));
  assert.is(await convertRawImages(raw, out, 8), 5);
  const records = await all(out);
  assert.equal(
    records.map(({ key, datum }) => [key, datum.label, datum.channels, datum.height, datum.width]),
    [4, 3, 2, 1, 0].map((label, i) => [`0000000${i}`, label, 1, 2, 3]),
  );
  assert.equal(new Uint8Array(records[3]!.datum.data), pixels.subarray(18, 24));
  // Field by field as protobuf serialises them: channels, height, width, data, label.
  const bytes = writeDatum({ channels: 1, height: 2, width: 3, data: pixels.subarray(0, 6), label: 4 });
  assert.equal([...bytes], [0x08, 1, 0x10, 2, 0x18, 3, 0x22, 6, 0, 8, 16, 24, 32, 40, 0x28, 4]);
});

test('shuffling gives the same records in another order, which is the same for the same seed', async () => {
  const root = idxFolder();
  const raw = await readIdx(join(root, 't-images-idx3-ubyte.gz'));
  const labels = async (name: string, shuffle: number) => {
    await convertRawImages(raw, join(root, name), 8, { shuffle });
    return (await all(join(root, name))).map(({ key, datum }) => [key, datum.label!] as const);
  };
  const first = await labels('a', 1);
  assert.equal(await labels('b', 1), first);
  assert.equal(
    first.map(([key]) => key),
    [0, 1, 2, 3, 4].map((i) => `0000000${i}`),
  );
  const order = first.map(([, label]) => label);
  assert.equal([...order].sort(), [0, 1, 2, 3, 4]);
  assert.is.not(order.join(), '4,3,2,1,0');
});

test('IDX files that are invalid, truncated or do not belong together are refused', async () => {
  const root = idxFolder();
  const images = join(root, 't-images-idx3-ubyte.gz');
  const labels = join(root, 't-labels-idx1-ubyte.gz');
  await refused(readIdx(join(root, 'none')), 'data/not-found', /none: there is no such file/);
  await refused(
    readIdx(labels, labels),
    'data/idx',
    /expected an IDX file of images \(magic 2051\), found 2049/,
  );
  await refused(readIdx(images, images), 'data/idx', /expected an IDX file of labels/);
  writeFileSync(labels, idxOf([4], new Uint8Array(4)));
  await refused(readIdx(images), 'data/idx', /has 4 labels for the 5 images/);
  writeFileSync(labels, idxOf([5], new Uint8Array(3)));
  await refused(readIdx(images), 'data/idx', /5 needs 5 bytes, the file has 3/);
  writeFileSync(images, readFileSync(images).subarray(0, 30));
  await refused(readIdx(images), 'data/unreadable', /cannot be read \(unexpected end of file\)/);
});

test("CIFAR's batches become records as convert_cifar_data writes them", async () => {
  const root = folder();
  const batch = join(root, 'batch.bin');
  const record = (label: number, value: number) =>
    Buffer.concat([Buffer.of(label), Buffer.alloc(3072, value)]);
  writeFileSync(batch, Buffer.concat([record(3, 10), record(9, 20)]));
  await convertRawImages(await readCifar([batch, batch]), join(root, 'out'), 5);
  assert.equal(
    (await all(join(root, 'out'))).map(({ key, datum }) => [
      key,
      datum.label,
      datum.data[7],
      datum.data.length,
    ]),
    [
      ['00000', 3, 10, 3072],
      ['00001', 9, 20, 3072],
      ['00002', 3, 10, 3072],
      ['00003', 9, 20, 3072],
    ],
  );
  await refused(readCifar([batch], 2), 'data/cifar', /records of 3074 bytes .*found 6146 bytes/);
});

async function imageFolder(): Promise<string> {
  const root = folder();
  for (const [i, name] of ['cats', 'dogs'].entries()) {
    mkdirSync(join(root, name));
    const background = { r: 10 + i, g: 20, b: 30 };
    const image = sharp({ create: { width: 6 + i, height: 4, channels: 3, background } });
    await image.png().toFile(join(root, name, 'one.png'));
  }
  writeFileSync(join(root, 'list.txt'), 'cats/one.png 5\ndogs/one.png 6\n');
  return root;
}

test('images become planes B, G, R, or stay encoded', async () => {
  const root = await imageFolder();
  const list = [5, 6].map((label, i) => {
    const name = `${['cats', 'dogs'][i]}/one.png`;
    return { path: join(root, name), name, label };
  });
  await convertImages(list, join(root, 'raw'));
  const [cat, dog] = await all(join(root, 'raw'));
  assert.is(cat!.key, '00000000_cats/one.png');
  assert.equal([...new Set(cat!.datum.data)], [30, 20, 10]);
  assert.equal([cat!.datum.width, dog!.datum.width, dog!.datum.label], [6, 7, 6]);
  await convertImages(list, join(root, 'encoded'), { encoded: true });
  const [kept] = await all(join(root, 'encoded'));
  assert.equal(Buffer.from(kept!.datum.data), readFileSync(list[0]!.path));
  assert.equal([kept!.datum.encoded, kept!.datum.channels, kept!.datum.label], [true, 0, 5]);
  await convertImages(list, join(root, 'resized'), {
    encoded: true,
    resize: { width: 3, height: 2 },
    gray: true,
  });
  const [small] = await all(join(root, 'resized'));
  const decoded = await sharp(small!.datum.data).raw().toBuffer({ resolveWithObject: true });
  assert.equal([decoded.info.width, decoded.info.height], [3, 2]);
  assert.ok(Math.abs(decoded.data[0]! - (0.299 * 10 + 0.587 * 20 + 0.114 * 30)) < 1);
  await convertImages(list, join(root, 'jpeg'), { encodeType: 'jpg' });
  const [jpeg] = await all(join(root, 'jpeg'));
  assert.equal([...jpeg!.datum.data.subarray(0, 2)], [0xff, 0xd8]);
  const [r, g, b] = await sharp(jpeg!.datum.data).raw().toBuffer();
  for (const [value, wanted] of [
    [r, 10],
    [g, 20],
    [b, 30],
  ])
    assert.ok(Math.abs(value! - wanted!) <= 3);
});

test('a failing image leaves nothing behind', async () => {
  const root = await imageFolder();
  const cat = { path: join(root, 'cats/one.png'), name: 'a', label: 0 };
  const dog = { path: join(root, 'dogs/one.png'), name: 'b', label: 1 };
  const before = readdirSync(root);
  const out = join(root, 'out');
  await refused(
    convertImages([cat, { ...dog, path: join(root, 'no.png') }], out),
    'image/not-found',
    /no\.png/,
  );
  await refused(
    convertImages([cat, dog], out, { checkSize: true }),
    'data/size',
    /is 3×4×7, the first image 3×4×6/,
  );
  const abort = AbortSignal.abort(new Error('enough'));
  assert.match(
    String(await convertImages([cat], out, { signal: abort }).catch((error: Error) => error.message)),
    'enough',
  );
  assert.equal(readdirSync(root), before);
});

test('the mean image is that of all records, and Caffe reads its file', async () => {
  const root = idxFolder();
  await convertRawImages(await readIdx(join(root, 't-images-idx3-ubyte.gz')), join(root, 'out'), 8);
  const mean = await meanOfImages(join(root, 'out'));
  // Pixel j of image i is 8(6i + j): the mean over i = 0 … 4 is 8(12 + j).
  assert.equal([...mean.data], [96, 104, 112, 120, 128, 136]);
  assert.equal([mean.shape, mean.channels, mean.images], [[1, 2, 3], [116], 5]);
  const file = join(root, 'mean.binaryproto');
  writeMeanImage(file, mean);
  assert.equal(readMeanImage(file), { shape: [1, 1, 2, 3], data: mean.data });
  assert.equal([...readFileSync(file).subarray(0, 8)], [8, 1, 16, 1, 24, 2, 32, 3]);
  const writer = new LmdbWriter(join(root, 'mixed'));
  writer.add('a', writeDatum({ channels: 1, height: 1, width: 2, data: Buffer.of(1, 2), label: 0 }));
  writer.add('b', writeDatum({ channels: 1, height: 2, width: 1, data: Buffer.of(1, 2), label: 0 }));
  await writer.finish();
  await refused(meanOfImages(join(root, 'mixed')), 'data/size', /"b" is 1×2×1, the first one 1×1×2/);
});

test('the mean of encoded images is that of their pixels', async () => {
  const root = await imageFolder();
  const one = (encoded: boolean) => ({ encoded, resize: { width: 4, height: 4 } });
  const images = ['cats', 'dogs'].map((name) => ({ path: join(root, name, 'one.png'), name, label: 0 }));
  await convertImages(images, join(root, 'raw'), one(false));
  await convertImages(images, join(root, 'encoded'), one(true));
  const mean = await meanOfImages(join(root, 'encoded'));
  assert.equal(mean, await meanOfImages(join(root, 'raw')));
  assert.equal(mean.channels, [30, 20, 10.5]);
});

test('resnode dataset converts, prints the count, and refuses in one sentence', async () => {
  const root = idxFolder();
  const images = join(root, 't-images-idx3-ubyte.gz');
  const out = join(root, 'out.lmdb');
  const run = resnode('dataset', 'idx', images, '--out', out, '--shuffle', '--seed', '3', '--json');
  assert.equal(JSON.parse(run.stdout), { out, images: 5 }, run.stderr);
  const mean = resnode('dataset', 'mean', out, '--out', join(root, 'mean.binaryproto'));
  assert.match(mean.stdout, /mean\.binaryproto: 1×2×3, of 5 images; mean of each channel 116\.000\n$/);
  assert.ok(existsSync(join(root, 'mean.binaryproto')));
  const again = resnode('dataset', 'idx', images, '--out', out);
  assert.is(again.status, 1);
  assert.match(again.stderr, /^resnode: .*out\.lmdb: already exists[^\n]*\n$/);
  const few = resnode('dataset', 'cifar', '--out', out);
  assert.is(few.status, 2);
  assert.match(few.stderr, /^resnode: missing required argument 'batches'[^\n]*\n$/);
  assert.is(resnode('dataset', 'images', 'x', '--out', 'y', '--resize', '5').status, 2);
  const photos = await imageFolder();
  const list = resnode(
    'dataset',
    'images',
    join(photos, 'list.txt'),
    '--out',
    join(photos, 'l'),
    '--encoded',
  );
  assert.is(
    list.stdout,
    `${join(photos, 'l')}: 2 images\n  class 5: 1 image\n  class 6: 1 image\n`,
    list.stderr,
  );
  assert.equal(
    (await all(join(photos, 'l'))).map(({ datum }) => datum.label),
    [5, 6],
  );
  const classes = folder();
  for (const name of ['cats', 'dogs']) {
    mkdirSync(join(classes, name));
    writeFileSync(join(classes, name, 'a.png'), readFileSync(join(photos, name, 'one.png')));
  }
  assert.is(resnode('dataset', 'images', classes, '--out', join(photos, 'f')).status, 0);
  assert.equal(
    (await all(join(photos, 'f'))).map(({ key, datum }) => [key, datum.label]),
    [
      ['00000000_cats/a.png', 0],
      ['00000001_dogs/a.png', 1],
    ],
  );
});

const cifar = join(sharedFolder() ?? '', 'data/cifar10-test1000.bin');
const withCifar = existsSync(cifar)
  ? test
  : (name: string) =>
      console.log(`skipped: ${name}: no shared/data/cifar10-test1000.bin beside the checkout`);
withCifar("CIFAR-10's own images keep their labels and pixels", async () => {
  const file = cifar;
  const bytes = readFileSync(file);
  // RGB as convert_cifar_data stores it, otherwise B, G, R, as all other images in databases.
  for (const order of ['RGB', 'BGR'] as const) {
    const out = join(folder(), 'out');
    await convertRawImages(await readCifar([file]), out, 5, { order });
    const records = await all(out);
    assert.is(records.length, 1000);
    records.forEach(({ datum }, i) => {
      const record = bytes.subarray(i * 3073, (i + 1) * 3073);
      const [r, g, b] = [1, 1025, 2049].map((at) => record.subarray(at, at + 1024)) as [
        Buffer,
        Buffer,
        Buffer,
      ];
      const planes = Buffer.concat(order === 'RGB' ? [r, g, b] : [b, g, r]);
      if (datum.label !== record[0] || !planes.equals(datum.data)) assert.unreachable(`image ${i}`);
    });
    assert.equal(JSON.parse(readFileSync(join(out, 'resnode-database.json'), 'utf8')).order, order);
  }
});

test.run();
