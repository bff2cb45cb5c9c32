/**
 * MultiStageMeanfield of CRF-RNN. Its filters are compared with a second implementation that finds each point's simplex
 * by search and its barycentric coordinates by elimination; the inference with algorithm 1 of the paper
 * (arXiv:1502.03240) in float64.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { gaussianFilter } from '../../ts/layers/permutohedral.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();

/** Solves a·x = b. */
function solve(a: number[][], b: number[]): number[] {
  const rows = a.map((row, i) => [...row, b[i]!]);
  const size = b.length;
  for (let column = 0; column < size; column++) {
    const pivot = rows
      .slice(column)
      .reduce(
        (best, row, i) => (Math.abs(row[column]!) > Math.abs(rows[best]![column]!) ? column + i : best),
        column,
      );
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    for (let row = 0; row < size; row++) {
      if (row === column) continue;
      const by = rows[row]![column]! / rows[column]![column]!;
      for (let k = column; k <= size; k++) rows[row]![k]! -= by * rows[column]![k]!;
    }
  }
  return rows.map((row, i) => row[size]! / row[i]!);
}

/** The lattice point nearest to y whose coordinates all leave `remainder`, of those around it. */
function nearest(y: readonly number[], remainder: number): number[] {
  const size = y.length;
  let best: number[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (let choice = 0; choice < 2 ** size; choice++) {
    const point = y.map(
      (value, i) => (Math.floor((value - remainder) / size) + ((choice >> i) & 1)) * size + remainder,
    );
    if (point.reduce((a, b) => a + b) !== 0) continue;
    const distance = point.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0);
    if (distance < least) [best, least] = [point, distance];
  }
  return best;
}

/** The filter of the paper, step by step. */
function filtered(features: readonly (readonly number[])[], values: readonly number[]): number[] {
  const d = features[0]!.length;
  const vertices = new Map<string, number>();
  const splats = features.map((feature) => {
    const scaled = feature.map(
      (value, i) => (value * Math.sqrt(2 / 3) * (d + 1)) / Math.sqrt((i + 1) * (i + 2)),
    );
    // Column j of E has ones down to row j, then −(j + 1).
    const y = Array.from({ length: d + 1 }, (_, row) =>
      scaled.reduce((sum, value, j) => sum + value * (row <= j ? 1 : row === j + 1 ? -(j + 1) : 0), 0),
    );
    const corners = Array.from({ length: d + 1 }, (_, k) => nearest(y, k));
    const equations = [
      ...Array.from({ length: d }, (_, i) => corners.map((corner) => corner[i]!)),
      corners.map(() => 1),
    ];
    const weights = solve(equations, [...y.slice(0, d), 1]);
    assert.ok(
      weights.every((weight) => weight > -1e-9),
      'the point is outside of its simplex',
    );
    return corners.map((corner, k) => ({ key: corner.join(), weight: weights[k]! }));
  });
  splats.forEach((splat, point) => {
    for (const { key, weight } of splat)
      vertices.set(key, (vertices.get(key) ?? 0) + weight * values[point]!);
  });
  for (let axis = 0; axis <= d; axis++) {
    const now = new Map(vertices);
    for (const key of now.keys()) {
      const place = key.split(',').map(Number);
      const at = (sign: number) =>
        now.get(place.map((value, i) => value + sign * (i === axis ? d : -1)).join()) ?? 0;
      vertices.set(key, now.get(key)! + 0.5 * (at(1) + at(-1)));
    }
  }
  const alpha = 1 / (1 + 2 ** -d);
  return splats.map(
    (splat) => alpha * splat.reduce((sum, { key, weight }) => sum + weight * vertices.get(key)!, 0),
  );
}

const isNear = (found: ArrayLike<number>, wanted: readonly number[], what: string, most = 1e-5) => {
  assert.is(found.length, wanted.length, what);
  const scale = Math.max(...wanted.map(Math.abs));
  wanted.forEach((value, i) => {
    assert.ok(Math.abs(found[i]! - value) <= most * scale, `${what}[${i}]: ${found[i]}, not ${value}`);
  });
};

for (const [d, count] of [
  [1, 9],
  [2, 40],
  [5, 60],
] as const)
  test(`the filter of ${d} dimensions equals that of a second implementation, and its derivative is its transpose`, () => {
    const flat = draw(d * count, d, 0, 2.5);
    const features = Array.from({ length: count }, (_, i) => [...flat.subarray(d * i, d * i + d)]);
    const filter = gaussianFilter(flat, d);
    const [a, b] = [draw(count, 7), draw(count, 8)];
    isNear(filter.apply(a, 1), filtered(features, [...a]), 'values');
    const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    isNear([dot(filter.apply(a, 1), b)], [dot(a, filter.apply(b, 1, true))], 'transpose');
    const both = new Float32Array([...a, ...b]);
    isNear(filter.apply(both, 2), [...filter.apply(a, 1), ...filter.apply(b, 1)], 'channels', 1e-7);
  });

const [C, H, W] = [3, 4, 5] as const;
const P = H * W;
const crf = (more = 'num_iterations: 3', n = 1, image = [n, 3, H, W]) =>
  `${input('scores', [n, C, H, W])}${input('data', image)}layer { name: "split" type: "Split" bottom: "scores" top: "unary" top: "Q0" }
  layer { name: "inference1" type: "MultiStageMeanfield" bottom: "unary" bottom: "Q0" bottom: "data" top: "pred"
    multi_stage_meanfield_param { theta_alpha: 5 theta_beta: 0.4 theta_gamma: 2 spatial_filter_weight: 3 bilateral_filter_weight: 5 compatibility_mode: POTTS ${more} } }`;

