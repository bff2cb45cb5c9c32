/**
 * BatchNorm and Scale folded into a convolution's weights, computed by hand from Caffe's formulas
 * (batch_norm_layer.cpp, scale_layer.cpp).
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ParameterRecipe } from '../../ts/compile/lower.ts';
import { packWeights, sourcesOf } from '../../ts/compile/pack-weights.ts';
import type { AffineStep } from '../../ts/layers/operation.ts';

/** Parameters by their index: weights, bias, mean, variance, factor, gamma, beta; two channels each. */
const BLOBS: readonly (readonly number[])[] = [
  [1, 2, 3, 4],
  [10, -20],
  [4, 6],
  [8, 2],
  [2],
  [3, -1],
  [0.5, 0.25],
];
const BATCH_NORM: AffineStep = { kind: 'batchNorm', mean: 2, variance: 3, factor: 4, eps: 0.25 };
const SCALE: AffineStep = { kind: 'scale', gamma: 5, beta: 6 };

function pack(recipe: ParameterRecipe, blobs = BLOBS) {
  const [packed] = packWeights([recipe], (id) => ({
    bytes: new Uint8Array(Float32Array.from(blobs[id]!).buffer),
    dtype: 'float32',
  }));
  return packed!;
}
const valuesOf = (recipe: ParameterRecipe, blobs = BLOBS) => {
  const { bytes } = pack(recipe, blobs);
  return [...new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)];
};

// For mean [2, 3] and variance [4, 1]: the sums divided by the factor.
const INVERSE = [1 / Math.sqrt(4.25), 1 / Math.sqrt(1.25)] as const;
const rounded = (values: readonly number[]) => values.map(Math.fround);

test('weights stay as in the file, with one factor per channel', () => {
  const { bytes, channelScale } = pack({ kind: 'folded-weights', weights: 0, affine: [BATCH_NORM, SCALE] });
  assert.equal([...new Float32Array(bytes.buffer)], BLOBS[0]);
  assert.equal([...channelScale!], [3 * INVERSE[0], -1 * INVERSE[1]]);
});

test("a convolution's bias is normalised and scaled with its result", () => {
  const folded = (bias: number | null, affine: readonly AffineStep[]) =>
    valuesOf({ kind: 'folded-bias', bias, affine, channels: 2 });
  assert.equal(folded(1, [BATCH_NORM]), rounded([(10 - 2) * INVERSE[0], (-20 - 3) * INVERSE[1]]));
  assert.equal(folded(null, [BATCH_NORM]), rounded([-2 * INVERSE[0], -3 * INVERSE[1]]));
  assert.equal(
    folded(1, [SCALE, BATCH_NORM]),
    rounded([(3 * 10 + 0.5 - 2) * INVERSE[0], (20 + 0.25 - 3) * INVERSE[1]]),
  );
});

test('a Scale without bias, or a Bias, leaves the other unchanged', () => {
  const affine = [
    { kind: 'scale', gamma: 5, beta: null },
    { kind: 'scale', gamma: null, beta: 6 },
  ] as const;
  assert.equal(valuesOf({ kind: 'affine-scale', affine, channels: 2 }), [3, -1]);
  assert.equal(valuesOf({ kind: 'folded-bias', bias: null, affine, channels: 2 }), [0.5, 0.25]);
});

test('a factor of 0 makes mean and variance 0', () => {
  const blobs = BLOBS.with(4, [0]);
  assert.equal(valuesOf({ kind: 'affine-scale', affine: [BATCH_NORM], channels: 2 }, blobs), [2, 2]);
  assert.equal(
    valuesOf({ kind: 'folded-bias', bias: 1, affine: [BATCH_NORM], channels: 2 }, blobs),
    [20, -40],
  );
});

test('all blobs of a recipe are named', () => {
  const recipes: ParameterRecipe[] = [
    { kind: 'zeros' },
    { kind: 'blob', parameter: 7 },
    { kind: 'folded-weights', weights: 0, affine: [BATCH_NORM] },
    { kind: 'folded-bias', bias: 1, affine: [SCALE], channels: 2 },
  ];
  assert.equal([...sourcesOf(recipes)].sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
});

test.run();
