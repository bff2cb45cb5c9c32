/** What each pass rewrites, and what prevents it. test/fuzz checks that results stay the same. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import type { Graph } from '../../ts/graph/graph.ts';
import { withOutputs } from '../../ts/graph/outputs.ts';
import { runPasses } from '../../ts/passes/index.ts';

const INPUT =
  'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }';
const layer = (type: string, name: string, bottoms: string, more = '') =>
  `layer { name: "${name}" type: "${type}" top: "${name}" ${bottoms
    .split(' ')
    .map((bottom) => `bottom: "${bottom}"`)
    .join(' ')} ${more} }`;
const convolution = (name: string, bottom: string, more = 'kernel_size: 1') =>
  layer('Convolution', name, bottom, `convolution_param { num_output: 3 ${more} }`);

function graphOf(layers: readonly string[], outputs?: readonly string[]): Graph {
  const graph = graphFromCaffe(readNet([INPUT, ...layers].join('\n'), { file: 'net' }));
  return outputs === undefined ? graph : withOutputs(graph, outputs);
}

/** `kind(values that it reads)`, with `/stride` and what is fused behind it, of each node after all passes. */
function rewritten(layers: readonly string[], outputs?: readonly string[]): string[] {
  const { nodes, values } = runPasses(graphOf(layers, outputs));
  return nodes.map(({ operation, inputs }) => {
    const stride =
      operation.kind === 'convolution' && operation.stride[0] > 1 ? `/${operation.stride[0]}` : '';
    const relu = 'relu' in operation && operation.relu !== null ? '+relu' : '';
    const fused = operation.kind === 'convolution' || operation.kind === 'innerProduct' ? operation : null;
    const clip = fused?.clip == null ? '' : `+clip ${fused.clip}`;
    const slopes = fused?.slopes == null ? '' : '+slopes';
    return `${operation.kind}${stride}(${inputs.map((id) => values[id]!.blob).join(', ')})${relu}${clip}${slopes}`;
  });
}

const GLOBAL = 'batch_norm_param { use_global_stats: true }';
const normalised = (bottom: string) => [
  layer('BatchNorm', 'bn', bottom, GLOBAL),
  layer('Scale', 'scale', 'bn', 'scale_param { bias_term: true }'),
];

test('BatchNorm, Scale and ReLU are fused into a convolution, unless a value in between is read or requested', () => {
  const layers = [convolution('c', 'data'), ...normalised('c'), layer('ReLU', 'r', 'scale')];
  assert.equal(rewritten(layers), ['convolution(data)+relu']);
  assert.equal(rewritten(layers, ['bn', 'r']), ['convolution(data)', 'affine(bn)+relu']);
  assert.equal(rewritten([...layers, layer('Sigmoid', 'other', 'c')]), [
    'convolution(data)',
    'affine(c)+relu',
    'sigmoid(c)',
  ]);
});

const clip = (min: number, max: number, bottom = 'c') =>
  layer('Clip', 'f', bottom, `clip_param { min: ${min} max: ${max} }`);
const prelu = (bottom = 'c', shared = false) =>
  layer('PReLU', 'f', bottom, `prelu_param { channel_shared: ${shared} }`);
const product = (name: string, bottom: string, axis = 1) =>
  layer('InnerProduct', name, bottom, `inner_product_param { num_output: 8 axis: ${axis} }`);

test('ReLU6, a Clip from 0 on and PReLU become the end of a convolution or an inner product', () => {
  const c = convolution('c', 'data');
  assert.equal(rewritten([c, layer('ReLU6', 'f', 'c')]), ['convolution(data)+clip 6']);
  assert.equal(rewritten([c, ...normalised('c'), clip(0, 2.5, 'scale')]), ['convolution(data)+clip 2.5']);
  assert.equal(rewritten([c, prelu()]), ['convolution(data)+slopes']);
  assert.equal(rewritten([product('c', 'data'), prelu()]), ['innerProduct(data)+slopes']);
  assert.equal(rewritten([product('c', 'data'), clip(0, 1)]), ['innerProduct(data)+clip 1']);
  const sum = [c, convolution('d', 'data'), layer('Eltwise', 's', 'c d')];
  assert.equal(rewritten([...sum, clip(0, 6, 's')]), ['convolution(data)', 'convolution(data, c)+clip 6']);
});

test('a Clip to other bounds stays, and what stands behind another function, or beside another reader', () => {
  const c = convolution('c', 'data');
  for (const [min, max] of [
    [-1, 6],
    [0.5, 6],
    [0, 0],
    [0, -1],
  ] as const)
    assert.equal(rewritten([c, clip(min, max)]), ['convolution(data)', 'clip(c)']);
  const relu = layer('ReLU', 'r', 'c');
  assert.equal(rewritten([c, relu, clip(0, 6, 'r')]), ['convolution(data)+relu', 'clip(r)']);
  assert.equal(rewritten([c, clip(0, 6), layer('ReLU', 'r', 'f')]), ['convolution(data)+clip 6', 'relu(f)']);
  assert.equal(rewritten([c, clip(0, 6), layer('PReLU', 'p', 'f')]), [
    'convolution(data)+clip 6',
    'prelu(f)',
  ]);
  const more = [...normalised('f'), convolution('d', 'data'), layer('Eltwise', 's', 'f d')];
  assert.equal(rewritten([c, prelu(), ...more.slice(0, 2)]), ['convolution(data)+slopes', 'affine(f)']);
  assert.equal(rewritten([c, prelu(), ...more.slice(2)]), [
    'convolution(data)+slopes',
    'convolution(data, f)',
  ]);
  assert.equal(rewritten([c, prelu(), layer('Sigmoid', 'other', 'c')]), [
    'convolution(data)',
    'prelu(c)',
    'sigmoid(c)',
  ]);
  assert.equal(rewritten([c, clip(0, 6)], ['c', 'f']), ['convolution(data)', 'clip(c)']);
});

