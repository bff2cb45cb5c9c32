/** Invalid labels are reported with their line or record, before and during training. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import h5wasm from 'h5wasm/node';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DataError, DeviceError, type GraphError } from '../../ts/base/errors.ts';
import { filterNet, readNet } from '../../ts/caffe/net-parameter.ts';
import { writeDatum } from '../../ts/data/datum.ts';
import { wrongLabels } from '../../ts/data/label-faults.ts';
import { openNetData } from '../../ts/data/open-net-data.ts';
import { LmdbWriter } from '../../ts/data/write-lmdb.ts';
import { encodeIndexedPng } from '../../ts/images/indexed-png.ts';
import { lintPrototxt } from '../../ts/tools/lint/lint.ts';
import { checkLabels } from '../../ts/train/learning-check.ts';
import { testNet } from '../../ts/train/test-net.ts';
import { explainLabel } from '../../ts/train/wrong-label.ts';
import { repositoryFolder } from '../support/golden.ts';

const fixtures = join(repositoryFolder, 'test/data/fixtures');
const RECORDS = 'raw.leveldb';

const folder = mkdtempSync(join(tmpdir(), 'resnode-labels-'));
test.after(() => rmSync(folder, { recursive: true }));

const labels = (...values: number[]) => values.map((label, i) => ({ label, place: `line ${i + 1}` }));
const net = (data: string, loss = '') => `${data}
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 3 weight_filler { type: "msra" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" ${loss} }`;
const list = (name: string, ...values: number[]) => {
  writeFileSync(join(folder, name), values.map((label) => `${join(folder, 'a.png')} ${label}\n`).join(''));
  return `layer { name: "data" type: "ImageData" top: "data" top: "label" image_data_param { source: "${name}" batch_size: 2 } }`;
};
const found = (text: string) =>
  lintPrototxt(text, { file: join(folder, 'net.prototxt') }).filter(({ rule }) => rule === 'label-range');

test('labels from 0 to the last class are valid, and so is an ignored one', () => {
  assert.is(wrongLabels(labels(0, 1, 2), 3, undefined), null);
  assert.is(wrongLabels(labels(0, 255, 2), 3, 255), null);
});

test('the first invalid label is reported, with a cure that depends on all labels', () => {
  assert.match(wrongLabels(labels(1, 2, 3), 3, undefined)!, /label 3 at line 3, .* begin at 1: subtract 1/);
  assert.match(
    wrongLabels(labels(0, 9, 4), 3, undefined)!,
    /label 9 at line 2, .* num_output would have to be 10/,
  );
  assert.match(wrongLabels(labels(0, -1), 3, undefined)!, /label -1 at line 2/);
  assert.match(wrongLabels(labels(0, 0.5), 3, undefined)!, /label 0.5 at line 2/);
});

test('lint reads an existing list and names the line', () => {
  const [finding, ...others] = found(net(list('one.txt', 1, 2, 3)));
  assert.equal(others, []);
  assert.match(finding!.message, /^layer "data" \(ImageData\) has the label 3 at one\.txt:3, .*begin at 1/);
  assert.equal(found(net(list('zero.txt', 0, 1, 2))), []);
  assert.equal(found(net(list('ignored.txt', 0, 255, 2), 'loss_param { ignore_label: 255 }')), []);
  assert.equal(found(net(list('zero.txt', 0).replace('zero.txt', 'nowhere.txt'))), []);
});

test('lint reads the first records of a database and names the record', async () => {
  const writer = new LmdbWriter(join(folder, 'db'));
  for (let i = 0; i < 5; i++)
    writer.add(`k${i}`, writeDatum({ channels: 1, height: 1, width: 1, label: i, data: Uint8Array.of(0) }));
  await writer.finish();
  const data = `layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "db" backend: LMDB batch_size: 2 } }`;
  assert.match(found(net(data))[0]!.message, /has the label 3 at record "k3" of db, .* have to be 5/);
});

test('a label that a device refuses is reported with the line of its sample', async () => {
  await sharp({ create: { width: 4, height: 4, channels: 3, background: 'red' } })
    .png()
    .toFile(join(folder, 'a.png'));
  const filtered = filterNet(readNet(net(list('late.txt', 0, 1, 2, 7)), { file: 'n' }), { phase: 'TRAIN' });
  const source = await openNetData(filtered, { phase: 'TRAIN', folder, workers: 1 });
  try {
    await source.next();
    const batch = await source.next();
    const refusal = new DeviceError(
      'label/invalid',
      'cpu',
      'layer "loss": label or index 7.0 is not an integer from 0 to 2',
    );
    const error = (await explainLabel(refusal, filtered, source, batch)) as DataError;
    assert.instance(error, DataError);
    assert.is(error.code, 'label/invalid');
    assert.match(error.message, /^layer "data": has the label 7 at late\.txt:4 \(.*a\.png\), .* 0 to 2/);
    assert.is(await explainLabel(error, filtered, source, batch), error, 'other errors stay as they are');
  } finally {
    await source.dispose();
  }
});

test('a true box of the background, or of no class, is reported with its image', async () => {
  const ssd = readNet(
    `layer { name: "data" type: "AnnotatedData" top: "data" top: "label" }
    layer { name: "loss" type: "MultiBoxLoss" bottom: "loc" bottom: "conf" bottom: "priors" bottom: "label" top: "loss"
      multibox_loss_param { num_classes: 3 } }`,
    { file: 'n' },
  );
  const said = async (...boxes: [image: number, label: number][]) => {
    const label = Float32Array.from(boxes.flatMap(([image, each]) => [image, each, 0, 0, 0, 1, 1, 0]));
    const refusal = new DeviceError(
      'label/invalid',
      'cpu',
      'layer "loss": label or index -2.0 is not an integer from 0 to 2',
    );
    return ((await explainLabel(refusal, ssd, { shapes: {} }, { label })) as Error).message;
  };
  assert.match(
    await said([-1, 0], [0, 1], [1, 0]),
    /^layer "data": has a box of class 0 in image 1 of the batch, but boxes of layer "loss" .* the background's, 0;/,
  );
  assert.match(await said([0, 2], [0, 3]), /has a box of class 3 in image 0 .* from 0 to 2 other than/);
  assert.match(await said([0, 2]), /label or index -2\.0/);
});

/** Pictures of 5×6 whose label maps are of class 1, except for an ignored border and one pixel of the second map. */
async function segmentation(ignored: string) {
  const lines = await Promise.all(
    [1, 7].map(async (label, i) => {
      const map = new Uint8Array(30).fill(1);
      map.fill(255, 0, 6);
      map[2 * 6 + 4] = label;
      const picture = { create: { width: 6, height: 5, channels: 3, background: 'red' } } as const;
      await sharp(picture)
        .png()
        .toFile(join(folder, `p${i}.png`));
      writeFileSync(join(folder, `m${i}.png`), await encodeIndexedPng(map, 6, 5));
      return `p${i}.png m${i}.png\n`;
    }),
  );
  writeFileSync(join(folder, 'maps.txt'), lines.join(''));
  return filterNet(
    readNet(
      `layer { name: "data" type: "ImageSegData" top: "data" top: "label" transform_param { mirror: true crop_size: 4 }
  image_data_param { source: "maps.txt" root_folder: "./" batch_size: 2 label_type: PIXEL } }
layer { name: "fc" type: "Convolution" bottom: "data" top: "fc" convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "small" type: "Interp" bottom: "label" top: "small" interp_param { shrink_factor: 1 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "small" top: "loss" ${ignored} }`,
      { file: 'net.prototxt' },
    ),
    { phase: 'TEST' },
  );
}
const IGNORED = 'loss_param { ignore_label: 255 }';

