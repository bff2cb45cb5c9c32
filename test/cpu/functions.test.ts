/**
 * Layers that the CPU device computes with vectors, in the layout of the convolutions around them: elementwise
 * functions, PReLU, LRN, interpolation, maxima of regions and the largest channel. They are compared with the reference
 * loops on row-major values in float64.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { graphFromCaffe, openDevice } from '../../ts/index.ts';
import { draw, input, net } from '../support/net-text.ts';
import { openAllKernels } from '../support/open-kernels.ts';
import { randomWeights } from '../support/random-weights.ts';

const reference = await openDevice('reference');
const devices = await openAllKernels({ winograd: false });
test.after(() => [reference, ...devices].forEach((device) => device.dispose()));

const TOLERANCE = 1e-5;

type Values = Readonly<Record<string, Float32Array>>;

/**
 * All outputs on every instruction set, each within the tolerance relative to the value, or to `floor` if that is
 * larger.
 */
async function compare(text: string, inputs: Values, floor = 0) {
  const caffe = net(text);
  const weights = randomWeights(graphFromCaffe(caffe));
  using expectedModel = await reference.load({ model: caffe, weights });
  const expected = await expectedModel.run(inputs);
  for (const device of devices) {
    using model = await device.load({ model: caffe, weights });
    const loops = model.plan().operations.filter(({ implementation }) => implementation === 'reference');
    assert.equal(loops, [], 'no operation is left to the reference loops');
    const made = await model.run(inputs);
    for (const [blob, { data }] of Object.entries(expected)) {
      const own = made[blob]!.data;
      const wrong = data.findIndex(
        (value, i) =>
          !Object.is(own[i], value) &&
          !(Math.abs(own[i]! - value) <= TOLERANCE * Math.max(Math.abs(value), floor)),
      );
      assert.is(wrong, -1, `${blob}[${wrong}] is ${own[wrong]}, expected ${data[wrong]}`);
    }
  }
}

const FUNCTIONS: Readonly<Record<string, string>> = {
  ELU: 'type: "ELU" elu_param { alpha: 0.7 }',
  Sigmoid: 'type: "Sigmoid"',
  TanH: 'type: "TanH"',
  AbsVal: 'type: "AbsVal"',
  'Power, linear': 'type: "Power" power_param { scale: -1.5 shift: 0.25 }',
  'Power 0': 'type: "Power" power_param { power: 0 }',
  'Power 2': 'type: "Power" power_param { power: 2 scale: 0.5 shift: 1 }',
  Clip: 'type: "Clip" clip_param { min: -0.5 max: 1.25 }',
  'Clip above 0': 'type: "Clip" clip_param { min: 0.5 max: 2 }',
  ReLU6: 'type: "ReLU6"',
  Exp: 'type: "Exp" exp_param { base: 2 scale: 0.5 shift: 1 }',
  Threshold: 'type: "Threshold" threshold_param { threshold: -0.25 }',
  Swish: 'type: "Swish" swish_param { beta: 1.5 }',
  Mish: 'type: "Mish"',
  HardSwish: 'type: "HardSwish"',
};

for (const [name, layer] of Object.entries(FUNCTIONS)) {
  test(`${name} over the whole range of its arguments`, async () => {
    const wide = Array.from({ length: 4001 }, (_, i) => (i - 2000) / 16);
    const near = [-12, -8, -5, -4, -3, -1].flatMap((k) => [10 ** k, -(10 ** k), 3.3 * 10 ** k]);
    const none = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    const values = Float32Array.from([
      ...wide,
      ...near,
      0,
      -0,
      20,
      -20,
      88,
      -88,
      200,
      -200,
      1e9,
      -1e9,
      ...none,
    ]);
    await compare(
      `${input('data', [1, 1, 1, values.length])}layer { name: "f" bottom: "data" top: "f" ${layer} }`,
      { data: values },
      1e-30,
    );
  });

  test(`${name} between convolutions, with channels that do not fill a block`, async () => {
    const convolution = (name: string, bottom: string, outputs: number) =>
      `layer { name: "${name}" type: "Convolution" bottom: "${bottom}" top: "${name}" convolution_param { num_output: ${outputs} kernel_size: 3 pad: 1 } }`;
    for (const channels of [16, 21]) {
      await compare(
        [
          input('data', [2, 3, 7, 9]),
          convolution('before', 'data', channels),
          `layer { name: "f" bottom: "before" top: "f" ${layer} }`,
          convolution('after', 'f', 5),
        ].join('\n'),
        { data: draw(2 * 3 * 7 * 9, 3, -2, 2) },
        1,
      );
    }
  });
}

