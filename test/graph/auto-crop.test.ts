/** AutoCrop against the offsets that FCN's own nets have (github.com/shelhamer/fcn.berkeleyvision.org, voc-fcn32s, 16s and 8s). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { graphFromCaffe, type NetParameter } from '../../ts/index.ts';
import { assertRefused, input, net } from '../support/net-text.ts';

const convolution = (name: string, bottom: string, more: string, type = 'Convolution') =>
  `layer { name: "${name}" type: "${type}" bottom: "${bottom}" top: "${name}" convolution_param { num_output: 1 ${more} } }\n`;
const pooling = (name: string, bottom: string) =>
  `layer { name: "${name}" type: "Pooling" bottom: "${bottom}" top: "${name}" pooling_param { kernel_size: 2 stride: 2 } }\n`;
const crop = (name: string, bottom: string, reference: string, type = '"AutoCrop"') =>
  `layer { name: "${name}" type: ${type} bottom: "${bottom}" bottom: "${reference}" top: "${name}" }\n`;

/** FCN-8s, a channel each. */
const FCN = [
  input('data', [1, 1, 500, 375]),
  convolution('conv1_1', 'data', 'kernel_size: 3 pad: 100'),
  pooling('pool1', 'conv1_1'),
  pooling('pool2', 'pool1'),
  pooling('pool3', 'pool2'),
  pooling('pool4', 'pool3'),
  pooling('pool5', 'pool4'),
  convolution('fc6', 'pool5', 'kernel_size: 7'),
  convolution('upscore32', 'fc6', 'kernel_size: 64 stride: 32', 'Deconvolution'),
  crop('score32', 'upscore32', 'data'),
  convolution('upscore2', 'fc6', 'kernel_size: 4 stride: 2', 'Deconvolution'),
  crop('score_pool4c', 'pool4', 'upscore2'),
  convolution('upscore_pool4', 'score_pool4c', 'kernel_size: 4 stride: 2', 'Deconvolution'),
  crop('score_pool3c', 'pool3', 'upscore_pool4'),
  convolution('upscore8', 'score_pool3c', 'kernel_size: 16 stride: 8', 'Deconvolution'),
  crop('score', 'upscore8', 'data'),
].join('');

function offsets(model: NetParameter): Record<string, readonly number[]> {
  const found: Record<string, readonly number[]> = {};
  for (const { name, operation } of graphFromCaffe(model).nodes)
    if (operation.kind === 'crop') found[name] = operation.offset.slice(2);
  return found;
}

test("the offsets are those of FCN's nets", () => {
  assert.equal(offsets(net(FCN)), {
    score32: [19, 19],
    score_pool4c: [5, 5],
    score_pool3c: [9, 9],
    score: [31, 31],
  });
});

test('CROP in old layers is the same', () => {
  const old = `input: "data" input_dim: 1 input_dim: 1 input_dim: 8 input_dim: 8
    layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" convolution_param { num_output: 1 kernel_size: 3 pad: 4 } }
    layers { name: "y" type: CROP bottom: "c" bottom: "data" top: "y" }`;
  assert.equal(offsets(net(old)), { y: [3, 3] });
});

test('a crop that no offset aligns is refused with what to write', () => {
  const [data, other] = [input('data', [1, 1, 9, 9]), input('other', [1, 1, 4, 4])];
  const refused = (text: string, said: RegExp) => assertRefused(net(`${data}${other}${text}`), said);
  refused(crop('y', 'data', 'other'), /no places of one input at one scale.*write type: "Crop"/);
  refused(pooling('p', 'data') + crop('y', 'data', 'p'), /no places of one input at one scale/);
  refused(
    convolution('c', 'data', 'kernel_size: 2') + crop('y', 'data', 'c'),
    /begins at 0.5, 0.5 in the first, between its pixels/,
  );
  refused(
    convolution('c', 'data', 'kernel_size: 3') + crop('y', 'c', 'data'),
    /of 7×7 pixels, 9×9 from -1, -1 on are not all there/,
  );
  refused(`${input('flat', [9, 9])}${crop('y', 'data', 'flat')}`, /takes bottoms of 4 dimensions/);
});

test.run();
