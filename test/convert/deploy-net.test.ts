/** Training nets → deploy nets, and back. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resnetTraining } from '../../ts/api/train.ts';
import { ResnodeError } from '../../ts/base/errors.ts';
import { filterNet, type NetParameter, readNet, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { deployNet } from '../../ts/convert/deploy-net.ts';
import { trainNet } from '../../ts/convert/train-net.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { printPrototxt, resnet } from '../../ts/index.ts';
import { goldenFolder, sharedFolder } from '../support/golden.ts';

const parse = (text: string) => readNet(text, { file: 'train_val.prototxt' });
const DATA = `layer { name: "data" type: "Data" top: "data" top: "label" transform_param { crop_size: 8 mean_value: 1 mean_value: 2 mean_value: 3 }
  data_param { source: "none_lmdb" batch_size: 16 } }`;
const fc = (name: string, bottom = 'data') =>
  `layer { name: "${name}" type: "InnerProduct" bottom: "${bottom}" top: "${name}" inner_product_param { num_output: 4 } }`;
const loss = (scores: string, fields = '', label = 'label') =>
  `layer { name: "${scores}/loss" type: "SoftmaxWithLoss" bottom: "${scores}" bottom: "${label}" top: "${scores}/loss" ${fields} }`;
const accuracy = (scores: string) =>
  `layer { name: "${scores}/top1" type: "Accuracy" bottom: "${scores}" bottom: "label" top: "${scores}/top1" include { phase: TEST } }`;

const shapeOf = ({ layer = [] }: NetParameter) =>
  layer.map(({ type, bottom = [], top = [] }) => `${type} ${bottom} > ${top}`);

async function refusal(work: () => unknown): Promise<ResnodeError> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, ResnodeError);
    return error as ResnodeError;
  }
  return assert.unreachable('it was accepted') as never;
}

test('a data layer becomes an Input of batch 1, the loss a Softmax named prob, and labels and metrics are removed', async () => {
  const net = await deployNet(parse(`${DATA} ${fc('fc')} ${loss('fc')} ${accuracy('fc')}`));
  assert.equal(shapeOf(net), ['Input  > data', 'InnerProduct data > fc', 'Softmax fc > prob']);
  assert.equal(net.layer![0]!.input_param, { shape: [{ dim: [1, 3, 8, 8] }] });
});

test('auxiliary heads for the same labels are removed, with all layers that only served them', async () => {
  const net = await deployNet(
    parse(`${DATA} ${fc('trunk')} ${fc('aux', 'trunk')} ${loss('aux', 'loss_weight: 0.3')} ${accuracy('aux')}
      ${fc('main', 'trunk')} ${loss('main')} ${accuracy('main')}`),
  );
  assert.equal(shapeOf(net).slice(1), [
    'InnerProduct data > trunk',
    'InnerProduct trunk > main',
    'Softmax main > prob',
  ]);
});

test('heads for their own labels all stay, the last one as prob', async () => {
  const net = await deployNet(
    parse(`${DATA} layer { name: "cut" type: "Slice" bottom: "label" top: "a" top: "b" }
      ${fc('colour')} ${loss('colour', 'loss_weight: 0.1', 'a')} ${fc('kind')} ${loss('kind', '', 'b')}`),
  );
  assert.equal(shapeOf(net).slice(1), [
    'InnerProduct data > colour',
    'InnerProduct data > kind',
    'Softmax colour > prob_colour',
    'Softmax kind > prob',
  ]);
});

test("existing probabilities are not duplicated, and a regression's predictions stay unchanged", async () => {
  const there = await deployNet(
    parse(`${DATA} ${fc('fc')} layer { name: "p" type: "Softmax" bottom: "fc" top: "p" } ${loss('fc')}`),
  );
  assert.equal(shapeOf(there).slice(1), ['InnerProduct data > fc', 'Softmax fc > p']);
  const regression = await deployNet(
    parse(
      `${DATA} ${fc('fc')} layer { name: "l" type: "EuclideanLoss" bottom: "fc" bottom: "label" top: "l" }`,
    ),
  );
  assert.equal(shapeOf(regression).slice(1), ['InnerProduct data > fc']);
});

test('a loss only in TRAIN counts, and so do scores that only an Accuracy reads', async () => {
  for (const ends of [loss('fc', 'include { phase: TRAIN }') + accuracy('fc'), accuracy('fc')])
    assert.equal(shapeOf(await deployNet(parse(`${DATA} ${fc('fc')} ${ends}`))).at(-1), 'Softmax fc > prob');
});

test('a deploy net with leftover labels loses them, and without them stays unchanged', async () => {
  const input = (name: string, dims: string) =>
    `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${dims} } } }`;
  const image = input('data', 'dim: 2 dim: 3 dim: 8 dim: 8');
  const left = await deployNet(parse(`${image} ${input('label', 'dim: 2')} ${fc('fc')} ${loss('fc')}`));
  assert.equal(shapeOf(left), ['Input  > data', 'InnerProduct data > fc', 'Softmax fc > prob']);
  const clean = resnet({ depth: 20 });
  assert.is(printPrototxt(await deployNet(clean)), printPrototxt(clean));
});

test('a net without a deploy form is refused with the reason, at the layer', async () => {
  assert.match(
    (await refusal(() => deployNet(parse(DATA)))).message,
    /only data layers, losses and measures/,
  );
  const labelled = `${DATA} ${fc('fc')} layer { name: "sum" type: "Concat" bottom: "fc" bottom: "label" top: "sum" } ${loss('sum')}`;
  const error = await refusal(() => deployNet(parse(labelled)));
  assert.is(error.code, 'graph/no-deploy');
  assert.match(error.message, /"sum" \(Concat\) at train_val\.prototxt:2:\d+: .* reads the labels "label"/);
  const unknown = DATA.replace('crop_size: 8', '');
  assert.match(
    (await refusal(() => deployNet(parse(`${unknown} ${fc('fc')} ${loss('fc')}`)))).message,
    /layer "data" \(Data\).*"none_lmdb" does not exist; give them: --input-shape data=1x3x224x224/,
  );
  const given = await deployNet(parse(`${unknown} ${fc('fc')} ${loss('fc')}`), {
    inputShapes: { data: [5, 3, 9, 9] },
  });
  assert.equal(given.layer![0]!.input_param, { shape: [{ dim: [1, 3, 9, 9] }] });
});

test('a deploy net becomes a net that can be trained, with fillers, data and an accuracy, or the error says why not', async () => {
  const trained = trainNet(resnet({ depth: 20 }));
  assert.equal(shapeOf(trained).slice(-2), [
    'SoftmaxWithLoss fc10,label > loss',
    'Accuracy fc10,label > accuracy',
  ]);
  assert.is(graphFromCaffe(filterNet(trained, { phase: 'TRAIN' })).lossWeights.size, 1);
  for (const layer of trained.layer!.filter(({ type }) => type === 'Convolution'))
    assert.equal(layer.convolution_param!.weight_filler, { type: 'msra' });
  const scores = trainNet(
    parse(`input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 6 ${fc('fc', 'x')}`),
  );
  assert.equal(shapeOf(scores).slice(-2), [
    'SoftmaxWithLoss fc,label > loss',
    'Accuracy fc,label > accuracy',
  ]);
  for (const [text, message] of [
    [`input: "x" input_shape { dim: 3 dim: 4 } ${fc('fc', 'x')}`, /its input is 3×4, no image/],
    [
      `input: "x" input: "y" input_shape { dim: 3 } input_shape { dim: 3 } ${fc('fc', 'x')}`,
      /it has 2 inputs \(x, y\)/,
    ],
    [
      `input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 6 ${fc('a', 'x')} ${fc('b', 'x')}`,
      /it has no outputs with a known loss \(a 1×4, b 1×4\)/,
    ],
  ] as const)
    assert.match((await refusal(() => trainNet(parse(text)))).message, message);
});

test('the deploy net of the training net is the original net: layers, names, shapes', async () => {
  for (const depth of [20, 50] as const) {
    const net = resnet({ depth });
    assert.equal(shapeOf(await deployNet(trainNet(net))), shapeOf(net));
    const { net: whole } = { net: resnetTraining({ depth, net: 'n', prefix: 'p' }).net };
    assert.equal(shapeOf(await deployNet(whole)), shapeOf(net));
  }
});

const folder = mkdtempSync(join(tmpdir(), 'resnode-'));
/**
 * The deploy net can be printed, read back and built, with the parameters that the training net has for these layers.
 */
