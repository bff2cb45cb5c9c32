import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dataLayers } from '../../ts/architectures/data-layers.ts';
import { resnet } from '../../ts/architectures/resnet.ts';
import { resnetTraining } from '../../ts/architectures/resnet-training.ts';
import { linearSolver } from '../../ts/architectures/solver-presets.ts';
import { trainingNetText, writeTrainingFiles } from '../../ts/architectures/training-files.ts';
import { classifierOf, replaceHead, trainingNet } from '../../ts/architectures/training-net.ts';
import { ArgumentError } from '../../ts/base/errors.ts';
import { checkSolver } from '../../ts/caffe/check-solver.ts';
import { filterNet, type NetParameter, readNet, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { printPrototxt } from '../../ts/caffe/print.ts';
import { readSolverFile } from '../../ts/caffe/solver-parameter.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { lintFile, lintPrototxt } from '../../ts/tools/lint/lint.ts';
import { repositoryFolder, sharedFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-training-'));
const reads = (net: NetParameter) => readNet(printPrototxt(net), { file: 'printed' });
const complaints = (findings: ReturnType<typeof lintFile>) =>
  findings.filter(({ level }) => level !== 'note');
const refuses = (action: () => unknown, words: string) =>
  assert.throws(
    action,
    (error: unknown) => error instanceof ArgumentError && error.message.includes(words),
    words,
  );

/** The graphs of phase TRAIN and phase TEST. */
function graphsOf(net: NetParameter, batch: number, size: number, channels = 3) {
  return (['TRAIN', 'TEST'] as const).map((phase) =>
    graphFromCaffe(filterNet(net, { phase }), {
      phase,
      inputShapes: { data: [batch, channels, size, size], label: [batch] },
    }),
  );
}

for (const depth of [18, 34, 50, 101, 152, 20, 32, 44, 56, 110, 1202] as const) {
  test(`${depth}: the written net can be read, passes lint, and builds in both phases`, () => {
    const out = join(folder, `${depth}`);
    const files = resnetTraining({ depth, net: join(out, 'train_val.prototxt'), prefix: join(out, 'net') });
    for (const path of writeTrainingFiles(out, files).filter((name) => name.endsWith('.prototxt')))
      assert.equal(complaints(lintFile(path)), [], path);
    assert.equal(readNetFile(join(out, 'deploy.prototxt')), resnet({ depth }));
    const net = readNetFile(join(out, 'train_val.prototxt'));
    assert.equal(net, reads(resnet({ depth, train: true })));
    const [train, tested] = graphsOf(net, 2, [18, 34, 50, 101, 152].includes(depth) ? 224 : 32);
    assert.equal(
      train!.outputs.map((id) => train!.values[id]!.blob),
      ['loss'],
    );
    assert.equal(
      tested!.outputs.map((id) => tested!.values[id]!.blob),
      ['loss', 'top-1', 'top-5'],
    );
    // The deploy net has the same blobs, so that weights can be moved between the two.
    const shapes = (graph: typeof train) => graph!.parameters.map(({ layer, shape }) => `${layer} ${shape}`);
    assert.equal(shapes(train), shapes(graphFromCaffe(resnet({ depth }))));
    const solver = checkSolver(readSolverFile(join(out, 'solver.prototxt')));
    assert.equal(solver.warnings, []);
    assert.is(solver.tests.length, 1);
    assert.equal(JSON.parse(readFileSync(join(out, 'augment.json'), 'utf8')), files.augment);
  });
}

test("the schedules have the paper's numbers", () => {
  const imagenet = resnetTraining({ depth: 50, batch: 32 }).solver;
  assert.is(imagenet.iter_size! * 32, 256);
  assert.equal(
    [imagenet.base_lr, imagenet.max_iter, imagenet.momentum, imagenet.weight_decay, imagenet.gamma],
    [0.1, 600_000, 0.9, 1e-4, 0.1],
  );
  // 30, 60 and 90 of ImageNet's epochs with 1,281,167 images each.
  assert.equal(
    imagenet.stepvalue!.map((iterations) => Math.round((iterations * 256) / 1_281_167)),
    [30, 60, 90],
  );
  assert.is(imagenet.test_iter![0]! * 50, 50_000);
  const { solver: cifar, augment, warmup, net } = resnetTraining({ depth: 110 });
  assert.equal(
    [cifar.base_lr, cifar.stepvalue, cifar.max_iter, cifar.momentum, cifar.weight_decay],
    [0.1, [32_000, 48_000], 64_000, 0.9, 1e-4],
  );
  assert.equal(net.layer![0]!.data_param, { source: 'cifar10_train_lmdb', batch_size: 128, backend: 'LMDB' });
  assert.is(net.layer![0]!.transform_param!.mirror, true);
  assert.is(net.layer![1]!.transform_param!.mirror, undefined);
  assert.equal(augment, { TRAIN: { pad: 4, shuffle: true }, TEST: {} });
  assert.equal([warmup!.iterations, warmup!.rate], [400, 0.01]);
  assert.is(resnetTraining({ depth: 56 }).warmup, null);
  assert.is(resnetTraining({ depth: 152 }).warmup, null);
});

test('BatchNorm has three params with rate 0 and follows the phase; convolutions are initialised with msra', () => {
  const { layer: layers = [] } = resnet({ depth: 20, train: true });
  for (const { type, param, batch_norm_param, convolution_param } of layers) {
    if (type === 'BatchNorm') {
      assert.equal(
        param,
        [1, 2, 3].map(() => ({ lr_mult: 0, decay_mult: 0 })),
      );
      assert.is(batch_norm_param, undefined);
    }
    if (type === 'Convolution') assert.equal(convolution_param!.weight_filler, { type: 'msra' });
  }
  const frozen = trainingNet(resnet({ depth: 20 }), { data: pair(), batchNorm: 'frozen' });
  assert.is(
    frozen.layer!.filter(({ batch_norm_param }) => batch_norm_param?.use_global_stats === true).length,
    19,
  );
  const text = trainingNetText(frozen);
  assert.equal(complaints(lintPrototxt(text, { file: 'frozen' })), []);
  // Without the remark lint would complain.
  const bare = text.replace(/^.*resnode-lint.*\n/gm, '');
  assert.equal(
    [...new Set(complaints(lintPrototxt(bare, { file: 'frozen' })).map(({ rule }) => rule))],
    ['global-stats'],
  );
});

const pair = (crop = 32) =>
  dataLayers({
    kind: 'list',
    train: 'a',
    test: 'b',
    batch: 2,
    testBatch: 3,
    crop,
    mirror: true,
    mean: [1, 2, 3],
  });

// What training adds or removes. The rest of two nets must be equal, layer by layer and in order.
const structure = (net: NetParameter) =>
  net
    .layer!.filter(({ type }) => !/^(Input|Data|Softmax|SoftmaxWithLoss|Accuracy)$/.test(type!))
    .map(
      ({ name, type, bottom, top, convolution_param, pooling_param, inner_product_param, scale_param }) => ({
        name,
        type,
        bottom,
        top,
        // In schema order, so that the order in which fields were written does not matter.
        parameters: printPrototxt(
          { convolution_param, pooling_param, inner_product_param, scale_param },
          'LayerParameter',
        ).replace(/ +(weight|bias)_filler \{[^}]*\}\n/g, ''),
      }),
    );

test('the trained Fashion net has the generated structure', () => {
  const options = { depth: 20, channels: 1, size: 28, shortcut: 'projection', train: true } as const;
  assert.equal(
    structure(reads(resnet(options))),
    structure(readNetFile(join(repositoryFolder, 'examples/fashion/deploy.prototxt'))),
  );
});

const cifar = join(sharedFolder() ?? '', 'models/cifar10-resnet20/deploy.prototxt');
if (existsSync(cifar)) {
  test('the trained CIFAR net has the generated structure, except for the form of its identity shortcuts', () => {
    const outside = (net: NetParameter) =>
      structure(net).filter(({ name }) => !name!.includes('branch1') && !name!.startsWith('pool'));
    // Blocks are numbered.
    const renamed = (name: string) =>
      name
        .replace(/([234])([abc])(?=_|$)/, (_, stage, letter) => `${stage}_${'abc'.indexOf(letter) + 1}`)
        .replace('pool5', 'pool_ave');
    const generated = outside(reads(resnet({ depth: 20, train: true }))).map((layer) => ({
      ...layer,
      name: renamed(layer.name!),
      bottom: layer.bottom!.map(renamed),
      top: layer.top!.map(renamed),
    }));
    assert.is(generated.length, 19 * 4 + 9 + 1);
    assert.equal(generated, outside(readNetFile(cifar)));
  });
} else console.log('skipped: no trained CIFAR net at shared/models/cifar10-resnet20 beside the checkout');

test('a new head gets a new name, and the readers of the old head read it', () => {
  const net = replaceHead(resnet({ depth: 18 }), 7);
  assert.equal(classifierOf(net).head.name, 'fc7');
  assert.equal(net.layer!.at(-1)!.bottom, ['fc7']);
  assert.not.ok(printPrototxt(net).includes('fc1000'));
  assert.is(classifierOf(net).classes, 7);
  // A new head is another layer, even with the same number of classes.
  assert.is(classifierOf(replaceHead(resnet({ depth: 20 }), 10)).head.name, 'fc10_new');
  assert.is(classifierOf(replaceHead(resnet({ depth: 20 }), 10, 'ants')).head.name, 'ants');
  refuses(() => replaceHead(resnet({ depth: 20 }), 10, 'pool5'), 'a name that the net does not use yet');
  refuses(() => replaceHead(resnet({ depth: 20 }), 1), 'classes: expected an integer of at least 2');
  refuses(() => replaceHead(resnet({ depth: 20, train: true }), 2), 'a deploy net: one Input layer');
  refuses(() => classifierOf({ layer: resnet({ depth: 20 }).layer!.slice(0, -2) }), 'pool5');
});

test('learning rates: a head learns faster, and a frozen body does not learn', () => {
  const body = replaceHead(resnet({ depth: 18 }), 2);
  const net = trainingNet(body, {
    data: pair(224),
    batchNorm: 'frozen',
    rateOf: ({ type, name }) => (type === 'InnerProduct' ? 10 : name!.includes('5') ? 1 : 0),
    headFiller: { type: 'gaussian', std: 0.01 },
  });
  const of = (name: string) => net.layer!.find((layer) => layer.name === name)!;
  assert.equal(of('fc2').param, [{ lr_mult: 10 }, { lr_mult: 10 }]);
  assert.equal(of('fc2').inner_product_param!.weight_filler, { type: 'gaussian', std: 0.01 });
  assert.equal(of('conv1').param, [{ lr_mult: 0, decay_mult: 0 }]);
  assert.equal(of('scale_conv1').param!.length, 2);
  assert.is(of('res5a_branch2a').param, undefined);
  // With two classes there is no top-5 accuracy.
  assert.equal(
    net.layer!.flatMap(({ type, name }) => (type === 'Accuracy' ? [name] : [])),
    ['top-1'],
  );
  assert.equal(complaints(lintPrototxt(trainingNetText(net), { file: 'net' })), []);
  graphsOf(reads(net), 1, 224);
});

test('lists are read as in Caffe: shuffled only in TRAIN, and grey if the net has one channel', () => {
  const [train, tested] = dataLayers({
    kind: 'list',
    train: 'train.txt',
    test: 'val.txt',
    batch: 8,
    testBatch: 4,
    crop: null,
    mirror: false,
    mean: 'mean.binaryproto',
    scale: 0.5,
    channels: 1,
    input: 'picture',
  });
  assert.equal(train!.image_data_param, {
    source: 'train.txt',
    batch_size: 8,
    shuffle: true,
    is_color: false,
  });
  assert.equal(tested!.image_data_param, { source: 'val.txt', batch_size: 4, is_color: false });
  assert.equal(train!.transform_param, { scale: 0.5, mean_file: 'mean.binaryproto' });
  assert.equal(train!.top, ['picture', 'label']);
});

test('in a training run with a limit, the rate falls linearly over its iterations', () => {
  const solver = linearSolver({
    net: 'n',
    prefix: 'p',
    testIterations: 10,
    iterations: 470,
    rate: 0.1,
    weightDecay: 5e-4,
    type: 'Nesterov',
  });
  const { parameters, warnings } = checkSolver(solver);
  assert.equal(warnings, []);
  assert.equal(
    [parameters.type, parameters.lr_policy, parameters.power, parameters.max_iter, parameters.test_interval],
    ['Nesterov', 'poly', 1, 470, 47],
  );
});

test('options that do not fit are refused, with those that do', () => {
  refuses(() => resnetTraining({ depth: 50, batch: 100 }), 'a divisor of 256');
  refuses(() => resnetTraining({ depth: 20, testBatch: 99 }), 'a divisor of the 10000 test images');
  refuses(() => resnetTraining({ depth: 21 }), 'the nearest that resnet has: 20, 18 and 26');
  refuses(() => trainingNet(resnet({ depth: 20 }), { data: [{ name: 'd', top: ['data'] }] }), '"label"');
});

test.run();
