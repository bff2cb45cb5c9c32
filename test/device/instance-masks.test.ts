/**
 * The layers of multi-task network cascades, against what the fork's CUDA and Python code computes, written out in
 * float64.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const isNear = (found: ArrayLike<number>, wanted: readonly number[], what: string) => {
  assert.is(found.length, wanted.length, what);
  wanted.forEach((value, i) => {
    assert.ok(
      Math.abs(found[i]! - value) < 2e-5 * Math.max(1, Math.abs(value)),
      `${what}[${i}]: ${found[i]}, not ${value}`,
    );
  });
};

const [C, H, W] = [2, 7, 9] as const;

/** bilinear_interpolate of the fork: the value and the four pixels; null outside. */
function between(
  at: (row: number, column: number) => number,
  h: number,
  w: number,
  [height, width]: readonly [number, number],
) {
  if (h < -0.5 || h > height - 0.5 || w < -0.5 || w > width - 0.5) return null;
  const [y, x] = [Math.min(Math.max(h, 0), height - 1), Math.min(Math.max(w, 0), width - 1)];
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const [dy, dx] = [y - top, x - left];
  const pixels = [
    [top, left, (1 - dy) * (1 - dx)],
    [top, Math.min(left + 1, width - 1), (1 - dy) * dx],
    [Math.min(top + 1, height - 1), left, dy * (1 - dx)],
    [Math.min(top + 1, height - 1), Math.min(left + 1, width - 1), dy * dx],
  ] as const;
  return { value: pixels.reduce((sum, [r, c, weight]) => sum + weight * at(r, c), 0), pixels };
}

const ROIS = [
  [0, 4, 8, 100, 90],
  [1, 0, 0, 143, 111],
  [0, 30, 30, 30, 30],
  [0, -60, 10, 40, 60],
  // A region that is all outside, and none.
  [1, 400, 400, 500, 500],
  [-1, -1, -1, -1, -1],
];
const [TALL, WIDE] = [3, 2] as const;

function warped(maps: Float32Array, diff?: Float32Array) {
  const round = (value: number) => Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
  const made: number[] = [];
  const dx = new Float64Array(maps.length);
  for (const [image, ...sides] of ROIS as [number, number, number, number, number][])
    for (let c = 0; c < C; c++)
      for (let ph = 0; ph < TALL; ph++)
        for (let pw = 0; pw < WIDE; pw++) {
          const [x1, y1, x2, y2] = sides.map((side) => round(side / 16)) as [number, number, number, number];
          const [height, width] = [Math.max(y2 - y1, 0), Math.max(x2 - x1, 0)];
          const samples = (bin: number, length: number, bins: number) => {
            const count = Math.ceil(length / bins);
            return Array.from({ length: count + 1 }, (_, k) => (count === 0 ? bin : bin + k / count));
          };
          const first = (image * C + c) * H * W;
          let best: NonNullable<ReturnType<typeof between>> | null = null;
          if (image >= 0)
            for (const fh of samples(ph, height, TALL))
              for (const fw of samples(pw, width, WIDE)) {
                const found = between(
                  (r, col) => maps[first + r * W + col]!,
                  y1 + (fh * height) / TALL,
                  x1 + (fw * width) / WIDE,
                  [H, W],
                );
                if (found !== null && (best === null || found.value > best.value)) best = found;
              }
          for (const [r, col, weight] of best?.pixels ?? [])
            dx[first + r * W + col]! += weight * (diff?.[made.length] ?? 0);
          made.push(best?.value ?? 0);
        }
  return { made, dx: [...dx] };
}

const warping = `${input('x', [2, C, H, W])}${input('rois', [ROIS.length, 5])}layer { name: "y" type: "ROIWarping" bottom: "x" bottom: "rois" top: "y"
  roi_warping_param { pooled_h: ${TALL} pooled_w: ${WIDE} spatial_scale: 0.0625 } }`;

