/**
 * For a single image, the parts of a concatenation are written directly into the result, and nothing may overwrite them
 * while others still read them. The results equal those of each image in a batch, where the parts are copied.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { calibrationOf } from '../../ts/compile/calibration.ts';
import { graphFromCaffe, type NetParameter, openDevice } from '../../ts/index.ts';
import { cpuLibrary } from '../support/cpu-library.ts';
import { draw, input, net } from '../support/net-text.ts';
import { randomWeights } from '../support/random-weights.ts';

const device = await openDevice('cpu', { threads: 2, winograd: false, ...cpuLibrary });
test.after(() => device.dispose());

const convolution = (name: string, bottom: string, outputs = 16) =>
  `layer { name: "${name}" type: "Convolution" bottom: "${bottom}" top: "${name}" convolution_param { num_output: ${outputs} kernel_size: 1 } }`;
const concat = (name: string, ...bottoms: string[]) =>
  `layer { name: "${name}" type: "Concat" ${bottoms.map((each) => `bottom: "${each}"`).join(' ')} top: "${name}" }`;
/** Works in place. */
const sigmoid = (blob: string) =>
  `layer { name: "${blob}_sigmoid" type: "Sigmoid" bottom: "${blob}" top: "${blob}" }`;
const sum = (name: string, ...bottoms: string[]) =>
  `layer { name: "${name}" type: "Eltwise" ${bottoms.map((each) => `bottom: "${each}"`).join(' ')} top: "${name}" }`;

const load = (model: NetParameter) => device.load({ model, weights: randomWeights(graphFromCaffe(model)) });

const CASES: Readonly<Record<string, readonly string[]>> = {
  'two convolutions': [
    convolution('a', 'data'),
    convolution('b', 'data', 32),
    concat('c', 'a', 'b'),
    convolution('d', 'c'),
  ],
  'a chain, as DenseNet has it': [
    convolution('a', 'data'),
    convolution('b', 'a'),
    concat('c', 'a', 'b'),
    convolution('d', 'c'),
    concat('e', 'c', 'd'),
    convolution('f', 'e'),
    concat('g', 'e', 'f'),
    convolution('h', 'g'),
  ],
  'a part that is read again later': [
    convolution('a', 'data'),
    convolution('b', 'data'),
    concat('c', 'a', 'b'),
    sigmoid('c'),
    convolution('d', 'c'),
    sum('e', 'a', 'd'),
    convolution('f', 'e'),
  ],
  'a part that a function would change in place, were it not read elsewhere': [
    convolution('a', 'data'),
    convolution('b', 'data'),
    concat('c', 'a', 'b'),
    'layer { name: "s" type: "Sigmoid" bottom: "a" top: "s" }',
    convolution('d', 'c'),
    sum('e', 's', 'd'),
    convolution('f', 'e'),
  ],
  'the same blob twice, and in two results': [
    convolution('a', 'data'),
    convolution('b', 'data'),
    concat('c', 'a', 'a', 'b'),
    concat('d', 'b', 'a'),
    convolution('e', 'c'),
    convolution('f', 'd'),
    sum('g', 'e', 'f'),
    convolution('h', 'g'),
  ],
  'an input and an output of the net': [
    convolution('a', 'data'),
    concat('c', 'data', 'a'),
    convolution('d', 'c'),
    concat('e', 'd', 'a'),
  ],
  'channels that fill no block': [
    convolution('a', 'data', 5),
    convolution('b', 'data', 16),
    concat('c', 'a', 'b'),
    convolution('d', 'c'),
  ],
  'a result that is changed in place before its parts are read again': [
    convolution('a', 'data'),
    convolution('b', 'data'),
    concat('c', 'a', 'b'),
    'layer { name: "r" type: "ReLU" bottom: "c" top: "r" }',
    convolution('d', 'r'),
    sum('e', 'a', 'b', 'd'),
    convolution('f', 'e'),
  ],
};

for (const [name, layers] of Object.entries(CASES)) {
  test(`concatenation of ${name}`, async () => {
    const [image, images] = [16 * 5 * 7, 3];
    const data = draw(images * image, 7);
    const text = (batch: number) => net([input('data', [batch, 16, 5, 7]), ...layers].join('\n'));
    using apart = await load(text(1));
    using together = await load(text(images));
    const expected = await together.run({ data });
    for (let i = 0; i < images; i++) {
      const made = await apart.run({ data: data.subarray(i * image, (i + 1) * image) });
      for (const [blob, { data: own }] of Object.entries(made)) {
        const all = expected[blob]!.data;
        const wrong = own.findIndex((value, j) => !(Math.abs(value - all[i * own.length + j]!) <= 1e-5));
        assert.is(wrong, -1, `${blob}[${wrong}] of image ${i} is ${own[wrong]}`);
      }
    }
  });
}

test('in int8, a single image gives the same numbers as in a batch', async () => {
  const layers = [
    sigmoid('data'),
    concat('c', 'data', 'data'),
    concat('d', 'c'),
    convolution('e', 'd'),
    'layer { name: "f" type: "Eltwise" bottom: "c" bottom: "d" top: "f" eltwise_param { operation: MAX } }',
  ];
  const text = (batch: number) => net([input('data', [batch, 16, 5, 7]), ...layers].join('\n'));
  const ranges = { 'data@data': 1, 'data@data_sigmoid': 1, 'c@c': 1, 'd@d': 1, 'e@e': 4, 'f@f': 1 };
  const calibration = calibrationOf({ net: '', method: 'min-max', percentile: null, images: 1, ranges });
  const made = async (batch: number, data: Float32Array) => {
    const model = text(batch);
    const weights = randomWeights(graphFromCaffe(model));
    using int8 = await device.load({ model, weights, precision: 'int8', calibration });
    return int8.run({ data });
  };
  const data = draw(2 * 16 * 5 * 7, 7);
  const together = await made(2, data);
  const alone = await made(1, data.subarray(0, data.length / 2));
  for (const [blob, { data: own }] of Object.entries(alone))
    assert.equal(own, together[blob]!.data.subarray(0, own.length), blob);
});

test("most of DenseNet's concatenations copy nothing", async () => {
  const caffe = net([input('data', [1, 16, 5, 7]), ...CASES['a chain, as DenseNet has it']!].join('\n'));
  using model = await load(caffe);
  const implementations = model
    .plan()
    .operations.filter(({ layer }) => ['c', 'e', 'g'].includes(layer))
    .map(({ implementation }) => implementation);
  assert.equal(implementations, ['in place', 'in place', 'in place']);
});

test.run();