test('an invalid label in a label map is reported with the map and the pixel, before and during training', async () => {
  const net = await segmentation(IGNORED);
  const find = (path: string) => join(folder, path);
  const state = { phase: 'TEST', level: 0, stages: [] } as const;
  const shapes = { data: [2, 3, 4, 4], label: [2, 1, 4, 4] };
  const named =
    /has the label 7 at row 2, column 4 of .*maps\.txt:2 \(.*m1\.png\), .* 0 to 2; the largest label is 7/;
  try {
    await checkLabels({ filtered: net, state }, shapes, find);
    assert.unreachable('it was accepted');
  } catch (error) {
    assert.is((error as GraphError).code, 'net/label-range', (error as Error).message);
    assert.match((error as Error).message, named);
  }
  const source = await openNetData(net, { phase: 'TEST', folder, workers: 1 });
  try {
    const batch = await source.next();
    const refusal = new DeviceError(
      'label/invalid',
      'cpu',
      'layer "loss": label or index 7.0 is not an integer from 0 to 2',
    );
    const { message } = (await explainLabel(refusal, net, source, batch)) as DataError;
    assert.match(message, named);
  } finally {
    await source.dispose();
  }
});

test('an invalid label in a label map is also reported in a test', async () => {
  const net = await segmentation(IGNORED);
  const source = await openNetData(net, { phase: 'TEST', folder, workers: 1 });
  const refusal = new DeviceError(
    'label/invalid',
    'cpu',
    'layer "loss": label or index 7.0 is not an integer from 0 to 2',
  );
  const model = { run: () => Promise.reject(refusal) };
  try {
    await testNet(model, source, { iterations: 1, lossWeights: {}, filtered: net }).then(
      () => assert.unreachable('it was accepted'),
      (error: Error) => {
        assert.instance(error, DataError);
        assert.match(error.message, /has the label 7 at row 2, column 4 of .*maps\.txt:2 \(.*m1\.png\)/);
      },
    );
  } finally {
    await source.dispose();
  }
});

