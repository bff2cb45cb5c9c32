/**
 * A net that cannot learn is refused, or gives a warning, before training begins; lint has the same rules
 * (test/tools/lint).
 */
import { tmpdir } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GraphError } from '../../ts/base/errors.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import type { WeightsFile } from '../../ts/caffe/caffemodel.ts';
import { filterNet, readNet } from '../../ts/caffe/net-parameter.ts';
import { checkLearning, type LearningCheck } from '../../ts/train/learning-check.ts';
import { Solver } from '../../ts/train/solver.ts';
import { fakeSolver, fakes } from './fakes.ts';

const FILLED = 'weight_filler { type: "msra" }';
const NET = `layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "d" batch_size: 32 } }
layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }
layer { name: "fc" type: "InnerProduct" bottom: "bn" top: "fc" inner_product_param { num_output: 3 ${FILLED} } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }`;

function check(text: string, given: Partial<LearningCheck> = {}) {
  const state = { phase: 'TRAIN', level: 0, stages: [] } as const;
  return checkLearning(
    { filtered: filterNet(readNet(text, { file: 'train.prototxt' }), state), state },
    {
      inputShapes: { data: [32, 3, 4, 4], label: [32] },
      ...{ weights: null, frozenBatchNorm: false, processes: 1 },
      ...given,
    },
  ).map(({ code, message }) => `${code} ${message}`);
}

const refused = (text: string, given: Partial<LearningCheck> = {}): GraphError => {
  try {
    check(text, given);
  } catch (error) {
    assert.instance(error, GraphError);
    return error as GraphError;
  }
  return assert.unreachable('it was not refused') as never;
};

const weightsOf = (layer: string, ...values: number[][]): WeightsFile => ({
  file: 'w.caffemodel',
  name: '',
  layers: [
    {
      name: layer,
      type: '',
      blobs: values.map((each) => blobFromFloats([each.length], Float32Array.from(each))),
    },
  ],
});

test('a net that can learn gives no message', () => {
  assert.equal(check(NET), []);
});

test('BatchNorm over one value is refused with its layer, position and cure', () => {
  const single = { inputShapes: { data: [1, 3, 1, 1], label: [1] } };
  const one = NET.replace('batch_size: 32', 'batch_size: 1');
  const error = refused(one, single);
  assert.equal([error.code, error.layer], ['net/batch-norm-few-values', 'bn']);
  assert.match(
    error.message,
    /^layer "bn" \(BatchNorm\) at train.prototxt:2:\d+: computes .* one value per channel/,
  );
  assert.match(error.message, /larger batch_size/);
  assert.match(check(one, { ...single, processes: 4 }).join(), /only 4 values per channel/);
  assert.not.match(check(one, { ...single, frozenBatchNorm: true }).join(), /few-values/);
});

