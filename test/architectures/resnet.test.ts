import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ResnetOptions, resnet } from '../../ts/architectures/resnet.ts';
import { ArgumentError } from '../../ts/base/errors.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { type NetParameter, readNet, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { printPrototxt } from '../../ts/caffe/print.ts';
import { openDevice } from '../../ts/device/device.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { resolveOutput } from '../../ts/graph/outputs.ts';
import { totalMacs } from '../../ts/graph/summary.ts';
import { recipeInput, recipeWeights } from '../../ts/tools/parity/recipe.ts';
import { goldenFolder, repositoryFolder, sharedFolder } from '../support/golden.ts';

const golden = goldenFolder();
for (const depth of [50, 101, 152] as const) {
  const path = join(golden ?? '', `prototxt/deep-residual-networks/prototxt/ResNet-${depth}-deploy.prototxt`);
  if (existsSync(path)) {
    test(`resnet({ depth: ${depth} }) equals the published deploy net`, () => {
      assert.equal(resnet({ depth }), readNet(readFileSync(path, 'utf8'), { file: path }));
    });
  }
}

// The data layer's name, the net's name and pool1 (PyTorch pads) differ between publishers.
const comparable = (net: NetParameter) =>
  net.layer!.filter(({ type, name }) => type !== 'Input' && name !== 'pool1');
// Publishers write 3×3 with or without pads and strides of 1, in any order. The shapes show what they mean, and this
// compares it.
const meaning = (net: NetParameter) =>
  comparable(net).map(({ name, type, bottom, top, ...parameters }) => ({
    name,
    type,
    bottom,
    top,
    parameters: printPrototxt(parameters, 'LayerParameter'),
  }));

test("depth 20 with projections is the example's net", () => {
  const net = resnet({ depth: 20, channels: 1, size: 28, shortcut: 'projection' });
  assert.equal(
    meaning(net),
    meaning(readNetFile(join(repositoryFolder, 'examples/fashion/deploy.prototxt'))),
  );
});

const resnet18 = join(sharedFolder() ?? '', 'models/imagenet-resnet18/deploy.prototxt');
if (existsSync(resnet18)) {
  test('depth 18 has the layers of a ResNet-18 that others trained', () => {
    assert.equal(meaning(resnet({ depth: 18 })), meaning(readNetFile(resnet18)));
  });
} else console.log('skipped: no trained ResNet-18 at shared/models/imagenet-resnet18 beside the checkout');

/** The number of learnable values: all except BatchNorm's statistics. */
function learnable(net: NetParameter): number {
  const statistics = new Set(net.layer!.filter(({ type }) => type === 'BatchNorm').map(({ name }) => name));
  return graphFromCaffe(net)
    .parameters.filter(({ layer }) => !statistics.has(layer))
    .reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

// ImageNet's parameters are those of torchvision's models (plus MSRA's 64 biases of conv1 for depth 50), and its
// multiply-accumulates those of table 1. CIFAR's parameters are those of akamaster/pytorch_resnet_cifar10, which round
// to table 6's 0.27, 0.46, 0.66, 0.85, 1.7 and 19.4 million.
for (const [depth, parameters, gigamacs] of [
  [18, 11_689_512, 1.8],
  [34, 21_797_672, 3.7],
  [50, 25_557_032 + 64, 3.9],
  [101, 44_549_160, 7.6],
  [152, 60_192_808, 11.3],
  [20, 269_722, 0.04],
  [32, 464_154, 0.07],
  [44, 658_586, 0.1],
  [56, 853_018, 0.13],
  [110, 1_727_962, 0.25],
  [1202, 19_421_274, 2.8],
] as const) {
  test(`${depth} has the known numbers of parameters and operations`, () => {
    const net = resnet({ depth });
    assert.is(learnable(net), parameters);
    const digits = gigamacs < 1 ? 2 : 1;
    assert.is(Number((totalMacs(graphFromCaffe(net)) / 1e9).toFixed(digits)), gigamacs);
    assert.equal(readNet(printPrototxt(net), { file: 'printed' }), net);
    const weighted = net.layer!.filter(
      ({ type, name }) => /Convolution|InnerProduct/.test(type!) && !name!.endsWith('branch1'),
    );
    assert.is(weighted.length, depth);
  });
}

test("v1.5 takes torchvision's 4.09 GMAC and has the same number of parameters", () => {
  const net = resnet({ depth: 50, version: 'v1.5' });
  assert.is(totalMacs(graphFromCaffe(net)), 4_089_184_256);
  assert.is(learnable(net), 25_557_032 + 64);
});

const shapesOf = (options: ResnetOptions, ...names: string[]) => {
  const graph = graphFromCaffe(resnet(options));
  return names.map((name) => graph.values[resolveOutput(graph, name)]!.shape.join('×'));
};

test('shapes: batch, classes, channels and size, including odd ones', () => {
  assert.equal(shapesOf({ depth: 34 }, 'pool1', 'res2c', 'res3d', 'res4f', 'res5c', 'pool5', 'prob'), [
    '1×64×56×56',
    '1×64×56×56',
    '1×128×28×28',
    '1×256×14×14',
    '1×512×7×7',
    '1×512×1×1',
    '1×1000',
  ]);
  assert.equal(shapesOf({ depth: 110 }, 'res2r', 'res3r', 'res4r', 'pool5', 'fc10'), [
    '1×16×32×32',
    '1×32×16×16',
    '1×64×8×8',
    '1×64×1×1',
    '1×10',
  ]);
  assert.equal(shapesOf({ depth: 56, size: 29, channels: 4, batch: 3, classes: 7 }, 'data', 'res4i', 'fc7'), [
    '3×4×29×29',
    '3×64×8×8',
    '3×7',
  ]);
  assert.equal(shapesOf({ depth: 18, size: 75 }, 'res5b', 'pool5'), ['1×512×3×3', '1×512×1×1']);
  assert.equal(shapesOf({ depth: 50, size: 65, version: 'v1.5' }, 'res5c', 'pool5'), [
    '1×2048×2×2',
    '1×2048×1×1',
  ]);
  assert.equal(shapesOf({ depth: 1202 }, 'res2a', 'res4b199'), ['1×16×32×32', '1×64×8×8']);
});

const run = async (kind: 'cpu' | 'reference', options: ResnetOptions, outputs: string[]) => {
  const net = resnet(options);
  const weights = recipeWeights(graphFromCaffe(net), 1);
  using device = await openDevice(kind, { threads: 2 });
  using model = await device.load({ model: net, weights, outputs });
  const { channels = 3, size = 32, batch = 1 } = options;
  const results = await model.run({ data: recipeInput([batch, channels, size, size], 1) });
  return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, tensor!.data]));
};