async function roundTrip(file: string): Promise<string> {
  const net = readNetFile(file);
  const inputShapes = Object.fromEntries(
    (net.layer ?? [])
      .filter(({ bottom = [], type }) => bottom.length === 0 && type !== 'Input')
      .flatMap(({ top = [], transform_param }) =>
        (transform_param as { crop_size?: number } | undefined)?.crop_size || top.length === 0
          ? []
          : [[top[0]!, [1, 3, 32, 32]] as const],
      ),
  );
  let deployed: NetParameter;
  try {
    deployed = await deployNet(net, { inputShapes });
  } catch (error) {
    if (!(error instanceof ResnodeError)) throw error;
    return error.code;
  }
  const path = join(folder, 'deploy.prototxt');
  writeFileSync(path, printPrototxt(deployed));
  const again = readNetFile(path);
  assert.is(printPrototxt(again), printPrototxt(deployed), file);
  assert.is(printPrototxt(await deployNet(again)), printPrototxt(deployed), `${file}: twice`);
  let graph: ReturnType<typeof graphFromCaffe>;
  try {
    graph = graphFromCaffe(again);
  } catch (error) {
    if (!(error instanceof ResnodeError)) throw error;
    return error.code;
  }
  const layers = new Set((net.layer ?? []).map(({ name }) => name));
  for (const { layer } of graph.parameters) assert.ok(layers.has(layer), `${file}: ${layer}`);
  try {
    const back = trainNet(again);
    // Scores without a Softmax get one, and a softmax of another name becomes prob.
    const body = (each: NetParameter) =>
      shapeOf(each)
        .filter((layer) => !/^(Input|Softmax) /.test(layer))
        .sort();
    assert.equal(body(await deployNet(back, { inputShapes })), body(again), file);
  } catch (error) {
    if (!(error instanceof ResnodeError)) throw error;
    return `deployed, ${error.code}`;
  }
  return 'both ways';
}

