/** What layers that decode images refuse, and the options for decoding besides the prototxt's. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DataError } from '../../ts/base/errors.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { writeDatum } from '../../ts/data/datum.ts';
import type { DataLayerOptions } from '../../ts/data/layer-context.ts';
import { openDataLayer } from '../../ts/data/open-data-layer.ts';
import { LmdbWriter } from '../../ts/data/write-lmdb.ts';

const top = mkdtempSync(join(tmpdir(), 'resnode-layers-'));
test.after(() => rmSync(top, { recursive: true }));
const folder = () => mkdtempSync(join(top, 'x-'));
const open = (text: string, options: Partial<DataLayerOptions>) =>
  openDataLayer(readNet(`layer { name: "d" ${text} }`, { file: 'net.prototxt' }).layer![0]!, {
    ...{ phase: 'TRAIN', workers: 1 },
    ...options,
  });
const imageData = (more: string) =>
  `type: "ImageData" top: "data" top: "label" image_data_param { source: "list.txt" ${more} }`;
const refused = async (work: Promise<unknown>, code: string, message: RegExp) => {
  const error = await work.catch((thrown: unknown) => thrown);
  assert.instance(error, DataError);
  assert.is((error as DataError).code, code);
  assert.match((error as Error).message, message);
};
const red = () => sharp({ create: { width: 8, height: 6, channels: 3, background: 'red' } });

test('a root_folder without its slash is reported if the slash is missing', async () => {
  const root = folder();
  mkdirSync(join(root, 'photos'));
  await red().png().toFile(join(root, 'photos/a 0.png'));
  writeFileSync(join(root, 'list.txt'), 'a 0.png 0\n');
  const source = (folderName: string) =>
    open(imageData(`batch_size: 1 root_folder: "${folderName}"`), { folder: root });
  await refused(
    source('photos'),
    'data/layer',
    /line 1 of the list makes "photosa 0\.png".*root_folder: "photos\/"/,
  );
  await (await source('photos/')).dispose();
});

test('a mistake in the parameters of a layer is reported with its place in the prototxt', async () => {
  await refused(
    open(imageData('batch_size: 1 new_width: 8'), { folder: folder() }),
    'data/layer',
    /^layer "d" \(ImageData\) at net\.prototxt:1:7: give both new_height and new_width, or neither$/,
  );
});

test('content that is no image reaches no decoder, from lists and from databases', async () => {
  const root = folder();
  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>');
  writeFileSync(join(root, 'cat.jpg'), svg);
  writeFileSync(join(root, 'list.txt'), 'cat.jpg 0\n');
  await refused(
    open(imageData('batch_size: 1'), { folder: root }),
    'image/unreadable',
    /cat\.jpg: .*an SVG drawing/,
  );
  const writer = new LmdbWriter(join(root, 'svg.lmdb'));
  writer.add('0', writeDatum({ data: svg, label: 0, encoded: true }));
  await writer.finish();
  await refused(
    open('type: "Data" top: "data" data_param { source: "svg.lmdb" backend: LMDB batch_size: 1 }', {
      folder: root,
    }),
    'image/unreadable',
    /record "0": .*an SVG drawing/,
  );
});

test('augment.orientation and augment.maxPixels apply to the images that a layer decodes', async () => {
  const root = folder();
  await red().withMetadata({ orientation: 6 }).jpeg().toFile(join(root, 'a.jpg'));
  writeFileSync(join(root, 'list.txt'), 'a.jpg 0\n');
  const shape = async (augment: DataLayerOptions['augment']) => {
    const source = await open(imageData('batch_size: 1'), { folder: root, augment });
    await source.dispose();
    return source.shapes.data;
  };
  assert.equal(await shape({}), [1, 3, 8, 6]);
  assert.equal(await shape({ orientation: 'ignored' }), [1, 3, 6, 8]);
  await refused(shape({ maxPixels: 47 }), 'image/too-large', /48 pixels; at most 47/);
});

test.run();
