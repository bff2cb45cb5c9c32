/**
 * ROIAlign with sampling_ratio or aligned: the mean of bilinear samples, against a second implementation in float64.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeviceError, GraphError } from '../../ts/base/errors.ts';
import { readNet } from '../../ts/index.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();

const [IMAGES, CHANNELS, HEIGHT, WIDTH] = [2, 3, 9, 11] as const;
const [TALL, WIDE, SCALE] = [3, 2, 0.25] as const;
// Inside; larger than a bin; beyond each edge; empty; mirrored; entirely outside; no region.
const REGIONS = [
  [0, 4, 6, 30, 28],
  [1, 1.3, 2.7, 6.1, 5.9],
  [0, -20, -12, 60, 50],
  [1, 10, 10, 10, 10],
  [0, 30, 28, 4, 6],
  [1, 400, 400, 500, 600],
  [-1, 0, 0, 8, 8],
  [1, 0, 0, 3e9, 3e9],
];

interface Form {
  readonly ratio: number;
  readonly aligned: boolean;
}

/** arXiv:1703.06870, section 3; edges as in torchvision's roi_align: more than a pixel outside gives 0. */
function roiAlign(x: Float32Array, { ratio, aligned }: Form): number[] {
  const pixel = (plane: number, row: number, column: number) =>
    x[(plane * HEIGHT + Math.min(row, HEIGHT - 1)) * WIDTH + Math.min(column, WIDTH - 1)]!;
  const sample = (plane: number, row: number, column: number) => {
    if (row < -1 || row > HEIGHT || column < -1 || column > WIDTH) return 0;
    const [y, z] = [Math.min(Math.max(row, 0), HEIGHT - 1), Math.min(Math.max(column, 0), WIDTH - 1)];
    const [top, left] = [Math.floor(y), Math.floor(z)];
    const [b, r] = [y - top, z - left];
    const line = (at: number) => (1 - r) * pixel(plane, at, left) + r * pixel(plane, at, left + 1);
    return (1 - b) * line(top) + b * line(top + 1);
  };
  const bins = (from: number, to: number, count: number) => {
    const shift = aligned ? 0.5 : 0;
    const start = from * SCALE - shift;
    const size = aligned ? (to - from) * SCALE : Math.max((to - from) * SCALE, 1);
    const samples = ratio > 0 ? ratio : Math.max(Math.ceil(size / count), 0);
    return Array.from({ length: count }, (_, bin) =>
      // The plane ends before the 64th sample of a bin of the huge region, but all samples count.
      ({
        count: samples,
        at: Array.from(
          { length: Math.min(samples, 64) },
          (_, i) => start + ((bin + (i + 0.5) / samples) * size) / count,
        ),
      }),
    );
  };
  return REGIONS.flatMap(([image = -1, x1 = 0, y1 = 0, x2 = 0, y2 = 0]) => {
    const [rows, columns] = [bins(y1, y2, TALL), bins(x1, x2, WIDE)];
    return Array.from({ length: CHANNELS }, (_, channel) =>
      rows.flatMap((row) =>
        columns.map((column) => {
          if (image < 0) return 0;
          const values = row.at.flatMap((y) =>
            column.at.map((z) => sample(image * CHANNELS + channel, y, z)),
          );
          return values.reduce((sum, value) => sum + value, 0) / Math.max(row.count * column.count, 1);
        }),
      ),
    ).flat();
  });
}

const x = Float32Array.from({ length: IMAGES * CHANNELS * HEIGHT * WIDTH }, (_, i) =>
  Math.sin(1.7 * i + 0.3),
);
const rois = Float32Array.from(REGIONS.flat());
const shape = (...dims: number[]) =>
  `input_param { shape { ${dims.map((dim) => `dim: ${dim}`).join(' ')} } }`;
const net = (param: string) =>
  readNet(
    `layer { name: "x" type: "Input" top: "x" ${shape(IMAGES, CHANNELS, HEIGHT, WIDTH)} }
layer { name: "rois" type: "Input" top: "rois" ${shape(REGIONS.length, 5)} }
layer { name: "y" type: "ROIAlign" bottom: "x" bottom: "rois" top: "y" ${param} }`,
    { file: 'net.prototxt' },
  );
