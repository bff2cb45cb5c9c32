/** The table of architectures: what papers state about their nets, which depths exist, and that every row trains. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FAMILY_NAMES, readName } from '../../ts/architectures/families.ts';
import { architectures } from '../../ts/architectures/list.ts';
import { planOf, type ResnetOptions, resnet } from '../../ts/architectures/resnet.ts';
import { resnetTraining } from '../../ts/architectures/resnet-training.ts';
import { trainingNet } from '../../ts/architectures/training-net.ts';
import { ArgumentError } from '../../ts/base/errors.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { checkSolver } from '../../ts/caffe/check-solver.ts';
import { filterNet, type NetParameter } from '../../ts/caffe/net-parameter.ts';
import { printPrototxt } from '../../ts/caffe/print.ts';
import { openDevice } from '../../ts/device/device.ts';
import { SGD_UPDATE, withLoss } from '../../ts/device/plan-training.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { lintPrototxt } from '../../ts/tools/lint/lint.ts';
import { recipeInput, recipeWeights } from '../../ts/tools/parity/recipe.ts';
import { Schedule } from '../../ts/train/schedules.ts';

/** The number of learned values, and how many of them are weights and biases of convolutions and inner products. */
function parametersOf(net: NetParameter): { all: number; weights: number } {
  const typeOf = new Map(net.layer!.map(({ name, type }) => [name!, type!]));
  const count = (isCounted: (type: string) => boolean) =>
    graphFromCaffe(net)
      .parameters.filter(({ layer }) => isCounted(typeOf.get(layer)!))
      .reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return {
    all: count((type) => type !== 'BatchNorm'),
    weights: count((type) => type === 'Convolution' || type === 'InnerProduct'),
  };
}

// Some papers count BatchNorm's learned values and some do not (the 10.2 million of 1,001 layers exclude them).
for (const { name, millions } of architectures()) {
  if (millions === null) continue;
  test(`${name} has the ${millions} million parameters of its paper`, () => {
    const { all, weights } = parametersOf(resnet({ name }));
    const digits = millions < 1 && name.startsWith('resnet') ? 2 : 1;
    const found = [all, weights].map((count) => Number((count / 1e6).toFixed(digits)));
    assert.ok(found.includes(millions), `${found}`);
  });
}

// torchvision's resnext50_32x4d, resnext101_64x4d and wide_resnet50_2; szagoruyko/wide-residual-networks; the released SENets.
for (const [name, count] of [
  ['resnext-50-32x4d', 25_028_904],
  ['resnext-101-64x4d', 83_455_272],
  ['wrn-50-2', 68_883_240],
  ['wrn-28-10', 36_479_194],
  ['se-resnet-50', 28_088_024],
  ['se-resnet-152', 66_821_848],
  ['se-resnext-101-32x4d', 48_955_416],
] as const)
  test(`${name} has exactly the ${count} parameters of the published net`, () => {
    assert.is(parametersOf(resnet({ name })).all, count);
  });

test('plain nets have as many parameters as their residual nets, if shortcuts have none', () => {
  for (const depth of [20, 56])
    assert.is(parametersOf(resnet({ family: 'plain', depth })).all, parametersOf(resnet({ depth })).all);
});

test('shortcuts A, B and C differ by their projections', () => {
  const projections = (options: ResnetOptions) =>
    resnet(options).layer!.filter(({ type, name }) => type === 'Convolution' && name!.endsWith('branch1'))
      .length;
  for (const shared of [
    { depth: 34 },
    { depth: 50 },
    { depth: 56 },
    { family: 'preresnet', depth: 164 },
  ] as const) {
    const blocks = planOf(shared).plan.stages.reduce((sum, stage) => sum + stage.blocks, 0);
    // The first stage of basic blocks starts with the stem's channels, that of bottlenecks with four times as many.
    const changes = planOf(shared).plan.stages.length - (planOf(shared).plan.block === 'basic' ? 1 : 0);
    assert.equal(
      (['A', 'B', 'C'] as const).map((shortcut) => projections({ ...shared, shortcut })),
      [0, changes, blocks],
    );
    for (const shortcut of ['A', 'B', 'C'] as const) graphFromCaffe(resnet({ ...shared, shortcut }));
  }
});