test('slopes of axis 1 stay behind an inner product whose outputs are on another axis; one slope does not', () => {
  const reshaped = layer('Reshape', 'r', 'data', 'reshape_param { shape { dim: 2 dim: 8 dim: -1 } }');
  const c = product('c', 'r', 2);
  assert.equal(rewritten([reshaped, c, prelu()]), ['reshape(data)', 'innerProduct(r)', 'prelu(c)']);
  assert.equal(rewritten([reshaped, c, prelu('c', true)]), ['reshape(data)', 'innerProduct(r)+slopes']);
});

const UNEVEN = 'kernel_size: 3 stride: 2 pad_b: 1 pad_r: 1';

test('the result of a convolution with uneven pads is cropped after BatchNorm, Scale and ReLU, unless a value in between is read or requested', () => {
  const layers = [convolution('c', 'data', UNEVEN), ...normalised('c'), layer('ReLU', 'r', 'scale')];
  assert.equal(rewritten(layers), ['convolution/2(data)+relu', 'crop(r)']);
  assert.equal(rewritten([...layers, layer('ReLU', 'again', 'r')]), [
    'convolution/2(data)+relu',
    'relu(r)',
    'crop(again)',
  ]);
  for (const [each, end] of [
    [clip(0, 6), 'clip 6'],
    [prelu(), 'slopes'],
  ])
    assert.equal(rewritten([layers[0]!, each!]), [`convolution/2(data)+${end}`, 'crop(f)']);
  assert.equal(rewritten(layers, ['bn', 'r']), ['convolution/2(data)', 'crop(bn)', 'affine(bn)+relu']);
  assert.equal(rewritten([...layers, layer('Sigmoid', 'other', 'c')]), [
    'convolution/2(data)',
    'crop(c part 1)',
    'affine(c)+relu',
    'sigmoid(c)',
  ]);
});

test('operations on several pixels, or on all channels, stay after the crop', () => {
  for (const [type, more] of [
    ['Pooling', 'pooling_param { kernel_size: 2 }'],
    ['Softmax', ''],
  ] as const) {
    const [first, second, third] = rewritten([convolution('c', 'data', UNEVEN), layer(type, 'o', 'c', more)]);
    assert.equal(
      [first, second, third],
      ['convolution/2(data)', 'crop(c part 1)', `${type.toLowerCase()}(c)`],
    );
  }
});

test('a Crop of channels, or one whose input another layer reads, does not move', () => {
  const crop = (axis: number, reference: string) =>
    layer('Crop', 'k', `c ${reference}`, `crop_param { axis: ${axis} offset: 0 }`);
  const small = (shape: string) =>
    `layer { name: "small" type: "Input" top: "small" input_param { shape { ${shape} } } }`;
  const relu = layer('ReLU', 'r', 'k');
  const c = convolution('c', 'data');
  const pixels = small('dim: 2 dim: 3 dim: 4 dim: 4');
  assert.equal(rewritten([c, pixels, crop(2, 'small'), relu]), ['convolution(data)+relu', 'crop(r)']);
  assert.equal(rewritten([c, pixels, crop(2, 'small'), relu, layer('Sigmoid', 'other', 'c')]), [
    'convolution(data)',
    'crop(c)',
    'relu(k)',
    'sigmoid(c)',
  ]);
  assert.equal(rewritten([c, small('dim: 2 dim: 2 dim: 4 dim: 4'), crop(1, 'small'), relu]), [
    'convolution(data)',
    'crop(c)',
    'relu(k)',
  ]);
});

test('affine steps are folded in the order in which they run', () => {
  const [{ operation }] = runPasses(graphOf([convolution('c', 'data'), ...normalised('c')])).nodes as [
    Graph['nodes'][number],
  ];
  assert.ok(operation.kind === 'convolution');
  assert.equal(
    operation.affine.map(({ kind }) => kind),
    ['batchNorm', 'scale'],
  );
});

