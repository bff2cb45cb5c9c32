/**
 * Maps that are read at computed points, and maps of other sizes, against what the layers of LiteFlowNet, PWC-Net, FlowNet 2 and the
 * spatial transformer compute, written out in float64.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openEmulated } from '../support/emulated.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const [N, C, H, W] = [2, 3, 4, 5] as const;
const layer = (type: string, bottoms: string, more = '', top = 'y') =>
  `layer { name: "${top}" type: "${type}" ${bottoms
    .split(' ')
    .map((name) => `bottom: "${name}"`)
    .join(' ')} top: "${top}" ${more} }\n`;

function assertNear(found: ArrayLike<number>, wanted: readonly number[], what: string): void {
  assert.is(found.length, wanted.length, what);
  wanted.forEach((value, i) => {
    assert.ok(
      Math.abs(found[i]! - value) < 1e-5 * Math.max(1, Math.abs(value)),
      `${what}[${i}]: ${found[i]}, not ${value}`,
    );
  });
}

/** A plane, 0 outside. */
const pixel = (x: Float32Array, plane: number, row: number, column: number) =>
  row < 0 || column < 0 || row >= H || column >= W ? 0 : x[(plane * H + row) * W + column]!;

/** Σ over the four pixels around a point. */
function bilinear(at: (row: number, column: number) => number, row: number, column: number): number {
  const [top, left] = [Math.floor(row), Math.floor(column)];
  const [below, right] = [row - top, column - left];
  return (
    (1 - below) * ((1 - right) * at(top, left) + right * at(top, left + 1)) +
    below * ((1 - right) * at(top + 1, left) + right * at(top + 1, left + 1))
  );
}

/** Points in and around the map: pixels themselves, its edges, far away, and what is not a number. */
function points(isRelative: boolean): Float32Array {
  const made = draw(N * 2 * H * W, 3, -1.7, 6.3);
  const special = [0, -1, -0.5, W - 1, W - 0.75, W, 1e30, Number.NaN, 2, H - 1];
  special.forEach((value, i) => {
    made[i] = value;
    made[H * W + 2 * i] = value;
  });
  if (isRelative)
    for (let i = 0; i < made.length; i++) {
      const place = i % (H * W);
      made[i]! -= Math.floor(i / (H * W)) % 2 === 0 ? place % W : Math.floor(place / W);
    }
  return made;
}

const warped = (
  at: Float32Array,
  isRelative: boolean,
  rule: (plane: number, row: number, column: number) => number,
) =>
  Array.from({ length: N * C * H * W }, (_, i) => {
    const [plane, place] = [Math.floor(i / (H * W)), i % (H * W)];
    const item = Math.floor(plane / C);
    const coordinate = (k: number) => {
      const own = k === 0 ? place % W : Math.floor(place / W);
      return Math.fround(at[(item * 2 + k) * H * W + place]! + (isRelative ? own : 0));
    };
    const [column, row] = [coordinate(0), coordinate(1)];
    return Number.isNaN(column + row) ? 0 : rule(plane, row, column);
  });

const blobs = input('x', [N, C, H, W]) + input('points', [N, 2, H, W]);

