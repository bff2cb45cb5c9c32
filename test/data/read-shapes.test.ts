/** The shapes of data layers: from their fields, from the data that they read, or from the caller. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import h5wasm from 'h5wasm/node';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GraphError } from '../../ts/base/errors.ts';
import { filterNet, readNet } from '../../ts/caffe/net-parameter.ts';
import { readInputShapes } from '../../ts/data/read-shapes.ts';
import { openDevice } from '../../ts/device/device.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';

const fixtures = join(dirname(fileURLToPath(import.meta.url)), 'fixtures');
const images = join(dirname(fixtures), '../images/fixtures/decode');
const folder = mkdtempSync(join(tmpdir(), 'resnode-'));
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

const netOf = (layer: string, file = 'net.prototxt') =>
  filterNet(
    readNet(
      `${layer}
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { global_pooling: true } }`,
      { file },
    ),
  );
async function shapesOf(
  layer: string,
  given: Record<string, number[]> = {},
): Promise<Record<string, string>> {
  const net = netOf(layer);
  const graph = graphFromCaffe(net, { inputShapes: await readInputShapes(net, given) });
  return Object.fromEntries(
    graph.inputs.map((id) => [graph.values[id]!.blob, graph.values[id]!.shape.join('×')]),
  );
}
const data = (fields: string, transform = '') =>
  `layer { name: "d" type: "Data" top: "data" top: "label" data_param { ${fields} batch_size: 4 } transform_param { ${transform} } }`;
async function refusal(work: () => Promise<unknown>): Promise<GraphError> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, GraphError, String(error));
    return error as GraphError;
  }
  return assert.unreachable('it was accepted') as never;
}

test('crop_size gives the shapes, with the channels that the fields imply, else three', async () => {
  const source = 'source: "none"';
  assert.equal(await shapesOf(data(source, 'crop_size: 9')), { data: '4×3×9×9', label: '4' });
  assert.equal(await shapesOf(data(source, 'crop_size: 9 force_gray: true')), {
    data: '4×1×9×9',
    label: '4',
  });
  assert.equal(await shapesOf(data(source, 'crop_size: 9 mean_value: 1 mean_value: 2')), {
    data: '4×2×9×9',
    label: '4',
  });
});

test('MemoryData, DummyData, ImageData that resizes and WindowData give their own', async () => {
  const layer = (type: string, param: string, fields: string) =>
    `layer { name: "d" type: "${type}" top: "data" top: "label" ${param} { ${fields} } }`;
  const memory = 'batch_size: 2 channels: 5 height: 6 width: 7';
  assert.equal(await shapesOf(layer('MemoryData', 'memory_data_param', memory)), {
    data: '2×5×6×7',
    label: '2',
  });
  const dummy = 'shape { dim: 2 dim: 1 dim: 3 dim: 4 } shape { dim: 2 }';
  assert.equal(await shapesOf(layer('DummyData', 'dummy_data_param', dummy)), {
    data: '2×1×3×4',
    label: '2',
  });
  const resized = 'source: "none" batch_size: 2 new_height: 8 new_width: 9 is_color: false';
  assert.equal(await shapesOf(layer('ImageData', 'image_data_param', resized)), {
    data: '2×1×8×9',
    label: '2',
  });
  const windows = `source: "none" batch_size: 2 } transform_param { crop_size: 7`;
  assert.equal(await shapesOf(layer('WindowData', 'window_data_param', windows)), {
    data: '2×3×7×7',
    label: '2',
  });
});

test('an existing database gives the shape of its first record, for every backend', async () => {
  const sizes: string[] = [];
  for (const name of ['raw.lmdb', 'raw.leveldb', 'encoded.lmdb']) {
    const backend = name.endsWith('leveldb') ? 'LEVELDB' : 'LMDB';
    const shapes = await shapesOf(data(`source: "${join(fixtures, name)}" backend: ${backend}`));
    assert.match(shapes.data!, /^4×\d+×\d+×\d+$/);
    assert.is(shapes.label, '4');
    sizes.push(shapes.data!);
  }
  assert.is(sizes.length, 3);
});

test("the first image of a list gives the size, relative to the prototxt's folder if the list is there", async () => {
  const list = write('list.txt', `${join(images, 'grey.png')} 1\n`);
  const layer = (source: string) =>
    `layer { name: "d" type: "ImageData" top: "data" top: "label" image_data_param { source: "${source}" batch_size: 3 } }`;
  const whole = await shapesOf(layer(list));
  assert.match(whole.data!, /^3×3×\d+×\d+$/);
  const beside = await readInputShapes(netOf(layer('list.txt'), join(folder, 'net.prototxt')));
  assert.is(beside.data!.join('×'), whole.data);
});

test('the rows of an HDF5 file give the shapes of all tops', async () => {
  await h5wasm.ready;
  const path = join(folder, 'rows.h5');
  const file = new h5wasm.File(path, 'w');
  file.create_dataset({ name: 'data', data: new Float32Array(5 * 12), shape: [5, 3, 2, 2] });
  file.create_dataset({ name: 'label', data: new Float32Array(10), shape: [5, 2] });
  file.close();
  const list = write('rows.txt', `${path}\n`);
  const layer = `layer { name: "d" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "${list}" batch_size: 2 } }`;
  assert.equal(await shapesOf(layer), { data: '2×3×2×2', label: '2×2' });
});

test('given shapes take precedence, and a label follows its data', async () => {
  const layer = data('source: "none"');
  assert.equal(await shapesOf(layer, { data: [7, 1, 5, 5] }), { data: '7×1×5×5', label: '7' });
  assert.equal(await shapesOf(data('source: "x"', 'crop_size: 9'), { data: [7, 1, 5, 5] }), {
    data: '7×1×5×5',
    label: '7',
  });
});

test('unknown shapes are refused with the layer, the reason and the cure', async () => {
  const missing = await refusal(() => shapesOf(data('source: "none_lmdb"')));
  assert.is(missing.code, 'graph/input-shape');
  assert.match(
    missing.message,
    /layer "d" \(Data\) at net\.prototxt:1:\d+: the shapes of data and label cannot be determined: "none_lmdb" does not exist; give them: --input-shape data=1x3x224x224 --input-shape label=1/,
  );
  const broken = write('broken.txt', `${join(folder, 'none.h5')}\n`);
  const layer = `layer { name: "d" type: "HDF5Data" top: "data" hdf5_data_param { source: "${broken}" batch_size: 2 } }`;
  assert.match((await refusal(() => shapesOf(layer))).message, /none\.h5.*give it: --input-shape data=/);
  assert.throws(
    () => graphFromCaffe(netOf(data('source: "x"'))),
    /"x", which is not read here; give them: --input-shape/,
  );
});

test('a net without inputs in this state is refused, with the flags that have them', () => {
  const text = `${data('source: "x"', 'crop_size: 4').replace('top: "data"', 'include { phase: TRAIN stage: "a" } top: "data"')}`;
  assert.throws(
    () => graphFromCaffe(netOf(text)),
    /bottom "data" is not the top of a layer above in this state; the net has layer "d" \(Data\) for --phase TRAIN --stage a/,
  );
});

test("load gets the shapes of a net's inputs, and of a label only if an output needs it", async () => {
  using device = await openDevice('cpu', { threads: 1 });
  const layer = data(`source: "${join(fixtures, 'raw.lmdb')}" backend: LMDB`);
  const loss = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "pool" bottom: "label" top: "loss" }';
  const net = netOf(layer);
  const model = { ...net, layer: [...net.layer!, ...readNet(loss, { file: 'loss.prototxt' }).layer!] };
  using whole = await device.load({ model, batch: 1 });
  assert.equal(Object.keys(whole.inputs), ['data', 'label']);
  using features = await device.load({ model, batch: 1, outputs: ['pool'] });
  assert.equal(Object.keys(features.inputs), ['data']);
});

test.run();