// The naive loops and the CPU's fused kernels share no arithmetic.
for (const options of [
  { depth: 18, size: 64 },
  { depth: 18, size: 33, shortcut: 'identity' },
  { depth: 34, size: 32 },
  { depth: 20 },
  { depth: 20, shortcut: 'projection', channels: 1, size: 28, batch: 2 },
  { depth: 32, size: 15 },
  { depth: 44, size: 16 },
  { depth: 56, size: 16 },
  { depth: 110, size: 8 },
] as const) {
  test(`${JSON.stringify(options)} gives the same results on the CPU as on the reference`, async () => {
    const [cpu, reference] = [
      await run('cpu', options, ['pool5', 'prob']),
      await run('reference', options, ['pool5', 'prob']),
    ];
    const largest = Math.max(...reference.pool5!.map(Math.abs));
    assert.ok(largest > 0);
    reference.pool5!.forEach((value, i) => {
      assert.ok(Math.abs(value - cpu.pool5![i]!) <= 1e-4 * largest, `${value} and ${cpu.pool5![i]}`);
    });
    const { batch = 1 }: ResnetOptions = options;
    assert.ok(Math.abs(cpu.prob!.reduce((sum, value) => sum + value, 0) - batch) < 1e-4);
  });
}

// With 600 sums, random weights overflow. With zero weights every class has the same probability.
test('depth 1202 loads and runs', async () => {
  using device = await openDevice('cpu', { threads: 2 });
  using model = await device.load({ model: resnet({ depth: 1202 }) });
  const { prob } = await model.run({ data: new Float32Array(3 * 32 * 32) });
  assert.equal([...prob!.data], Array(10).fill(Math.fround(0.1)));
});

test('an identity shortcut is every other pixel, then zeros', async () => {
  const size = 9;
  const { res2c, res3a_branch1 } = await run('cpu', { depth: 20, size }, ['res2c', 'res3a_branch1']);
  const half = Math.ceil(size / 2);
  const expected = Array.from({ length: 32 * half * half }, (_, i) => {
    const [channel, y, x] = [Math.floor(i / half ** 2), Math.floor(i / half) % half, i % half];
    return channel < 16 ? res2c![(channel * size + 2 * y) * size + 2 * x] : 0;
  });
  assert.equal([...res3a_branch1!], expected);
});

test('options that do not fit are refused, with those that do', () => {
  const refused = (options: object, words: string) =>
    assert.throws(
      () => resnet(options as ResnetOptions),
      (error: unknown) => error instanceof ArgumentError && error.message.includes(words),
      JSON.stringify(options),
    );
  refused({ depth: 51 }, 'the nearest that resnet has: 50, 47 and 56');
  refused({ depth: 'toString' }, 'depth: expected a positive integer');
  refused(
    { depth: 18, version: 'v1.5' },
    'version: expected "v1" with basic blocks, which have no other version',
  );
  refused({ depth: 50, version: 'v2' }, 'version: expected "v1" or "v1.5"');
  refused({ depth: 20, shortcut: null }, 'expected "identity", "projection", "all-projections", "A"');
  refused({ depth: 20, size: 3 }, 'size: expected an integer from 4');
  refused({ depth: 18, size: 31 }, 'size: expected an integer from 32');
  refused({ depth: 18, classes: 0 }, 'classes: expected a positive integer');
  refused({ depth: 18, channels: 1.5 }, 'channels: expected a positive integer');
});

test.run();