for (const device of devices) {
  const run = async (text: string, inputs: Record<string, Float32Array>) => {
    using loaded = await device.load({ model: net(text) });
    return (await loaded.run(inputs)).y!;
  };

  test(`Warp of LiteFlowNet reads at points, what is outside as 0, on ${device.kind}`, async () => {
    const [x, at] = [draw(N * C * H * W, 1), points(false)];
    const text = blobs + layer('Grid', 'x', '', 'grid') + layer('Warp', 'x points');
    using loaded = await device.load({ model: net(text) });
    const { y, grid } = await loaded.run({ x, points: at });
    assertNear(
      y!.data,
      warped(at, false, (plane, row, column) => bilinear((r, c) => pixel(x, plane, r, c), row, column)),
      'y',
    );
    assert.equal(grid!.shape, [N, 2, H, W]);
    assert.equal([...grid!.data.subarray(0, 6)], [0, 1, 2, 3, 4, 0]);
    assert.equal([...grid!.data.subarray(H * W, H * W + 6)], [0, 0, 0, 0, 0, 1]);
  });

  test(`Warp of PWC-Net follows flows, which lead nowhere outside of the first and last pixels, on ${device.kind}`, async () => {
    const [x, at] = [draw(N * C * H * W, 2), points(true)];
    const wanted = warped(at, true, (plane, row, column) =>
      row < 0 || column < 0 || row > H - 1 || column > W - 1
        ? 0
        : bilinear((r, c) => pixel(x, plane, r, c), row, column),
    );
    assertNear((await run(blobs + layer('Warp', 'x points'), { x, points: at })).data, wanted, 'y');
  });

  test(`FlowWarp follows flows up to a pixel behind the last, on ${device.kind}`, async () => {
    const [x, at] = [draw(N * C * H * W, 4), points(true)];
    const wanted = warped(at, true, (plane, row, column) =>
      row < 0 || column < 0 || row >= H || column >= W
        ? 0
        : bilinear((r, c) => pixel(x, plane, Math.min(r, H - 1), Math.min(c, W - 1)), row, column),
    );
    assertNear((await run(blobs + layer('FlowWarp', 'x points'), { x, points: at })).data, wanted, 'y');
  });

  test(`SpatialTransformer reads rows and columns from −1 to 1, on ${device.kind}`, async () => {
    const x = draw(N * C * H * W, 5);
    const [tall, wide] = [3, 6];
    const theta = Float32Array.of(0.9, 0.2, -0.1, 0.7, 0.3, 1.2, -0.3, 0.1, 0.4, -0.2);
    const text =
      input('x', [N, C, H, W]) +
      input('theta', [N, 5]) +
      layer(
        'SpatialTransformer',
        'x theta',
        `st_param { output_H: ${tall} output_W: ${wide} theta_2_1: 0.25 }`,
      );
    const wanted = Array.from({ length: N * C * tall * wide }, (_, i) => {
      const [plane, place] = [Math.floor(i / (tall * wide)), i % (tall * wide)];
      const own = theta.subarray(Math.floor(plane / C) * 5);
      const [s, t] = [(Math.floor(place / wide) / tall) * 2 - 1, ((place % wide) / wide) * 2 - 1];
      const row = ((own[0]! * s + own[1]! * t + own[2]! + 1) / 2) * H;
      const column = ((0.25 * s + own[3]! * t + own[4]! + 1) / 2) * W;
      return bilinear((r, c) => pixel(x, plane, r, c), row, column);
    });
    const y = await run(text, { x, theta });
    assert.equal(y.shape, [N, C, tall, wide]);
    assertNear(y.data, wanted, 'y');
  });

  test(`the slope at a pixel itself is the forks', on ${device.kind}`, async () => {
    const x = Float32Array.from({ length: 5 }, (_, i) => i * i);
    const slopes = async (type: string, more: string, at: Float32Array) => {
      const text = `${input('x', [1, 1, 1, 5])}${input('points', [1, 2, 1, 5])}${more}${layer(type, 'x points')}`;
      using trainer = await device.train({ model: net(text), update: null, diffs: ['points'] });
      const topDiffs = { y: new Float32Array(5).fill(1) };
      const { blobs } = await trainer.gradients({ x, points: at }, { topDiffs });
      return [...blobs.points!.data.subarray(0, 5)];
    };
    // PWC-Net: half of the slopes to both sides, where there are pixels.
    assert.equal(await slopes('Warp', '', new Float32Array(10)), [0.5, 2, 4, 6, 3.5]);
    assert.equal(await slopes('FlowWarp', '', new Float32Array(10)), [1, 3, 5, 7, 0]);
    const own = Float32Array.of(0, 1, 2, 3, 4, 0, 0, 0, 0, 0);
    assert.equal(await slopes('Warp', layer('Grid', 'x', '', 'grid'), own), [1, 3, 5, 7, -16]);
  });

  test(`ChannelNorm is the length of the channels, on ${device.kind}`, async () => {
    const x = draw(N * C * H * W, 6);
    const y = await run(input('x', [N, C, H, W]) + layer('ChannelNorm', 'x'), { x });
    assert.equal(y.shape, [N, 1, H, W]);
    const wanted = Array.from({ length: N * H * W }, (_, i) => {
      const [n, place] = [Math.floor(i / (H * W)), i % (H * W)];
      return Math.hypot(...[0, 1, 2].map((c) => x[(n * C + c) * H * W + place]!));
    });
    assertNear(y.data, wanted, 'y');
  });

  for (const [type, size, weightAt, reach] of [
    ['LINEAR', [8, 10], (d: number) => Math.max(0, 1 - Math.abs(d)), 2],
    ['LINEAR', [2, 3], (d: number) => Math.max(0, 1 - Math.abs(d)), 2],
    ['CUBIC', [3, 9], cubic, 4],
  ] as const)
    test(`Resample to ${size.join('×')}, ${type}, sums what its window weighs, on ${device.kind}`, async () => {
      const x = draw(N * C * H * W, 7);
      const [tall, wide] = size;
      const [fy, fx] = [H / tall, W / wide];
      const antialias = fx > 1 || fy > 1;
      const [ax, ay] = antialias ? [1 / fx, 1 / fy] : [1, 1];
      const [rx, ry] = [fx < 1 ? 2 : Math.ceil(reach / ax), fy < 1 ? 2 : Math.ceil(reach / ay)];
      const wanted = Array.from({ length: N * C * tall * wide }, (_, i) => {
        const [plane, place] = [Math.floor(i / (tall * wide)), i % (tall * wide)];
        const atX = (place % wide) * fx + fy / 2 - 0.5;
        const atY = Math.floor(place / wide) * fy + fx / 2 - 0.5;
        let [sum, weights] = [0, 0];
        for (let r = Math.round(atY) - ry; r <= Math.round(atY) + ry; r++)
          for (let c = Math.round(atX) - rx; c <= Math.round(atX) + rx; c++) {
            if (r < 0 || c < 0 || r >= H || c >= W) continue;
            const weight = ax * weightAt(ax * (atX - c)) * ay * weightAt(ay * (atY - r));
            sum += weight * pixel(x, plane, r, c);
            weights += weight;
          }
        return weights === 0 ? 0 : sum / weights;
      });
      const text =
        input('x', [N, C, H, W]) +
        layer('Resample', 'x', `resample_param { height: ${tall} width: ${wide} type: ${type} }`);
      assertNear((await run(text, { x })).data, wanted, 'y');
    });

  test(`Downsample puts corners on corners, on ${device.kind}`, async () => {
    const x = draw(N * C * H * W, 8);
    const [tall, wide] = [2, 3];
    const [sy, sx] = [(H - 1) / (tall - 1), (W - 1) / (wide - 1)];
    const wanted = Array.from({ length: N * C * tall * wide }, (_, i) => {
      const [plane, place] = [Math.floor(i / (tall * wide)), i % (tall * wide)];
      const [atY, atX] = [Math.floor(place / wide) * sy, (place % wide) * sx];
      let [sum, weights] = [0, 0];
      for (let r = 0; r < H; r++)
        for (let c = 0; c < W; c++) {
          const weight = Math.max(0, 1 - Math.abs(c - atX) / sx) * Math.max(0, 1 - Math.abs(r - atY) / sy);
          sum += weight * pixel(x, plane, r, c);
          weights += weight;
        }
      return sum / weights;
    });
    const text = input('x', [N, C, H, W]) + input('like', [1, 1, tall, wide]) + layer('Downsample', 'x like');
    assertNear((await run(text, { x, like: new Float32Array(tall * wide) })).data, wanted, 'y');
    const same =
      input('x', [N, C, H, W]) +
      layer('Downsample', 'x', `downsample_param { top_height: ${H} top_width: ${W} }`);
    assert.equal([...(await run(same, { x })).data], [...x]);
  });

  test(`ExpMax is e to what lies below the largest channel, NegSquare −x², on ${device.kind}`, async () => {
    const x = draw(N * C * H * W, 9, -3, 3);
    const y = await run(
      input('x', [N, C, H, W]) +
        layer('NegSquare', 'x', '', 's') +
        layer('ExpMax', 's', 'expmax_param { scale: 0.5 }'),
      { x },
    );
    const wanted = Array.from(x, (value, i) => {
      const [n, place] = [Math.floor(i / (C * H * W)), i % (H * W)];
      const largest = Math.max(...[0, 1, 2].map((c) => -(x[(n * C + c) * H * W + place]! ** 2)));
      return Math.exp(0.5 * (-(value ** 2) - largest));
    });
    assertNear(y.data, wanted, 'y');
  });
}