test('a single class, and a missing loss, are refused', () => {
  assert.is(refused(NET.replace('num_output: 3', 'num_output: 1')).code, 'net/one-class');
  const error = refused(NET.replace(/layer { name: "loss".*/, ''));
  assert.is(error.code, 'net/no-loss');
  assert.match(error.message, /^the net has no loss in phase TRAIN/);
  assert.is(refused(NET.replace('top: "loss"', 'top: "loss" loss_weight: 0')).code, 'net/no-loss');
});

test('a net that hardly learns gives a warning with position and cure', () => {
  for (const [text, code, words] of [
    [
      NET.replace(FILLED, ''),
      'net/zero-weights',
      /train.prototxt:3:\d+: layer "fc" .* no weight_filler.*msra/,
    ],
    [
      NET.replace('bottom: "fc" bottom', 'bottom: "p" bottom').replace(
        'layer { name: "loss"',
        'layer { name: "p" type: "Softmax" bottom: "fc" top: "p" }\nlayer { name: "loss"',
      ),
      'net/softmax-twice',
      /layer "loss" .* the softmax of layer "p" \(Softmax\)/,
    ],
    [
      NET.replace('name: "fc"', 'name: "fc" param { lr_mult: 0 } param { lr_mult: 0 }'),
      'net/nothing-learns',
      /layer "fc" .* nothing learns/,
    ],
    [
      NET.replace('name: "bn"', 'name: "bn" param { lr_mult: 1 } param { lr_mult: 1 } param { lr_mult: 1 }'),
      'net/batch-norm-rates-zeroed',
      /which Caffe sets to 0/,
    ],
  ] as const) {
    const [warning, ...others] = check(text);
    assert.equal(others, []);
    assert.ok(warning?.startsWith(code), warning);
    assert.match(warning!, words);
  }
});

test("a net learns if its only weights are a BN's, a Normalize's, an Embed's, an LSTM's or a fork's convolution's", () => {
  const inputShapes = { data: [32, 3, 4, 4], label: [32], cont: [32, 3] };
  for (const layer of [
    'type: "BN" bottom: "data"',
    'type: "Normalize" bottom: "data"',
    'type: "Embed" bottom: "label" embed_param { num_output: 3 input_dim: 4 }',
    `type: "DepthwiseConvolution" bottom: "data" convolution_param { num_output: 3 kernel_size: 4 ${FILLED} }`,
    `type: "HoleConvolution" bottom: "data" convolution_param { num_output: 3 kernel_size: 2 hole: 3 ${FILLED} }`,
    `type: "LSTM" bottom: "data" bottom: "cont" recurrent_param { num_output: 3 ${FILLED} }`,
  ]) {
    const net = `layer { name: "more" type: "MemoryData" top: "cont" top: "unused" memory_data_param { batch_size: 32 channels: 1 height: 1 width: 1 } }
      ${NET.replace(/layer \{ name: "bn".*\n/, '')
        .replace(/layer \{ name: "fc".*\n/, `layer { name: "fc" ${layer} top: "fc" }\n`)
        .replace(
          /layer \{ name: "loss".*/,
          'layer { name: "loss" type: "Reduction" bottom: "fc" top: "loss" loss_weight: 1 }',
        )}`;
    assert.not.match(
      check(net, { inputShapes: { ...inputShapes, unused: [32] } }).join(),
      /nothing-learns/,
      layer,
    );
  }
});

test('given weights do not count as zero weights', () => {
  assert.equal(check(NET.replace(FILLED, ''), { weights: weightsOf('fc', [1], [1]) }), []);
});

test('stored statistics that are all 0 give a warning where they are used', () => {
  const frozen = NET.replace('top: "bn" }', 'top: "bn" batch_norm_param { use_global_stats: true } }');
  const codes = (text: string, given?: Partial<LearningCheck>) =>
    check(text, given).map((each) => each.split(' ')[0]);
  assert.equal(codes(frozen), ['net/empty-statistics']);
  assert.equal(codes(NET, { frozenBatchNorm: true }), ['net/empty-statistics']);
  assert.equal(codes(frozen, { weights: weightsOf('bn', [0, 0, 0], [0, 0, 0], [0]) }), [
    'net/empty-statistics',
  ]);
  assert.equal(
    codes(frozen, { weights: weightsOf('bn', [1, 1, 1], [2, 2, 2], [0]) }),
    ['net/empty-statistics'],
    'a factor of 0',
  );
  assert.equal(codes(frozen, { weights: weightsOf('bn', [1, 1, 1], [2, 2, 2], [9]) }), []);
});

test('a solver refuses such a net before a trainer allocates memory', async () => {
  const world = fakes();
  const solver = fakeSolver(world, tmpdir(), 'max_iter: 1');
  const { net_param } = solver.parameters;
  net_param!.layer = net_param!.layer!.filter(({ type }) => type !== 'SoftmaxWithLoss');
  let error: unknown;
  try {
    for await (const _ of new Solver({
      solver: solver.parameters,
      device: world.device,
      data: world.data,
    }).run());
  } catch (thrown) {
    error = thrown;
  }
  assert.is((error as GraphError).code, 'net/no-loss');
  assert.equal([world.trainOptions, world.open], [null, 0]);
});

test.run();
