/** ONNX's operators one by one → Caffe's layers: each computes what ONNX Runtime computes. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ONNX_PAGE, onnxPage } from '../../scripts/onnx-page.ts';
import { readOnnxFile } from '../../ts/api/convert.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { writeFileAtomically } from '../../ts/caffe/atomic-file.ts';
import { floatConstant, integerConstant } from '../../ts/convert/onnx-constants.ts';
import { onnxRuntime } from '../../ts/convert/onnx-files.ts';
import type { OnnxAttribute, OnnxNode, OnnxTensor } from '../../ts/convert/onnx-proto.ts';
import { onnxChunks } from '../../ts/convert/onnx-write.ts';
import { openDevice, WeightsError } from '../../ts/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-operators-'));
test.after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'net.onnx');

const X = [2, 6, 5, 7];
type Input = string | OnnxTensor;
type Step = readonly [
  type: string,
  inputs: readonly Input[],
  attributes?: Record<string, unknown>,
  outputs?: readonly string[],
];

const random = seededRandom(3);
const floats = (...shape: number[]) =>
  floatConstant(
    `c${random()}`,
    shape,
    Array.from({ length: elementCount(shape) }, () => random() * 2 - 1),
  );
const number = (value: number) => floatConstant(`s${random()}`, [], [value]);
const integers = (...values: number[]) => integerConstant(`i${random()}`, [values.length], values);
/** ONNX treats a number with a point as a float. */
const point = (value: number) => ({ type: 'float', value }) as const;

function attribute(value: unknown): OnnxAttribute {
  if (typeof value === 'string') return { type: 'string', value };
  if (typeof value === 'number') return { type: 'int', value };
  if (Array.isArray(value)) return { type: 'ints', value };
  return value as OnnxAttribute;
}

function write(steps: readonly Step[], shape: readonly number[], opset: number) {
  const tensors = steps.flatMap(([, inputs]) => inputs.filter((each) => typeof each !== 'string'));
  const nodes = steps.map(
    ([type, inputs, attributes = {}, outputs = ['y']], i): OnnxNode => ({
      name: `n${i}`,
      type,
      domain: '',
      inputs: inputs.map((each) => (typeof each === 'string' ? each : each.name)),
      outputs,
      attributes: new Map(Object.entries(attributes).map(([key, value]) => [key, attribute(value)])),
    }),
  );
  writeFileAtomically(
    file,
    onnxChunks({
      producer: '',
      opset,
      name: 'net',
      nodes,
      initializers: tensors,
      inputs: [{ name: 'x', type: 'float32', shape }],
      outputs: [{ name: 'y', type: /^Arg/.test(nodes.at(-1)!.type) ? 'int64' : 'float32', shape: [] }],
    }),
  );
}

/** The types of the layers into which a model is converted, after their results were compared. */
async function same(steps: readonly Step[], shape: readonly number[] = X, opset = 17): Promise<string[]> {
  write(steps, shape, opset);
  const data = Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * 1.7) * 3);
  const name = JSON.stringify(steps.map(([type, , attributes]) => [type, attributes ?? {}]));
  const runtime = (await onnxRuntime(file))!;
  const expected = (await runtime.run({ x: { shape, data } })).y!;
  await runtime.dispose();
  const { net, weights } = readOnnxFile(file);
  const device = await openDevice('cpu');
  const model = await device.load({ model: net, weights, strict: true });
  const results = await model.run({ x: data });
  model.dispose();
  device.dispose();
  assert.equal(Object.keys(results), ['y'], name);
  const actual = results.y!.data;
  assert.is(actual.length, expected.length, name);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
  const apart = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!)), 0);
  assert.ok(apart / largest <= 1e-5, `${name} differs by ${apart / largest}`);
  return (net.layer ?? []).map(({ type = '' }) => type).filter((type) => type !== 'Input');
}

