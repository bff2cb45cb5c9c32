/** Images and their classes from an LMDB database, raw and encoded. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DataError, ImageError } from '../../../ts/base/errors.ts';
import { convertRawImages } from '../../../ts/data/convert-dataset.ts';
import { writeDatum } from '../../../ts/data/datum.ts';
import { readCifar } from '../../../ts/data/raw-images.ts';
import { LmdbWriter } from '../../../ts/data/write-lmdb.ts';
import { openDevice } from '../../../ts/device/device.ts';
import { decodeImage } from '../../../ts/images/decode.ts';
import { readLabelledImages } from '../../../ts/images/evaluate/dataset.ts';
import { evaluateImages } from '../../../ts/images/evaluate/evaluate-images.ts';
import { readSamples } from '../../../ts/images/evaluate/samples.ts';
import { summariseOutcomes } from '../../../ts/images/evaluate/statistics.ts';
import { loadPreprocess } from '../../../ts/images/preprocess-file.ts';
import { COMMAND } from '../../support/command.ts';
import { repositoryFolder, sharedFolder } from '../../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const { files } = readLabelledImages(join(fashion, 'images.txt'), { classes: 10 });

async function database(datums: readonly Parameters<typeof writeDatum>[0][]): Promise<string> {
  const path = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'images.lmdb');
  const writer = new LmdbWriter(path);
  for (const [i, datum] of datums.entries()) writer.add(String(i).padStart(8, '0'), writeDatum(datum));
  await writer.finish();
  return path;
}
const only = async (path: string) => {
  const { samples, close } = readSamples(path, { classes: 10 });
  const [sample] = samples;
  assert.type(sample, 'function');
  return (sample as () => Promise<never>)().finally(close);
};

test('raw and encoded Datums give the same as files', async () => {
  const raw = await Promise.all(
    files.map(async ({ image, label }) => {
      const { width, height, channels, data } = await decodeImage(image);
      const planes = [...Array(channels).keys()].reverse();
      const plane = (c: number) => data.filter((_, i) => i % channels === c);
      return { width, height, channels, data: Buffer.concat(planes.map(plane)), label };
    }),
  );
  const encoded = files.map(({ image, label }) => ({ data: readFileSync(image), label, encoded: true }));
  await using device = await openDevice('cpu', { threads: 2 });
  const load = { model: join(fashion, 'deploy.prototxt'), weights: join(fashion, 'model.caffemodel') };
  await using model = await device.load(load);
  const options = { preprocess: loadPreprocess(join(fashion, 'preprocess.json')) };
  const expected = await evaluateImages(model, files, options);
  for (const path of [await database(raw), await database(encoded)]) {
    const { samples, matchedBy, close } = readSamples(path, { classes: 10 });
    assert.is(matchedBy, 'database');
    assert.equal(await evaluateImages(model, samples, options), expected);
    close();
  }
  const command = [
    ...[...COMMAND, 'evaluate', '--device', 'cpu', '--json'],
    ...['--model', load.model, '--weights', load.weights, '--images', await database(encoded)],
    ...['--preprocess', join(fashion, 'preprocess.json')],
  ];
  const run = spawnSync(process.execPath, command, { encoding: 'utf8', cwd: repositoryFolder });
  const { top1, source } = JSON.parse(run.stdout);
  assert.equal([top1.correct, source.matchedBy], [28, 'database']);
});

test('planes B, G, R of a raw Datum become R, G, B pixels; an absent label is class 0', async () => {
  const data = Uint8Array.of(1, 2, 11, 12, 21, 22);
  const path = await database([{ channels: 3, height: 1, width: 2, data, label: 7 }]);
  const { image, label } = await only(path);
  assert.is(label, 7);
  assert.equal(
    { ...(image as object), file: '' },
    {
      width: 2,
      height: 1,
      channels: 3,
      data: Uint8Array.of(21, 11, 1, 22, 12, 2),
      file: '',
    },
  );
});

test('invalid images, classes and databases are refused, and the record is named', async () => {
  const refused = async (
    work: Promise<unknown>,
    type: typeof ImageError | typeof DataError,
    text: RegExp,
  ) => {
    try {
      await work;
    } catch (error) {
      assert.instance(error, type);
      assert.match((error as Error).message, text);
      return;
    }
    assert.unreachable(`${text}`);
  };
  const noise = Uint8Array.of(1, 2, 3, 4);
  await refused(
    only(await database([{ data: noise, label: 0, encoded: true }])),
    ImageError,
    /record "00000000".*decoded/,
  );
  await refused(
    only(await database([{ channels: 4, height: 1, width: 1, data: noise, label: 0 }])),
    ImageError,
    /record "00000000".*1 or 3 channels, found 4/,
  );
  await refused(only('/nowhere.lmdb'), DataError, /nowhere\.lmdb/);

  await using device = await openDevice('cpu', { threads: 2 });
  await using model = await device.load({ model: join(fashion, 'deploy.prototxt') });
  const options = { preprocess: loadPreprocess(join(fashion, 'preprocess.json')), skipBroken: true };
  const pixels = { channels: 1, height: 28, width: 28, data: new Uint8Array(784) };
  const path = await database([
    { ...pixels, label: 3 },
    { data: noise, label: 0, encoded: true },
    { ...pixels, label: 10 },
  ]);
  const { samples, close } = readSamples(path, { classes: 10 });
  const { outcomes, skipped } = await evaluateImages(model, samples.slice(0, 2), options);
  assert.equal([outcomes.length, skipped.length], [1, 1]);
  assert.match(skipped[0]!.file, /record "00000001"$/);
  try {
    await evaluateImages(model, samples, options);
    assert.unreachable();
  } catch (error) {
    assert.match(
      (error as Error).message,
      /the label of .*record "00000002": expected .*class from 0 to 9, but received 10/,
    );
  }
  close();
});

const cifar = join(sharedFolder() ?? '', 'models/cifar10-resnet20');
const batch = join(sharedFolder() ?? '', 'data/cifar10-test1000.bin');
if (existsSync(cifar) && existsSync(batch))
  test('a net with order R, G, B gets the same results from a database in either order as from the images, and an unknown order is refused', async () => {
    const images = await readCifar([batch]);
    const some = { ...images, labels: images.labels.subarray(0, 100) };
    await using device = await openDevice('cpu', { threads: 2 });
    const load = {
      model: join(cifar, 'deploy.prototxt'),
      weights: join(cifar, 'model.caffemodel'),
      batch: 20,
    };
    await using model = await device.load(load);
    const preprocess = {
      ...{ resize: null, crop: { width: 32, height: 32 }, order: 'RGB' as const },
      mean: [123.675, 116.28, 103.53],
    };
    const right = async (path: string, databaseOrder?: 'BGR' | 'RGB') => {
      const { samples, close } = readSamples(path, { classes: 10, databaseOrder });
      const { outcomes } = await evaluateImages(model, samples, { preprocess, batch: 20 }).finally(close);
      return summariseOutcomes(outcomes).top1.correct;
    };
    const counts: number[] = [];
    for (const order of ['BGR', 'RGB'] as const) {
      const path = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'cifar.lmdb');
      await convertRawImages(some, path, 5, { order });
      counts.push(await right(path));
      rmSync(join(path, 'resnode-database.json'));
      const unsaid = await right(path).catch((error: unknown) => error);
      assert.instance(unsaid, DataError);
      assert.is((unsaid as DataError).code, 'data/order');
      assert.match((unsaid as Error).message, /--database-order/);
      counts.push(await right(path, order));
    }
    assert.is(new Set(counts).size, 1, `${counts}`);
    assert.ok(counts[0]! >= 88, `${counts[0]}`);
  });
else console.log('skipped: no shared/ beside the checkout with a CIFAR net and images');

test.run();