function cubic(signed: number): number {
  const x = Math.abs(signed);
  if (x <= 1) return 1.5 * x ** 3 - 2.5 * x ** 2 + 1;
  return x < 2 ? -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2 : 0;
}

test('what these layers cannot be is refused at its place', () => {
  const refused = (text: string, said: RegExp) =>
    assertRefused(net(`${blobs}${input('theta', [2, 6])}${text}`), said);
  refused(layer('Warp', 'x theta'), /needs x and y of points, 2×2×H×W, found 2×6/);
  refused(layer('FlowWarp', 'points x'), /needs x and y of points, 2×2×H×W, found 2×3×4×5/);
  refused(
    layer('FlowWarp', 'x points', 'flow_warp_param { fill_value: NOT_A_NUMBER }'),
    /it is run with ZERO/,
  );
  refused(
    layer('SpatialTransformer', 'x theta', 'st_param { theta_1_1: 1 }'),
    /needs the 5 values of θ that st_param does not give, for each of 2 items, found 2×6/,
  );
  refused(
    layer('SpatialTransformer', 'x theta', 'st_param { output_H: -1 }'),
    /output_H and output_W must be at least 1, found -1 and 5/,
  );
  refused(
    layer('SpatialTransformer', 'x theta', 'st_param { output_H: 2000000000 output_W: 2000000000 }'),
    /over Caffe's limit/,
  );
  refused(
    layer('SpatialTransformer', 'x theta', 'st_param { transform_type: "tps" }'),
    /transform_type must be "affine", found "tps"/,
  );
  refused(layer('Resample', 'x'), /height and width must be given and at least 1/);
  refused(
    layer('Resample', 'x', 'resample_param { height: 4000000000 width: 4000000000 }'),
    /over Caffe's limit/,
  );
  refused(
    layer('Resample', 'x', 'resample_param { height: 200000000 width: 1 }'),
    /net\.prototxt:\d+:\d+.*up to 65536 pixels along a side, found 4×5 to 200000000×1/,
  );
  refused(
    input('long', [1, 1, 200000000, 2]) +
      layer('Downsample', 'long', 'downsample_param { top_height: 2 top_width: 2 }'),
    /up to 65536 pixels along a side, found 200000000×2 to 2×2/,
  );
  refused(layer('Resample', 'x', 'resample_param { height: 2 width: 2 type: AREA }'), /found AREA/);
  refused(
    layer('Downsample', 'x', 'downsample_param { top_height: 8 top_width: 8 }'),
    /makes maps smaller, down to 2×2; found 8×8 for 4×5/,
  );
  refused(layer('ChannelNorm', 'theta'), /expected a first bottom of 4 dimensions/);
  refused(layer('ExpMax', 'x', 'expmax_param { base: 0 }'), /base must be above 0, or -1/);
});

test.run();