test('an average over the valid pixels only is Pooling with AVE_EXC_PAD if it is padded', async () => {
  const poolOf = async (attributes: Record<string, unknown>) => {
    assert.equal(await same([['AveragePool', ['x'], { kernel_shape: [3, 3], ...attributes }]]), ['Pooling']);
    return (readOnnxFile(file).net.layer!.at(-1)!.pooling_param as { pool: string }).pool;
  };
  const cases: readonly [Record<string, unknown>, string][] = [
    [{ pads: [1, 1, 1, 1] }, 'AVE_EXC_PAD'],
    [{ pads: [1, 1, 1, 1], strides: [2, 2] }, 'AVE_EXC_PAD'],
    [{ pads: [1, 1, 1, 1], strides: [2, 2], ceil_mode: 1 }, 'AVE_EXC_PAD'],
    [{ pads: [1, 2, 1, 2], strides: [3, 2] }, 'AVE_EXC_PAD'],
    [{ pads: [1, 1, 1, 1], strides: [2, 2], count_include_pad: 1 }, 'AVE'],
    [{ strides: [2, 2] }, 'AVE'],
    [{ pads: [0, 1, 1, 2], strides: [2, 2], count_include_pad: 1 }, 'AVE'],
    [{ pads: [2, 0, 0, 1] }, 'AVE_EXC_PAD'],
    [{ pads: [0, 0, 1, 2], strides: [2, 2], ceil_mode: 1, kernel_shape: [4, 4] }, 'AVE_EXC_PAD'],
    [{ auto_pad: 'SAME_UPPER', strides: [4, 3], count_include_pad: 1 }, 'AVE'],
  ];
  for (const [attributes, pool] of cases)
    assert.is(await poolOf(attributes), pool, JSON.stringify(attributes));
});

test('a maximum with different pads on each side is Pooling with its own pads, also rounded up', async () => {
  for (const attributes of [
    { pads: [2, 2, 0, 0], strides: [2, 2] },
    { pads: [0, 1, 2, 0] },
    { pads: [2, 0, 1, 0], strides: [3, 2] },
    { pads: [0, 3, 1, 0], strides: [2, 2], ceil_mode: 1, kernel_shape: [4, 4] },
    { pads: [1, 1, 2, 2], strides: [2, 3], ceil_mode: 1, kernel_shape: [4, 5] },
  ])
    assert.equal(await same([['MaxPool', ['x'], { kernel_shape: [3, 3], ...attributes }]]), ['Pooling']);
});

test('RoiAlign is ROIAlign, with regions that start with the image index', async () => {
  const regions = floatConstant('regions', [3, 4], [0, 1, 5, 4, 1.3, 0.2, 3.1, 2.9, -2, -2, 9, 8]);
  const images = integers(0, 1, 0);
  const attributes = { output_height: 2, output_width: 3, spatial_scale: point(0.75) };
  for (const more of [
    {},
    { sampling_ratio: 2 },
    { coordinate_transformation_mode: 'output_half_pixel', sampling_ratio: 3 },
  ])
    assert.ok(
      (await same([['RoiAlign', ['x', regions, images], { ...attributes, ...more }]])).includes('ROIAlign'),
    );
  await same([['RoiAlign', ['x', regions, images], attributes]], X, 10);
  // The image index as a detector computes it: a column of floats, cast.
  const rois = floatConstant('rois', [2, 5], [1, 0, 1, 5, 4, 0, 2, 0, 6, 3]);
  await same([
    ['Mul', [rois, number(1)], {}, ['all']],
    ['Slice', ['all', integers(0), integers(1), integers(1)], {}, ['column']],
    ['Slice', ['all', integers(1), integers(5), integers(1)], {}, ['corners']],
    ['Squeeze', ['column', integers(1)], {}, ['flat']],
    ['Cast', ['flat'], { to: 7 }, ['images']],
    ['RoiAlign', ['x', 'corners', 'images'], attributes],
  ]);
});

