/** Two sides of one net: they agree, or the error that was put into one of them is named. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { blobFromFloats, toFloat32 } from '../../../ts/caffe/blob.ts';
import { readCaffemodel } from '../../../ts/caffe/caffemodel.ts';
import type { LayerParameter } from '../../../ts/caffe/net-parameter.ts';
import { readNetFile } from '../../../ts/caffe/net-parameter.ts';
import { mapFile } from '../../../ts/convert/map-file.ts';
import { onnxTops } from '../../../ts/convert/onnx-tops.ts';
import {
  graphFromCaffe,
  type NetParameter,
  openDevice,
  ResnodeError,
  readNet,
  type Tensor,
  type WeightsFile,
} from '../../../ts/index.ts';
import { readDump } from '../../../ts/tools/parity/against/dump.ts';
import { compareLayers } from '../../../ts/tools/parity/against/layers.ts';
import { deviceTops } from '../../../ts/tools/parity/against/tops.ts';
import { readGoldenCase } from '../../../ts/tools/parity/golden-case.ts';
import { randomInput } from '../../../ts/tools/parity/random-input.ts';
import { recipeWeights } from '../../../ts/tools/parity/recipe.ts';
import { goldenCases } from '../../support/golden.ts';
import { writeDump } from './dump.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-against-'));
test.after(() => rmSync(folder, { recursive: true }));

const convolution = (name: string, bottom: string, outputs: number, fields: string) =>
  `layer { name: "${name}" type: "Convolution" bottom: "${bottom}" top: "${name}" convolution_param { num_output: ${outputs} ${fields} } }
   layer { name: "bn_${name}" type: "BatchNorm" bottom: "${name}" top: "${name}" }
   layer { name: "scale_${name}" type: "Scale" bottom: "${name}" top: "${name}" scale_param { bias_term: true } }`;
const relu = (name: string) => `layer { name: "${name}_relu" type: "ReLU" bottom: "${name}" top: "${name}" }`;

// The start of MSRA's ResNets: conv1 with a bias, pool1 that rounds up, a block with its stride on the first 1×1.
const net = readNet(
  `name: "small"
   layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 32 dim: 32 } } }
   ${convolution('conv1', 'data', 8, 'kernel_size: 7 stride: 2 pad: 3')} ${relu('conv1')}
   layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
   ${convolution('branch1', 'pool1', 16, 'kernel_size: 1 stride: 2 bias_term: false')}
   ${convolution('branch2a', 'pool1', 8, 'kernel_size: 1 stride: 2 bias_term: false')} ${relu('branch2a')}
   ${convolution('branch2b', 'branch2a', 16, 'kernel_size: 3 pad: 1 bias_term: false')}
   layer { name: "sum" type: "Eltwise" bottom: "branch1" bottom: "branch2b" top: "sum" }
   ${relu('sum')}
   ${convolution('last', 'sum', 8, 'kernel_size: 1 bias_term: false')}
   layer { name: "drop" type: "Dropout" bottom: "last" top: "last" }
   layer { name: "pool5" type: "Pooling" bottom: "last" top: "pool5" pooling_param { pool: AVE global_pooling: true } }
   layer { name: "fc" type: "InnerProduct" bottom: "pool5" top: "fc" inner_product_param { num_output: 5 } }
   layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }`,
  { file: 'small.prototxt' },
);
const weights = recipeWeights(graphFromCaffe(net), 7);
const shape = [2, 3, 32, 32];
const inputs = { data: { shape, data: randomInput(shape) } };

/** The net with layers changed. */
const withLayers = (change: (layer: LayerParameter) => object): NetParameter => ({
  ...net,
  layer: net.layer!.map((layer) => ({ ...layer, ...change(layer) })),
});
const on = (name: string, fields: object) => withLayers((layer) => (layer.name === name ? fields : {}));
/** The weights with a layer's blobs changed. */
const withBlobs = (name: string, change: (blobs: Tensor[]) => Tensor[]): WeightsFile => ({
  ...weights,
  layers: weights.layers.map((layer) =>
    layer.name !== name
      ? layer
      : {
          ...layer,
          blobs: change(layer.blobs.map((blob) => ({ shape: blob.shape, data: toFloat32(blob) }))).map((t) =>
            blobFromFloats(t.shape, t.data),
          ),
        },
  ),
});
const reversed = ({ shape: dims, data }: Tensor): Tensor => {
  const plane = dims[2]! * dims[3]!;
  return {
    shape: dims,
    data: data.map((_, i) => {
      const c = Math.floor(i / plane) % 3;
      return data[i + (2 - 2 * c) * plane]!;
    }),
  };
};

interface Side {
  readonly match?: { readonly partialWeights: boolean };
  net?: NetParameter;
  weights?: WeightsFile;
}
/**
 * @param there What the dump was computed with.
 * @param here What is tested.
 */
