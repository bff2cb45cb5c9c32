/**
 * Receptive fields against published numbers, against arithmetic by hand, and against the pixels that really have an
 * effect.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resnet } from '../../ts/architectures/resnet.ts';
import { type NetParameter, readNet } from '../../ts/caffe/net-parameter.ts';
import { openDevice } from '../../ts/device/device.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { type ReceptiveField, receptiveFields } from '../../ts/graph/receptive-field.ts';

function fieldsOf(text: string): (blob: string) => ReceptiveField | null {
  const graph = graphFromCaffe(readNet(text, { file: 'net.prototxt' }));
  const fields = receptiveFields(graph);
  return (blob) => fields[graph.blobs.get(blob)!]!;
}
const input = (dims: string) =>
  `layer { name: "data" type: "Input" top: "data" input_param { shape { ${dims} } } }`;
const IMAGE = input('dim: 1 dim: 1 dim: 20 dim: 26');
const filler = 'weight_filler { type: "constant" value: 0.1 }';
const convolution = (name: string, bottom: string, settings: string) =>
  `layer { name: "${name}" type: "Convolution" bottom: "${bottom}" top: "${name}"
     convolution_param { num_output: 1 ${settings} ${filler} } }`;

// Araujo, Norris and Sim (Distill, 2019), table of resnet_v1_50, _101 and _152: field 483, 1027, 1507, effective stride
// 32, effective padding 239, 511, 751. By hand for 50, stride j: conv1 7 (j 2), pool1 +2·2 = 11 (j 4), three 3×3 +3·2·4
// = 35, four at j 8 +64 = 99, six at j 16 +192 = 291, three at j 32 +192 = 483. The 1×1 convolutions with the strides
// precede the 3×3 ones, which therefore already have the larger stride.
for (const [depth, size, padding] of [
  [50, 483, 239],
  [101, 1027, 511],
  [152, 1507, 751],
] as const)
  test(`res5c of ResNet-${depth} sees ${size} pixels, as published`, () => {
    const graph = graphFromCaffe(resnet({ depth }));
    const fields = receptiveFields(graph);
    assert.equal(fields[graph.blobs.get('res5c')!], {
      input: 'data',
      size: [size, size],
      stride: [32, 32],
      start: [-padding, -padding],
    });
    // After the global average every position of res5c is included: 6 more steps of 32.
    assert.equal(fields[graph.blobs.get('prob')!]!.size, [size + 192, size + 192]);
  });

test('with the stride on the 3×3 (v1.5), res5c sees fewer pixels: 427', () => {
  // 35, then +2·4 + 3·2·8 = 91, +2·8 + 5·2·16 = 267, +2·16 + 2·2·32 = 427.
  const graph = graphFromCaffe(resnet({ depth: 50, version: 'v1.5' }));
  assert.equal(receptiveFields(graph)[graph.blobs.get('res5c')!]!.size, [427, 427]);
});

/** Changes each pixel of 20×26 and compares what changes with the fields. */
async function assertExact(net: NetParameter, outputs: string[]) {
  const graph = graphFromCaffe(net);
  const fields = receptiveFields(graph);
  await using device = await openDevice('reference');
  await using model = await device.load({ model: net, outputs });
  const [height, width] = [20, 26];
  const before = await model.run({ data: new Float32Array(height * width).fill(1) });
  const seen = new Map<string, Set<string>>();
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const pixels = new Float32Array(height * width).fill(1);
      pixels[y * width + x] = 50;
      const after = await model.run({ data: pixels });
      for (const blob of outputs)
        after[blob]!.data.forEach((value, i) => {
          if (value === before[blob]!.data[i]) return;
          // A position includes all its channels.
          const [, , rows, columns] = before[blob]!.shape as [number, number, number, number];
          const key = `${blob} ${i % (rows * columns)}`;
          if (!seen.has(key)) seen.set(key, new Set());
          seen.get(key)!.add(`${y}`).add(`,${x}`);
        });
    }
  for (const blob of outputs) {
    const { size, stride, start } = fields[graph.blobs.get(blob)!]!;
    const [, , rows, columns] = before[blob]!.shape as [number, number, number, number];
    for (let i = 0; i < rows * columns; i++) {
      const changed = [...(seen.get(`${blob} ${i}`) ?? [])];
      const [y, x] = [Math.floor(i / columns), i % columns];
      for (const [axis, values, length, at] of [
        [0, changed.filter((text) => !text.startsWith(',')).map(Number), height, y],
        [1, changed.filter((text) => text.startsWith(',')).map((text) => Number(text.slice(1))), width, x],
      ] as const) {
        const first = start[axis] + at * stride[axis];
        // Dilated windows skip pixels at their edges only if these are outside the image.
        const inside = (pixel: number) => pixel >= 0 && pixel < length;
        if (inside(first)) assert.is(Math.min(...values), first, `${blob} ${y},${x} axis ${axis}: first`);
        const last = first + size[axis] - 1;
        if (inside(last)) assert.is(Math.max(...values), last, `${blob} ${y},${x} axis ${axis}: last`);
        assert.ok(Math.min(...values) >= first && Math.max(...values) <= last, `${blob} ${y},${x}: outside`);
      }
    }
  }
}

