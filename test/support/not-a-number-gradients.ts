/** NaN and infinities in the backward pass: every device's diffs are those of the reference. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, LayerParameter, Precision } from '../../ts/index.ts';
import {
  assertKinds,
  type Case,
  cases,
  netOf,
  noise,
  sharedReference,
  spoiled,
} from './not-a-number-cases.ts';

const shape = [2, 5, 6, 7];
const layer = (
  type: string,
  bottom: readonly string[],
  top: readonly string[],
  more: Omit<LayerParameter, 'name' | 'type'> = {},
): LayerParameter => ({ name: `${type} ${top}`, type, bottom: [...bottom], top: [...top], ...more });
/** The data and its negative: two bottoms that are not finite at the same positions. */
const pair = layer('Power', ['data'], ['other'], { power_param: { scale: -1 } });

/** Layers with several bottoms or tops, and losses, which have no forward case of their own. */
const more: readonly Case[] = [
  { name: 'Concat', shape, layers: [pair, layer('Concat', ['data', 'other'], ['y'])] },
  {
    name: 'Slice',
    shape,
    layers: [
      layer('Slice', ['data'], ['a', 'b'], { slice_param: { slice_point: [2] } }),
      layer('Concat', ['b', 'a'], ['y']),
    ],
  },
  { name: 'a sum of two readers', shape, layers: [pair, layer('Eltwise', ['data', 'other'], ['y'])] },
  {
    name: 'Scale, second bottom',
    shape,
    layers: [pair, layer('Scale', ['data', 'other'], ['y'], { scale_param: { axis: 0 } })],
  },
  {
    name: 'Bias, second bottom',
    shape,
    layers: [pair, layer('Bias', ['data', 'other'], ['y'], { bias_param: { axis: 0 } })],
  },
  { name: 'EuclideanLoss', shape, layers: [pair, layer('EuclideanLoss', ['data', 'other'], ['y'])] },
  {
    name: 'SoftmaxWithLoss',
    shape: [4, 6],
    layers: [
      layer('Input', [], ['label'], { input_param: { shape: [{ dim: [4] }] } }),
      layer('SoftmaxWithLoss', ['data', 'label'], ['y']),
    ],
  },
  {
    name: 'Convolution, BatchNorm, Scale and ReLU',
    shape: [2, 3, 6, 6],
    layers: [
      layer('Convolution', ['data'], ['c'], {
        convolution_param: { num_output: 16, kernel_size: [3], pad: [1], weight_filler: { type: 'msra' } },
      }),
      layer('BatchNorm', ['c'], ['n']),
      layer('Scale', ['n'], ['s'], { scale_param: { bias_term: true } }),
      layer('ReLU', ['s'], ['y']),
    ],
  },
];

/**
 * Adds two tests for every operation: the values that are not finite come with the data, or with the top's diffs.
 * @param mixesKinds If one convolution reads another, an infinity may become NaN: oneDNN does this in the channels that
 * fill up a block.
 */
export function testNotANumberBackward(
  name: string,
  device: Device,
  {
    precision = 'float32',
    spreads = false,
    mixesKinds = false,
  }: {
    readonly precision?: Exclude<Precision, 'int8'>;
    readonly spreads?: boolean;
    readonly mixesKinds?: boolean;
  } = {},
): void {
  const reference = sharedReference();
  for (const each of [...cases, ...more])
    for (const where of ['the data', 'the diff above'] as const)
      test(`${name} never hides values that are not finite in ${where} in the backward pass: ${each.name}`, async () => {
        // In Caffe's im2col padding is zeros, and zero times NaN is NaN; the reference skips padding.
        const padded = new Set(
          each.layers
            .filter((one) => Number([one.convolution_param?.pad ?? 0].flat()[0]) > 0)
            .map((one) => `the diff of blob 0 of ${one.name}`),
        );
        const answers = [];
        for (const one of [await reference, device]) {
          using trainer = await one.train({
            model: { ...netOf(each), force_backward: true },
            update: null,
            diffs: ['data'],
            ...(one === device ? { precision, lossScale: 1 } : {}),
          });
          const top = trainer.outputs.y!;
          const isLoss = Object.hasOwn(trainer.lossWeights, 'y');
          if (isLoss && where === 'the diff above') return;
          const diff = where === 'the data' ? noise(top) : spoiled(top);
          const data = where === 'the data' ? spoiled(each.shape) : noise(each.shape);
          const label = { label: new Float32Array(4).fill(2) };
          const { outputs, blobs, parameters } = await trainer.gradients(
            { data, ...('label' in trainer.inputs ? label : {}) },
            isLoss ? {} : { topDiffs: { y: diff } },
          );
          const names = trainer.learnable.map(({ layer, index }) => `blob ${index} of ${layer}`);
          answers.push(
            new Map([
              ['y', outputs.y!.data],
              ['the diff of data', blobs.data!.data],
              ...parameters.flatMap((diff, i) =>
                diff === null ? [] : [[`the diff of ${names[i]}`, diff.data] as const],
              ),
            ]),
          );
        }
        const [expected, actual] = answers as [Map<string, Float32Array>, Map<string, Float32Array>];
        assert.equal([...actual.keys()], [...expected.keys()]);
        for (const [what, values] of expected)
          assertKinds(
            actual.get(what)!,
            values,
            what,
            padded.has(what) || (spreads && each.spreads === true) || (mixesKinds && each.isChained === true),
          );
      });
}