test('Compress, and NonZero through Squeeze or Transpose into a Gather, are Filter', async () => {
  const ITEMS = [7, 3, 2];
  const score: Step[] = [
    ['ReduceSum', ['x', integers(1, 2)], { keepdims: 0 }, ['sum']],
    ['Greater', ['sum', number(0.5)], {}, ['passes']],
  ];
  assert.ok((await same([...score, ['Compress', ['x', 'passes'], { axis: 0 }]], ITEMS)).includes('Filter'));
  const nonZero: Step = ['NonZero', ['passes'], {}, ['at']];
  for (const rest of [
    [
      ['Squeeze', ['at', integers(0)], {}, ['flat']],
      ['Gather', ['x', 'flat'], { axis: 0 }],
    ],
    [
      ['Reshape', ['at', integers(-1)], {}, ['flat']],
      ['Gather', ['x', 'flat']],
    ],
    [
      ['Transpose', ['at'], {}, ['column']],
      ['GatherND', ['x', 'column']],
    ],
    [
      ['Transpose', ['at'], {}, ['column']],
      ['Squeeze', ['column', integers(1)], {}, ['flat']],
      ['Gather', ['x', 'flat'], { axis: 0 }],
    ],
  ] as Step[][])
    assert.ok((await same([...score, nonZero, ...rest], ITEMS)).includes('Filter'));
  assert.ok(
    (
      await same(
        [
          ['ReduceSum', ['x', integers(1, 2)], { keepdims: 0 }, ['sum']],
          ['Relu', ['sum'], {}, ['positive']],
          ['Cast', ['positive'], { to: 9 }, ['passes']],
          ['Compress', ['x', 'passes'], { axis: 0 }],
        ],
        ITEMS,
      )
    ).includes('Filter'),
  );
});

test('ConvTranspose with any pads, output_padding and output_shape is Deconvolution, plus Slice if its sides are cropped unevenly', async () => {
  const of = (attributes: Record<string, unknown>, kernel = [4, 3], group = 1) =>
    same([['ConvTranspose', ['x', floats(6, 4, ...kernel), floats(4 * group)], { ...attributes, group }]]);
  assert.equal(await of({ strides: [2, 2], pads: [1, 1, 1, 1] }), ['Deconvolution']);
  assert.equal(await of({ strides: [2, 3], dilations: [2, 1] }, [2, 3], 3), ['Deconvolution']);
  for (const attributes of [
    { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] },
    { strides: [3, 3], pads: [0, 0, 0, 0], output_padding: [2, 1] },
    { strides: [3, 3], pads: [1, 0, 2, 1], output_padding: [0, 2] },
    { strides: [2, 2], pads: [0, 1, 0, 1], output_padding: [1, 1], dilations: [2, 2] },
    { strides: [2, 2], output_shape: [11, 14] },
    { strides: [2, 2], auto_pad: 'SAME_UPPER' },
    { strides: [2, 2], auto_pad: 'SAME_LOWER' },
  ])
    assert.ok((await of(attributes, [3, 3])).includes('Deconvolution'));
  await same([['ConvTranspose', ['x', floats(6, 2, 3)], { strides: [2] }]], [2, 6, 9]);
});

test('a convolution with more zeros on one side has zeros in its kernel, over any number of axes', async () => {
  for (const attributes of [
    { pads: [0, 0, 1, 1], strides: [2, 2] },
    { pads: [2, 0, 1, 2], strides: [3, 2] },
    { auto_pad: 'SAME_UPPER', strides: [2, 2] },
    { auto_pad: 'SAME_LOWER', strides: [2, 2] },
    { pads: [0, 2, 2, 0], dilations: [2, 2] },
  ])
    assert.equal(await same([['Conv', ['x', floats(3, 6, 3, 3), floats(3)], attributes]], [2, 6, 8, 9]), [
      'Convolution',
    ]);
  await same([['Conv', ['x', floats(4, 6, 3)], { pads: [1, 1] }]], [2, 6, 9]);
  await same([['Conv', ['x', floats(4, 6, 3, 2, 1)], { strides: [1, 2, 1] }]], [1, 6, 4, 5, 3]);
});