test('a position sees exactly the pixels that change it', async () => {
  // Irregular on purpose: unequal sides, dilation, padding that is not half of the kernel, branches of unequal reach.
  const net = readNet(
    `${IMAGE}
    ${convolution('a', 'data', 'kernel_h: 5 kernel_w: 3 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 2')}
    ${convolution('b', 'a', 'kernel_size: 3 pad: 2 dilation: 2')}
    ${convolution('c', 'a', 'kernel_size: 1')}
    layer { name: "sum" type: "Eltwise" bottom: "b" bottom: "c" top: "sum" }
    layer { name: "pool" type: "Pooling" bottom: "sum" top: "pool"
      pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
    layer { name: "lrn" type: "LRN" bottom: "pool" top: "lrn"
      lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 1 } }`,
    { file: 'net.prototxt' },
  );
  await assertExact(net, ['a', 'b', 'sum', 'pool', 'lrn']);
});

test('blocks of a plane that become channels or items, and back, keep their positions; where a Reorg mixes them they are lost', async () => {
  const blocks = (name: string, type: string, bottom: string, settings: string) =>
    `layer { name: "${name}" type: "${type}" bottom: "${bottom}" top: "${name}" ${settings} }`;
  const net = readNet(
    `${IMAGE}
    ${convolution('a', 'data', 'kernel_size: 3 pad: 1')}
    ${blocks('down', 'SpaceToDepth', 'a', 'space_to_depth_param { block_size: 2 data_format: "NCHW" }')}
    ${convolution('b', 'down', 'kernel_size: 3 pad: 1').replace('num_output: 1', 'num_output: 4')}
    ${blocks('up', 'DepthToSpace', 'b', 'depth_to_space_param { block_size: 2 data_format: "NCHW" }')}
    ${blocks('apart', 'Reorg', 'b', 'reorg_param { stride: 1 }')}`,
    { file: 'net.prototxt' },
  );
  await assertExact(net, ['a', 'down', 'b', 'apart']);
  const field = fieldsOf(`${input('dim: 1 dim: 4 dim: 8 dim: 8')}
    ${blocks('items', 'SpaceToBatchND', 'data', 'space_to_batch_nd_param { block_shape: 1 block_shape: 2 block_shape: 2 paddings: 0 paddings: 0 paddings: 2 paddings: 2 paddings: 1 paddings: 1 }')}
    ${blocks('again', 'BatchToSpaceND', 'items', 'batch_to_space_nd_param { block_shape: 1 block_shape: 2 block_shape: 2 crops: 0 crops: 0 crops: 2 crops: 2 crops: 1 crops: 1 }')}
    ${blocks('up', 'DepthToSpace', 'data', 'depth_to_space_param { block_size: 2 data_format: "CRD" }')}
    ${blocks('back', 'Reorg', 'data', 'reorg_param { stride: 2 reverse: true }')}
    ${blocks('mixed', 'Reorg', 'data', 'reorg_param { stride: 2 }')}`);
  const sees = (size: number, stride: number, start: [number, number]) => ({
    input: 'data',
    size: [size, size],
    stride: [stride, stride],
    start,
  });
  // Over all items: the pixels of a block.
  assert.equal(field('items'), sees(2, 2, [-2, -1]));
  assert.equal(field('again'), sees(2, 1, [0, -1]));
  for (const blob of ['up', 'back']) assert.equal(field(blob), sees(1, 0.5, [0, 0]));
  assert.equal(field('mixed')!.size, [8, 8]);
});