test('every depth that fits a rule builds; a depth in between is refused with the nearest one', () => {
  for (const n of [1, 2, 7, 16]) {
    for (const [family, block, depth] of [
      ['resnet', 'basic', 6 * n + 2],
      ['resnet', 'bottleneck', 9 * n + 2],
      ['preresnet', 'basic', 6 * n + 2],
      ['preresnet', 'bottleneck', 9 * n + 2],
      ['plain', 'basic', 6 * n + 2],
      ['wrn', 'basic', 6 * n + 4],
      ['resnext', 'bottleneck', 9 * n + 2],
      ['se-resnet', 'basic', 6 * n + 2],
      ['se-resnext', 'bottleneck', 9 * n + 2],
    ] as const) {
      const { layer } = resnet({
        family,
        block,
        depth,
        data: 'cifar',
        ...(family === 'wrn' ? { widen: 1 } : {}),
      });
      const weighted = layer!.filter(
        ({ type, name }) => /^(Convolution|InnerProduct)$/.test(type!) && !/branch1$|_se_/.test(name!),
      ).length;
      // Wide nets count the three projections; nets of width 1 have only two.
      assert.is(family === 'wrn' ? weighted + 2 : weighted, depth, `${family} ${depth}`);
    }
  }
  const refused = (options: ResnetOptions, words: string) =>
    assert.throws(
      () => resnet(options),
      (error: unknown) => error instanceof ArgumentError && error.message.includes(words),
      `${JSON.stringify(options)}: ${words}`,
    );
  refused({ depth: 100 }, ', but received 100; the nearest that resnet has: 101, 98 and 104');
  refused({ family: 'wrn', depth: 27 }, 'the nearest that wrn has: 28');
  refused({ family: 'preresnet', depth: 1000 }, 'the nearest that preresnet has: 1001, 998');
  refused({ family: 'resnext', depth: 28 }, 'the nearest that resnext has: 29');
  refused({ depth: 1 }, 'the nearest that resnet has: 8, 11 and 18');
  refused({ depth: 999_999_999 }, 'the nearest that resnet has');
  refused(
    { depth: 50, data: 'cifar', block: 'bottleneck' },
    '9n+2 with bottlenecks (CIFAR), with block bottleneck and data cifar, but received 50; the nearest that resnet has: 47 and 56',
  );
  refused({ family: 'plain', block: 'bottleneck', depth: 29 }, 'none fits block bottleneck');
  refused({}, 'layers (or a name such as resnet-110, or blocks');
  refused({ depth: 20, blocks: [1, 1, 1] }, 'either blocks or a depth');
  refused({ blocks: [1, 1, 1, 1, 1, 1, 1] }, 'one to six stages');
  refused({ depth: 20, widen: 2 }, 'widen: expected none, since only wrn has it');
  refused({ depth: 50, groups: 32 }, 'resnext');
  refused({ depth: 20, dropout: 0.3 }, 'pre-activation');
  refused({ family: 'plain', depth: 20, squeeze: 16 }, 'squeeze: expected none with plain');
  refused({ family: 'plain', depth: 20, shortcut: 'A' }, 'none with plain');
  refused({ name: 'wrn-28-10', widen: 4 }, 'the name says 10');
  refused({ name: 'resnet-20', depth: 32 }, 'the name says 20');
});