for (const device of devices) {
  test(`ROIWarping takes the largest of the values between pixels, on ${device.kind}`, async () => {
    const [x, dy] = [draw(2 * C * H * W, 1), draw(ROIS.length * C * TALL * WIDE, 2)];
    const rois = Float32Array.from(ROIS.flat());
    using trainer = await device.train({
      model: { ...net(warping), force_backward: true },
      update: null,
      diffs: ['x'],
      phase: 'TRAIN',
    });
    const { outputs, blobs } = await trainer.gradients({ x, rois }, { topDiffs: { y: dy } });
    const { made, dx } = warped(x, dy);
    assert.ok(made.some((value) => value === 0) && made.some((value) => value > 0.5));
    isNear(outputs.y!.data, made, 'y');
    isNear(blobs.x!.data, dx, 'dx');
  });

  test(`MaskResize reads masks between pixels, and MaskPooling multiplies channels by them, on ${device.kind}`, async () => {
    const [x, mask, dy] = [draw(2 * C * 4 * 3, 3), draw(2 * 6 * 5, 4), draw(2 * C * 4 * 3, 5)];
    const text = `${input('x', [2, C, 4, 3])}${input('mask', [2, 1, 6, 5])}
      layer { name: "small" type: "MaskResize" bottom: "mask" top: "small" mask_resize_param { output_height: 4 output_width: 3 } }
      layer { name: "y" type: "MaskPooling" bottom: "x" bottom: "small" top: "y" }`;
    using trainer = await device.train({
      model: { ...net(text), force_backward: true },
      update: null,
      diffs: ['x', 'mask'],
      phase: 'TRAIN',
    });
    const { outputs, blobs } = await trainer.gradients({ x, mask }, { topDiffs: { y: dy } });
    const small = (n: number, h: number, w: number) =>
      between((r, c) => mask[(n * 6 + r) * 5 + c]!, (h * 6) / 4, (w * 5) / 3, [6, 5])!;
    const places = Array.from({ length: 2 * C * 12 }, (_, i) => ({
      n: Math.floor(i / (C * 12)),
      h: Math.floor(i / 3) % 4,
      w: i % 3,
    }));
    isNear(
      outputs.y!.data,
      places.map(({ n, h, w }, i) => x[i]! * small(n, h, w).value),
      'y',
    );
    isNear(
      blobs.x!.data,
      places.map(({ n, h, w }, i) => dy[i]! * small(n, h, w).value),
      'dx',
    );
    const dmask = new Float64Array(60);
    places.forEach(({ n, h, w }, i) => {
      for (const [r, c, weight] of small(n, h, w).pixels)
        dmask[(n * 6 + r) * 5 + c]! += weight * x[i]! * dy[i]!;
    });
    isNear(blobs.mask!.data, [...dmask], 'dmask');
  });

  test(`regions without an end are refused, and long ones are read where the map is, on ${device.kind}`, async () => {
    const text = `${input('x', [1, 1, 3, 3])}${input('rois', [1, 5])}layer { name: "warp" type: "ROIWarping" bottom: "x" bottom: "rois" top: "y" roi_warping_param { pooled_h: 1 pooled_w: 2 } }`;
    using loaded = await device.load({ model: net(text) });
    const x = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9);
    const y = (...corners: number[]) =>
      loaded.run({ x, rois: Float32Array.of(0, ...corners) }).then((outputs) => [...outputs.y!.data]);
    assert.equal(await y(0, 0, 60000, 60000), [9, 0]);
    for (const corners of [
      [0, 0, Infinity, 4],
      [0, 0, 1e10, 4],
      [Number.NaN, 0, 4, 4],
      [Infinity, 0, 4, 4],
    ])
      try {
        await y(...corners);
        assert.unreachable();
      } catch (error) {
        assert.match(
          (error as Error).message,
          `region 0 is ${corners.join(', ')} (x1, y1, x2, y2); its corners must be numbers, and its sides at most 65536 pixels of the map`,
        );
      }
  });

  test(`a score that is not a number moves its own region, as numpy's argmax has it, on ${device.kind}`, async () => {
    const text = `${input('rois', [2, 5])}${input('deltas', [2, 8])}${input('prob', [2, 2])}${input('info', [1, 3])}
      layer { name: "bridge" type: "Python" bottom: "rois" bottom: "deltas" bottom: "prob" bottom: "info" top: "next"
        python_param { module: "pylayer.stage_bridge_layer" layer: "StageBridgeLayer" } }`;
    using loaded = await device.load({ model: net(text) });
    const { next } = await loaded.run({
      rois: Float32Array.of(0, 0, 0, 9, 9, 0, 0, 0, 9, 9),
      deltas: Float32Array.from([Array(8).fill(9), [0.5, 0, 0, 0, 9, 9, 9, 9]].flat()),
      prob: Float32Array.of(0.2, 0.8, Number.NaN, 0.4),
      info: Float32Array.of(50, 100, 1),
    });
    isNear(next!.data.subarray(5), [0, 5, 0, 15, 10], 'next');
  });

  test(`a stage hands the next one regions that their likeliest class moves, and masks as maps, on ${device.kind}`, async () => {
    const text = `${input('rois', [3, 5])}${input('deltas', [3, 8])}${input('prob', [3, 2])}${input('info', [1, 3])}${input('masks', [3, 441])}
      layer { name: "bridge" type: "Python" bottom: "rois" bottom: "deltas" bottom: "prob" bottom: "info" top: "next"
        python_param { module: "pylayer.stage_bridge_layer" layer: "StageBridgeLayer" } }
      layer { name: "mask" type: "Python" bottom: "masks" top: "maps" python_param { module: "pylayer.mask_layer" layer: "MaskLayer" } }`;
    using loaded = await device.load({ model: net(text) });
    const masks = draw(3 * 441, 6);
    const { next, maps } = await loaded.run({
      rois: Float32Array.of(0, 10, 20, 29, 59, 0, 0, 0, 9, 9, -1, -1, -1, -1, -1),
      deltas: Float32Array.from(
        [[9, 9, 9, 9, 0.1, -0.2, Math.log(2), 0], [0.5, 0, 0, 0, 9, 9, 9, 9], Array(8).fill(0)].flat(),
      ),
      prob: Float32Array.of(0.2, 0.8, 0.6, 0.4, 0.5, 0.5),
      info: Float32Array.of(50, 100, 1),
      masks,
    });
    // 20×40 around (20, 40): to (22, 32), 40 wide; 10×10 around (5, 5): to (10, 5).
    isNear(next!.data.subarray(0, 10), [0, 2, 12, 42, 49, 0, 5, 0, 15, 10], 'next');
    assert.ok(next!.shape[0] === 2 || next!.data[10] === -1, 'a row without a region');
    assert.equal(maps!.shape, [3, 1, 21, 21]);
    assert.equal([...maps!.data], [...masks]);
  });
}