test('with fractional strides, size is that of the position that sees most, and start that of the first one', async () => {
  const deconvolution = (name: string, bottom: string, settings: string) =>
    convolution(name, bottom, settings).replace('"Convolution"', '"Deconvolution"');
  const net = readNet(
    `${input('dim: 1 dim: 1 dim: 16 dim: 18')}
    ${convolution('a', 'data', 'kernel_size: 3 stride: 2 pad: 1')}
    ${deconvolution('up', 'a', 'kernel_size: 3 stride: 2 pad: 1')}
    ${convolution('fine', 'up', 'kernel_size: 2')}
    ${deconvolution('sparse', 'a', 'kernel_h: 3 kernel_w: 4 stride_h: 3 stride_w: 2 dilation: 2')}
    ${convolution('mixed', 'sparse', 'kernel_size: 3 stride: 2 pad: 1')}
    layer { name: "wide" type: "Interp" bottom: "a" top: "wide" interp_param { height: 15 width: 15 } }
    ${convolution('smooth', 'wide', 'kernel_size: 3 pad: 1')}
    layer { name: "sum" type: "Eltwise" bottom: "wide" bottom: "smooth" top: "sum" }`,
    { file: 'net.prototxt' },
  );
  const graph = graphFromCaffe(net);
  const fields = receptiveFields(graph);
  const outputs = ['up', 'fine', 'sparse', 'mixed', 'wide', 'smooth', 'sum'];
  await using device = await openDevice('reference');
  await using model = await device.load({ model: net, outputs });
  const [height, width] = [16, 18];
  const before = await model.run({ data: new Float32Array(height * width).fill(1) });
  /** For each blob and position: the first and last row and column that change it. */
  const seen = new Map(
    outputs.map((blob) => [blob, Array.from(before[blob]!.data, () => [Infinity, -1, Infinity, -1])]),
  );
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const data = new Float32Array(height * width).fill(1);
      data[y * width + x] = 50;
      const after = await model.run({ data });
      for (const blob of outputs)
        after[blob]!.data.forEach((value, i) => {
          if (value === before[blob]!.data[i]) return;
          const at = seen.get(blob)![i]!;
          [at[0], at[1]] = [Math.min(at[0]!, y), Math.max(at[1]!, y)];
          [at[2], at[3]] = [Math.min(at[2]!, x), Math.max(at[3]!, x)];
        });
    }
  for (const blob of outputs) {
    const { size, start, stride } = fields[graph.blobs.get(blob)!]!;
    const all = seen.get(blob)!;
    assert.ok(stride.some((each) => !Number.isInteger(each)) || blob === 'up' || blob === 'fine', blob);
    for (const axis of [0, 1] as const) {
      const extent = all.map((at) => at[2 * axis + 1]! - at[2 * axis]! + 1);
      assert.is(size[axis], Math.max(...extent), `${blob}, axis ${axis}: ${size}`);
      const first = all[0]![2 * axis]!;
      if (first !== Infinity) assert.is(Math.max(0, start[axis]), first, `${blob}, axis ${axis}: start`);
    }
  }
});

test('an inner product sees the whole image, and a label nothing', () => {
  const field = fieldsOf(`${IMAGE}
    layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 1 } } }
    ${convolution('a', 'data', 'kernel_size: 3 stride: 2')}
    layer { name: "fc" type: "InnerProduct" bottom: "a" top: "fc" inner_product_param { num_output: 2 } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }`);
  // a is 9×12 with a field of 3 and a stride of 2: 3 + 8·2 and 3 + 11·2.
  assert.equal(field('fc')!.size, [19, 25]);
  assert.equal(field('loss')!.size, [19, 25]);
  assert.is(field('label'), null);
});

test('a resize moves positions by the ratio of the sizes, and a channel shuffle does not move them', () => {
  const field = fieldsOf(`${input('dim: 1 dim: 1 dim: 9 dim: 9')}
    ${convolution('a', 'data', 'kernel_size: 3 stride: 2 pad: 1').replace('num_output: 1', 'num_output: 4')}
    layer { name: "wide" type: "Interp" bottom: "a" top: "wide" interp_param { height: 9 width: 9 } }
    layer { name: "twice" type: "Upsample" bottom: "a" top: "twice" upsample_param { scale: 2 } }
    layer { name: "middle" type: "ResizeBilinear" bottom: "a" top: "middle"
      resize_bilinear_param { half_pixel_centers: true scale_height: 2 scale_width: 2 } }
    layer { name: "mixed" type: "ShuffleChannel" bottom: "a" top: "mixed" shuffle_channel_param { group: 1 } }`);
  const a = field('a')!;
  assert.equal(
    [a.size, a.stride],
    [
      [3, 3],
      [2, 2],
    ],
  );
  // 5×5 positions become 9×9, including every half position between two of a.
  assert.equal(
    [field('wide')!.size, field('wide')!.stride],
    [
      [5, 5],
      [1, 1],
    ],
  );
  assert.equal(
    [field('twice')!.size, field('twice')!.stride],
    [
      [3, 3],
      [1, 1],
    ],
  );
  // Each is between two pixel centres.
  assert.equal(
    [field('middle')!.size, field('middle')!.stride],
    [
      [5, 5],
      [1, 1],
    ],
  );
  assert.equal(field('mixed'), a);
});