test('names contain family, depth and width; others are refused with the nearest one', () => {
  assert.equal(readName('wrn-28-10'), { family: 'wrn', depth: 28, widen: 10 });
  assert.equal(readName('se-resnext-50-32x4d'), {
    family: 'se-resnext',
    depth: 50,
    groups: 32,
    groupWidth: 4,
  });
  assert.equal(readName('resnet'), { family: 'resnet' });
  assert.is(resnet({ name: 'resnext-29-16x64d' }).name, 'ResNeXt-29-16x64d');
  for (const [wrong, words] of [
    ['vgg', 'a family (resnet, plain, preresnet'],
    ['resnet50', 'did you mean "resnet-50"'],
    ['wrn-28x10', 'did you mean "wrn-28-1'],
    ['resnet-50-2', 'only with wrn'],
    ['wrn-50-32x4d', 'only with resnext and se-resnext'],
    ['resnext-50-', 'a family'],
  ] as const)
    assert.throws(
      () => readName(wrong),
      (error: unknown) => error instanceof ArgumentError && error.message.includes(words),
      wrong,
    );
});

// The layer types of BVLC Caffe's layer factory.
const BVLC = new Set(
  'Input Data Convolution BatchNorm Scale ReLU Eltwise Pooling InnerProduct Softmax SoftmaxWithLoss Accuracy Power Concat Sigmoid Dropout'.split(
    ' ',
  ),
);

const SMALL: readonly ResnetOptions[] = [
  { name: 'plain-8' },
  { family: 'preresnet', depth: 11 },
  { family: 'preresnet', depth: 8, shortcut: 'A' },
  { family: 'preresnet', blocks: [1, 1, 1, 1], block: 'bottleneck' },
  { family: 'preresnet', blocks: [1, 2], block: 'basic', stem: 'deep', shortcut: 'C' },
  { name: 'wrn-10-2', dropout: 0.3 },
  { family: 'wrn', blocks: [1, 1, 1, 1], data: 'imagenet' },
  { family: 'resnext', depth: 11, groups: 4, groupWidth: 4 },
  { family: 'se-resnet', depth: 8, shortcut: 'B' },
  { family: 'se-resnext', depth: 11, groups: 2, groupWidth: 8 },
  { depth: 11, shortcut: 'A' },
  { depth: 18, stem: '3x3', size: 16 },
  { blocks: [1, 1, 1, 1], block: 'bottleneck', stem: 'deep', size: 33, squeeze: 8 },
];

for (const options of SMALL)
  test(`${JSON.stringify(options)} infers on the CPU as on the reference, and trains a step`, async () => {
    const { size = 32 } = options;
    const small = { ...options, size, classes: 10 };
    const net = resnet(small);
    const text = printPrototxt(resnet({ ...small, train: true }));
    assert.equal(
      lintPrototxt(text, { file: 'net' }).filter(({ level }) => level !== 'note'),
      [],
    );
    for (const { type } of [...net.layer!, ...resnet({ ...small, train: true }).layer!])
      assert.ok(BVLC.has(type!), type);
    const weights = recipeWeights(graphFromCaffe(net), 1);
    const input = recipeInput([1, 3, size, size], 1);
    const scores: Float32Array[] = [];
    for (const kind of ['cpu', 'reference'] as const) {
      using device = await openDevice(kind, { threads: 1 });
      using model = await device.load({ model: net, weights, outputs: ['pool5', 'prob'] });
      scores.push((await model.run({ data: input })).pool5!.data as Float32Array);
    }
    const largest = Math.max(...scores[1]!.map(Math.abs));
    assert.ok(largest > 0);
    scores[1]!.forEach((value, i) => {
      assert.ok(Math.abs(value - scores[0]![i]!) <= 1e-4 * largest, `${value} and ${scores[0]![i]}`);
    });
    const losses = await trained(small, 2);
    assert.ok(losses.every(Number.isFinite) && losses[1] !== losses[0], `${losses}`);
  });

/** The losses of two steps on one batch. */
async function trained(options: ResnetOptions, batch: number): Promise<number[]> {
  const { size = 32, channels = 3 } = options;
  const shape = [{ dim: [batch, channels, size, size] }, { dim: [batch] }];
  const data = { name: 'data', type: 'Input', top: ['data', 'label'], input_param: { shape } };
  const model = filterNet(trainingNet(resnet(options), { data: [data] }), { phase: 'TRAIN' });
  using device = await openDevice('cpu', { threads: 1 });
  using trainer = await device.train({ model, update: SGD_UPDATE });
  const inputs = {
    data: recipeInput([batch, channels, size, size], 1),
    label: Float32Array.from({ length: batch }, (_, i) => i),
  };
  const losses: number[] = [];
  for (let iteration = 0; iteration < 2; iteration++)
    losses.push((await trainer.step(inputs, { rate: 0.01, iteration })).loss!.data[0]!);
  return losses;
}