/** Algorithm 1. */
function inferred(
  scores: ArrayLike<number>,
  image: ArrayLike<number>,
  [ws, wb, mu]: readonly Float32Array[],
  iterations: number,
): number[] {
  const places = Array.from({ length: P }, (_, p) => [p % W, Math.floor(p / W)]);
  const near = places.map((place) => place.map((value) => Math.fround(value / 2)));
  const alike = places.map((place, p) => [
    ...place.map((value) => Math.fround(value / 5)),
    ...[0, 1, 2].map((c) => Math.fround(image[c * P + p]! / 0.4)),
  ]);
  const normal = (features: number[][]) => {
    const norms = filtered(
      features,
      places.map(() => 1),
    );
    return (values: number[]) => filtered(features, values).map((value, p) => value / norms[p]!);
  };
  const filters = [normal(near), normal(alike)];
  const times = (matrix: Float32Array, x: number[][]) =>
    x.map((_, i) => x[0]!.map((__, p) => x.reduce((sum, row, j) => sum + matrix[i * C + j]! * row[p]!, 0)));
  const unary = Array.from({ length: C }, (_, c) => Array.from({ length: P }, (__, p) => scores[c * P + p]!));
  let now = unary;
  for (let iteration = 0; iteration < iterations; iteration++) {
    const q = now.map((row, c) =>
      row.map((_, p) => Math.exp(now[c]![p]!) / now.reduce((sum, each) => sum + Math.exp(each[p]!), 0)),
    );
    const [s, b] = filters.map((filter) => q.map(filter)) as [number[][], number[][]];
    const [ms, mb] = [times(ws!, s), times(wb!, b)];
    const pairwise = times(
      mu!,
      ms.map((row, c) => row.map((value, p) => value + mb[c]![p]!)),
    );
    now = unary.map((row, c) => row.map((value, p) => value - pairwise[c]![p]!));
  }
  return now.flat();
}

const diagonal = (value: number) =>
  Float32Array.from({ length: C * C }, (_, i) => (i % (C + 1) === 0 ? value : 0));

for (const device of devices) {
  test(`scores become those of algorithm 1, for each image of a batch, on ${device.kind}`, async () => {
    const [scores, image] = [draw(2 * C * P, 3, -2, 2), draw(2 * 3 * P, 4)];
    const matrices = [draw(C * C, 5), draw(C * C, 6), draw(C * C, 7)];
    const weights = {
      file: 'crf.caffemodel',
      name: 'crf',
      layers: [
        {
          name: 'inference1',
          type: 'MultiStageMeanfield',
          // As the fork writes them.
          blobs: matrices.map((matrix) => blobFromFloats([1, 1, C, C], matrix)),
        },
      ],
    };
    using loaded = await device.load({ model: net(crf('num_iterations: 3', 2)), weights: weights as never });
    const { pred } = await loaded.run({ scores, data: image });
    const wanted = [0, 1].flatMap((n) =>
      inferred(
        scores.subarray(n * C * P, (n + 1) * C * P),
        image.subarray(n * 3 * P, (n + 1) * 3 * P),
        matrices,
        3,
      ),
    );
    isNear(pred!.data, wanted, 'pred');
  });

  test(`without weights the filters' weights are the layer's, and classes repel one another, on ${device.kind}`, async () => {
    const [scores, image] = [draw(C * P, 3, -2, 2), draw(3 * P, 4)];
    using loaded = await device.load({ model: net(crf()) });
    const { pred } = await loaded.run({ scores, data: image });
    isNear(pred!.data, inferred(scores, image, [diagonal(3), diagonal(5), diagonal(-1)], 3), 'pred');
  });

  test(`the gradient is the derivative, on ${device.kind}`, async () => {
    const [scores, image] = [draw(C * P, 3), draw(3 * P, 4)];
    const dy = draw(C * P, 9);
    using trainer = await device.train({
      model: { ...net(crf('num_iterations: 2')), force_backward: true },
      update: null,
      diffs: ['scores'],
      phase: 'TRAIN',
    });
    const { blobs, parameters } = await trainer.gradients(
      { scores, data: image },
      { topDiffs: { pred: dy } },
    );
    const matrices = [diagonal(3), diagonal(5), diagonal(-1)];
    const value = (x: Float32Array | Float64Array, of: readonly Float32Array[]) =>
      inferred(x, image, of, 2).reduce((sum, each, i) => sum + each * dy[i]!, 0);
    const slope = (at: (by: number) => number) => (at(1e-4) - at(-1e-4)) / 2e-4;
    const moved = (from: Float32Array, i: number, by: number) =>
      Float64Array.from(from, (each, k) => each + (k === i ? by : 0));
    isNear(
      [0, 7, 23, 41].map((i) => blobs.scores!.data[i]!),
      [0, 7, 23, 41].map((i) => slope((by) => value(moved(scores, i, by), matrices))),
      'scores',
      1e-3,
    );
    matrices.forEach((matrix, k) => {
      isNear(
        [0, 1, 5].map((i) => parameters[k]!.data[i]!),
        [0, 1, 5].map((i) => slope((by) => value(scores, matrices.with(k, moved(matrix, i, by) as never)))),
        `matrix ${k}`,
        1e-3,
      );
    });
  });
}

test('bottoms and settings that do not fit are refused', () => {
  assertRefused(net(crf('num_iterations: 1')), /num_iterations must be above 1, found 1/);
  assertRefused(
    net(crf('num_iterations: 3', 1, [1, 3, H, W + 1])),
    /must be the image that the scores belong to, 1×3×4×5, found 1×3×4×6/,
  );
});

test.run();
