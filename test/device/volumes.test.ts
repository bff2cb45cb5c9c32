/**
 * Layers over volumes from C3D and video-caffe: Pooling3D against loops in float64, convolutions against BVLC's with a
 * size for each axis.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { graphFromCaffe, openDevice, readNet } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { apart, checkGradients } from '../support/gradient-check.ts';
import { draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';
import { randomWeights } from '../support/random-weights.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

type Three = readonly [number, number, number];
const SHAPE = [2, 3, 5, 7, 6] as const;

/** Each window's values, and its size with padding, as pool3d_layer.cpp computes it. None starts in the padding behind. */
function* windows(x: Float32Array, kernel: Three, stride: Three, pad: Three) {
  const [items, channels, ...sizes] = SHAPE;
  const counts = sizes.map((size, i) => {
    const count = Math.ceil((size + 2 * pad[i]! - kernel[i]!) / stride[i]!) + 1;
    return (count - 1) * stride[i]! >= size + pad[i]! ? count - 1 : count;
  });
  for (let plane = 0; plane < items * channels; plane++)
    for (let l = 0; l < counts[0]!; l++)
      for (let h = 0; h < counts[1]!; h++)
        for (let w = 0; w < counts[2]!; w++) {
          const first = [l, h, w].map((place, i) => place * stride[i]! - pad[i]!);
          const end = first.map((place, i) => Math.min(place + kernel[i]!, sizes[i]! + pad[i]!));
          const area = end.reduce((product, place, i) => product * (place - first[i]!), 1);
          const values: number[] = [];
          for (let t = Math.max(first[0]!, 0); t < Math.min(end[0]!, sizes[0]!); t++)
            for (let y = Math.max(first[1]!, 0); y < Math.min(end[1]!, sizes[1]!); y++)
              for (let z = Math.max(first[2]!, 0); z < Math.min(end[2]!, sizes[2]!); z++)
                values.push(x[((plane * sizes[0]! + t) * sizes[1]! + y) * sizes[2]! + z]!);
          yield { values, area };
        }
}

const POOLINGS: readonly [type: string, param: string, kernel: Three, stride: Three, pad: Three][] = [
  [
    'Pooling3D',
    'pooling3d_param { kernel_size: 2 kernel_depth: 2 stride: 2 temporal_stride: 2 }',
    [2, 2, 2],
    [2, 2, 2],
    [0, 0, 0],
  ],
  [
    'Pooling3D',
    'pooling3d_param { pool: AVE kernel_size: 3 kernel_depth: 2 stride: 2 temporal_stride: 2 pad: 1 }',
    [2, 3, 3],
    [2, 2, 2],
    [0, 1, 1],
  ],
  [
    'NdPooling',
    'pooling_param { kernel_shape { dim: 1 dim: 3 dim: 2 } stride_shape { dim: 2 dim: 1 dim: 2 } }',
    [1, 3, 2],
    [2, 1, 2],
    [0, 0, 0],
  ],
  [
    'Pooling3D',
    'pooling3d_param { pool: AVE kernel_h: 3 kernel_w: 2 kernel_l: 2 stride_h: 1 stride_w: 2 stride_l: 2 pad_h: 1 pad_w: 1 pad_l: 1 }',
    [2, 3, 2],
    [2, 1, 2],
    [1, 1, 1],
  ],
  [
    'Pooling',
    'pooling_param { pool: AVE kernel_size: [2, 3, 2] stride: [2, 2, 1] pad: [1, 1, 0] }',
    [2, 3, 2],
    [2, 2, 1],
    [1, 1, 0],
  ],
];

