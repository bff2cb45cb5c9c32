/** Weights in a prototxt: layer.hpp sets a layer's `blobs` before SetUp, which then skips the fillers. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { convert, readSafetensorsFile } from '../../ts/api/convert.ts';
import { addFilters, describeNet, lintPrototxt } from '../../ts/api/tools.ts';
import { WeightsError } from '../../ts/base/errors.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { SGD_UPDATE } from '../../ts/device/plan-training.ts';
import { openDevice, readNet, saveCaffemodel, toFloat32 } from '../../ts/index.ts';
import { nodeArguments } from '../support/command.ts';

const input = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }';
const inner = (name: string, bottom: string, more: string) =>
  `layer { name: "${name}" type: "InnerProduct" bottom: "${bottom}" top: "${name}" ${more}
    inner_product_param { num_output: 2 weight_filler { type: "constant" value: 1 } } }`;
const WEIGHTS =
  'blobs { shape { dim: 2 dim: 2 } data: [1, 2, 3, 4] } blobs { shape { dim: 2 } data: [10, 20] }';

async function run(text: string, options: object = {}): Promise<number[]> {
  await using device = await openDevice('reference');
  await using model = await device.load({
    model: readNet(input + text, { file: 'net.prototxt' }),
    ...options,
  });
  const [top] = Object.values(await model.run({ x: Float32Array.of(1, 2) }));
  return [...top!.data];
}

test('a layer with blobs in the prototxt gets these weights', async () => {
  assert.equal(await run(inner('y', 'x', WEIGHTS)), [15, 31]);
});

test('they may have the four dimensions that blobs used to have, and float64 values', async () => {
  const legacy = `blobs { num: 1 channels: 1 height: 2 width: 2 double_data: [1, 2, 3, 4] }
    blobs { num: 1 channels: 1 height: 1 width: 2 data: [10, 20] }`;
  assert.equal(await run(inner('y', 'x', legacy)), [15, 31]);
});

test('a layer without them starts with its filler', async () => {
  assert.equal(await run(inner('y', 'x', WEIGHTS) + inner('z', 'y', '')), [46, 46]);
});

test('if a weights file has the layer, too, the file counts', async () => {
  const weights = {
    file: 'w.caffemodel',
    name: 'net',
    layers: [
      {
        name: 'y',
        type: 'InnerProduct',
        blobs: [
          blobFromFloats([2, 2], Float32Array.of(5, 6, 7, 8)),
          blobFromFloats([2], new Float32Array(2)),
        ],
      },
    ],
  };
  assert.equal(await run(inner('y', 'x', WEIGHTS), { weights }), [17, 23]);
  // Weights that are missing in the file are not taken from fillers if the prototxt has them.
  assert.equal(await run(inner('y', 'x', '') + inner('z', 'y', WEIGHTS), { weights }), [73, 163]);
});

test('blobs that do not fit are refused', async () => {
  const refused = async (blobs: string, message: RegExp, options = {}) => {
    try {
      await run(inner('y', 'x', blobs), options);
      assert.unreachable(blobs);
    } catch (error) {
      assert.instance(error, WeightsError);
      assert.match((error as Error).message, message);
    }
  };
  await refused(
    'blobs { shape { dim: 2 dim: 2 } data: [1, 2, 3] }',
    /^net.prototxt:1:\d+: layer "y", blob 0: has 3 values, but 2×2 needs 4/,
  );
  await refused(WEIGHTS.replace('dim: 2 dim: 2', 'dim: 4 dim: 1'), /^net.prototxt:1:\d+: layer "y", blob 0/);
  // The position is in the prototxt, even if there is also a weights file.
  const weights = { file: 'w.caffemodel', name: 'net', layers: [] };
  await refused(WEIGHTS.replace('dim: 2 dim: 2', 'dim: 4 dim: 1'), /^net.prototxt:1:\d+: layer "y"/, {
    weights,
  });
});

test('if layers share a blob, the values of its owner count, which is the first layer (Net::ShareWeights)', async () => {
  const sharing = (name: string, value: number) =>
    `layer { name: "${name}" type: "InnerProduct" bottom: "x" top: "${name}" param { name: "w" }
      inner_product_param { num_output: 1 bias_term: false } blobs { shape { dim: 1 dim: 2 } data: ${value} data: 0 } }`;
  assert.equal(await run(sharing('first', 5) + sharing('second', 7)), [5]);
});

test('NaN among them is reported with its position in the prototxt, also next to a weights file', async () => {
  const said: string[] = [];
  const hear = ({ message }: Error) => said.push(message);
  process.on('warning', hear);
  const withNaN = (name: string) => inner(name, 'x', WEIGHTS.replace('data: [1,', 'data: [nan,'));
  await run(withNaN('y'));
  await run(withNaN('z'), { weights: { file: 'w.caffemodel', name: 'net', layers: [] } });
  await new Promise(setImmediate);
  process.off('warning', hear);
  const found = said.filter((message) => message.includes("the net's results are meaningless"));
  assert.is(found.length, 2, said.join('\n'));
  for (const message of found) assert.match(message, /^net\.prototxt:1:\d+: layer "[yz]", blob 0: 1 value/);
});

test('training starts with them', async () => {
  await using device = await openDevice('reference');
  const text = `${input}layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 1 dim: 2 } } }
    ${inner('y', 'x', WEIGHTS)}layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }`;
  await using trainer = await device.train({
    model: readNet(text, { file: 'net.prototxt' }),
    update: { ...SGD_UPDATE, momentum: 0, weight_decay: 0 },
  });
  // y is [15, 31]: the first value exceeds its target by 15, and the second equals it. The slope of the weights is 15 ·
  // x.
  await trainer.step({ x: Float32Array.of(1, 2), t: Float32Array.of(0, 31) }, { rate: 0.1, iteration: 0 });
  const { layers } = await trainer.weights();
  const [matrix, bias] = layers.find(({ name }) => name === 'y')!.blobs.map((blob) => [...toFloat32(blob)]);
  assert.equal(
    [...matrix!, ...bias!].map((value) => Math.round(1000 * value) / 1000),
    [-0.5, -1, 3, 4, 8.5, 20],
  );
});

test('they do not count as zero weights, whatever the filler', () => {
  const net = `layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 dim: 2 } } }
    layer { name: "y" type: "InnerProduct" bottom: "x" top: "y" WRITTEN inner_product_param { num_output: 2 } }
    layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "x" top: "loss" }`;
  const rules = (written: string) =>
    lintPrototxt(net.replace('WRITTEN', written), { file: 'net.prototxt' }).map(({ rule }) => rule);
  assert.ok(rules('').includes('zero-weights'));
  assert.not.ok(rules(WEIGHTS).includes('zero-weights'));
});

test("the page of a net shows their filters next to a file's", async () => {
  const net = readNet(input + inner('y', 'x', WEIGHTS), { file: 'net.prototxt' });
  const weights = { file: 'w.caffemodel', name: 'net', layers: [] };
  const [shown] = Object.values(await addFilters(describeNet(net), weights));
  assert.ok(shown?.filters);
  const folder = mkdtempSync(join(tmpdir(), 'resnode-written-view-'));
  const at = (name: string) => join(folder, name);
  writeFileSync(at('net.prototxt'), input + inner('y', 'x', WEIGHTS) + inner('z', 'y', ''));
  const { status, stderr } = spawnSync(
    process.execPath,
    [...nodeArguments('ts/cli/main.ts'), 'view', at('net.prototxt'), '--out', at('net.html')],
    { encoding: 'utf8' },
  );
  assert.is(status, 0, stderr);
  assert.match(readFileSync(at('net.html'), 'utf8'), /Blob 0 \(2×2\)/);
  rmSync(folder, { recursive: true });
});

test('a conversion reads them, too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-written-blobs-'));
  const at = (name: string) => join(folder, name);
  await saveCaffemodel(at('empty.caffemodel'), { name: 'net', layers: [] });
  writeFileSync(at('net.prototxt'), input + inner('y', 'x', WEIGHTS));
  await convert(at('empty.caffemodel'), at('net.safetensors'), { model: at('net.prototxt') });
  const { weights } = readSafetensorsFile(at('net.safetensors'));
  assert.equal(
    weights.layers.flatMap(({ blobs }) => blobs.map((blob) => [...toFloat32(blob)])),
    [
      [1, 2, 3, 4],
      [10, 20],
    ],
  );
  rmSync(folder, { recursive: true });
});

test.run();