const faults: [
  string,
  string,
  RegExp,
  { there?: Side; here?: Side; change?: (tops: Map<string, Tensor>) => Map<string, Tensor> },
][] = [
  [
    'pool-rounding',
    'pool1',
    /rounded down there; Caffe rounds up/,
    {
      there: {
        net: on('pool1', { pooling_param: { pool: 'MAX', kernel_size: 3, stride: 2, round_mode: 'FLOOR' } }),
      },
    },
  ],
  [
    'pool-rounding',
    'pool1',
    /padded by 1/,
    {
      there: {
        net: on('pool1', {
          pooling_param: { pool: 'MAX', kernel_size: 3, stride: 2, pad: 1, round_mode: 'FLOOR' },
        }),
      },
    },
  ],
  [
    'batch-norm-factor',
    'bn_branch2a',
    /does not divide mean and variance by the third blob \(999\.980\)/,
    {
      there: {
        weights: withBlobs('bn_branch2a', ([mean, variance]) => [
          mean!,
          variance!,
          { shape: [1], data: Float32Array.of(1) },
        ]),
      },
    },
  ],
  [
    'eps',
    'bn_conv1',
    /eps is 0\.001 there; here it is 0\.00001/,
    {
      there: {
        net: withLayers(({ type }) => (type === 'BatchNorm' ? { batch_norm_param: { eps: 1e-3 } } : {})),
      },
    },
  ],
  [
    'batch-statistics',
    'bn_conv1',
    /use_global_stats: false/,
    {
      there: {
        net: withLayers(({ type }) =>
          type === 'BatchNorm' ? { batch_norm_param: { use_global_stats: false } } : {},
        ),
      },
    },
  ],
  [
    'channel-order',
    'conv1',
    /RGB instead of BGR/,
    {
      there: { weights: withBlobs('conv1', ([first, bias]) => [reversed(first!), bias!]) },
    },
  ],
  [
    'bias',
    'conv1',
    /does not add the bias \(second blob\)/,
    {
      there: {
        weights: withBlobs('conv1', ([first, bias]) => [first!, { ...bias!, data: new Float32Array(8) }]),
      },
    },
  ],
  [
    'bias',
    'conv1',
    /the other side adds a bias/,
    {
      here: {
        net: on('conv1', {
          convolution_param: { num_output: 8, kernel_size: [7], stride: [2], pad: [3], bias_term: false },
        }),
        weights: withBlobs('conv1', ([first]) => [first!]),
      },
    },
  ],
  [
    'stride-position',
    'branch2a',
    /the stride is 1 there and 2 here.*v1\.5.*3×3/,
    {
      there: {
        net: withLayers(({ name, convolution_param: p }) =>
          name === 'branch2a'
            ? { convolution_param: { ...(p as object), stride: [1] } }
            : name === 'branch2b'
              ? { convolution_param: { ...(p as object), stride: [2] } }
              : {},
        ),
      },
    },
  ],
  [
    'in-place',
    'last',
    /the other side reads bottom "sum" after layer "sum", this net after "sum_relu"/,
    {
      there: { net: withLayers(({ name }) => (name === 'sum_relu' ? { top: ['aside'] } : {})) },
      change: (tops) => new Map([...tops].map(([name, top]) => [name.replace('aside@', 'sum@'), top])),
    },
  ],
  [
    'in-place',
    'conv1',
    /"conv1" as it is after layer "conv1_relu"/,
    {
      change: (tops) => {
        const last = new Map([...tops].map(([name, top]) => [name.split('@')[0], top]));
        return new Map([...tops.keys()].map((name) => [name, last.get(name.split('@')[0])!]));
      },
    },
  ],
  [
    'no-weights',
    'branch2b',
    /no blobs for layer "branch2b"/,
    {
      here: {
        weights: { ...weights, layers: weights.layers.filter(({ name }) => name !== 'branch2b') },
        match: { partialWeights: true },
      },
    },
  ],
  [
    'unknown',
    'fc',
    /no known cause/,
    {
      there: {
        weights: withBlobs('fc', ([first, bias]) => [
          { ...first!, data: first!.data.map((value, i) => value + (i % 3)) },
          bias!,
        ]),
      },
    },
  ],
  [
    'unknown',
    'conv1',
    /does not have the bottoms of this layer/,
    {
      there: { weights: withBlobs('conv1', ([first, bias]) => [reversed(first!), bias!]) },
      change: (tops) => new Map([...tops].filter(([name]) => name === 'conv1@bn_conv1')),
    },
  ],
];

