/** Layers of Caffe's forks: the results of their own code, forward and backward, and what they refuse. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GraphError, PrototxtError } from '../../ts/base/errors.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { type Device, graphFromCaffe, readNet } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { goldenFolder, readJson } from '../support/golden.ts';
import { testForkCases } from '../support/golden-cases.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
for (const device of devices) testForkCases(device);
const emulated = await openEmulated();
const devicesWithEmulated = emulated === null ? devices : [...devices, emulated];

const malformed = join(goldenFolder() ?? '', 'forks-malformed');
if (existsSync(malformed)) {
  const { cases } = readJson<{
    cases: { file: string; stage: string; ok: boolean; inputs?: Record<string, number[]> }[];
  }>(join(malformed, 'index.json'));
  for (const { file, stage, inputs } of cases) {
    // OpenCV's field, which its nets need but SSD's own parser does not know.
    if (file === 'det_clip.prototxt') continue;
    // MSRA's older SmoothL1Loss takes three bottoms, which SSD's refuses; daijifeng001's R-FCN nets use it.
    if (file === 'smoothl1_ssd_3bottoms.prototxt') continue;
    const model = join(malformed, file);
    test(`${file} is refused with its position, or with the wrong value`, async () => {
      const [device] = devices as [Device];
      const run = async () => {
        using net = await device.load({ model });
        const given = Object.entries(net.inputs).map(([name, shape]) => {
          const flat = ((inputs?.[name] ?? []) as unknown[]).flat(8) as number[];
          const count = shape.reduce((product, size) => product * size, 1);
          return [name, Float32Array.from({ length: count }, (_, i) => flat[i] ?? 0)];
        });
        await net.run(Object.fromEntries(given));
      };
      try {
        await run();
      } catch (error) {
        const { message, code } = error as GraphError;
        if (stage === 'forward' && inputs !== undefined) assert.is(code, 'label/invalid', message);
        else {
          assert.ok(error instanceof GraphError || error instanceof PrototxtError, message);
          assert.match(message, new RegExp(`${basename(file)}:\\d+:\\d+: `));
        }
        return;
      }
      assert.unreachable('it was accepted');
    });
  }
}

const input = (name: string, ...shape: number[]) =>
  `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${shape.map((dim) => `dim: ${dim}`).join(' ')} } } }\n`;
const load = (text: string) => devices[0]!.load({ model: readNet(text, { file: 'net.prototxt' }) });

test('a detection output has as many rows as there are detections, whatever the maximum', async () => {
  const text = `${input('loc', 1, 8)}${input('conf', 1, 4)}${input('prior', 1, 2, 8)}
    layer { name: "det" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior" top: "det"
      detection_output_param { num_classes: 2 confidence_threshold: 0.5 keep_top_k: 200 code_type: CENTER_SIZE } }`;
  using net = await load(text);
  const prior = [0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, ...Array.from({ length: 8 }, () => 0.1)];
  const run = async (...conf: number[]) =>
    (
      await net.run({
        loc: new Float32Array(8),
        conf: Float32Array.from(conf),
        prior: Float32Array.from(prior),
      })
    ).det!;
  const two = await run(0.1, 0.9, 0.3, 0.7);
  assert.equal(two.shape, [1, 1, 2, 7]);
  assert.equal([...two.data].slice(3, 7), [0, 0, 0.5, 0.5]);
  assert.equal((await run(0.9, 0.1, 0.3, 0.7)).shape, [1, 1, 1, 7]);
  const none = await run(0.9, 0.1, 0.7, 0.3);
  assert.equal([...none.data], [0, -1, -1, -1, -1, -1, -1]);
});

test('two layers of one name are distinguished by their fields, and a mixture is refused', async () => {
  const bn = (param: string) =>
    load(
      `${input('x', 1, 2, 3, 3)}layer { name: "bn" type: "BN" bottom: "x" top: "y" bn_param { ${param} } }`,
    );
  using segnet = await bn('bn_mode: INFERENCE');
  assert.is(segnet.report.length, 1);
  using pspnet = await bn('frozen: true');
  assert.is(pspnet.report.length, 1);
  try {
    await bn('bn_mode: INFERENCE slope_filler { type: "constant" }');
    assert.unreachable('it was accepted');
  } catch (error) {
    assert.is((error as GraphError).code, 'graph/bn');
    assert.match((error as GraphError).message, /bn_mode belongs to SegNet's BN, slope_filler to PSPNet's/);
  }
});

test('depthwise convolutions of both names are grouped convolutions', async () => {
  for (const [type, group] of [
    ['DepthwiseConvolution', 'group: 3'],
    ['ConvolutionDepthwise', ''],
  ]) {
    using net = await load(
      `${input('x', 1, 3, 4, 4)}layer { name: "dw" type: "${type}" bottom: "x" top: "y" convolution_param { num_output: 3 kernel_size: 3 pad: 1 ${group} weight_filler { type: "xavier" } } }`,
    );
    assert.is((await net.parameter('dw', 0))!.length, 27, type);
  }
});

test('ConvolutionDepthwise has the channels of its bottom, unless num_output is a multiple of them', async () => {
  for (const [given, channels] of [
    ['num_output: 4', 3],
    ['', 3],
    ['num_output: 6', 6],
  ] as const) {
    using net = await load(
      `${input('x', 1, 3, 4, 4)}layer { name: "dw" type: "ConvolutionDepthwise" bottom: "x" top: "y" convolution_param { ${given} group: 4 kernel_size: 3 pad: 1 } }`,
    );
    assert.equal(net.outputs.y, [1, channels, 4, 4], given);
  }
});

test('CReLU is the ReLU of x and of −x, and Upsample without a mask repeats', async () => {
  using net = await load(`${input('x', 1, 1, 1, 2)}
    layer { name: "c" type: "CReLU" bottom: "x" top: "c" }
    layer { name: "u" type: "Upsample" bottom: "c" top: "u" upsample_param { scale: 2 } }`);
  const { u } = await net.run({ x: Float32Array.of(1, -2) });
  assert.equal(u!.shape, [1, 2, 2, 4]);
  assert.equal([...u!.data], [1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 2, 2, 0, 0, 2, 2]);
});

test('Gather, ContinuationIndicator and Flip give copies, sequence starts and mirrored planes', async () => {
  using net = await load(`${input('x', 1, 1, 2, 3)}
    layer { name: "g" type: "Gather" bottom: "x" top: "g" }
    layer { name: "f" type: "Flip" bottom: "g" top: "f" }
    layer { name: "c" type: "ContinuationIndicator" top: "c" continuation_indicator_param { time_step: 3 batch_size: 2 } }`);
  const { f, c } = await net.run({ x: Float32Array.of(1, 2, 3, 4, 5, 6) });
  assert.equal([...f!.data], [3, 2, 1, 6, 5, 4]);
  assert.equal(
    [c!.shape, [...c!.data]],
    [
      [3, 2],
      [0, 0, 1, 1, 1, 1],
    ],
  );
});

test("the loss per region has four axes, whatever the scores' are, so that losses can be added", async () => {
  using net =
    await load(`${input('scores', 3, 2)}${input('labels', 3, 1, 1, 1)}${input('boxes', 3, 8)}${input('targets', 3, 8)}
    layer { name: "cls" type: "SoftmaxWithLossOHEM" bottom: "scores" bottom: "labels" top: "a" top: "p" top: "each" loss_weight: [1, 0, 0] }
    layer { name: "box" type: "SmoothL1LossOHEM" bottom: "boxes" bottom: "targets" top: "b" top: "per_box" loss_weight: [1, 0] }
    layer { name: "sum" type: "Eltwise" bottom: "each" bottom: "per_box" top: "sum" }`);
  assert.equal(net.outputs.sum, [3, 1, 1, 1]);
});

test("PriorBox reads widths and heights as written, in both forks' fields", async () => {
  const prior = (param: string, type = 'PriorBox') =>
    load(`${input('x', 1, 1, 1, 2)}${input('image', 1, 3, 10, 20)}
      layer { name: "p" type: "${type}" bottom: "x" bottom: "image" top: "p" prior_box_param { ${param} step: 10 } }`);
  const given = { x: new Float32Array(2), image: new Float32Array(600) };
  for (const prefix of ['', 'box_']) {
    using net = await prior(
      `${prefix}width: 4.5 ${prefix}width: 2 ${prefix}height: 3 ${prefix}height: 8`,
      prefix === '' ? 'PriorBoxClustered' : 'PriorBox',
    );
    const { p } = await net.run(given);
    assert.equal(p!.shape, [1, 2, 16]);
    // Centres at 5 and 15 of 20, 5 of 10.
    const expected = [5, 15].flatMap((x) =>
      [
        [4.5, 3],
        [2, 8],
      ].flatMap(([w, h]) => [(x - w! / 2) / 20, (5 - h! / 2) / 10, (x + w! / 2) / 20, (5 + h! / 2) / 10]),
    );
    expected.forEach((value, i) => assert.ok(Math.abs(p!.data[i]! - value) < 1e-6, `${i}: ${p!.data[i]}`));
  }
  for (const [param, message] of [
    ['width: 1 height: 2 min_size: 3', /both width and min_size give the sizes of boxes/],
    ['width: 1', /found 1 widths and 0 heights/],
    ['width: 1 box_height: 2', /keep one pair/],
  ] as const)
    try {
      await prior(param);
      assert.unreachable('it was accepted');
    } catch (error) {
      assert.match((error as GraphError).message, message);
    }
});

test('Interp takes the size of its second bottom if use_blob_size is set', async () => {
  const interp = (bottoms: string, param: string) =>
    load(`${input('x', 1, 1, 2, 2)}${input('like', 1, 7, 3, 3)}
      layer { name: "up" type: "Interp" ${bottoms} top: "up" interp_param { ${param} } }`);
  using net = await interp('bottom: "x" bottom: "like"', 'use_blob_size: true');
  const { up } = await net.run({ x: Float32Array.of(0, 2, 4, 6), like: new Float32Array(63) });
  assert.equal(
    [up!.shape, [...up!.data]],
    [
      [1, 1, 3, 3],
      [0, 1, 2, 2, 3, 4, 4, 5, 6],
    ],
  );
  try {
    await interp('bottom: "x"', 'use_blob_size: true');
    assert.unreachable('it was accepted');
  } catch (error) {
    assert.is((error as GraphError).code, 'graph/bottom-count');
  }
});

test("Synopsys's Pad surrounds with a constant, Squeeze removes axes of 1, and icnet selects its BN", async () => {
  using net = await load(`${input('x', 1, 1, 1, 2)}
    layer { name: "pad" type: "Pad" bottom: "x" top: "pad" pad_param { paddings: [0, 0, 0, 0, 1, 0, 1, 2] constant_values: 7 } }
    layer { name: "thin" type: "Squeeze" bottom: "pad" top: "thin" squeeze_param { axis: 0 axis: -3 } }
    layer { name: "all" type: "Squeeze" bottom: "pad" top: "all" }
    layer { name: "bn" type: "BN" bottom: "pad" top: "bn" bn_param { icnet: true } }`);
  const { thin, all } = await net.run({ x: Float32Array.of(1, Number.NaN) });
  assert.equal(
    [thin!.shape, all!.shape],
    [
      [2, 5],
      [2, 5],
    ],
  );
  assert.equal([...thin!.data], [7, 7, 7, 7, 7, 7, 1, Number.NaN, 7, 7]);
  assert.is(net.report.length, 1);
  for (const [layer, message] of [
    ['type: "Squeeze" squeeze_param { axis: 3 }', /axis 3 of 1×1×1×2 has size 2/],
    ['type: "Pad" pad_param { paddings: 1 }', /takes 8 paddings/],
    ['type: "Pad" pad_param { paddings: [0, 0, 0, 0, 0, 0, 0, 4000000000] }', /paddings up to 512/],
  ] as const)
    try {
      await load(`${input('x', 1, 1, 1, 2)}layer { name: "y" bottom: "x" top: "y" ${layer} }`);
      assert.unreachable('it was accepted');
    } catch (error) {
      assert.match((error as GraphError).message, message);
    }
});

test("the losses per region select the hardest of each image, and a fixed number divides R-FCN's losses", async () => {
  const text = `${input('scores', 4, 2)}${input('rois', 4, 5)}${input('labels', 4, 1, 1, 1)}${input('weights', 4, 2, 1, 1)}
    layer { name: "cls" type: "SoftmaxWithLossOHEM" bottom: "scores" bottom: "labels" top: "sum" top: "p" top: "each"
      loss_weight: 0 loss_weight: 0 loss_weight: 0 loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 8 } }
    layer { name: "ohem" type: "BoxAnnotatorOHEM" bottom: "rois" bottom: "each" bottom: "labels" bottom: "weights"
      top: "kept" top: "kept_weights" box_annotator_ohem_param { roi_per_img: 1 ignore_label: -1 } }`;
  for (const device of devices) {
    using net = await device.load({
      model: readNet(text, { file: 'net.prototxt' }),
      outputs: ['sum', 'each', 'kept', 'kept_weights'],
    });
    const { sum, each, kept, kept_weights } = await net.run({
      scores: Float32Array.of(0, 0, 2, 0, 0, 1, 3, 0),
      rois: Float32Array.from([0, 1, 1, 0].flatMap((image) => [image, 0, 0, 1, 1])),
      labels: Float32Array.of(0, 1, 1, 1),
      weights: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8),
    });
    const expected = [
      Math.log(2),
      Math.log(1 + Math.exp(2)),
      Math.log(1 + Math.exp(-1)),
      Math.log(1 + Math.exp(3)),
    ];
    expected.forEach((loss, i) => {
      assert.ok(Math.abs(each!.data[i]! - loss) < 1e-5, `${each!.data[i]} ${loss}`);
    });
    assert.ok(Math.abs(sum!.data[0]! - expected.reduce((a, b) => a + b) / 8) < 1e-5);
    assert.equal([...kept!.data], [-1, 1, -1, 1]);
    assert.equal([...kept_weights!.data], [0, 0, 3, 4, 0, 0, 7, 8]);
  }
});

test("MSRA's older SmoothL1Loss divides by all positions and has inside weights only", async () => {
  using net = await load(`${input('a', 1, 1, 1, 2)}${input('b', 1, 1, 1, 2)}${input('w', 1, 1, 1, 2)}
    layer { name: "loss" type: "SmoothL1Loss" bottom: "a" bottom: "b" bottom: "w" top: "loss" }`);
  const { loss } = await net.run({
    a: Float32Array.of(0.5, 3),
    b: Float32Array.of(0, 0),
    w: Float32Array.of(1, 2),
  });
  assert.is(loss!.data[0], (0.5 * 0.25 + 5.5) / 2);
});

test('SegAccuracy gives pixel accuracy, mean recall and mean overlap; without reset, those of all runs so far', async () => {
  const accuracy = (param: string) =>
    load(`${input('s', 1, 2, 1, 3)}${input('l', 1, 1, 1, 3)}
      layer { name: "acc" type: "SegAccuracy" bottom: "s" bottom: "l" top: "acc" seg_accuracy_param { ignore_label: 255 ${param} } }`);
  const scores = Float32Array.of(1, 0, 1, 0, 1, 0);
  using once = await accuracy('');
  const { acc } = await once.run({ s: scores, l: Float32Array.of(0, 0, 255) });
  // Class 0: one of two is right; class 1 is predicted once and never true.
  assert.equal([...acc!.data], [0.5, 0.5, 0.25]);
  using all = await accuracy('reset: false');
  await all.run({ s: scores, l: Float32Array.of(0, 0, 255) });
  const second = await all.run({ s: scores, l: Float32Array.of(0, 1, 0) });
  assert.equal(
    [...second.acc!.data].map((value) => Math.round(value * 1e4) / 1e4),
    [0.8, 0.875, 0.625],
  );
  const { code } = await once.run({ s: scores, l: Float32Array.of(0, 7, 0) }).then(
    () => assert.unreachable('it was accepted') as never,
    (error: GraphError) => error,
  );
  assert.is(code, 'label/invalid');
});

test('SegAccuracy of large maps equals counts of single positions, on every device', async () => {
  const [images, classes, rows, columns] = [2, 3, 40, 41];
  const places = rows * columns;
  const random = seededRandom(7);
  const scores = Float32Array.from({ length: images * classes * places }, () => random());
  const labels = Float32Array.from({ length: images * places }, () => {
    const label = Math.floor(random() * (classes + 1));
    return label === classes ? 255 : label;
  });
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let place = 0; place < images * places; ++place) {
    if (labels[place] === 255) continue;
    const first = Math.floor(place / places) * classes * places + (place % places);
    const ofPlace = Array.from({ length: classes }, (_, c) => scores[first + c * places]!);
    counts[labels[place]!]![ofPlace.indexOf(Math.max(...ofPlace))]! += 1;
  }
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const right = counts.map((row, c) => row[c]!);
  const labelled = counts.map(sum);
  const guessed = counts.map((_, c) => sum(counts.map((row) => row[c]!)));
  const expected = [
    sum(right) / sum(labelled),
    sum(right.map((hits, c) => hits / labelled[c]!)) / classes,
    sum(right.map((hits, c) => hits / (labelled[c]! + guessed[c]! - hits))) / classes,
  ];
  const text = `${input('s', images, classes, rows, columns)}${input('l', images, 1, rows, columns)}
    layer { name: "acc" type: "SegAccuracy" bottom: "s" bottom: "l" top: "acc" seg_accuracy_param { ignore_label: 255 } }`;
  for (const device of devicesWithEmulated) {
    const net = await device.load({ model: readNet(text, { file: 'net.prototxt' }) });
    const { acc } = await net.run({ s: scores, l: labels });
    for (const [i, value] of expected.entries()) {
      assert.ok(
        Math.abs(acc!.data[i]! - value) < 1e-6,
        `${device.kind}: ${acc!.data[i]} where ${value} was expected`,
      );
    }
    await net.dispose();
  }
});

test('a mask of ROIMaskPooling counts as 0, and Sparsify drops small values and adds its penalty to the diff', async () => {
  using masked = await load(`${input('x', 1, 1, 3, 3)}${input('rois', 1, 5)}
    layer { name: "m" type: "ROIMaskPooling" bottom: "x" bottom: "rois" top: "m"
      roi_mask_pooling_param { pooled_h: 1 pooled_w: 1 mask_scale: 0.1 } }`);
  const x = Float32Array.of(-1, -2, -3, -4, 9, -5, -6, -7, -8);
  const { m } = await masked.run({ x, rois: Float32Array.of(0, 0, 0, 2, 2) });
  // 9 is under the mask: it is compared as 0, which is greater than −1, and then the value itself is taken.
  assert.is(m!.data[0], 9);
  const net = readNet(
    `${input('x', 1, 3)}layer { name: "s" type: "Sparsify" bottom: "x" top: "y" sparsify_param { coef: 0.5 thre: 0.2 } }`,
    { file: 'net.prototxt' },
  );
  for (const device of devices) {
    using trainer = await device.train({
      model: { ...net, force_backward: true },
      update: null,
      diffs: ['x'],
    });
    const { outputs, blobs } = await trainer.gradients(
      { x: Float32Array.of(-1, 0.1, 2) },
      { topDiffs: { y: Float32Array.of(1, 1, 1) } },
    );
    assert.equal([...outputs.y!.data], [-1, 0, 2]);
    assert.equal([...blobs.x!.data], [0.5, 1.5, 1.5]);
  }
});

test("the loss of pycaffe's example is EuclideanLoss, which counts once or not at all", async () => {
  const text = (
    weight: number,
  ) => `${input('a', 2, 3)}${input('b', 2, 3)}layer { name: "l" type: "Python" bottom: "a"
    bottom: "b" top: "l" loss_weight: ${weight} python_param { module: "pyloss" layer: "EuclideanLossLayer" } }`;
  const [a, b] = [Float32Array.of(1, 2, 3, 4, 5, 6), Float32Array.of(0, 2, 5, 4, 1, 7)];
  for (const device of devices) {
    using trainer = await device.train({
      model: { ...readNet(text(1), { file: 'net.prototxt' }), force_backward: true },
      update: null,
      diffs: ['a', 'b'],
    });
    const { outputs, blobs } = await trainer.gradients({ a, b });
    assert.equal([outputs.l!.shape, outputs.l!.data[0]], [[1], 22 / 4]);
    assert.equal([...blobs.a!.data], [0.5, 0, -1, 0, 2, -0.5]);
    assert.equal(
      [...blobs.b!.data].map((value) => -value || 0),
      [...blobs.a!.data],
    );
  }
  assert.throws(
    () => graphFromCaffe(readNet(text(2), { file: 'net.prototxt' })),
    /net\.prototxt:\d+:\d+: the module's gradient assumes loss_weight: 1, found 2/,
  );
});

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
