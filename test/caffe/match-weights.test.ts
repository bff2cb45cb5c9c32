/**
 * Weights that do not fit a net: each refusal names layer, cause and cure. No layer silently keeps its filler's values.
 */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { matchText, matchWeights } from '../../ts/caffe/match-weights.ts';
import { blobFromFloats, WeightsError } from '../../ts/index.ts';

const layer = (name: string, type: string, ...shapes: number[][]) => ({
  name,
  type,
  blobs: shapes.map((shape) => blobFromFloats(shape, new Float32Array(elementCount(shape)))),
});
const file = (...layers: ReturnType<typeof layer>[]) => ({ file: 'w.caffemodel', name: 'other', layers });
const parameters = (layers: Record<string, number[][]>) =>
  Object.entries(layers).flatMap(([name, shapes]) =>
    shapes.map((shape, index) => ({ layer: name, index, shape })),
  );
const refused = (work: () => unknown): WeightsError => {
  try {
    work();
  } catch (error) {
    assert.instance(error, WeightsError, String(error));
    return error as WeightsError;
  }
  return assert.unreachable('was taken') as never;
};

const CONV = [[4, 3, 3, 3], [4]];
const FC = [[4, 8], [4]];

test('a layer without weights is an error that names every unmatched layer with equal shapes', () => {
  const error = refused(() =>
    matchWeights(
      parameters({ conv: CONV, fc2: FC }),
      file(
        layer('conv', 'Convolution', ...CONV),
        layer('fc', 'InnerProduct', ...FC),
        layer('fd', 'InnerProduct', ...FC),
        layer('x', 'Bias', [9]),
      ),
    ),
  );
  assert.is(error.code, 'weights/missing');
  assert.is(error.layer, 'fc2');
  assert.match(
    error.message,
    /^w\.caffemodel: layer "fc2" 4×8, 4 \(the file has "fc", "fd" 4×8, 4: renamed\?\) has no weights/,
  );
  assert.match(error.message, /partialWeights: true \(--partial-weights\)/);
  assert.not.match(error.message, /"x" 9: renamed/);
});

test("another net's file, a file without layers, and names with a prefix are told apart", () => {
  const net = parameters({ conv: CONV, fc: FC });
  assert.match(
    refused(() => matchWeights(net, file(layer('a', 'Bias', [9])))).message,
    /none of the net's 2 layers.*of the net "other".*"a" 9/,
  );
  assert.match(refused(() => matchWeights(net, file())).message, /the file has no weights at all/);
  const prefixed = file(layer('m/conv', 'Convolution', ...CONV), layer('m/fc', 'InnerProduct', ...FC));
  assert.match(refused(() => matchWeights(net, prefixed)).message, /names begin with "m\/"/);
});

test("partialWeights keeps the fillers' values where weights are missing, and reports it", () => {
  const { blobs, report } = matchWeights(
    parameters({ conv: CONV, fc2: FC }),
    file(layer('conv', 'Convolution', ...CONV), layer('fc', 'InnerProduct', ...FC)),
    { partialWeights: true },
  );
  assert.equal(
    blobs.map((blob) => blob === null),
    [false, false, true, true],
  );
  assert.is(
    matchText(report),
    '1 of 2 layers have weights from the file; with the values of their fillers: fc2; unused in the file: fc',
  );
});

test('training accepts a file that fits partly, and refuses one without any match', () => {
  const net = parameters({ conv: CONV, fc2: FC });
  const part = file(layer('conv', 'Convolution', ...CONV));
  assert.is(
    matchText(matchWeights(net, part, {}, 'train').report),
    '1 of 2 layers have weights from the file; with the values of their fillers: fc2',
  );
  const nothing = file(layer('fc', 'InnerProduct', ...FC));
  const error = refused(() => matchWeights(net, nothing, {}, 'train'));
  assert.is(error.code, 'weights/none-matched');
  assert.match(error.message, /"fc2" 4×8, 4 \(the file has "fc" 4×8, 4: renamed\?\)/);
  matchWeights(net, nothing, { partialWeights: true }, 'train');
});

test('a superfluous layer is an error only in strict mode', () => {
  const net = parameters({ conv: CONV });
  const more = file(layer('conv', 'Convolution', ...CONV), layer('fc', 'InnerProduct', ...FC));
  matchWeights(net, more);
  assert.is(refused(() => matchWeights(net, more, { strict: true })).code, 'weights/strict');
});

test('shared blobs come from any layer that has them, and none of these layers is called missing or unused', () => {
  const shared = [
    {
      layer: 'a',
      index: 0,
      shape: [2, 2],
      places: [
        { layer: 'a', index: 0 },
        { layer: 'b', index: 0 },
      ],
    },
  ];
  for (const names of [['a'], ['b'], ['a', 'b']]) {
    const { blobs, report } = matchWeights(
      shared,
      file(...names.map((name) => layer(name, 'InnerProduct', [2, 2]))),
    );
    assert.ok(blobs[0]);
    assert.equal(
      report.map(({ status }) => status),
      ['matched', 'matched'],
    );
  }
});

