/** CuDNNBatchNorm of GENet's and SKNet's fork, which is PSPNet's BN with fields in batch_norm_param, and frozen layers. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();

const SHAPE = [3, 2, 2, 2];
const layer = (type: string, param: string) =>
  `${input('x', SHAPE)}layer { name: "bn" type: "${type}" bottom: "x" top: "y" ${param} }`;
const genet = (fields: string) => layer('CuDNNBatchNorm', `batch_norm_param { ${fields} }`);

const [SCALE, SHIFT, MEAN, VARIANCE] = [
  [2, -0.5],
  [0.25, 1],
  [0.3, -0.2],
  [0.04, 0],
];
const weights = {
  file: 'weights',
  name: 'net',
  layers: [
    {
      name: 'bn',
      type: 'CuDNNBatchNorm',
      blobs: [SCALE, SHIFT, MEAN, VARIANCE].map((values) =>
        blobFromFloats([1, 2, 1, 1], Float32Array.from(values!)),
      ),
    },
  ],
};

const channelOf = (i: number) => Math.floor(i / 4) % 2;
const x = draw(24, 7);

/** The formula of the paper (arXiv:1502.03167, algorithm 1) in float64. */
const normalised = (mean: readonly number[], variance: readonly number[], eps: number) =>
  [...x].map((value, i) => {
    const c = channelOf(i);
    return (SCALE![c]! * (value - mean[c]!)) / Math.sqrt(variance[c]! + eps) + SHIFT![c]!;
  });

const near = (found: ArrayLike<number>, expected: readonly number[]) =>
  expected.forEach((value, i) =>
    assert.ok(Math.abs(found[i]! - value) < 2e-5 * (1 + Math.abs(value)), `${i}: ${found[i]}, ${value}`),
  );

for (const device of devices) {
  for (const [phase, fields] of [
    ['TEST', 'momentum: 0.95'],
    ['TRAIN', 'frozen: true'],
  ] as const)
    test(`uses its statistics in phase ${phase} with ${fields}, and cuDNN's least eps, on ${device.kind}`, async () => {
      using model = await device.load({ model: net(genet(`${fields} eps: 1e-9`)), weights, phase });
      near((await model.run({ x })).y!.data, normalised(MEAN!, VARIANCE!, 1e-5));
    });

  test(`uses the statistics of the batch in phase TRAIN, on ${device.kind}`, async () => {
    using model = await device.load({ model: net(genet('')), weights, phase: 'TRAIN' });
    const of = (c: number) => [...x].filter((_, i) => channelOf(i) === c);
    const mean = [0, 1].map((c) => of(c).reduce((sum, value) => sum + value, 0) / 12);
    const variance = mean.map((m, c) => of(c).reduce((sum, value) => sum + (value - m) ** 2, 0) / 12);
    near((await model.run({ x })).y!.data, normalised(mean, variance, 1e-5));
  });

  test(`has the gradients of its formula, on ${device.kind}`, async () => {
    const fill = (_: string, count: number) => draw(count, 4);
    const { compared } = await checkGradients(device, { net: genet(''), fill, seed: 1 });
    assert.ok(compared >= 7, `${compared}`);
  });
}

test('scale and bias of a frozen layer do not learn, whatever its multipliers say', () => {
  const learning = (text: string) =>
    graphFromCaffe(net(text), { phase: 'TRAIN' }).parameters.map(({ lrMult }) => lrMult);
  const specs = 'param { lr_mult: 1 } param { lr_mult: 2 }';
  for (const [type, name] of [
    ['CuDNNBatchNorm', 'batch_norm_param'],
    ['BN', 'bn_param'],
  ] as const) {
    assert.equal(learning(layer(type, `${specs} ${name} { momentum: 0.9 }`)), [1, 2, 0, 0]);
    assert.equal(learning(layer(type, `${specs} ${name} { momentum: 0.9 frozen: true }`)), [0, 0, 0, 0]);
  }
});

test('the fields of BatchNorm and of CuDNNBatchNorm are not mixed', () => {
  assertRefused(net(genet('use_global_stats: true')), /use_global_stats belongs to BatchNorm/);
  assertRefused(net(layer('BatchNorm', 'batch_norm_param { momentum: 0.9 }')), /momentum belongs to CuDNN/);
});

test.run();
