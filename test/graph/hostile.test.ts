/** Names that JavaScript's objects already have, and impossible shapes: they work, or give typed errors. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openNetData } from '../../ts/api/data.ts';
import { describeNet, lintPrototxt, pageText } from '../../ts/api/tools.ts';
import {
  type Device,
  deployNet,
  filterNet,
  graphFromCaffe,
  openDevice,
  printPrototxt,
  ResnodeError,
  readCaffemodel,
  readInputShapes,
  readNet,
  trainNet,
  writeCaffemodel,
} from '../../ts/index.ts';

const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'];
const parse = (text: string) => readNet(text, { file: 'hostile.prototxt' });
const folder = mkdtempSync(join(tmpdir(), 'resnode-'));
let device: Device;

test.before(async () => {
  device = await openDevice('cpu', { threads: 1 });
});
test.after(() => device.dispose());

const netOf = (blob: string, layer: string) => `
layer { name: "in" type: "Input" top: "${blob}" input_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 } } }
layer { name: "${layer}" type: "Convolution" bottom: "${blob}" top: "t${blob}" convolution_param { num_output: 3 kernel_size: 1
  weight_filler { type: "msra" } } param { name: "${layer}" } }
layer { name: "last" type: "ReLU" bottom: "t${blob}" top: "${layer}_" }
layer { name: "out" type: "Power" bottom: "${layer}_" top: "${layer === blob ? `${layer}2` : layer}" }`;

for (const blob of NAMES)
  test(`blobs, layers and parameters may be named "${blob}"`, async () => {
    for (const layer of NAMES) {
      const net = parse(netOf(blob, layer));
      const top = layer === blob ? `${layer}2` : layer;
      const input = { [blob]: new Float32Array(64).fill(1) };
      using model = await device.load({ model: net, inputShapes: { [blob]: [2, 2, 4, 4] } });
      assert.is(JSON.stringify(model.inputs), JSON.stringify({ [blob]: [2, 2, 4, 4] }));
      const outputs = await model.run(input);
      assert.equal(Object.keys(outputs), [top]);
      assert.is(outputs[top]!.data.length, 96);
      assert.is(Object.keys(JSON.parse(JSON.stringify(outputs))).length, 1);
      const inputs: Record<string, Float32Array>[] = [{}, { ...input, other: new Float32Array(1) }];
      for (const wrong of inputs) assert.is(await codeOf(() => model.run(wrong)), 'argument/invalid');
      using asked = await device.load({ model: net, outputs: [blob, `t${blob}`] });
      assert.equal(Object.keys(await asked.run({ [blob]: new Float32Array(32) })), [blob, `t${blob}`]);
      using trainer = await device.train({ model: net, update: null, diffs: [blob] });
      const { blobs } = await trainer.gradients({ [blob]: new Float32Array(32) });
      assert.equal(Object.keys(blobs), [blob]);
      const file = join(folder, 'w.caffemodel');
      await writeCaffemodel(file, await trainer.weights());
      assert.ok(readCaffemodel(readFileSync(file), { file }).layers.some(({ name }) => name === layer));
      using back = await device.load({ model: net, weights: file });
      back.summary();
      assert.ok(pageText(describeNet(net).data).includes(blob));
      assert.is(printPrototxt(parse(printPrototxt(net))), printPrototxt(net));
      lintPrototxt(netOf(blob, layer), { file: 'hostile.prototxt' });
      await deployNet(trainNet(net));
    }
  });

test('tops of data layers may have such names, too, alone and merged', async () => {
  const dummy = (layer: string, top: string) =>
    `layer { name: "${layer}" type: "DummyData" top: "${top}" dummy_data_param { shape { dim: 2 } data_filler { value: 3 } } }`;
  const net = filterNet(parse(`${dummy('constructor', '__proto__')} ${dummy('__proto__', 'toString')}`));
  assert.is(JSON.stringify(await readInputShapes(net)), '{}');
  const source = await openNetData(net, { phase: 'TEST' });
  try {
    assert.equal(Object.keys(source.shapes).sort(), ['__proto__', 'toString']);
    const batch = await source.next();
    assert.equal(
      Object.entries(batch)
        .map(([name, values]) => `${name} ${values}`)
        .sort(),
      ['__proto__ 3,3', 'toString 3,3'],
    );
    assert.is(Object.keys(source.state() as object).length, 2);
  } finally {
    await source.dispose();
  }
});

async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, ResnodeError, String((error as Error).stack));
    return (error as ResnodeError).code;
  }
  return assert.unreachable('it was accepted') as never;
}

const input = (dims: readonly (number | string)[]) =>
  `layer { name: "in" type: "Input" top: "x" input_param { shape { ${dims.map((dim) => `dim: ${dim}`).join(' ')} } } }\n`;
const small = input([1, 2, 4, 4]);
const next = (type: string, fields: string) =>
  `${small}layer { name: "l" type: "${type}" bottom: "x" top: "y" ${fields} }`;
const nearest = (fields: string) =>
  next('ResizeNearestNeighbor', `resize_nearest_neighbor_param { data_format: "NCHW" ${fields} }`);
const HUGE = '9223372036854775807';

for (const [what, text] of [
  ['dims of 2^63 − 1', input([HUGE])],
  ['dims whose product is over 2^53', input([4294967295, 4294967295, 4294967295])],
  ['dims whose product is infinite', input(Array.from({ length: 32 }, () => HUGE))],
  ['negative dims', input([-1, 3])],
  ['the least dim', input([`-${HUGE}`])],
  ['dims of 0', input([0, 3])],
  ['33 dims', input(Array.from({ length: 33 }, () => 1))],
  ['a reshape to 2^63 − 1', next('Reshape', `reshape_param { shape { dim: ${HUGE} } }`)],
  ['a reshape to 2^63 − 1 beside −1', next('Reshape', `reshape_param { shape { dim: ${HUGE} dim: -1 } }`)],
  ['a reshape to −2', next('Reshape', 'reshape_param { shape { dim: -2 } }')],
  ['a reshape to 40 dims', next('Reshape', `reshape_param { shape { dim: -1 ${'dim: 1 '.repeat(40)} } }`)],
  [
    'a reshape from an axis far outside',
    next('Reshape', 'reshape_param { axis: -2147483648 shape { dim: -1 } }'),
  ],
  [
    'strides of 2^32 − 1',
    next('Convolution', 'convolution_param { num_output: 1 kernel_size: 1 stride: 4294967295 }'),
  ],
  [
    'pads of 2^32 − 1',
    next('Convolution', 'convolution_param { num_output: 1 kernel_size: 1 pad: 4294967295 }'),
  ],
  [
    'a dilation of 2^32 − 1',
    next('Convolution', 'convolution_param { num_output: 1 kernel_size: 3 dilation: 4294967295 }'),
  ],
  [
    'a dilation and a kernel over 2^31 together',
    next(
      'Convolution',
      'convolution_param { num_output: 1 kernel_size: 65536 dilation: 65536 pad: 2147483647 }',
    ),
  ],
  [
    'a kernel larger than memory',
    next('Convolution', 'convolution_param { num_output: 1 kernel_size: 2000000000 pad: 1000000000 }'),
  ],
  [
    'more outputs than memory',
    next('Convolution', 'convolution_param { num_output: 4294967295 kernel_size: 1 }'),
  ],
  [
    'an inner product larger than memory',
    next('InnerProduct', 'inner_product_param { num_output: 4294967295 }'),
  ],
  [
    'a group of 2^32 − 1',
    next('Convolution', 'convolution_param { num_output: 1 kernel_size: 1 group: 4294967295 }'),
  ],
  ['a group of 0', next('Convolution', 'convolution_param { num_output: 1 kernel_size: 1 group: 0 }')],
  ['a pooling stride of 2^32 − 1', next('Pooling', 'pooling_param { kernel_size: 1 stride: 4294967295 }')],
  ['a pooling kernel of 2^32 − 1', next('Pooling', 'pooling_param { kernel_size: 4294967295 }')],
  [
    'a slice at 2^32 − 1',
    `${small}layer { name: "l" type: "Slice" bottom: "x" top: "y" top: "z" slice_param { slice_point: 4294967295 } }`,
  ],
  ['an axis of 2^31 − 1', next('Softmax', 'softmax_param { axis: 2147483647 }')],
  ['a flatten to the least axis', next('Flatten', 'flatten_param { end_axis: -2147483648 }')],
  ['num_axes of 2^31 − 1', next('Scale', 'scale_param { num_axes: 2147483647 }')],
  [
    'a DummyData of 2^63 − 1',
    `layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: ${HUGE} } } }`,
  ],
  [
    'a MemoryData over 2^53',
    'layer { name: "d" type: "MemoryData" top: "x" top: "y" memory_data_param { batch_size: 4294967295 channels: 4294967295 height: 4294967295 width: 9 } }',
  ],
  [
    'classes of 2^32 − 1',
    `${input([1, 1, 4, 7])}${input([1, 1, 4, 8]).replaceAll(/"(in|x)"/g, '"t"')}layer { name: "l" type: "DetectionEvaluate" bottom: "x" bottom: "t" top: "y" detection_evaluate_param { num_classes: 4294967295 } }`,
  ],
  ['a nearest resize by 1e30', nearest('scale_height: 1e30')],
  ['a nearest resize by 1e9', nearest('scale_height: 1e9')],
  ['a nearest resize to 2^31 − 1', nearest('output_height: 2147483647')],
  [
    'a nearest resize of one pixel to 2^31 − 1',
    nearest('output_height: 2147483647').replace(small, input([1, 1, 1, 1])),
  ],
  ['a bilinear resize by 1e30', next('ResizeBilinear', 'resize_bilinear_param { scale_height: 1e30 }')],
  ['tiles of 2^31 − 1', next('Tile', 'tile_param { tiles: 2147483647 }')],
  [
    'a sequence of 100,000,000',
    `${input([100000000, 1, 1])}${input([100000000, 1]).replaceAll(/"(in|x)"/g, '"c"')}layer { name: "l" type: "LSTM" bottom: "x" bottom: "c" top: "y" recurrent_param { num_output: 1 } }`,
  ],
  [
    'a crop of 2^32 − 1',
    'layer { name: "d" type: "Data" top: "x" data_param { batch_size: 4294967295 } transform_param { crop_size: 4294967295 } }',
  ],
] as const)
  test(`${what}: a typed error of the graph, from every function`, async () => {
    const net = parse(text);
    assert.match(await codeOf(() => graphFromCaffe(net)), /^graph\//);
    assert.match(await codeOf(() => device.load({ model: net })), /^graph\//);
    assert.match(await codeOf(() => device.planTraining({ model: net, update: null })), /^graph\//);
    lintPrototxt(text, { file: 'hostile.prototxt' });
    const path = join(folder, 'net.prototxt');
    writeFileSync(path, printPrototxt(net));
    assert.match(await codeOf(() => device.plan({ model: path })), /^graph\//);
  });

for (const [what, text] of [
  ['a tile', next('Tile', 'tile_param { tiles: 2147483647 }').replace(small, input([1, 1]))],
  [
    'a sum of two',
    `${input([1, 1])}${input([2147483647, 1]).replaceAll(/"(in|x)"/g, '"z"')}layer { name: "l" type: "Add" bottom: "x" bottom: "z" top: "y" }`,
  ],
] as const)
  test(`${what} that repeats one value 2^31 − 1 times takes few operations`, () => {
    const { nodes, values } = graphFromCaffe(parse(text));
    assert.is(values.find(({ blob }) => blob === 'y')!.shape[1] ?? 0, what === 'a tile' ? 2147483647 : 1);
    assert.ok(nodes.length < 10, `${nodes.length} operations`);
    assert.ok(nodes.every(({ inputs }) => inputs.length <= 1024));
  });

test('32 dims of 1 are a valid blob, as in Caffe, or the device refuses them with a code', async () => {
  const net = parse(
    `${input(Array.from({ length: 32 }, () => 1))}layer { name: "r" type: "ReLU" bottom: "x" top: "y" }`,
  );
  assert.is(graphFromCaffe(net).values[1]!.shape.length, 32);
  try {
    using model = await device.load({ model: net });
    assert.equal([...(await model.run({ x: Float32Array.of(-1) })).y!.data], [0]);
  } catch (error) {
    assert.instance(error, ResnodeError);
  }
});

test.run();
