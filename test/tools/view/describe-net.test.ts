/** The data of the page: every layer once, correct numbers, cards that do not overlap, nets that cannot run. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resnet } from '../../../ts/architectures/resnet.ts';
import { PrototxtError } from '../../../ts/base/errors.ts';
import { forkLayerFields } from '../../../ts/caffe/fork-schema.ts';
import { filterNet, readNet, readNetFile } from '../../../ts/caffe/net-parameter.ts';
import { DATA_TYPES } from '../../../ts/layers/data.ts';
import { supportedLayerTypes } from '../../../ts/layers/index.ts';
import { describeNet } from '../../../ts/tools/view/describe-net.ts';
import { readNetWithMarks } from '../../../ts/tools/view/fork-marks.ts';
import { kindOf } from '../../../ts/tools/view/layer-kinds.ts';
import { boundOf, findRoofs, readTimes } from '../../../ts/tools/view/measured-times.ts';
import type { PageData } from '../../../ts/tools/view/page-data.ts';
import { partialGraph } from '../../../ts/tools/view/partial-graph.ts';
import { pageText } from '../../../ts/tools/view/write-page.ts';
import { sharedFolder } from '../../support/golden.ts';

const parse = (text: string) => filterNet(readNet(text, { file: 'net.prototxt' }));
const layerOf = ({ layers }: PageData, name: string) => layers.find((layer) => layer.name === name)!;
const cardOf = (data: PageData, name: string) => data.cards[layerOf(data, name).card]!;

function assertSound(data: PageData, what: string): void {
  for (const { note } of data.cards) assert.not.match(note ?? '', /undefined/, what);
  const shown = data.cards.flatMap(({ layers }) => layers).sort((a, b) => a - b);
  assert.equal(
    shown,
    data.layers.map((_, i) => i),
    `${what}: every layer on one card`,
  );
  data.layers.forEach(({ card }, i) => assert.ok(data.cards[card]!.layers.includes(i), what));
  for (const { from, to, points } of data.edges) {
    assert.ok(data.cards[from]!.y < data.cards[to]!.y, `${what}: an edge goes up`);
    assert.ok(points.every(Number.isFinite), what);
  }
  const sorted = [...data.cards].sort((a, b) => a.y - b.y);
  sorted.forEach((card, i) => {
    assert.ok(card.x >= 0 && card.y >= 0, what);
    assert.ok(card.x + card.width <= data.width && card.y + card.height <= data.height, what);
    for (let k = i + 1; k < sorted.length && sorted[k]!.y < card.y + card.height; k++) {
      const other = sorted[k]!;
      const apart = other.x >= card.x + card.width || other.x + other.width <= card.x;
      assert.ok(apart, `${what}: cards overlap`);
    }
  });
}

test("ResNet-50: the paper's numbers, and 4 or 5 layers on the card of a fused convolution", () => {
  const { data } = describeNet(resnet({ depth: 50 }));
  assertSound(data, 'ResNet-50');
  // 25,557,032 learnable (torchvision's count for the same net) + conv1's bias 64 + BatchNorm's 53,120 means and
  // variances + 53 factors.
  assert.is(data.totals.parameters, 25_557_032 + 64 + 53_120 + 53);
  assert.is(layerOf(data, 'conv1').macs, 64 * 112 * 112 * 147);
  assert.equal(
    cardOf(data, 'res2a').layers.map((index) => data.layers[index]!.name),
    ['res2a_branch2c', 'bn2a_branch2c', 'scale2a_branch2c', 'res2a', 'res2a_relu'],
  );
  const conv1 = layerOf(data, 'conv1');
  assert.is(conv1.detail, '7×7 /2');
  assert.equal(conv1.tops[0]!.shape, [1, 64, 112, 112]);
  assert.equal(
    conv1.tops[0]!.others.map((index) => data.layers[index]!.name),
    ['bn_conv1'],
  );
  assert.match(cardOf(data, 'res2c').note!, /^Runs as 1×256×28×28, not 1×256×56×56/);
});

test('ResNet-1202 is drawn completely, in a time proportional to its size', () => {
  const { data } = describeNet(resnet({ depth: 1202 }));
  assertSound(data, 'ResNet-1202');
  assert.ok(data.cards.length > 1200);
  // All blocks are alike: a drift of the layout would widen the page.
  assert.ok(data.width < 1000, `${data.width} wide`);
});

test('labels run beside the net to the loss, so that its blocks form one column', () => {
  const names = Array.from({ length: 30 }, (_, i) => `conv${i}`);
  const convolutions = names.map(
    (
      name,
      i,
    ) => `layer { name: "${name}" type: "Convolution" bottom: "${names[i - 1] ?? 'data'}" top: "${name}"
      convolution_param { num_output: 4 kernel_size: 1 } }`,
  );
  const loss = `layer { name: "loss" type: "SoftmaxWithLoss" bottom: "pool" bottom: "label" top: "loss" }`;
  const pool = `layer { name: "pool" type: "Pooling" bottom: "conv29" top: "pool" pooling_param { global_pooling: true } }`;
  for (const [what, inputs] of [
    [
      'one data layer',
      'layer { name: "data" type: "Data" top: "data" top: "label" transform_param { crop_size: 8 } }',
    ],
    [
      'inputs apart',
      `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
       layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 1 } } }`,
    ],
  ] as const) {
    const { data } = describeNet(parse([inputs, ...convolutions, pool, loss].join('\n')));
    assertSound(data, what);
    const cards = names.map((name) => cardOf(data, name));
    assert.is(new Set(cards.map(({ x, width }) => x + width / 2)).size, 1, `${what}: one column`);
    const end = layerOf(data, 'loss').card;
    const [label] = data.edges.filter(({ from, to }) => to === end && data.cards[from]!.y < cards[1]!.y);
    const [x1, y1, x2, y2] = label!.points.slice(6, 10) as [number, number, number, number];
    assert.is(x1, x2, `${what}: straight down`);
    assert.ok(y1 < cards[1]!.y && y2 > cards.at(-1)!.y, `${what}: all the way`);
    for (const card of cards.slice(1)) assert.ok(x1 > card.x + card.width, `${what}: beside the cards`);
    assert.ok(x1 < data.width);
  }
});

test('a layer that cannot run is drawn with the reason; layers after it have no shape, the others do', () => {
  const { data } = describeNet(
    parse(`
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
    layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 4 kernel_size: 3 } }
    layer { name: "up" type: "Python" bottom: "a" top: "up" }
    layer { name: "odd" type: "MadeUp" bottom: "up" top: "odd" }
    layer { name: "b" type: "ReLU" bottom: "a" top: "b" }`),
  );
  assertSound(data, 'unknown layers');
  assert.match(layerOf(data, 'up').problem!, /Python" of BVLC's Caffe is not supported/);
  assert.match(layerOf(data, 'odd').problem!, /bottom "up" has an unknown shape/);
  assert.is(layerOf(data, 'up').tops[0]!.shape, null);
  assert.equal(layerOf(data, 'b').tops[0]!.shape, [1, 4, 6, 6]);
  assert.is(cardOf(data, 'up').runs, false);
  assert.match(data.remarks[0]!, /^2 of 5 layers/);
});

test("a data layer's shape comes from --input-shape, else from crop_size, and the page says so", () => {
  const net = parse(`
    layer { name: "data" type: "Data" top: "data" top: "label" transform_param { crop_size: 24 } }
    layer { name: "a" type: "Pooling" bottom: "data" top: "a" pooling_param { kernel_size: 2 stride: 2 } }
    layer { name: "quiet" type: "Silence" bottom: "label" }`);
  const assumed = describeNet(net).data;
  assert.equal(layerOf(assumed, 'a').tops[0]!.shape, [1, 3, 12, 12]);
  assert.match(assumed.remarks.join(), /assumed from crop_size: data 1×3×24×24, label 1/);
  const given = describeNet(net, { inputShapes: { data: [2, 1, 8, 8], label: [2] } }).data;
  assert.equal(layerOf(given, 'a').tops[0]!.shape, [2, 1, 4, 4]);
  assert.equal(given.remarks, []);
});

test('layers with equal names, in-place layers and Dropout keep their positions', () => {
  const { data } = describeNet(
    parse(`
    layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
    layer { name: "same" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 4 kernel_size: 3 } }
    layer { name: "drop" type: "Dropout" bottom: "y" top: "y" }
    layer { name: "same" type: "ReLU" bottom: "y" top: "y" }
    layer { name: "end" type: "Softmax" bottom: "y" top: "z" }`),
  );
  assertSound(data, 'one name twice');
  assert.equal(
    data.cards.map(({ layers }) => layers),
    [[0], [1, 2, 3], [4]],
  );
  assert.match(data.layers[2]!.remark!, /Computes nothing/);
  assert.equal(data.layers[4]!.bottoms[0]!.others, [3]);
});

test('times belong to their cards; the bound is the slower of the two ceilings', () => {
  const times = {
    device: 'cpu',
    milliseconds: 9,
    operations: [
      { layer: 'conv1', implementation: 'jit', milliseconds: 4 },
      { layer: 'pool1', implementation: 'jit', milliseconds: 2 },
    ],
  };
  const net = resnet({ depth: 50 });
  const given = describeNet(net, { times, roofs: { gflops: 100, gigabytes: 10 } }).data;
  const { measured, macs, bytes } = cardOf(given, 'conv1');
  assert.is(macs, 64 * 112 * 112 * 147);
  // Image, top, weights, bias; BatchNorm's 129 and Scale's 128 values are counted where they are stored.
  assert.is(bytes, 4 * (3 * 224 * 224 + 64 * 112 * 112 + 64 * 147 + 64 + 129 + 128));
  assert.is(measured!.limit, 'arithmetic');
  assert.ok(Math.abs(measured!.bound - (2 * macs) / 100e6) < 1e-9);
  assert.is(cardOf(given, 'pool1').measured!.limit, 'memory');
  assert.is(cardOf(given, 'res2a').measured, null);
  // Without given ceilings the best operation defines them, so that no time is below its bound.
  const found = describeNet(net, { times }).data;
  for (const card of found.cards)
    if (card.measured) assert.ok(card.measured.bound <= card.measured.milliseconds * (1 + 1e-12));
  assert.is(findRoofs([{ macs: 5e8, bytes: 1e6, milliseconds: 1 }], {}).gflops, 1000);
  assert.equal(boundOf({ macs: 0, bytes: 1e7 }, { gflops: 1, gigabytes: 1, source: '' }), {
    bound: 10,
    limit: 'memory',
  });
});

test('an invalid file of times is refused by name', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'time.json');
  for (const text of ['', '[]', 'null', '{"milliseconds":{"median":1},"operations":[{"layer":"a"}]}']) {
    writeFileSync(file, text);
    assert.throws(() => readTimes(file), /resnode time --json.*time\.json/, text);
  }
});

test('names that look like markup stay text', () => {
  const name = '</script><script>alert(1)</script>';
  const text = pageText(
    describeNet(
      parse(`name: "${name}" layer { name: "${name}" type: "Input" top: "x"
    input_param { shape { dim: 1 } } }`),
    ).data,
  );
  assert.not.ok(text.includes('<script>alert'));
  assert.not.match(text, /https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
});

test('an empty net gives a page, too', () => {
  const { data } = describeNet(parse('name: "none"'));
  assertSound(data, 'empty');
  assert.ok(pageText(data).includes('none'));
});

test('an in-place layer that cannot run hides its input, so that no layer reads around it', () => {
  const { data } = describeNet(
    parse(`
    layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
    layer { name: "conv" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 4 kernel_size: 3 } }
    layer { name: "odd" type: "MadeUp" bottom: "y" top: "y" }
    layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
    layer { name: "end" type: "ReLU" bottom: "x" top: "z" }`),
  );
  assertSound(data, 'an odd layer in place');
  assert.match(layerOf(data, 'relu').problem!, /bottom "y" has an unknown shape/);
  assert.equal(cardOf(data, 'conv').layers, [1]);
  assert.is(layerOf(data, 'end').problem, null);
});

test("a net for a fork of Caffe is drawn without the fork's additions, which are marked", () => {
  const file = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'fork.prototxt');
  writeFileSync(
    file,
    `default_forward_type: FLOAT16
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "y" forward_type: FLOAT
  convolution_param { num_output: 4 kernel_size: 3 engine: MKLDNN cudnn_convolution_algo_seeker: [GET, "a" "b"] } }
layer { name: "pool" type: "Pooling" bottom: "y" top: "z" pooling_param { kernel_size: 2 torch_pooling: true } }
layer { name: "fork" type: "ReLU" bottom: "y" top: "w" yolo_seg_param < a { b: -1 } c: 2 > relu_param { negative_slope: 0.5 } }
layer { name: "end" type: "ReLU" bottom: "y" top: "v" }`,
  );
  const { net, marks } = readNetWithMarks(file);
  const { data } = describeNet(filterNet(net), { marks });
  assertSound(data, 'a fork');
  assert.match(data.remarks.join(), /line 1: NetParameter has no field "default_forward_type".*NVIDIA/);
  const conv = layerOf(data, 'conv');
  assert.is(conv.problem, null);
  assert.match(
    conv.remark!,
    /"forward_type".*; line 4: "engine" expects .*"MKLDNN".*; line 4: .*algo_seeker/,
  );
  assert.match(
    layerOf(data, 'pool').problem!,
    /^line 5: PoolingParameter has no field "torch_pooling".*NVIDIA/,
  );
  assert.match(layerOf(data, 'fork').problem!, /yolo_seg_param/);
  assert.match(layerOf(data, 'fork').text, /negative_slope: 0.5/);
  assert.equal(layerOf(data, 'end').tops[0]!.shape, [1, 4, 6, 6]);
  for (const [text, message] of [
    ['layer { bogus: 1 }', /has no field "bogus"/],
    ['layer { yolo_seg_param { a: [1, { b: 2 ]', /expected "\}", found/],
    ['layer { forward_type:', /expected "a value", found the end of the file/],
  ] as const) {
    writeFileSync(file, text);
    assert.throws(
      () => readNetWithMarks(file),
      (error: unknown) => error instanceof PrototxtError && message.test(error.message),
    );
  }
});

const shared = sharedFolder();
if (shared === null) console.log('skipped: no shared/prototxt-wild; nets from the wild are not drawn');
else {
  const folder = join(shared, 'prototxt-wild');
  const index = (
    JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as {
      file: string;
      kind: string;
      types: string[];
      bvlc_parse: string;
    }[]
  ).filter(({ kind }) => kind === 'net');

  test('every net from the wild is drawn, those for forks of Caffe with marks', () => {
    assert.ok(index.length > 90, `${index.length} nets`);
    for (const { file, bvlc_parse } of index) {
      const { net, marks } = readNetWithMarks(join(folder, file));
      const isForks = marks.problems.size + marks.remarks.size + marks.net.length > 0;
      const [, field] = /no field named "(.*)"/.exec(bvlc_parse) ?? [];
      if (field === undefined) assert.not(isForks, file);
      // ceil_mode and pads on each side are renamed to BVLC's fields; forks' layers that run need no mark.
      else if (!['ceil_mode', 'pad_l', ...Object.keys(forkLayerFields)].includes(field))
        assert.ok(isForks, file);
      assertSound(describeNet(filterNet(net), { marks }).data, file);
    }
  });

  test('every net from the wild with supported layers only builds, once its inputs have shapes', () => {
    const known = [...supportedLayerTypes, ...DATA_TYPES, 'Input', 'Silence'];
    const nets = index.filter(
      (each) => each.bvlc_parse === 'ok' && each.types.every((type) => known.includes(type)),
    );
    assert.ok(nets.length > 40, `${nets.length} nets`);
    for (const { file } of nets) {
      const whole = readNetFile(join(folder, file));
      const inputsOf = (phase: 'TRAIN' | 'TEST') =>
        (filterNet(whole, { phase }).layer ?? []).filter(({ bottom = [] }) => bottom.length === 0);
      const phase = inputsOf('TEST').length > 0 ? 'TEST' : 'TRAIN';
      const side = /cifar/i.test(file) ? 32 : 224;
      const inputShapes = Object.fromEntries(
        inputsOf(phase)
          // Layers with a crop_size have a shape.
          .filter(
            (layer) =>
              DATA_TYPES.includes(layer.type!) &&
              !(layer.transform_param as { crop_size?: number })?.crop_size,
          )
          .flatMap(({ top = [], type }) => {
            const label = type === 'AnnotatedData' ? [1, 1, 1, 8] : [1];
            return top.map((name, i) => [name, i === 0 ? [1, 3, side, side] : label]);
          }),
      );
      const { missing } = partialGraph(filterNet(whole, { phase }), { phase, inputShapes });
      assert.equal(
        [...missing]
          // MSRA's older SmoothL1Loss takes three bottoms, and is not run.
          .filter(([{ type }, problem]) => type !== 'SmoothL1Loss' || !problem.endsWith('found 3'))
          .map(([{ name }, problem]) => `${name}: ${problem}`),
        [],
        file,
      );
    }
  });
}

test('every layer type that runs is drawn as some kind', () => {
  assert.equal(
    supportedLayerTypes.filter((type) => kindOf(type) === 'unknown'),
    [],
  );
});

test('a card whose value does not occur in the original net shows no other shape', () => {
  const net = parse(
    `layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 4 dim: 12 dim: 12 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param {
  num_output: 4 bias_term: false kernel_size: 3 stride: 2 pad_l: 0 pad_r: 1 pad_t: 0 pad_b: 1 } }
layer { name: "b" type: "BatchNorm" bottom: "c" top: "b" batch_norm_param { use_global_stats: true } }
layer { name: "s" type: "Scale" bottom: "b" top: "s" scale_param { bias_term: true } }`,
  );
  assert.equal(
    describeNet(net).data.cards.map(({ note }) => note),
    [null, null],
  );
});

test('a crop that reads the size of a value that is part of a later fused sum is drawn without a cycle', () => {
  const net = readNet(
    `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 4 dim: 4 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 1 kernel_size: 1 } }
layer { name: "b" type: "Convolution" bottom: "data" top: "b" convolution_param { num_output: 1 kernel_size: 1 pad: 1 } }
layer { name: "crop" type: "Crop" bottom: "b" bottom: "a" top: "crop" crop_param { offset: 1 } }
layer { name: "sum" type: "Eltwise" bottom: "crop" bottom: "a" top: "sum" }`,
    { file: 'net.prototxt' },
  );
  const { data } = describeNet(net);
  assert.is(data.layers.length, 5);
  assert.ok(data.edges.every(({ points }) => points.every(Number.isFinite)));
});

test.run();
