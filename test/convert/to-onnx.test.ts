/** Caffe → ONNX: every layer type, run by ONNX Runtime and compared with what Caffe recorded; and back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readOnnxFile, writeOnnxFile } from '../../ts/api/convert.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { writeFileAtomically } from '../../ts/caffe/atomic-file.ts';
import { readCaffemodel } from '../../ts/caffe/caffemodel.ts';
import { fill } from '../../ts/caffe/fillers.ts';
import { mapFile } from '../../ts/convert/map-file.ts';
import { blobsOf } from '../../ts/convert/network.ts';
import { onnxRuntime } from '../../ts/convert/onnx-files.ts';
import { onnxChunks } from '../../ts/convert/onnx-write.ts';
import { toOnnx } from '../../ts/convert/to-onnx.ts';
import {
  blobFromFloats,
  filterNet,
  GraphError,
  graphFromCaffe,
  type NetParameter,
  openDevice,
  readNet,
  readNetFile,
  type WeightsFile,
} from '../../ts/index.ts';
import { withConfiguration } from '../../ts/tools/parity/check-net.ts';
import { type NetCase, readGoldenCase, readRecorded } from '../../ts/tools/parity/golden-case.ts';
import { goldenCases, goldenFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-onnx-'));
test.after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'net.onnx');

const REFUSED = /^(acc_|loss_(?!euclidean)|bn_train(?!_global)|bn_test_batchstats)/;

function worst(actual: Float32Array | undefined, expected: Float32Array): number {
  if (actual?.length !== expected.length) return Number.POSITIVE_INFINITY;
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!) / largest), 0);
}

function weightsOf(golden: NetCase & { folder: string }, net: NetParameter): WeightsFile {
  if (golden.weights !== null) {
    const path = join(golden.folder, golden.weights);
    return readCaffemodel(mapFile(path), { file: path });
  }
  const layers = new Map<string, Float32Array[]>();
  const graph = graphFromCaffe(net);
  for (const { layer, shape, filler } of graph.parameters)
    layers.set(layer, [...(layers.get(layer) ?? []), fill(filler, shape, seededRandom(1))]);
  return {
    file: 'fillers',
    name: '',
    layers: [...layers].map(([name, blobs]) => ({
      name,
      type: '',
      blobs: blobs.map((values, i) =>
        blobFromFloats(graph.parameters.find((p) => p.layer === name && p.index === i)!.shape, values),
      ),
    })),
  };
}

test('every layer type gives in ONNX Runtime what Caffe recorded, also after it is read back', async () => {
  if (goldenFolder() === null) return;
  using device = await openDevice('cpu');
  const refused: string[] = [];
  for (const path of goldenCases('layers')) {
    const golden = readGoldenCase(path) as NetCase & { folder: string };
    const name = basename(path);
    const { phase, level, stages } = golden;
    const net = filterNet(readNetFile(join(path, golden.net)), { phase, level, stages });
    const graph = graphFromCaffe(net, { phase });
    try {
      writeFileAtomically(file, onnxChunks(toOnnx(graph, blobsOf(graph, weightsOf(golden, net)))));
    } catch (error) {
      assert.instance(error, GraphError, `${name}: ${error}`);
      assert.is((error as GraphError).code, 'convert/onnx');
      refused.push(name);
      continue;
    }
    const { inputs, blobs = {} } = golden.passes.at(-1)!;
    const feeds = Object.fromEntries(
      Object.entries(inputs).map(([key, recorded]) => [
        key,
        { shape: recorded.shape, data: readRecorded(path, recorded) },
      ]),
    );
    const outputs = golden.structure.outputs.filter((key) => blobs[key] !== undefined);
    assert.ok(outputs.length > 0, name);
    const runtime = (await onnxRuntime(file))!;
    const actual = await runtime.run(feeds);
    await runtime.dispose();
    for (const key of outputs) {
      const apart = worst(actual[key], readRecorded(path, blobs[key]!));
      assert.ok(apart <= 1e-5, `${name}, ${key}: differs by ${apart}`);
    }
    const back = readOnnxFile(file, {
      inputShapes: Object.fromEntries(Object.entries(feeds).map(([key, { shape }]) => [key, shape])),
    });
    using model = await device.load({ model: back.net, weights: back.weights });
    const again = await model.run(feeds);
    for (const key of outputs) {
      const apart = worst(again[key]?.data, readRecorded(path, blobs[key]!));
      assert.ok(apart <= 1e-5, `${name}, ${key}, read back: differs by ${apart}`);
    }
  }
  assert.equal(
    refused,
    goldenCases('layers')
      .map((path) => basename(path))
      .filter((name) => REFUSED.test(name)),
  );
});

// Layers that draw random numbers, keep state, read labels for a loss, or have a batch of their own.
const REFUSED_RARE =
  /^(contrastive|filter|hinge|infogain|lstm_(carry|plain|fractional_cont|static|x4d)|multinomial|rnn_(carry|plain|static)|sigmoid_ce)/;
// Batch statistics, losses, and a ROIAlign that takes the maximum of four sums.
const REFUSED_FORKS = /^(bn_pspnet_train|bn_segnet_learn|roialign_maskrcnn|smoothl1)/;

for (const [kind, whose, expected] of [
  ['layers2', 'BVLC', REFUSED_RARE],
  ['forks', 'the forks', REFUSED_FORKS],
] as const)
  test(`every further layer type of ${whose} gives in ONNX Runtime what Caffe recorded, also after it is read back, or is refused with a reason`, async () => {
    if (goldenFolder() === null) return;
    const refused: string[] = [];
    const device = await openDevice('cpu');
    const cases = goldenCases(kind);
    for (const path of cases) {
      const golden = readGoldenCase(path) as NetCase & { folder: string };
      const name = basename(path);
      const { phase, level, stages } = golden;
      const net = withConfiguration(
        filterNet(readNetFile(join(path, golden.net)), { phase, level, stages }),
        golden.spec?.cfg,
      );
      try {
        const graph = graphFromCaffe(net, { phase });
        writeFileAtomically(file, onnxChunks(toOnnx(graph, blobsOf(graph, weightsOf(golden, net)))));
      } catch (error) {
        assert.instance(error, GraphError, `${name}: ${error}`);
        refused.push(name);
        continue;
      }
      const { inputs, blobs = {} } = golden.passes.at(-1)!;
      const feeds = Object.fromEntries(
        Object.entries(inputs).map(([key, recorded]) => [
          key,
          { shape: recorded.shape, data: readRecorded(path, recorded) },
        ]),
      );
      const runtime = (await onnxRuntime(file))!;
      const actual = await runtime
        .run(feeds)
        .catch((error: Error) => assert.unreachable(`${name}: ${error.message}`) as never);
      await runtime.dispose();
      for (const key of golden.structure.outputs) {
        const apart = worst(actual[key], readRecorded(path, blobs[key]!));
        assert.ok(apart <= 1e-5, `${name}, ${key}: differs by ${apart}`);
      }
      const inputShapes = Object.fromEntries(Object.entries(feeds).map(([key, { shape }]) => [key, shape]));
      const back = readOnnxFile(file, { inputShapes });
      const model = await device.load({
        model: back.net,
        weights: back.weights,
        outputs: golden.structure.outputs,
      });
      // An input of which only the size is used is no longer an input.
      const again = await model.run(
        Object.fromEntries(Object.keys(model.inputs).map((key) => [key, feeds[key]!])),
      );
      model.dispose();
      for (const key of golden.structure.outputs) {
        const apart = worst(again[key]?.data, readRecorded(path, blobs[key]!));
        assert.ok(apart <= 1e-5, `${name}, ${key}, read back: differs by ${apart}`);
      }
    }
    device.dispose();
    const names = cases.map((path) => basename(path));
    assert.equal(
      refused,
      names.filter((name) => expected.test(name)),
    );
    console.log(
      `${kind}: ${names.length} cases, ${names.length - refused.length} written and read back, ${refused.length} refused`,
    );
  });

const INPUT =
  'layer { name: "d" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 dim: 7 dim: 9 } } }';
const netOf = (text: string) => readNet(INPUT + text, { file: 'net.prototxt' });
const none = { file: 'none', name: '', layers: [] };

test('pooling that ONNX cannot express as one window is preceded by padding, or refused by name', async () => {
  using device = await openDevice('cpu');
  const data = Float32Array.from({ length: 126 }, (_, i) => Math.sin(i));
  for (const fields of [
    'pool: AVE kernel_size: 3 stride: 2 pad: 1',
    'pool: AVE kernel_size: 4 stride: 3 pad_h: 1 pad_w: 0',
    'pool: AVE kernel_size: 4 stride: 4 pad: 3',
    'pool: AVE kernel_size: 2 stride: 3 round_mode: FLOOR',
    'pool: AVE kernel_h: 2 kernel_w: 5 stride: 2 pad_h: 1 pad_w: 2',
    'pool: MAX kernel_size: 4 stride: 3 pad: 2',
    'pool: MAX kernel_size: 3 stride: 2',
    'pool: MAX kernel_size: 2 stride: 3 pad: 1 round_mode: FLOOR',
  ]) {
    const net = netOf(`layer { name: "p" type: "Pooling" bottom: "x" top: "y" pooling_param { ${fields} } }`);
    writeOnnxFile(file, { net, weights: none });
    using model = await device.load({ model: net });
    const expected = (await model.run({ x: data })).y!;
    const runtime = (await onnxRuntime(file))!;
    assert.ok(
      worst((await runtime.run({ x: { shape: [1, 2, 7, 9], data } })).y, expected.data) < 1e-6,
      fields,
    );
    await runtime.dispose();
    const back = readOnnxFile(file);
    using again = await device.load({ model: back.net, weights: back.weights });
    assert.ok(worst((await again.run({ x: data })).y?.data, expected.data) < 1e-6, `${fields}, read back`);
  }
  const beyond = netOf(
    'layer { name: "p" type: "Pooling" bottom: "x" top: "y" pooling_param { pool: MAX kernel_size: 1 stride: 4 } }',
  );
  assert.throws(
    () => writeOnnxFile(file, { net: beyond, weights: none }),
    /layer "p" \(Pooling\) at net\.prototxt:1:\d+: cannot be written to ONNX: its last window is outside the bottom/,
  );
});

test('a dropout that draws in phase TEST is refused, with the field that causes it', () => {
  const net = netOf(
    'layer { name: "d" type: "Dropout" bottom: "x" top: "y" dropout_param { sample_weights_test: true } }',
  );
  assert.throws(
    () => writeOnnxFile(join(folder, 'dropout.onnx'), { net, weights: none }),
    /layer "d" \(Dropout\) .*with sample_weights_test, drops other values in each run/,
  );
});

test('a layer without weights is refused by name before anything is written', () => {
  const net = netOf(
    'layer { name: "c" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 1 kernel_size: 1 } }',
  );
  const path = join(folder, 'none.onnx');
  assert.throws(
    () => writeOnnxFile(path, { net, weights: none }),
    /"c" 1×\d+×1×1.*the file has no weights at all; name the layers of the prototxt as the file does, or give/,
  );
  assert.throws(() => mapFile(path), /there is no such file/);
});

test('blobs keep their names, overwritten values are blob@layer, and any batch size can be run', async () => {
  const net = netOf(
    'layer { name: "p" type: "Power" bottom: "x" top: "y" power_param { scale: 2 } } layer { name: "r" type: "ReLU" bottom: "y" top: "y" } layer { name: "s" type: "Softmax" bottom: "y" top: "prob" }',
  );
  const graph = graphFromCaffe(net);
  const model = toOnnx(graph, blobsOf(graph, none));
  assert.equal(
    model.nodes.map(({ outputs }) => outputs[0]),
    ['y@p', 'y', 'prob'],
  );
  assert.equal(model.inputs, [{ name: 'x', type: 'float32', shape: ['N', 2, 7, 9] }]);
  writeFileAtomically(file, onnxChunks(model));
  const runtime = (await onnxRuntime(file))!;
  const { prob } = await runtime.run({ x: { shape: [3, 2, 7, 9], data: new Float32Array(3 * 126) } });
  await runtime.dispose();
  assert.is(prob?.length, 3 * 126);
  assert.is(prob?.[0], 0.5);
  const back = readOnnxFile(file);
  assert.equal(
    back.net.layer?.map(({ name, bottom, top }) => [name, bottom?.[0], top?.[0]]),
    [
      ['x', undefined, 'x'],
      ['p', 'x', 'y'],
      ['r', 'y', 'y'],
      ['s', 'y', 'prob'],
    ],
  );
});

test('a layer that works in place on an input leaves the input its name', async () => {
  const net = netOf(
    'layer { name: "r" type: "ReLU" bottom: "x" top: "x" } layer { name: "s" type: "Softmax" bottom: "x" top: "prob" }',
  );
  const model = toOnnx(graphFromCaffe(net), () => assert.unreachable() as never);
  assert.equal(
    model.inputs.map(({ name }) => name),
    ['x'],
  );
  assert.equal(
    model.nodes.map(({ inputs, outputs }) => [...inputs, ...outputs]),
    [
      ['x', 'x@r'],
      ['x@r', 'prob'],
    ],
  );
});

test('Filter is Compress, passes as many items as the selector selects, and is read back as Filter', async () => {
  using device = await openDevice('cpu');
  const net = readNet(
    `layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "s" type: "Input" top: "s" input_param { shape { dim: 4 dim: 1 dim: 1 } } }
layer { name: "half" type: "Power" bottom: "x" top: "half" power_param { scale: 0.5 } }
layer { name: "pick" type: "Filter" bottom: "half" bottom: "x" bottom: "s" top: "a" top: "b" }
layer { name: "y" type: "InnerProduct" bottom: "a" top: "y" inner_product_param { num_output: 2 } }`,
    { file: 'net.prototxt' },
  );
  const graph = graphFromCaffe(net);
  const weights = blobFromFloats([2, 3], Float32Array.of(1, 2, 3, -1, 0, 1));
  const bias = blobFromFloats([2], Float32Array.of(0.5, -0.5));
  const layers = [{ name: 'y', type: 'InnerProduct', blobs: [weights, bias] }];
  const model = toOnnx(graph, blobsOf(graph, { file: '', name: '', layers }));
  assert.equal(
    model.outputs.map(({ name, shape }) => [name, shape]),
    [
      ['b', ['pick', 3]],
      ['y', ['pick', 2]],
    ],
  );
  writeFileAtomically(file, onnxChunks(model));
  const runtime = (await onnxRuntime(file))!;
  const read = readOnnxFile(file);
  assert.equal(
    (read.net.layer ?? []).map(({ type }) => type).filter((type) => type === 'Filter'),
    ['Filter', 'Filter'],
  );
  using own = await device.load({ model: net, weights: { file: '', name: '', layers } });
  using back = await device.load({ model: read.net, weights: read.weights });
  const x = Float32Array.from({ length: 12 }, (_, i) => i - 5);
  for (const s of [
    [1, 0, 0, -2],
    [0.25, 0, 0, 0],
    [1, 1, 1, 1],
  ]) {
    const feeds = { x: { shape: [4, 3], data: x }, s: { shape: [4, 1, 1], data: Float32Array.from(s) } };
    const expected = await own.run(feeds);
    const written = await runtime.run(feeds);
    const again = await back.run(feeds);
    for (const name of ['b', 'y']) {
      assert.is(expected[name]!.shape[0], s.filter((value) => value !== 0).length);
      assert.equal([...written[name]!], [...expected[name]!.data]);
      assert.equal([...again[name]!.data], [...expected[name]!.data]);
    }
  }
  await runtime.dispose();
});

test('products of computed matrices, and vectors of length 1, are what ONNX Runtime computes', async () => {
  using device = await openDevice('cpu');
  const input = (name: string, shape: readonly number[]) =>
    `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${shape.map((dim) => `dim: ${dim}`).join(' ')} } } }\n`;
  const layer = (type: string, bottoms: readonly string[], more = '') =>
    `layer { name: "y" type: "${type}" ${bottoms.map((name) => `bottom: "${name}"`).join(' ')} top: "y" ${more} }`;
  for (const text of [
    input('a', [2, 3, 4]) + input('b', [2, 4, 5]) + layer('MatMul', ['a', 'b']),
    input('a', [2, 4, 3]) +
      input('b', [2, 5, 4]) +
      layer('MatMul', ['a', 'b'], 'matmul_param { transpose_a: true transpose_b: true }'),
    input('a', [3, 4]) + input('b', [5, 4]) + input('c', [5]) + layer('InnerProduct', ['a', 'b', 'c']),
    input('a', [3, 4]) +
      layer(
        'InnerProduct',
        ['a'],
        'inner_product_param { num_output: 5 normalize: true weight_filler { type: "xavier" } }',
      ),
    input('a', [2, 3, 2, 2]) + layer('Normalize', ['a'], 'normalize_param { normalize_type: "L2" }'),
    input('a', [2, 3, 2, 2]) + input('b', [2, 1, 2, 2]) + layer('ChannelScale', ['a', 'b']),
    input('a', [2, 3]) + layer('NormL2', ['a']),
    input('a', [1, 3, 2, 2]) + layer('ExpMax', ['a']),
    input('a', [2, 3, 4, 5]) + layer('Flip', ['a'], 'flip_param { flip_height: true }'),
    input('a', [1, 3, 2, 2]) + layer('ChannelNorm', ['a']),
    input('a', [1, 3, 4, 5]) +
      layer(
        'DenseBlock',
        ['a'],
        'denseblock_param { numTransition: 2 growthRate: 2 use_BC: true Filter_Filler { type: "msra" } BN_Scaler_Filler { value: 1 } }',
      ),
  ]) {
    const model = readNet(text, { file: 'net.prototxt' });
    const graph = graphFromCaffe(model);
    using trainer = await device.train({ model, update: null, phase: 'TEST' });
    const weights = await trainer.weights();
    writeFileAtomically(file, onnxChunks(toOnnx(graph, blobsOf(graph, weights))));
    const random = seededRandom(7);
    const feeds = Object.fromEntries(
      graph.inputs.map((id) => {
        const { blob, shape } = graph.values[id]!;
        const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * random() - 1);
        return [blob, { shape, data }] as const;
      }),
    );
    const runtime = (await onnxRuntime(file))!;
    const actual = await runtime.run(feeds);
    await runtime.dispose();
    using loaded = await device.load({ model, weights });
    const { y } = await loaded.run(feeds);
    const apart = worst(actual.y, y!.data);
    assert.ok(apart <= 1e-5, `${text}: differs by ${apart}`);
  }
});

test("ROIAlign's mean of samples is ONNX's RoiAlign, aligned or not", async () => {
  using device = await openDevice('cpu');
  const shape = (...dims: number[]) =>
    `input_param { shape { ${dims.map((dim) => `dim: ${dim}`).join(' ')} } }`;
  const random = seededRandom(4);
  const feeds = {
    x: { shape: [2, 3, 9, 11], data: Float32Array.from({ length: 2 * 3 * 9 * 11 }, () => random() - 0.5) },
    rois: { shape: [3, 5], data: Float32Array.of(0, 4, 6, 30, 28, 1, 1.3, 2.7, 6.1, 5.9, 0, -8, -6, 50, 40) },
  };
  for (const more of ['sampling_ratio: 2', 'sampling_ratio: 0', 'aligned: true']) {
    const net = readNet(
      `layer { name: "x" type: "Input" top: "x" ${shape(2, 3, 9, 11)} }
layer { name: "rois" type: "Input" top: "rois" ${shape(3, 5)} }
layer { name: "y" type: "ROIAlign" bottom: "x" bottom: "rois" top: "y" roi_align_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.25 ${more} } }`,
      { file: 'net.prototxt' },
    );
    writeFileAtomically(
      file,
      onnxChunks(
        toOnnx(graphFromCaffe(net), blobsOf(graphFromCaffe(net), { file: '', name: '', layers: [] })),
      ),
    );
    const runtime = (await onnxRuntime(file))!;
    const { y: written } = await runtime.run(feeds);
    await runtime.dispose();
    using model = await device.load({ model: net });
    const { y } = await model.run(feeds);
    assert.ok(worst(written, y!.data) <= 1e-5, more);
  }
});

test.run();