for (const shared of [false, true]) {
  test(`PReLU with ${shared ? 'one slope' : 'a slope for each channel'}`, async () => {
    const layer = (bottom: string, top: string) =>
      `layer { name: "${top}" type: "PReLU" bottom: "${bottom}" top: "${top}" prelu_param { channel_shared: ${shared} } }`;
    for (const shape of [
      [2, 3, 5, 7],
      [2, 21, 40, 41],
      [3, 13],
    ]) {
      const count = shape.reduce((product, size) => product * size, 1);
      const layers = [input('data', shape), layer('data', 'plain')];
      if (shape.length === 4)
        layers.push(
          'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 21 kernel_size: 1 } }',
          layer('conv', 'blocked'),
        );
      await compare(layers.join('\n'), { data: draw(count, 5) }, 1);
    }
  });
}

test('LRN with the exponents of public nets, with windows that exceed the channels', async () => {
  for (const [size, beta, k] of [
    [5, 0.75, 1],
    [3, 0.5, 2],
    [7, 1, 0.5],
  ]) {
    for (const [channels, height, width] of [
      [4, 5, 3],
      [37, 13, 17],
    ] as const) {
      await compare(
        `${input('data', [2, channels, height, width])}layer { name: "norm" type: "LRN" bottom: "data" top: "norm" lrn_param { local_size: ${size} alpha: 0.3 beta: ${beta} k: ${k} } }`,
        { data: draw(2 * channels * height * width, 9, -8, 8) },
      );
    }
  }
});

test('LRN within channels, with windows that exceed the plane', async () => {
  for (const [size, beta] of [
    [3, 0.75],
    [5, 0.5],
    [7, 1],
    [2147483647, 0.75],
  ])
    for (const [channels, height, width] of [
      [21, 5, 3],
      [16, 13, 17],
    ] as const)
      await compare(
        `${input('data', [2, channels, height, width])}layer { name: "norm" type: "LRN" bottom: "data" top: "norm" lrn_param { norm_region: WITHIN_CHANNEL local_size: ${size} alpha: 0.3 beta: ${beta} } }`,
        { data: draw(2 * channels * height * width, 43, -8, 8) },
      );
});

test('interpolation to larger and smaller maps, row-major and blocked', async () => {
  const convolution =
    'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 21 kernel_size: 1 } }';
  for (const [height, width] of [
    [13, 20],
    [3, 4],
    [1, 1],
    [7, 9],
  ]) {
    const resized = (bottom: string, top: string) =>
      `layer { name: "${top}" type: "Interp" bottom: "${bottom}" top: "${top}" interp_param { height: ${height} width: ${width} } }`;
    await compare(
      [input('data', [2, 3, 7, 9]), convolution, resized('data', 'plain'), resized('conv', 'blocked')].join(
        '\n',
      ),
      { data: draw(2 * 3 * 7 * 9, 11) },
      1,
    );
  }
});

test('maxima of regions, some of which are outside the map or empty', async () => {
  const rois = Float32Array.from(
    [
      [0, 0, 0, 90, 60],
      [1, 30, 20, 31, 21],
      [0, -40, -40, -20, -10],
      [1, 200, 200, 300, 300],
      [-1, 0, 0, 0, 0],
      [1, 47, 3, 50, 33],
    ].flat(),
  );
  for (const channels of [3, 16, 21]) {
    await compare(
      [
        input('data', [2, channels, 9, 12]),
        input('rois', [6, 5]),
        'layer { name: "roi" type: "ROIPooling" bottom: "data" bottom: "rois" top: "roi" roi_pooling_param { pooled_h: 3 pooled_w: 4 spatial_scale: 0.125 } }',
      ].join('\n'),
      { data: draw(2 * channels * 9 * 12, 13), rois },
    );
  }
});

test('a maximum with its mask, and unpooling it', async () => {
  for (const [kernel, stride, pad] of [
    [2, 2, 0],
    [3, 2, 1],
  ]) {
    await compare(
      [
        input('data', [2, 21, 8, 10]),
        `layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" top: "mask" pooling_param { pool: MAX kernel_size: ${kernel} stride: ${stride} pad: ${pad} } }`,
        'layer { name: "up" type: "Upsample" bottom: "pool" bottom: "mask" top: "up" upsample_param { upsample_h: 8 upsample_w: 10 } }',
      ].join('\n'),
      { data: draw(2 * 21 * 8 * 10, 19) },
    );
  }
});

test('a position computed from two masks, with channels that do not fill a block', async () => {
  const pool = (data: string, top: string) =>
    `layer { name: "${top}" type: "Pooling" bottom: "${data}" top: "${top}" top: "mask of ${data}" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }`;
  const rising = Float32Array.from({ length: 36 }, (_, i) => i);
  await compare(
    [
      input('rising', [1, 3, 2, 6]),
      input('falling', [1, 3, 2, 6]),
      pool('rising', 'last'),
      pool('falling', 'first'),
      // 7, 9 and 11 less twice 0, 2 and 4.
      'layer { name: "place" type: "Eltwise" bottom: "mask of rising" bottom: "mask of falling" top: "place" eltwise_param { operation: SUM coeff: 1 coeff: -2 } }',
      'layer { name: "up" type: "Upsample" bottom: "last" bottom: "place" top: "up" upsample_param { upsample_h: 2 upsample_w: 6 } }',
    ].join('\n'),
    { rising, falling: rising.map((value) => -value) },
  );
});