const param = (more: string) =>
  `roi_align_param { pooled_h: ${TALL} pooled_w: ${WIDE} spatial_scale: ${SCALE} ${more} }`;
const FORMS: readonly (readonly [string, Form])[] = [
  ['sampling_ratio: 2', { ratio: 2, aligned: false }],
  ['sampling_ratio: 1', { ratio: 1, aligned: false }],
  ['sampling_ratio: 3 aligned: true', { ratio: 3, aligned: true }],
  ['sampling_ratio: -1', { ratio: 0, aligned: false }],
  ['sampling_ratio: 0', { ratio: 0, aligned: false }],
  ['aligned: true', { ratio: 0, aligned: true }],
  ['aligned: false', { ratio: 0, aligned: false }],
];

for (const device of devices) {
  for (const [more, form] of FORMS)
    test(`roi_align_param { ${more} } is the mean of the samples of each bin, on ${device.kind}`, async () => {
      using model = await device.load({ model: net(param(more)) });
      const { y } = await model.run({ x, rois });
      assert.equal(y!.shape, [REGIONS.length, CHANNELS, TALL, WIDE]);
      const expected = roiAlign(x, form);
      for (const [i, value] of expected.entries())
        assert.ok(Math.abs(y!.data[i]! - value) < 2e-6, `${i}: ${y!.data[i]}, not ${value}`);
    });

  test(`the diff of x is the weight of each pixel, and that of regions is 0, on ${device.kind}`, async () => {
    using trainer = await device.train({
      model: net(param('sampling_ratio: 2')),
      update: null,
      diffs: ['x'],
    });
    const dy = Float32Array.from({ length: REGIONS.length * CHANNELS * TALL * WIDE }, (_, i) => Math.cos(i));
    const { blobs } = await trainer.gradients({ x, rois }, { topDiffs: { y: dy } });
    const form = { ratio: 2, aligned: false };
    for (const at of [0, 40, 120, 250, 333, 500]) {
      const one = new Float32Array(x.length);
      one[at] = 1;
      const expected = roiAlign(one, form).reduce((sum, share, i) => sum + share * dy[i]!, 0);
      assert.ok(
        Math.abs(blobs.x!.data[at]! - expected) < 1e-5,
        `${at}: ${blobs.x!.data[at]}, not ${expected}`,
      );
    }
  });

  test(`a NaN region has no samples, and a region of a missing image is refused, on ${device.kind}`, async () => {
    for (const more of ['sampling_ratio: 2', 'aligned: true', '']) {
      using model = await device.load({ model: net(param(more)) });
      const odd = rois.map((value, i) =>
        i > 0 && i < 5 ? Number.NaN : i > 5 && i < 10 ? Number.POSITIVE_INFINITY : value,
      );
      const { y } = await model.run({ x, rois: odd });
      assert.ok(
        y!.data.every((value) => Math.abs(value) < 1e3),
        `${more}: ${y!.data.slice(0, 40)}`,
      );
      await model.run({ x, rois: rois.map((value, i) => (i === 0 ? IMAGES : value)) }).then(
        () => assert.unreachable('it was accepted'),
        (error: DeviceError) => assert.is(error.code, 'label/invalid'),
      );
    }
  });
}

test('invalid ROIAligns are refused with the field', async () => {
  const refusal = async (text: string) => {
    try {
      (await devices[0]!.load({ model: net(text) })).dispose();
    } catch (error) {
      return (error as GraphError).message;
    }
    return assert.unreachable('it was accepted') as never;
  };
  assert.match(
    await refusal(param('sampling_ratio: 257')),
    /net.prototxt:3:\d+: .*sampling_ratio must be at most 256, found 257/,
  );
  assert.match(await refusal('roi_align_param { pooled_h: 2 }'), /pooled_w must be given and at least 1/);
  assert.match(
    await refusal(`${param('')} roi_pooling_param { pooled_h: 2 pooled_w: 2 }`),
    /keep the one of the layer that the net was trained with/,
  );
});

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