const sizes = (h: number, w: number) => ['x', '', '', integers(2, 6, h, w)];
const scales = (h: number, w: number) => ['x', '', floatConstant(`f${random()}`, [4], [1, 1, h, w])];

test('Resize with aligned corners is Interp, repetition is Upsample, and every other Resize two constant products', async () => {
  const linear = (transformation: string) => ({
    mode: 'linear',
    coordinate_transformation_mode: transformation,
  });
  assert.equal(await same([['Resize', sizes(9, 4), linear('align_corners')]]), ['Interp']);
  for (const mode of ['half_pixel', 'asymmetric', 'pytorch_half_pixel'])
    for (const inputs of [sizes(10, 14), sizes(3, 1), scales(2, 2), scales(1.5, 0.6)])
      assert.ok((await same([['Resize', inputs, linear(mode)]])).includes('InnerProduct'));
  const nearest = (transformation: string, rounding: string) => ({
    mode: 'nearest',
    coordinate_transformation_mode: transformation,
    nearest_mode: rounding,
  });
  assert.equal(await same([['Resize', scales(2, 2), nearest('asymmetric', 'floor')]]), ['Upsample']);
  assert.equal(await same([['Resize', scales(3, 3), nearest('half_pixel', 'round_prefer_floor')]]), [
    'Upsample',
  ]);
  await same([['Resize', scales(2, 3), nearest('asymmetric', 'floor')]]);
  await same([['Resize', sizes(4, 9), nearest('asymmetric', 'ceil')]]);
  await same([['Resize', sizes(8, 3), nearest('half_pixel', 'round_prefer_ceil')]]);
  await same([['Resize', sizes(8, 9), { mode: 'cubic', cubic_coeff_a: point(-0.5) }]]);
  const old = floatConstant('old', [4], [1, 1, 2, 2]);
  assert.equal(await same([['Upsample', ['x', old], { mode: 'nearest' }]], X, 9), ['Upsample']);
  await same([['Resize', ['x', old], { mode: 'linear' }]], X, 10);
});

test('values move by Permute, Slice, Tile, Reshape and constant products', async () => {
  assert.equal(await same([['Transpose', ['x'], { perm: [0, 2, 3, 1] }]]), ['Permute']);
  assert.equal(await same([['Transpose', ['x']]]), ['Permute']);
  assert.equal(await same([['Slice', ['x', integers(1), integers(4), integers(1)]]]), ['Slice', 'Silence']);
  await same([['Slice', ['x', integers(-4, 0), integers(-1, 2), integers(3, 0)]]]);
  await same([['Slice', ['x', integers(0, 6), integers(9, -8), integers(2, 3), integers(2, -1)]]]);
  await same([['Gather', ['x', integers(0, 5, 2)], { axis: 1 }]]);
  await same([['Gather', ['x', integerConstant('one', [], [-1])], { axis: 2 }]]);
  assert.equal(await same([['Tile', ['x', integers(1, 2, 1, 3)]]]), ['Tile', 'Tile']);
  await same([['Expand', ['x', integers(2, 6, 5, 7)]]], [6, 1, 7]);
  for (const mode of ['DCR', 'CRD'])
    await same([['DepthToSpace', ['x'], { blocksize: 2, mode }]], [2, 12, 3, 5]);
  await same([['SpaceToDepth', ['x'], { blocksize: 3 }]], [2, 2, 6, 9]);
  await same(
    [
      ['MaxPool', ['x'], { kernel_shape: [2, 2], strides: [2, 2] }, ['p', 'i']],
      ['MaxUnpool', ['p', 'i'], { kernel_shape: [2, 2], strides: [2, 2] }],
    ],
    [2, 6, 4, 8],
  );
});