test('a position outside its plane is refused with its layer, wherever it is', async () => {
  const caffe = net(
    [
      input('data', [1, 3, 2, 2]),
      input('mask', [1, 3, 2, 2]),
      'layer { name: "up" type: "Upsample" bottom: "data" bottom: "mask" top: "up" upsample_param { upsample_h: 4 upsample_w: 4 } }',
    ].join('\n'),
  );
  for (const wrong of [16, -1, Number.NaN, 1e30]) {
    for (const device of [reference, ...devices]) {
      using model = await device.load({ model: caffe, weights: randomWeights(graphFromCaffe(caffe)) });
      const mask = new Float32Array(12).fill(3);
      mask[9] = wrong;
      try {
        await model.run({ data: new Float32Array(12), mask });
        assert.unreachable();
      } catch (error) {
        assert.is((error as { code?: string }).code, 'label/invalid');
        assert.match((error as Error).message, /"up"/);
      }
    }
  }
});

test('a crop of a convolution that keeps its channels, or whole blocks of them', async () => {
  const crop = (top: string, param: string) =>
    `layer { name: "${top}" type: "Crop" bottom: "conv" bottom: "like" top: "${top}" crop_param { ${param} } }`;
  await compare(
    [
      input('data', [2, 3, 9, 11]),
      input('like', [2, 21, 4, 5]),
      input('fewer', [1, 5, 9, 8]),
      input('block', [2, 16, 1, 11]),
      'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 21 kernel_size: 1 } }',
      crop('a', 'axis: 2 offset: 3 offset: 2'),
      crop('b', 'axis: 2 offset: 5 offset: 6'),
      crop('c', 'axis: 0 offset: 1 offset: 16 offset: 0 offset: 3').replace('"like"', '"fewer"'),
      crop('d', 'axis: 1 offset: 0 offset: 4 offset: 0').replace('"like"', '"block"'),
    ].join('\n'),
    {
      data: draw(2 * 3 * 9 * 11, 23),
      like: new Float32Array(2 * 21 * 4 * 5),
      fewer: new Float32Array(360),
      block: new Float32Array(352),
    },
    1,
  );
});

test('products and maxima of blobs with some NaN', async () => {
  const inputs = {
    a: draw(2 * 5 * 7 * 19, 31),
    b: draw(2 * 5 * 7 * 19, 37),
    c: draw(2 * 5 * 7 * 19, 41),
  };
  const nan = Number.NaN;
  for (const [i, values] of [
    [nan, 1, 2],
    [1, nan, 2],
    [1, 2, nan],
    [nan, nan, 1],
    [0, -0, 0],
  ].entries())
    for (const [k, value] of values.entries()) Object.values(inputs)[k]![i] = value;
  for (const operation of ['PROD', 'MAX'])
    for (const bottoms of ['ab', 'ba', 'abc', 'cba', 'aba']) {
      const eltwise = `layer { name: "e" type: "Eltwise" ${[...bottoms].map((each) => `bottom: "${each}"`).join(' ')} top: "e" eltwise_param { operation: ${operation} } }`;
      const blobs = Object.keys(inputs).filter((each) => bottoms.includes(each));
      await compare(
        [
          ...blobs.map((each) => input(each, [2, 5, 7, 19])),
          eltwise,
          'layer { name: "relu" type: "ReLU" bottom: "e" top: "relu" relu_param { negative_slope: 0.1 } }',
        ].join('\n'),
        Object.fromEntries(blobs.map((each) => [each, inputs[each as 'a']])),
        1,
      );
    }
});

test('a bias and a scale along the last axis', async () => {
  await compare(
    [
      input('data', [2, 5, 7, 19]),
      'layer { name: "bias" type: "Bias" bottom: "data" top: "bias" bias_param { axis: -1 } }',
      'layer { name: "scale" type: "Scale" bottom: "bias" top: "scale" scale_param { axis: 3 bias_term: true } }',
      'layer { name: "relu" type: "ReLU" bottom: "scale" top: "relu" }',
    ].join('\n'),
    { data: draw(2 * 5 * 7 * 19, 29) },
    1,
  );
});

test('the largest channel, the last of equal ones, with NaN below everything', async () => {
  const data = draw(2 * 5 * 17 * 19, 17).map((value) => Math.round(3 * value));
  data.fill(Number.NaN, 40, 60);
  for (let c = 0; c < 5; ++c) data[c * 17 * 19 + 100] = Number.NaN;
  for (const what of ['', 'out_max_val: true ']) {
    await compare(
      `${input('data', [2, 5, 17, 19])}layer { name: "max" type: "ArgMax" bottom: "data" top: "max" argmax_param { axis: 1 ${what}} }`,
      { data },
    );
  }
});

test.run();