test('a net of 98 layers on MNIST images trains a step', async () => {
  const losses = await trained({ depth: 98, channels: 1, size: 28 }, 2);
  assert.ok(losses.every(Number.isFinite), `${losses}`);
});

test('training 1,001 layers on CIFAR is planned, in less memory if blocks are recomputed', async () => {
  using device = await openDevice('cpu', { threads: 1 });
  const model = withLoss(resnet({ name: 'preresnet-1001' }));
  const plan = (recompute: boolean) => device.planTraining({ model, update: SGD_UPDATE, recompute });
  const [whole, less] = [await plan(false), await plan(true)];
  // Weights, their gradients and histories: three times 10.3 million floats, minus what is packed.
  assert.ok(
    whole.parameterBytes > 2 * 4 * 10.3e6 * 0.9 && whole.parameterBytes < 4 * 4 * 10.4e6,
    `${whole.parameterBytes}`,
  );
  assert.ok(less.arenaBytes < 0.6 * whole.arenaBytes, `${less.arenaBytes} of ${whole.arenaBytes}`);
});

test("every family has its paper's schedule, in a solver that passes the checks", () => {
  for (const family of FAMILY_NAMES)
    for (const data of ['imagenet', 'cifar'] as const) {
      const block = planOf({ family, blocks: [1, 1, 1], data }).plan.block;
      const files = resnetTraining({ family, blocks: [1, 1, 1], data, block });
      for (const solver of [files.solver, ...(files.warmup === null ? [] : [files.warmup.solver])])
        assert.equal(checkSolver(solver).warnings, [], `${family} ${data}`);
    }
  const wide = resnetTraining({ name: 'wrn-28-10' }).solver;
  assert.equal(
    [wide.type, wide.base_lr, wide.gamma, wide.weight_decay, wide.stepvalue, wide.max_iter],
    ['Nesterov', 0.1, 0.2, 5e-4, [23_438, 46_875, 62_500], 78_125],
  );
  const squeezed = resnetTraining({ name: 'se-resnet-50', batch: 64 }).solver;
  // 30, 60 and 90 of 100 epochs in batches of 1024.
  assert.equal([squeezed.base_lr, squeezed.iter_size], [0.6, 16]);
  assert.equal(
    squeezed.stepvalue!.map((each) => Math.round((each * 1024) / 1_281_167)),
    [30, 60, 90],
  );
  const next = resnetTraining({ name: 'resnext-29-8x64d' }).solver;
  assert.equal([next.weight_decay, next.stepvalue, next.max_iter], [5e-4, [58_594, 87_891], 117_188]);
});

test('a warm-up in two stages has the rates of one stage that starts at a constant rate', () => {
  const { solver, warmup } = resnetTraining({ name: 'preresnet-164', folder: 'runs' });
  const first = checkSolver(warmup!.solver).parameters;
  const second = checkSolver(solver).parameters;
  assert.equal(
    [first.max_iter, first.snapshot_prefix, second.snapshot_prefix],
    [400, 'runs/preresnet164_warmup', 'runs/preresnet164'],
  );
  const whole = new Schedule(second, { warmup: { iterations: 400, rate: 0.01 } });
  const stages = [new Schedule(first), new Schedule(second, {}, 0)] as const;
  for (const iteration of [0, 1, 399, 400, 401, 31_999, 32_000, 32_001, 47_999, 48_000, 48_001])
    assert.is(stages[iteration < 400 ? 0 : 1].rate(iteration), whole.rate(iteration), `${iteration}`);
});

test.run();