const shared = sharedFolder();
const golden = goldenFolder();
if (shared === null) console.log('skipped: no shared/prototxt-wild beside the checkout');
else
  test('nets from the wild are converted in both directions, or refused with a reason', async () => {
    const wild = join(shared, 'prototxt-wild');
    const index = JSON.parse(readFileSync(join(wild, 'index.json'), 'utf8')) as {
      file: string;
      kind: string;
    }[];
    const outcomes = new Map<string, number>();
    for (const { file, kind } of index) {
      if (kind !== 'net') continue;
      const outcome = await roundTrip(join(wild, file));
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    console.log(
      `figures: deploy and back of nets from the wild: ${JSON.stringify(Object.fromEntries(outcomes))}`,
    );
    assert.ok((outcomes.get('both ways') ?? 0) >= 40, JSON.stringify([...outcomes]));
  });
if (golden !== null)
  test('golden nets are converted in both directions, or refused with a reason', async () => {
    const nets = ['train', 'mini-resnet', 'nets2'].flatMap((group) =>
      (readdirSync(join(golden, group), { recursive: true }) as string[])
        .filter((name) => /net\.prototxt$/.test(basename(name)))
        .map((name) => join(golden, group, name)),
    );
    assert.ok(nets.length > 5, `${nets.length} nets`);
    for (const file of nets) await roundTrip(file);
  });

test.run();