for (const [i, [name, layer, text, { there = {}, here = {}, ...rest }]] of faults.entries())
  test(`a dump with a fault: ${name} at ${layer} (${text.source})`, async () => {
    using reference = await openDevice('reference');
    using device = await openDevice('cpu', { threads: 2 });
    const dump = join(folder, `${i}`);
    await writeDump(reference, dump, { net, weights, inputs, ...there, ...rest });
    const source = readDump(dump);
    const result = await compareLayers({ device, net, weights, ...here, source, inputs: [source.inputs] });
    assert.not(result.ok);
    const { cause } = result.firstDivergence!;
    assert.is(cause.name, name, cause.text);
    if (!/does not have the bottoms/.test(cause.text)) assert.is(cause.layer, layer);
    assert.match(cause.text, text);
  });

test('without a fault everything agrees, including Dropout and in-place layers', async () => {
  using reference = await openDevice('reference');
  using device = await openDevice('cpu', { threads: 2 });
  const source = await deviceTops(reference, { net, weights });
  const more = { data: { shape, data: inputs.data.data.map((value) => -value) } };
  const result = await compareLayers({ device, net, weights, source, inputs: [inputs, more] });
  source.dispose();
  assert.ok(result.ok);
  assert.equal([result.runs, result.notCompared, result.firstDivergence], [2, [], null]);
  assert.equal(
    result.layers.slice(0, 4).map(({ name, mode }) => `${name} ${mode}`),
    ['conv1@conv1', 'conv1@bn_conv1', 'conv1@scale_conv1', 'conv1@conv1_relu'].map(
      (each) => `${each} layer by layer`,
    ),
  );
  assert.equal([result.layers.at(-1)!.name, result.layers.at(-1)!.mode], ['prob', 'fused']);
  assert.is(result.layers.length, graphFromCaffe(net).nodes.length + 1);
});

test('differences that only grew are called that, and missing layers of the other side are listed', async () => {
  using reference = await openDevice('reference');
  using device = await openDevice('cpu', { threads: 2 });
  const dump = join(folder, 'partial');
  await writeDump(reference, dump, {
    net,
    weights,
    inputs,
    change: (tops) => new Map([...tops].slice(0, -5)),
  });
  const source = readDump(dump);
  const result = await compareLayers({
    device,
    net,
    weights,
    source,
    inputs: [source.inputs],
    tolerance: 1e-9,
  });
  assert.is(result.firstDivergence!.cause.name, 'accumulated');
  assert.is(result.notCompared.length, 5);
});

test('a dump of another net, a truncated one and one from training are refused', async () => {
  using device = await openDevice('reference');
  const dump = join(folder, 'other');
  await writeDump(device, dump, {
    net,
    weights,
    inputs,
    change: (tops) => new Map([...tops].map(([name, top]) => [`x${name}`, top])),
  });
  const source = readDump(dump);
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => null,
      (error: unknown) => error,
    );
  const nothing = await failure(compareLayers({ device, net, weights, source, inputs: [source.inputs] }));
  assert.instance(nothing, ResnodeError);
  assert.match((nothing as Error).message, /has no top of any layer of this net \(as "conv1@conv1"\)/);
  rmSync(join(dump, '0.f32'));
  assert.instance(await failure(source.run({})), Error);
  for (const path of goldenCases('mini-resnet').filter((each) => /finetune/.test(each)))
    assert.throws(() => readDump(path), /expected a net run in phase TEST/);
});

test('ONNX Runtime agrees layer by layer; if it is not installed, the command that installs it is named', async () => {
  using device = await openDevice('cpu', { threads: 2 });
  const source = await onnxTops({ net, weights });
  const result = await compareLayers({ device, net, weights, source, inputs: [inputs] });
  source.dispose();
  assert.match(result.against, /^onnxruntime-node \d/);
  assert.ok(result.layers.every(({ relative }) => relative < 1e-5));
  assert.is(result.notCompared.length, 0);
  const error = await onnxTops({ net, weights }, async () => null).catch((thrown: unknown) => thrown);
  assert.instance(error, ResnodeError);
  assert.match((error as Error).message, /npm install onnxruntime-node/);
});

test('the records of real Caffe are dumps, too', async () => {
  using device = await openDevice('cpu', { threads: 2 });
  for (const path of goldenCases('mini-resnet').filter((each) => /r50w8/.test(each))) {
    const golden = readGoldenCase(path);
    if (golden.kind !== 'net') throw new Error(golden.kind);
    const source = readDump(path);
    const file = join(path, golden.weights!);
    const result = await compareLayers({
      device,
      net: readNetFile(join(path, golden.net)),
      weights: readCaffemodel(mapFile(file), { file }),
      source,
      inputs: [source.inputs],
    });
    assert.ok(result.ok, JSON.stringify(result.firstDivergence));
    assert.ok(result.layers.length > 80, `${result.layers.length}`);
  }
});

test.run();
