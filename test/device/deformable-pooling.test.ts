/** DeformablePSROIPooling against equation 5 of arXiv:1703.06211, written out in float64, and differences. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openEmulated } from '../support/emulated.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const [OUTPUTS, BINS, HEIGHT, WIDTH] = [4, 2, 7, 9];
const REGIONS = [
  [0, 1.5, 2, 20, 25],
  [1, 8, 0, 35, 12],
  // Partly outside the map, and smaller than a pixel.
  [1, 30, 20, 60, 40],
  [0, 10, 10, 10, 10],
  // Without width and height, which are then 0.1 of a pixel of the map.
  [1, 12, 8, 11, 7],
];
const text = (param: string, parts?: number, classes = 1) =>
  `${input('map', [2, OUTPUTS * BINS * BINS, HEIGHT, WIDTH])}${input('label', [REGIONS.length, 5])}
  ${parts === undefined ? '' : input('trans', [REGIONS.length, 2 * classes, parts, parts])}
  layer { name: "y" type: "DeformablePSROIPooling" bottom: "map" bottom: "label" ${parts === undefined ? '' : 'bottom: "trans"'} top: "y"
    deformable_psroi_pooling_param { spatial_scale: 0.25 output_dim: ${OUTPUTS} group_size: ${BINS} ${param} } }`;

/** The value between pixels: Σ G(q, p) · x(q), with G(q, p) = max(0, 1 − |q − p|) along each axis. */
function between(map: Float32Array, plane: number, x: number, y: number) {
  let sum = 0;
  for (let row = 0; row < HEIGHT; row++)
    for (let column = 0; column < WIDTH; column++)
      sum +=
        Math.max(0, 1 - Math.abs(row - y)) *
        Math.max(0, 1 - Math.abs(column - x)) *
        map[(plane * HEIGHT + row) * WIDTH + column]!;
  return sum;
}

function expected(
  map: Float32Array,
  offset: (row: number, channel: number, i: number, j: number) => readonly [number, number],
  samples: number,
) {
  const top: number[] = [];
  REGIONS.forEach(([image, ...corners], row) => {
    const [x1, y1, x2, y2] = corners.map(
      (corner, i) => (Math.floor(corner + 0.5) + (i < 2 ? 0 : 1)) / 4 - 0.5,
    ) as [number, number, number, number];
    const size = [Math.max(x2 - x1, 0.1), Math.max(y2 - y1, 0.1)] as const;
    for (let channel = 0; channel < OUTPUTS; channel++)
      for (let i = 0; i < BINS; i++)
        for (let j = 0; j < BINS; j++) {
          const [dx, dy] = offset(row, channel, i, j);
          const values: number[] = [];
          for (let s = 0; s < samples; s++)
            for (let t = 0; t < samples; t++) {
              const x = x1 + (j / BINS + dx + t / samples / BINS) * size[0];
              const y = y1 + (i / BINS + dy + s / samples / BINS) * size[1];
              if (x < -0.5 || x > WIDTH - 0.5 || y < -0.5 || y > HEIGHT - 0.5) continue;
              const clip = (at: number, most: number) => Math.min(Math.max(at, 0), most - 1);
              const plane = image! * OUTPUTS * BINS * BINS + (channel * BINS + i) * BINS + j;
              values.push(between(map, plane, clip(x, WIDTH), clip(y, HEIGHT)));
            }
          top.push(values.length === 0 ? 0 : values.reduce((a, b) => a + b) / values.length);
        }
  });
  return top;
}

const map = draw(2 * OUTPUTS * BINS * BINS * HEIGHT * WIDTH, 1);
const near = (found: ArrayLike<number>, values: readonly number[]) => {
  assert.is(found.length, values.length);
  values.forEach((value, i) => assert.ok(Math.abs(found[i]! - value) < 1e-5, `${i}: ${found[i]}, ${value}`));
};
const label = Float32Array.from(REGIONS.flat());

for (const device of devices) {
  test(`without offsets a bin is the mean of its samples in the map, on ${device.kind}`, async () => {
    using model = await device.load({ model: net(text('sample_per_part: 3 no_trans: true')) });
    const { y } = await model.run({ map, label });
    assert.equal(y!.shape, [REGIONS.length, OUTPUTS, BINS, BINS]);
    near(
      y!.data,
      expected(map, () => [0, 0], 3),
    );
  });

  test(`each class of channels has offsets for the parts of a region, relative to its size, on ${device.kind}`, async () => {
    for (const [parts, classes] of [
      [2, 1],
      [4, 2],
    ] as const) {
      using model = await device.load({
        model: net(text(`sample_per_part: 2 trans_std: 0.3 part_size: ${parts}`, parts, classes)),
      });
      const trans = draw(REGIONS.length * 2 * classes * parts * parts, 2);
      const at = (row: number, channel: number, i: number, j: number) =>
        [0, 1].map((axis) => {
          const plane = (row * classes + Math.floor(channel / (OUTPUTS / classes))) * 2 + axis;
          const [p, q] = [i, j].map((place) => Math.floor((place / BINS) * parts)) as [number, number];
          return 0.3 * trans[(plane * parts + p) * parts + q]!;
        }) as [number, number];
      near((await model.run({ map, label, trans })).y!.data, expected(map, at, 2));
    }
  });

  test(`map and offsets get the exact diffs, on ${device.kind}`, async () => {
    const fill = (name: string, count: number) =>
      name === 'label' ? label : draw(count, name === 'map' ? 3 : 4);
    const { compared, kinks } = await checkGradients(device, {
      net: text('sample_per_part: 3 trans_std: 0.2 part_size: 2', 2),
      fill,
      step: 2e-3,
      seed: 5,
    });
    assert.ok(compared >= 12 && kinks <= 2, `${compared}, ${kinks}`);
  });
}

test('sizes that do not fit each other are refused', () => {
  const refused = (written: string, said: RegExp) => assertRefused(net(written), said);
  refused(text(''), /third bottom must be offsets, 5×2·classes×2×2, unless no_trans is set; found none/);
  refused(text('part_size: 3', 2), /offsets, 5×2·classes×3×3.*found 5×2×2×2/);
  refused(text('', 2, 3), /output_dim 4 must be a multiple of the 3 classes/);
  refused(text('sample_per_part: 0 no_trans: true'), /sample_per_part must be at least 1, found 0/);
  refused(text('no_trans: true').replace('group_size: 2', 'group_size: 3'), /need 36 channels, found 16/);
});

test.run();