test('the loss must ignore the label with which a data layer fills a crop: both labels are reported, with the cure', async () => {
  const text = await segmentation(IGNORED);
  const net = {
    ...text,
    layer: text.layer!.map((each) =>
      each.type === 'ImageSegData'
        ? {
            ...each,
            transform_param: { ...each.transform_param, crop_size: 8 },
            image_data_param: { ...each.image_data_param, ignore_label: 9 },
          }
        : each,
    ),
  };
  const source = await openNetData(net, { phase: 'TEST', folder, workers: 1 });
  const refusal = new DeviceError(
    'label/invalid',
    'cpu',
    'layer "loss": label or index 9.0 is not an integer from 0 to 2',
  );
  try {
    const { message } = (await explainLabel(refusal, net, source, await source.next())) as DataError;
    assert.match(
      message,
      /has the label 9 at .*data layer's ignore_label is 9, .* the loss has ignore_label: 255: give the loss ignore_label: 9/,
    );
    assert.not.match(message, /num_output/);
  } finally {
    await source.dispose();
  }
  assert.match(
    wrongLabels(labels(0, 255), 3, 7, 255)!,
    /ignore_label is 255.*has ignore_label: 7: give the loss ignore_label: 255/,
  );
});

test('the border of a label map is not a class either, unless it is ignored', async () => {
  const shapes = { data: [2, 3, 4, 4], label: [2, 1, 4, 4] };
  const state = { phase: 'TEST', level: 0, stages: [] } as const;
  const filtered = await segmentation('');
  await checkLabels({ filtered, state }, shapes, (path) => join(folder, path)).then(
    () => assert.unreachable('it was accepted'),
    (error: Error) =>
      assert.match(error.message, /the label 255 at row 0, column 0 of .*m0\.png.*ignore_label: 255/),
  );
});

test('labels in LevelDB and HDF5 are also checked before training, including those of test nets', async () => {
  const at = (path: string) => [join(folder, path), join(fixtures, path)].find(existsSync);
  const check = async (data: string, phase: 'TRAIN' | 'TEST', classes = 3) => {
    const whole = readNet(net(data).replace('num_output: 3', `num_output: ${classes}`), {
      file: 'net.prototxt',
    });
    const state = { phase, level: 0, stages: [] };
    const shapes = { data: [2, 4], label: [2] };
    try {
      await checkLabels({ filtered: filterNet(whole, state), state }, shapes, at);
      return null;
    } catch (error) {
      return error as GraphError;
    }
  };
  const file = new h5wasm.File(join(folder, 'rows.h5'), 'w');
  file.create_dataset({ name: 'data', data: new Float32Array(12), shape: [3, 4], dtype: '<f4' });
  file.create_dataset({ name: 'label', data: Float32Array.of(1, 3, 2), shape: [3], dtype: '<f4' });
  file.close();
  writeFileSync(join(folder, 'files.txt'), 'rows.h5\n');
  const rows =
    'layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "files.txt" batch_size: 2 } }';
  for (const phase of ['TRAIN', 'TEST'] as const) {
    const error = (await check(rows, phase))!;
    assert.is(error.code, 'net/label-range');
    assert.match(error.message, /layer "data" \(HDF5Data\).*the label 3 at row 1 of rows\.h5.*begin at 1/);
    assert.is(await check(rows, phase, 4), null);
  }
  const records = `layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "${RECORDS}" backend: LEVELDB batch_size: 2 } }`;
  const error = (await check(records, 'TEST', 1))!;
  assert.is(error.code, 'net/label-range');
  assert.match(
    error.message,
    new RegExp(`layer "data" \\(Data\\).*the label \\d+ at record ".*" of ${RECORDS}`),
  );
  assert.is(await check(records.replace(RECORDS, 'nowhere'), 'TEST', 1), null);
});

test.run();