test('padding of any kind is a convolution or a constant product if no zeros can be added otherwise', async () => {
  const pads = integers(0, 0, 1, 2, 0, 0, 1, 2);
  assert.equal(await same([['Pad', ['x', pads]]]), ['Convolution']);
  await same([['Pad', ['x', integers(0, 1, 0, 2, 0, 0, 3, 0)]]]);
  for (const mode of ['reflect', 'edge']) await same([['Pad', ['x', pads], { mode }]]);
  // Not run: when it optimises, ONNX Runtime 1.30 ignores zeros before a MaxPool.
  write(
    [
      ['Pad', ['x', pads], {}, ['p']],
      ['MaxPool', ['p'], { kernel_shape: [3, 3] }],
    ],
    X,
    17,
  );
  assert.equal(
    readOnnxFile(file).net.layer?.map(({ type }) => type),
    ['Input', 'Convolution', 'Pooling'],
  );
});

test('sums, means, maxima and their indices over any axes', async () => {
  for (const keepdims of [0, 1]) {
    for (const axes of [[1], [1, 3], [-1], [2, 3]]) {
      await same([['ReduceSum', ['x', integers(...axes)], { keepdims }]]);
      for (const type of ['ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceL1', 'ReduceL2', 'ReduceSumSquare'])
        await same([[type, ['x'], { axes, keepdims }]]);
    }
    // Zeros are equal: either the first or the last of them counts.
    for (const type of ['ArgMax', 'ArgMin'])
      for (const select_last_index of [0, 1])
        await same([
          ['Relu', ['x'], {}, ['r']],
          [type, ['r'], { axis: 1, keepdims, select_last_index }],
        ]);
  }
});

test('normalisations over rows are as exact as their own eps', async () => {
  const [scale, bias] = [floats(6), floats(6)];
  await same([['InstanceNormalization', ['x', scale, bias], { epsilon: point(0.01) }]]);
  await same([['InstanceNormalization', ['x', scale, bias]]], [2, 6, 11]);
  await same([['LayerNormalization', ['x', floats(5, 7), floats(5, 7)], { axis: -2 }]]);
  await same([['LayerNormalization', ['x', floats(7)]]]);
  await same([['GroupNormalization', ['x', floats(3), floats(3)], { num_groups: 3 }]], X, 18);
  await same([['GroupNormalization', ['x', scale, bias], { num_groups: 2 }]], X, 21);
  assert.equal(await same([['LpNormalization', ['x'], { axis: 1 }]]), ['Normalize']);
  assert.equal(await same([['MeanVarianceNormalization', ['x'], { axes: [2, 3] }]]), ['MVN']);
});

test('elementwise functions, and arithmetic with broadcasting', async () => {
  const positive: Step = ['Exp', ['x'], {}, ['e']];
  assert.equal(await same([['Clip', ['x', number(0), number(6)]]]), ['Clip']);
  assert.equal(await same([['HardSwish', ['x']]]), ['HardSwish']);
  assert.equal(await same([['Mish', ['x']]], X, 18), ['Mish']);
  await same([['HardSigmoid', ['x'], { alpha: point(0.3) }]]);
  for (const type of ['Softplus', 'Softsign', 'Neg']) await same([[type, ['x']]]);
  for (const type of ['Log', 'Sqrt', 'Reciprocal']) await same([positive, [type, ['e']]]);
  await same([['LogSoftmax', ['x'], { axis: 1 }]]);
  await same([
    ['Sigmoid', ['x'], {}, ['s']],
    ['Mul', ['x', 's']],
  ]);
  await same([
    ['Greater', ['x', number(0.5)], {}, ['g']],
    ['Cast', ['g'], { to: 1 }],
  ]);
  for (const type of ['Max', 'Min']) {
    await same([[type, ['x', number(0.5)]]]);
    await same([positive, [type, ['x', 'e']]]);
  }
  const mean: Step = ['ReduceMean', ['x'], { axes: [1] }, ['m']];
  for (const type of ['Add', 'Sub', 'Mul', 'Div']) {
    await same([mean, [type, ['x', 'm']]]);
    await same([positive, [type, ['x', 'e']]]);
    await same([positive, [type, [number(2), 'e']]]);
    await same([positive, [type, [floats(6, 1, 1), 'e']]]);
    await same([positive, [type, ['e', floats(5, 1)]]]);
    await same([positive, [type, ['e', floats(6, 1, 7)]]]);
  }
});