for (const [rule, net, weights, message] of [
  [
    'grey images in a colour net',
    [[4, 1, 3, 3]],
    layer('l', 'Convolution', [4, 3, 3, 3]),
    /colour images \(3 channels\), the input is grey.*force_color/,
  ],
  [
    'colour images in a grey net',
    [[4, 3, 3, 3]],
    layer('l', 'Convolution', [4, 1, 3, 3]),
    /grey images \(1 channel\), the input has colour.*force_gray/,
  ],
  [
    'grey images in a colour net without convolutions',
    [[4, 16]],
    layer('l', 'InnerProduct', [4, 48]),
    /three times as many values.*force_color/,
  ],
  [
    'an input of another size',
    [[4, 100]],
    layer('l', 'InnerProduct', [4, 64]),
    /reads 64 values in the file and 100 here; the input/,
  ],
  [
    'a bias too many',
    [[4, 8]],
    layer('l', 'InnerProduct', [4, 8], [4]),
    /a bias but the net has none, write bias_term: true/,
  ],
  [
    'a bias missing',
    [[4, 8], [4]],
    layer('l', 'InnerProduct', [4, 8]),
    /a bias but the file has none, write bias_term: false/,
  ],
  ['a Scale whose bias is missing', [[4], [4]], layer('l', 'Scale', [4]), /write bias_term: false/],
  [
    'another class count',
    [[10, 8], [10]],
    layer('l', 'InnerProduct', [4, 8], [4]),
    /4 outputs or classes in the file and 10 here, write num_output: 4.*finetune/,
  ],
  [
    'transposed',
    [[8, 4]],
    layer('l', 'InnerProduct', [4, 8]),
    /transposed, write the other value of transpose/,
  ],
  [
    'a 1×1 convolution for an inner product',
    [[4, 8]],
    layer('l', 'Convolution', [4, 8, 1, 1]),
    /a Convolution's for an InnerProduct.*--reshape-weights/,
  ],
  [
    'an inner product for a convolution over its whole bottom',
    [[4, 2, 2, 2]],
    layer('l', 'InnerProduct', [4, 8]),
    /an InnerProduct's for a Convolution.*reshapeWeights: true/,
  ],
  ["TensorFlow's order", [[4, 2, 3, 5]], layer('l', 'Convolution', [3, 5, 2, 4]), /TensorFlow's order/],
  [
    'another kernel',
    [[4, 2, 5, 5]],
    layer('l', 'Convolution', [4, 2, 3, 3]),
    /kernel is 3×3, write its kernel_size/,
  ],
  ['another group', [[4, 8, 3, 3]], layer('l', 'Convolution', [4, 4, 3, 3]), /group differs by 2 times/],
  [
    'another type of layer',
    [[4], [4]],
    layer('l', 'BatchNorm', [4], [4], [1]),
    /another layer there \(BatchNorm\)/,
  ],
] as const)
  test(`a shape that does not fit is refused with its cause: ${rule}`, () => {
    const needed = parameters({ l: net.map((shape) => [...shape]) });
    const error = refused(() => matchWeights(needed, file(weights)));
    assert.match(error.message, message);
    assert.match(error.message, 'w.caffemodel: layer "l"');
    assert.is(error.layer, 'l');
    assert.not.match(error.message, /rename the layer/);
    // A training run may reinitialise such a layer.
    assert.match(
      refused(() => matchWeights(needed, file(weights), {}, 'train')).message,
      /rename the layer in the prototxt/,
    );
  });

test('shapes are attributed to InnerProduct and Convolution only if one is a matrix and the other a kernel', () => {
  const message = (net: number[], weights: number[]) =>
    refused(() => matchWeights(parameters({ l: [net] }), file(layer('l', '', weights)))).message;
  assert.match(message([4, 8, 1, 1], [4, 8]), /an InnerProduct's for a Convolution/);
  // A Scale's values from a tool that writes a row.
  assert.match(message([8], [1, 8]), /other dimensions, with the same values in the same order/);
});

test('with reshapeWeights, the same values are read with other dimensions', () => {
  for (const [net, weights] of [
    [
      [4, 8],
      [4, 8, 1, 1],
    ],
    [
      [4, 8, 1, 1],
      [4, 8],
    ],
    [
      [4, 2, 2, 2],
      [4, 8],
    ],
  ] as const) {
    const { blobs, report } = matchWeights(
      parameters({ l: [[...net]] }),
      file(layer('l', '', [...weights])),
      { reshapeWeights: true },
    );
    assert.ok(blobs[0]);
    assert.is(report[0]!.status, 'reshaped');
  }
  const transposed = file(layer('l', '', [8, 4]));
  refused(() => matchWeights(parameters({ l: [[4, 8]] }), transposed, { reshapeWeights: true }));
});

test('if most layers with equal names differ, the error says that the file belongs to another net', () => {
  const net = parameters({ a: [[4, 8]], b: [[4, 8]], c: [[2, 2]] });
  const error = refused(() =>
    matchWeights(net, file(layer('a', '', [5, 9]), layer('b', '', [6, 10]), layer('c', '', [2, 2]))),
  );
  assert.match(error.message, /so is "b": 2 of the 3 layers .* the file probably belongs to another net/);
});

test('two layers with parameters and the same name are an error when weights are matched', () => {
  const twice = [...parameters({ fc: FC }), ...parameters({ fc: [[2, 4], [2]] })];
  const error = refused(() => matchWeights(twice, file(layer('fc', 'InnerProduct', ...FC))));
  assert.is(error.code, 'weights/names-twice');
  assert.match(error.message, /several layers with parameters of the name "fc".*its own name/);
});

test.run();