for (const device of devices) {
  for (const [type, param, kernel, stride, pad] of POOLINGS) {
    const layer = `layer { name: "y" type: "${type}" bottom: "x" top: "y" ${param} }`;
    test(`${type} { ${param} } has windows over time, height and width, on ${device.kind}`, async () => {
      using loaded = await device.load({ model: net(`${input('x', SHAPE)}${layer}`) });
      const x = draw(elementCount(SHAPE), 1);
      const { y } = await loaded.run({ x });
      const isMean = param.includes('AVE');
      const expected = [...windows(x, kernel, stride, pad)].map(({ values, area }) =>
        isMean ? values.reduce((a, b) => a + b, 0) / area : Math.max(...values),
      );
      assert.is(y!.data.length, expected.length);
      expected.forEach((value, i) => assert.ok(Math.abs(y!.data[i]! - value) < 1e-5, `${i}`));
    });

    test(`${type} { ${param} } propagates its gradient to its input, on ${device.kind}`, async () => {
      const { compared } = await checkGradients(device, {
        net: `${input('x', SHAPE)}${layer}`,
        fill: apart,
        seed: 3,
      });
      assert.ok(compared >= 8);
    });
  }

  for (const [fork, bvlc] of [
    [
      'type: "Convolution3D" convolution3d_param { num_output: 4 kernel_size: 3 kernel_depth: 2 pad: 1 temporal_pad: 1 stride: 2 temporal_stride: 1 filter_group: 2',
      'type: "Convolution" convolution_param { num_output: 4 kernel_size: [2, 3, 3] pad: 1 stride: [1, 2, 2]',
    ],
    [
      'type: "Deconvolution3D" convolution3d_param { num_output: 4 kernel_size: 4 kernel_depth: 2 pad: 1 stride: 2',
      'type: "Deconvolution" convolution_param { num_output: 4 kernel_size: [2, 4, 4] pad: [0, 1, 1] stride: [1, 2, 2]',
    ],
    [
      'type: "NdConvolution" convolution_param { num_output: 4 kernel_shape { dim: 1 dim: 3 dim: 2 } pad_shape { dim: 0 dim: 1 dim: 1 }',
      'type: "Convolution" convolution_param { num_output: 4 kernel_size: [1, 3, 2] pad: [0, 1, 1]',
    ],
  ] as const)
    test(`${fork.slice(6, 25)} is BVLC's layer with a size per axis, on ${device.kind}`, async () => {
      const filled = 'weight_filler { type: "gaussian" std: 1 } } }';
      const text = (layer: string) =>
        net(`${input('x', SHAPE)}layer { name: "y" bottom: "x" top: "y" ${layer} ${filled}`);
      const [own, plain] = [text(fork), text(bvlc)];
      const weights = randomWeights(graphFromCaffe(plain));
      const x = draw(elementCount(SHAPE), 2);
      using first = await device.load({ model: own, weights });
      using second = await device.load({ model: plain, weights });
      const [{ y }, { y: expected }] = [await first.run({ x }), await second.run({ x })];
      assert.equal(y!.shape, expected!.shape);
      assert.equal(y!.data, expected!.data);
    });
}

for (const [volume, same] of [
  [
    'type: "PoolingND" pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 }',
    'type: "Pooling3D" pooling_param { pool: MAX kernel_size: 3 kernel_depth: 3 stride: 2 temporal_stride: 2 pad: 1 temporal_pad: 1 }',
  ],
  [
    'type: "PoolingND" pooling_nd_param { pool: AVE kernel_size: 2 stride: 2 }',
    'type: "Pooling3D" pooling_param { pool: AVE kernel_size: 2 kernel_depth: 2 stride: 2 temporal_stride: 2 }',
  ],
  [
    'type: "PoolingND" pooling_nd_param { pool: AVE global_pooling: true }',
    'type: "Pooling3D" pooling_param { pool: AVE global_pooling: true }',
  ],
] as const)
  test(`${volume} has one size for all axes of a volume`, async () => {
    const run = async (layer: string) => {
      using model = await devices[0]!.load({
        model: net(`${input('x', SHAPE)}layer { name: "y" bottom: "x" top: "y" ${layer} }`),
      });
      return (await model.run({ x: draw(elementCount(SHAPE), 2) })).y!;
    };
    const [found, wanted] = [await run(volume), await run(same)];
    assert.equal(found.shape, wanted.shape);
    assert.equal(found.data, wanted.data);
  });

test('C3D 1.0 writes V1 layers, with their sizes in convolution_param and pooling_param', () => {
  const v1 = readNet(
    `input: "x" input_shape { dim: 1 dim: 3 dim: 5 dim: 7 dim: 6 }
    layers { name: "c" type: CONVOLUTION3D bottom: "x" top: "c" convolution_param { num_output: 2 kernel_size: 3 kernel_depth: 2 temporal_pad: 1 } }
    layers { name: "y" type: POOLING3D bottom: "c" top: "y" pooling_param { kernel_size: 2 kernel_depth: 3 stride: 2 } }`,
    { file: 'v1.prototxt' },
  );
  const graph = graphFromCaffe(v1);
  const shapeOf = (name: string) => graph.values[graph.blobs.get(name)!]!.shape;
  assert.equal(shapeOf('c'), [1, 2, 6, 5, 4]);
  assert.equal(shapeOf('y'), [1, 2, 4, 3, 2]);
});