test('a sum of two is fused into the later convolution, except with coefficients, of one value twice, or after a ReLU', () => {
  const [a, b] = [convolution('a', 'data'), convolution('b', 'data')];
  assert.equal(rewritten([a, b, layer('Eltwise', 's', 'a b')]), [
    'convolution(data)',
    'convolution(data, a)',
  ]);
  assert.equal(rewritten([a, b, layer('Eltwise', 's', 'b a')]), [
    'convolution(data)',
    'convolution(data, a)',
  ]);
  const plain = ['convolution(data)', 'convolution(data)', 'eltwise(a, b)'];
  for (const more of ['coeff: 1 coeff: -1', 'operation: PROD', 'operation: MAX'])
    assert.equal(rewritten([a, b, layer('Eltwise', 's', 'a b', `eltwise_param { ${more} }`)]), plain, more);
  assert.equal(rewritten([a, layer('Eltwise', 's', 'a a')]), ['convolution(data)', 'eltwise(a, a)']);
  assert.equal(rewritten([a, layer('ReLU', 'r', 'a'), layer('Eltwise', 's', 'r data')]), [
    'convolution(data)+relu',
    'eltwise(r, data)',
  ]);
});

test('a ReLU keeps its slope, and an operation with one gets no second one', () => {
  const layers = [
    convolution('c', 'data'),
    layer('ReLU', 'first', 'c', 'relu_param { negative_slope: 0.25 }'),
    layer('ReLU', 'second', 'first'),
  ];
  const { nodes } = runPasses(graphOf(layers));
  assert.equal(
    nodes.map(({ operation }) =>
      operation.kind === 'relu'
        ? operation.negativeSlope
        : 'relu' in operation && operation.relu?.negativeSlope,
    ),
    [0.25, 0],
  );
});

const STRIDE = 'kernel_size: 1 stride: 2';
const stage = (one = STRIDE, two = STRIDE) => [
  convolution('last', 'data', 'kernel_size: 3 pad: 1'),
  convolution('one', 'last', one),
  convolution('two', 'last', two),
];

test('a stride moves up if all readers skip the same pixels', () => {
  assert.equal(rewritten(stage()), ['convolution/2(data)', 'convolution(last)', 'convolution(last)']);
});

test('a stride stays if a reader needs the pixels: another stride, a pad, a kernel, another layer, the caller', () => {
  const stays = (layers: readonly string[], outputs?: readonly string[]) =>
    assert.is(rewritten(layers, outputs)[0], 'convolution(data)');
  stays(stage(STRIDE, 'kernel_size: 1 stride: 3'));
  stays(stage(STRIDE, 'kernel_size: 1'));
  stays(stage(STRIDE, 'kernel_size: 1 stride: 2 pad: 1'));
  stays(stage('kernel_size: 1 stride: 2 pad: 1', 'kernel_size: 1 stride: 2 pad: 1'));
  stays(stage('kernel_size: 2 stride: 2', 'kernel_size: 2 stride: 2'));
  stays([...stage(), layer('Sigmoid', 'three', 'last')]);
  stays(stage(), ['last', 'one', 'two']);
});

test('strides multiply, and a residual is subsampled each time a stride moves past its addition', () => {
  const layers = [
    convolution('a', 'data', 'kernel_size: 3 pad: 1 stride: 2'),
    layer('Pooling', 'p', 'data', 'pooling_param { kernel_size: 2 stride: 2 }'),
    layer('Eltwise', 's', 'a p'),
    convolution('b', 's', STRIDE),
  ];
  assert.equal(rewritten(layers), [
    'pooling(data)',
    'pooling(p)',
    'convolution/4(data, p_subsample)',
    'convolution(s)',
  ]);
  const { nodes, values } = runPasses(graphOf([...layers, convolution('c', 'b', STRIDE)]));
  assert.equal(
    nodes.map(({ outputs }) => `${values[outputs[0]!]!.blob} ${values[outputs[0]!]!.shape.slice(2)}`),
    ['p 4,4', 'p_subsample 2,2', 'p_subsample_subsample 1,1', 's 1,1', 'b 1,1', 'c 1,1'],
  );
});

test('a convolution that is added to its own input reads that value twice', () => {
  const layers = [
    convolution('a', 'data', 'kernel_size: 3 pad: 1'),
    convolution('b', 'a'),
    layer('Eltwise', 's', 'b a'),
    convolution('c', 's', STRIDE),
  ];
  assert.equal(rewritten(layers), [
    'convolution(data)',
    'pooling(a)',
    'convolution/2(a, a_subsample)',
    'convolution(s)',
  ]);
});

test('operations that no output needs are dropped, except a BatchNorm that updates its moving sums', () => {
  const layers = [
    convolution('c', 'data'),
    layer('Sigmoid', 'unused', 'data'),
    layer('BatchNorm', 'moves', 'data', 'batch_norm_param { use_global_stats: false }'),
    layer('BatchNorm', 'stands', 'data', GLOBAL),
  ];
  assert.equal(rewritten(layers, ['c']), ['convolution(data)', 'batchNorm(data)']);
});

test('Split and Dropout compute nothing at inference, also one after the other or as outputs', () => {
  const layers = [
    convolution('c', 'data'),
    layer('Split', 'one', 'c'),
    layer('Dropout', 'two', 'one'),
    layer('ReLU', 'r', 'two'),
  ];
  assert.equal(rewritten(layers), ['convolution(data)+relu']);
  const { nodes, outputs } = runPasses(graphOf(layers, ['two']));
  assert.equal(outputs, nodes[0]!.outputs);
});

test.run();