test('a constant that is an output of the net, or is concatenated with results, is a Parameter layer', async () => {
  await same([['Concat', ['x', floats(2, 2, 5, 7)], { axis: 1 }]]);
});

test('regions: MaxRoiPool is ROIPooling', async () => {
  const regions = floatConstant('regions', [2, 5], [0, 1, 1, 9, 7, 1, 0, 2, 5, 12]);
  const attributes = { pooled_shape: [2, 3], spatial_scale: point(0.5) };
  assert.equal(await same([['MaxRoiPool', ['x', regions], attributes]]), ['Parameter', 'ROIPooling']);
});

test('Erf, and Gelu in both forms, are composed with an error below 1e-6', async () => {
  await same([['Erf', ['x']]]);
  await same([['Gelu', ['x']]], X, 20);
  await same([['Gelu', ['x'], { approximate: 'tanh' }]], X, 20);
});

test('TopK with a constant count is ArgMax, which also takes the first of equal values', async () => {
  const twice: Step = ['Concat', ['x', 'x'], { axis: 3 }, ['xx']];
  for (const attributes of [{}, { axis: 1 }, { axis: 2, largest: 0 }])
    for (const k of [1, 3])
      for (const outputs of [
        ['y', 'places'],
        ['values', 'places'],
      ]) {
        const last: Step[] = outputs.includes('y') ? [] : [['Cast', ['places'], { to: 1 }, ['y']]];
        await same([twice, ['TopK', ['xx', integers(k)], attributes, outputs], ...last]);
      }
});

test('an operator that Caffe cannot express is refused by operator and node, with what to do', () => {
  for (const [step, message] of [
    [['NonMaxSuppression', ['x', 'x']], /node "n0" \(NonMaxSuppression\): .*DetectionOutput/],
    [['RoiAlign', ['x', floats(1, 4), integers(0)], { mode: 'max' }], /node "n0" \(RoiAlign\): mode max/],
    [['Compress', ['x', 'x']], /without an axis it selects values of the flattened tensor/],
    [['NonZero', ['x']], /in 4 axes; with one axis, before a Gather, it is converted to Filter/],
    [['GatherND', ['x', integers(0)]], /only with the indices of NonZero/],
    [['LSTM', ['x', floats(1, 4, 4), floats(1, 4, 4)]], /node "n0" \(LSTM\): .*unrolled/],
    [['Einsum', ['x'], { equation: 'i' }], /node "n0" \(Einsum\): it multiplies two values/],
    [['Det', ['x']], /node "n0" \(Det\): Caffe has no layer for it here/],
    [['MatMul', ['x', 'x']], /node "n0" \(MatMul\): its second input is not a constant.*attention/],
    [['TopK', ['x', integers(9)]], /node "n0" \(TopK\): it takes 9 of 7 values/],
    [['Slice', ['x', integers(0), integers(3), integers(0), integers(-1)]], /it takes nothing of axis 0/],
    [['Cast', ['x'], { to: 8 }], /values of a net are float32/],
    [
      ['Cast', ['x'], { to: 9 }],
      /output "y" is not a float that the net computes: .*only Compress and NonZero accept/,
    ],
  ] as [Step, RegExp][]) {
    write([step], X, 17);
    assert.throws(
      () => readOnnxFile(file),
      (error: unknown) => error instanceof WeightsError && message.test(error.message),
      `${step[0]}`,
    );
  }
});

test('docs/onnx.md agrees with the rules (npm run onnx-page writes it)', () => {
  assert.ok(readFileSync(ONNX_PAGE, 'utf8') === onnxPage(), 'run: npm run onnx-page');
});

test.run();