test('missing sizes, or sizes that a layer over planes would ignore, are refused with their position', () => {
  const refused = (layer: string, said: RegExp) => {
    try {
      graphFromCaffe(net(`${input('x', SHAPE)}layer { name: "y" bottom: "x" top: "y" ${layer} }`));
    } catch (error) {
      assert.match((error as Error).message, said);
      assert.match((error as Error).message, /net\.prototxt:\d+:\d+/);
      return;
    }
    assert.unreachable(layer);
  };
  refused(
    'type: "Convolution3D" convolution_param { num_output: 1 kernel_size: 3 kernel_size: 2 kernel_size: 1 kernel_depth: 3 }',
    /takes one kernel_size for height and width, found 3, 2, 1; the one along time is kernel_depth/,
  );
  refused('type: "Convolution3D" convolution3d_param { num_output: 1 kernel_size: 3 }', /needs kernel_depth/);
  refused(
    'type: "Convolution3D" convolution3d_param { num_output: 1 kernel_size: 3 kernel_depth: 1 group: 3 }',
    /ignores group: 3/,
  );
  refused(
    'type: "Convolution" convolution_param { num_output: 1 kernel_size: 3 kernel_depth: 1 }',
    /kernel_depth belongs to Convolution3D.*takes kernel_size, stride and pad once per axis/,
  );
  refused(
    'type: "Pooling" pooling_param { kernel_size: 2 }',
    /expected bottoms of 4 dimensions .*type: "PoolingND" pools over volumes/,
  );
  refused(
    'type: "PoolingND" pooling_nd_param { kernel_h: 2 kernel_w: 2 }',
    /over a volume, .* takes one kernel_size, stride and pad for all axes, found kernel_h/,
  );
  refused(
    'type: "NdPooling" pooling_param { kernel_shape { dim: 2 dim: 2 dim: 2 } stride_shape { dim: 2 } }',
    /stride_shape has 1 sizes, kernel_shape 3/,
  );
  for (const [field, size] of [
    ['kernel_shape', -3],
    ['kernel_shape', 0],
    ['stride_shape', 0],
    ['pad_shape', -1],
    ['pad_shape', 3e9],
  ] as const)
    for (const type of ['NdConvolution', 'NdPooling']) {
      const kernel = field === 'kernel_shape' ? '' : 'kernel_shape { dim: 2 dim: 2 dim: 2 }';
      const shape = `${kernel} ${field} { dim: 1 dim: ${size} dim: 1 }`;
      const param =
        type === 'NdPooling' ? `pooling_param { ${shape} }` : `convolution_param { num_output: 1 ${shape} }`;
      refused(
        `type: "${type}" ${param}`,
        new RegExp(`\\d+:\\d+: ${field} takes sizes from [01] to .*found ${size}`),
      );
    }
  refused('type: "Pooling3D" pooling3d_param { kernel_size: 2 }', /needs kernel_depth/);
  refused(
    'type: "Pooling3D" pooling3d_param { kernel_size: 2 kernel_l: 2 kernel_depth: 2 }',
    /gives both kernel_l and kernel_depth; keep one/,
  );
  refused(
    'type: "Pooling" pooling_param { kernel_size: [2, 2, 2] stride: [1, 2] }',
    /stride_shape has 2 sizes, kernel_shape 3/,
  );
  refused(
    'type: "Pooling3D" pooling3d_param { pool: STOCHASTIC kernel_size: 2 kernel_depth: 2 }',
    /STOCHASTIC is not supported over volumes; use MAX or AVE/,
  );
});

test("C3D's VoxelSoftmax and its loss are those over the channels of each voxel", async () => {
  const [n, c, voxels] = [2, 3, 2 * 2 * 2];
  const x = Float32Array.from({ length: n * c * voxels }, (_, i) => Math.sin(3 * i));
  const label = Float32Array.from({ length: n * voxels }, (_, i) => (i * 2) % 3);
  const text = `layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 2 dim: 2 dim: 2 } } }
    layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 dim: 1 dim: 2 dim: 2 dim: 2 } } }
    layer { name: "prob" type: "VoxelSoftmax" bottom: "x" top: "prob" }
    layer { name: "loss" type: "VoxelSoftmaxLoss" bottom: "x" bottom: "label" top: "loss" }`;
  const device = await openDevice('reference');
  using trainer = await device.train({
    model: readNet(text, { file: 'net.prototxt' }),
    update: null,
    diffs: ['x'],
    phase: 'TRAIN',
  });
  const { outputs, blobs } = await trainer.gradients({ x, label });
  const at = (item: number, channel: number, voxel: number) => (item * c + channel) * voxels + voxel;
  let loss = 0;
  for (let item = 0; item < n; item++)
    for (let voxel = 0; voxel < voxels; voxel++) {
      const powers = [0, 1, 2].map((channel) => Math.exp(x[at(item, channel, voxel)]!));
      const sum = powers.reduce((a, b) => a + b);
      const own = label[item * voxels + voxel]!;
      loss -= Math.log(powers[own]! / sum) / (n * voxels);
      powers.forEach((power, channel) => {
        const i = at(item, channel, voxel);
        assert.ok(Math.abs(outputs.prob!.data[i]! - power / sum) < 1e-6);
        const slope = (power / sum - (channel === own ? 1 : 0)) / (n * voxels);
        assert.ok(Math.abs(blobs.x!.data[i]! - slope) < 1e-6, `dx[${i}]`);
      });
    }
  assert.ok(Math.abs(outputs.loss!.data[0]! - loss) < 1e-5);
  device.dispose();
});

test.run();
