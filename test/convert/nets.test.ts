/** Whole nets to ONNX and back, and merged; RESNODE_ALL_DEPTHS=1 adds ResNet-101 and -152. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mergeAffine, type Network, readOnnxFile } from '../../ts/api/convert.ts';
import { writeFileAtomically } from '../../ts/caffe/atomic-file.ts';
import { readCaffemodel } from '../../ts/caffe/caffemodel.ts';
import { writeCaffemodel } from '../../ts/caffe/write-caffemodel.ts';
import { blobsOf } from '../../ts/convert/network.ts';
import { onnxRuntime } from '../../ts/convert/onnx-files.ts';
import { onnxChunks } from '../../ts/convert/onnx-write.ts';
import { toOnnx } from '../../ts/convert/to-onnx.ts';
import { withOutputs } from '../../ts/graph/outputs.ts';
import {
  filterNet,
  graphFromCaffe,
  openDevice,
  printPrototxt,
  readNet,
  readNetFile,
  resnet,
} from '../../ts/index.ts';
import { recipeInput, recipeWeights } from '../../ts/tools/parity/recipe.ts';
import { repositoryFolder, sharedFolder } from '../support/golden.ts';

const SEED = 20151210;
const folder = mkdtempSync(join(tmpdir(), 'resnode-nets-'));
test.after(() => rmSync(folder, { recursive: true }));

function pair(path: string, net: string, weights: string): Network {
  const file = join(path, weights);
  return {
    net: filterNet(readNetFile(join(path, net))),
    weights: readCaffemodel(readFileSync(file), { file }),
  };
}

const recipe = (depth: 18 | 50 | 101 | 152) => (): Network => {
  const net = resnet({ depth });
  return { net, weights: recipeWeights(graphFromCaffe(net), SEED) };
};

const nets: [name: string, make: () => Network][] = [
  [
    'fashion-resnet20',
    () => pair(join(repositoryFolder, 'examples/fashion'), 'deploy.prototxt', 'model.caffemodel'),
  ],
  ['ResNet-18, recipe', recipe(18)],
  ['ResNet-50, recipe', recipe(50)],
];
if (process.env.RESNODE_ALL_DEPTHS)
  nets.push(['ResNet-101, recipe', recipe(101)], ['ResNet-152, recipe', recipe(152)]);
const shared = sharedFolder();
if (shared === null)
  console.log('skipped: CIFAR nets and imagenet-resnet18, there is no shared/ beside the checkout');
else
  for (const name of ['cifar10-resnet20', 'cifar10-resnet56', 'imagenet-resnet18'])
    nets.push([name, () => pair(join(shared, 'models', name), 'deploy.prototxt', 'model.caffemodel')]);

/** The largest difference: absolute, and relative to the largest value. */
function apart(actual: Float32Array | undefined, expected: Float32Array) {
  assert.is(actual?.length, expected.length);
  const absolute = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual![i]!)), 0);
  return {
    absolute,
    relative: absolute / expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
  };
}

for (const [name, make] of nets) {
  test(`${name}: ONNX Runtime gives our outputs within 1e-4, the way back gives the same net, the merged pair is within 1e-5`, async () => {
    const source = make();
    const scores = (source.net.layer ?? []).filter(({ type }) => type === 'InnerProduct').at(-1)!.top![0]!;
    const outputs = ['prob', scores];
    using device = await openDevice('cpu', { threads: 2 });
    using model = await device.load({ model: source.net, weights: source.weights, outputs, optimize: false });
    const shape = model.inputs.data as [number, number, number, number];
    // Pixel values for nets that take pixels; the recipe's first convolution is scaled for them, too.
    const data = recipeInput(shape, SEED);
    const expected = await model.run({ data });

    const onnx = join(folder, 'net.onnx');
    const graph = withOutputs(graphFromCaffe(source.net), outputs);
    writeFileAtomically(onnx, onnxChunks(toOnnx(graph, blobsOf(graph, source.weights))));
    const runtime = (await onnxRuntime(onnx))!;
    const results = await runtime.run({ data: { shape, data } });
    await runtime.dispose();
    const there = outputs.map((key) => apart(results[key], expected[key]!.data));
    for (const each of there) assert.ok(each.relative <= 1e-4, JSON.stringify(each));
    assert.ok(there[0]!.absolute <= 1e-4, JSON.stringify(there));

    const back = readOnnxFile(onnx);
    const structure = (network: Network) =>
      (network.net.layer ?? [])
        .slice(1)
        .map(({ name, type, bottom, top }) => `${name} ${type} ${bottom} ${top}`);
    const written = structure(source);
    const [found, differing] = [structure(back), structure(back).findIndex((line, i) => line !== written[i])];
    assert.is(found[differing], written[differing]);
    assert.is(found.length, written.length);
    using again = await device.load({ model: back.net, weights: back.weights, outputs });
    const returned = await again.run({ data });
    const whole = outputs.map((key) => apart(returned[key]!.data, expected[key]!.data));
    for (const each of whole) assert.ok(each.relative <= 1e-5, JSON.stringify(each));

    const merged = mergeAffine(source);
    assert.ok(merged.merged > 30 && (merged.net.layer ?? []).every(({ type }) => type !== 'BatchNorm'));
    const caffemodel = join(folder, 'merged.caffemodel');
    writeCaffemodel(caffemodel, merged.weights);
    using deployed = await device.load({
      model: readNet(printPrototxt(merged.net), { file: 'merged.prototxt' }),
      weights: caffemodel,
      outputs,
      strict: true,
    });
    const folded = await deployed.run({ data });
    const merge = outputs.map((key) => apart(folded[key]!.data, expected[key]!.data));
    for (const each of merge) assert.ok(each.relative <= 1e-5, JSON.stringify(each));
    const show = (each: { relative: number }[]) =>
      each.map(({ relative }) => relative.toExponential(1)).join(' ');
    console.log(
      `${name}, of the largest value in prob and scores: ONNX Runtime ${show(there)}; back ${show(whole)}; merged ${show(merge)}`,
    );
  });
}

test.run();