test('what does not fit is refused with what was expected', () => {
  const bottoms = `${input('x', [2, 3, 4, 5])}${input('few', [2, 1, 4, 4])}${input('turned', [2, 1, 5, 4])}`;
  for (const [layer, message] of [
    ['type: "MaskPooling" bottom: "x" bottom: "few"', /a mask for each item, 2×1×4×5, found 2×1×4×4/],
    ['type: "MaskPooling" bottom: "x" bottom: "turned"', /a mask for each item, 2×1×4×5, found 2×1×5×4/],
    [
      'type: "MaskResize" bottom: "few" mask_resize_param { output_height: 200000000 output_width: 1 }',
      /maps of up to 65536 pixels along a side, found 4×4 to 200000000×1/,
    ],
    ['type: "MaskResize" bottom: "x"', /output_height and output_width must be given/],
    ['type: "ROIWarping" bottom: "x" bottom: "few"', /pooled_h and pooled_w must be given/],
    [
      'type: "ROIWarping" bottom: "x" bottom: "few" roi_warping_param { pooled_h: 2 pooled_w: 2 }',
      /must be regions, R×5/,
    ],
    [
      'type: "Python" bottom: "few" python_param { module: "mask_layer" layer: "MaskLayer" }',
      /takes masks of 21×21 pixels, 2×441/,
    ],
  ] as const)
    assertRefused(net(`${bottoms}layer { name: "y" top: "y" ${layer} }`), message);
});

test.run();