test('values of regions have no field, and values without positions see no more through later windows', () => {
  const field = fieldsOf(`${input('dim: 1 dim: 4 dim: 8 dim: 8')}
    layer { name: "r" type: "Input" top: "r" input_param { shape { dim: 2 dim: 5 } } }
    layer { name: "roi" type: "ROIPooling" bottom: "data" bottom: "r" top: "roi" roi_pooling_param { pooled_h: 2 pooled_w: 2 } }
    layer { name: "fc" type: "InnerProduct" bottom: "roi" top: "fc" inner_product_param { num_output: 2 } }
    ${convolution('c', 'data', 'kernel_size: 3 pad: 1').replace('num_output: 1', 'num_output: 4')}
    layer { name: "nhwc" type: "Permute" bottom: "c" top: "nhwc" permute_param { order: 0 order: 2 order: 3 order: 1 } }
    layer { name: "flat" type: "Flatten" bottom: "nhwc" top: "flat" }
    layer { name: "shaped" type: "Reshape" bottom: "flat" top: "shaped" reshape_param { shape { dim: 0 dim: -1 dim: 4 } } }`);
  assert.equal([field('roi'), field('fc')], [null, null]);
  for (const blob of ['nhwc', 'flat', 'shaped']) assert.equal(field(blob)!.size, [10, 10], blob);
});

test('branches of different strides have no common field', () => {
  const field = fieldsOf(`${input('dim: 1 dim: 1 dim: 2 dim: 2')}
    ${convolution('a', 'data', 'kernel_size: 1 stride: 2 pad: 1')}
    ${convolution('b', 'data', 'kernel_size: 1')}
    layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }`);
  assert.is(field('sum'), null);
});

test('a value that depends on one without a field has none, whatever else it depends on', () => {
  const field = fieldsOf(`${input('dim: 1 dim: 1 dim: 2 dim: 2')}
    ${convolution('a', 'data', 'kernel_size: 1 stride: 2 pad: 1')}
    ${convolution('b', 'data', 'kernel_size: 1')}
    layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }
    ${convolution('c', 'sum', 'kernel_size: 1')}
    layer { name: "all" type: "Concat" bottom: "c" bottom: "b" top: "all" }`);
  assert.equal([field('sum'), field('c'), field('all')], [null, null, null]);
});

test('a factor or an addend that is constant over the map lets each position see everything', async () => {
  const pooled = `layer { name: "mean" type: "Pooling" bottom: "a" top: "mean"
      pooling_param { pool: AVE global_pooling: true } }
    ${convolution('gate', 'mean', 'kernel_size: 1')}`;
  const net = readNet(
    `${IMAGE}
    ${convolution('a', 'data', 'kernel_size: 3 stride: 2')}
    ${pooled}
    layer { name: "flat" type: "Reshape" bottom: "gate" top: "flat" reshape_param { shape { dim: 0 dim: 0 } } }
    layer { name: "scaled" type: "Scale" bottom: "a" bottom: "flat" top: "scaled" scale_param { axis: 0 } }
    layer { name: "axpy" type: "Axpy" bottom: "gate" bottom: "a" bottom: "a" top: "axpy" }
    layer { name: "wide" type: "Interp" bottom: "gate" top: "wide" interp_param { height: 9 width: 12 } }
    layer { name: "joined" type: "Concat" bottom: "a" bottom: "wide" top: "joined" }
    ${convolution('later', 'joined', 'kernel_size: 3 pad: 1 stride: 2')}`,
    { file: 'net.prototxt' },
  );
  const graph = graphFromCaffe(net);
  const fields = receptiveFields(graph);
  // a is 9×12: 3 + 8·2 rows and 3 + 11·2 columns.
  for (const [blob, stride] of [
    ['scaled', 2],
    ['axpy', 2],
    ['joined', 2],
    ['later', 4],
  ] as const)
    assert.equal(
      fields[graph.blobs.get(blob)!],
      { input: 'data', size: [19, 25], stride: [stride, stride], start: [0, 0] },
      blob,
    );
  // The last pixel that is read also changes the first position.
  await using device = await openDevice('reference');
  const outputs: string[] = ['scaled', 'axpy', 'later'];
  await using model = await device.load({ model: net, outputs });
  const pixels = new Float32Array(20 * 26).fill(1);
  const before = await model.run({ data: pixels });
  pixels[18 * 26 + 24] = 50;
  const after = await model.run({ data: pixels });
  for (const blob of outputs) assert.is.not(after[blob]!.data[0], before[blob]!.data[0], blob);
});

test.run();
