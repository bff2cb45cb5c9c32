/** DeformableConvolution against its sum over taps in float64, and its gradients against differences. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { openEmulated } from '../support/emulated.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const [N, C, H, W] = [2, 4, 6, 7] as const;

interface Case {
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly pad: number;
  readonly dilation: number;
  readonly group: number;
  readonly groups: number;
  readonly outputs: number;
}

const cases: Readonly<Record<string, Case>> = {
  'a plain 3×3': { kernel: [3, 3], stride: 1, pad: 1, dilation: 1, group: 1, groups: 1, outputs: 3 },
  'dilated, with a stride': {
    kernel: [3, 2],
    stride: 2,
    pad: 2,
    dilation: 2,
    group: 1,
    groups: 1,
    outputs: 2,
  },
  'in groups': { kernel: [1, 2], stride: 1, pad: 1, dilation: 1, group: 2, groups: 2, outputs: 2 },
};

const sizeOf = ({ kernel, stride, pad, dilation }: Case) =>
  ([H, W] as const).map(
    (size, i) => Math.floor((size + 2 * pad - dilation * (kernel[i]! - 1) - 1) / stride) + 1,
  ) as [number, number];

const text = (c: Case, offsets?: readonly number[], more = '') => {
  const [height, width] = sizeOf(c);
  const shape = offsets ?? [N, 2 * c.kernel[0] * c.kernel[1] * c.groups, height, width];
  return `${input('x', [N, C, H, W])}${input('offsets', shape)}layer { name: "y" type: "DeformableConvolution" bottom: "x" bottom: "offsets" top: "y"
    deformable_convolution_param { num_output: ${c.outputs} kernel_h: ${c.kernel[0]} kernel_w: ${c.kernel[1]} stride: ${c.stride} pad: ${c.pad}
      dilation: ${c.dilation} group: ${c.group} weight_filler { type: "msra" } bias_filler { type: "uniform" } ${more} } }`;
};

/** A pixel, or between pixels their mean; the last stands for what is less than one behind it. */
function read(plane: (row: number, column: number) => number, row: number, column: number): number {
  if (!(row >= 0 && column >= 0 && row < H && column < W)) return 0;
  const [top, left] = [Math.floor(row), Math.floor(column)];
  const [bottom, right] = [Math.min(top + 1, H - 1), Math.min(left + 1, W - 1)];
  const [below, beside] = [row - top, column - left];
  return (
    (1 - below) * ((1 - beside) * plane(top, left) + beside * plane(top, right)) +
    below * ((1 - beside) * plane(bottom, left) + beside * plane(bottom, right))
  );
}

function convolved(
  c: Case,
  x: Float32Array,
  offsets: Float32Array,
  weights: Float32Array,
  bias: Float32Array,
): number[] {
  const [height, width] = sizeOf(c);
  const [rows, columns] = c.kernel;
  const [perGroup, perOffsets] = [C / c.group, C / c.groups];
  const made: number[] = [];
  for (let n = 0; n < N; n++)
    for (let o = 0; o < c.outputs; o++)
      for (let s = 0; s < height; s++)
        for (let t = 0; t < width; t++) {
          let sum = bias[o]!;
          for (let k = 0; k < perGroup; k++) {
            const channel = Math.floor(o / (c.outputs / c.group)) * perGroup + k;
            const plane = (row: number, column: number) => x[((n * C + channel) * H + row) * W + column]!;
            for (let i = 0; i < rows; i++)
              for (let j = 0; j < columns; j++) {
                const tap = (Math.floor(channel / perOffsets) * rows + i) * columns + j;
                const offset = (which: number) =>
                  offsets[((n * c.groups * rows * columns * 2 + 2 * tap + which) * height + s) * width + t]!;
                const row = s * c.stride - c.pad + i * c.dilation + offset(0);
                const column = t * c.stride - c.pad + j * c.dilation + offset(1);
                sum += weights[((o * perGroup + k) * rows + i) * columns + j]! * read(plane, row, column);
              }
          }
          made.push(sum);
        }
  return made;
}

for (const device of devices)
  for (const [name, c] of Object.entries(cases)) {
    test(`DeformableConvolution, ${name}, reads each tap beside its place, on ${device.kind}`, async () => {
      const [height, width] = sizeOf(c);
      const x = draw(N * C * H * W, 1);
      const offsets = draw(N * 2 * c.kernel[0] * c.kernel[1] * c.groups * height * width, 2, -2.5, 2.5);
      offsets.set([0, 100, Number.NaN, -0.5, 0.5]);
      using trainer = await device.train({ model: net(text(c)), update: null, phase: 'TEST' });
      const weights = await trainer.weights();
      const [kernel, bias] = weights.layers.at(-1)!.blobs.map(toFloat32) as [Float32Array, Float32Array];
      const wanted = convolved(c, x, offsets, kernel, bias);
      for (const optimize of [true, false]) {
        using loaded = await device.load({ model: net(text(c)), weights, optimize });
        const { y } = await loaded.run({ x, offsets });
        assert.equal(y!.shape, [N, c.outputs, height, width]);
        y!.data.forEach((value, i) => {
          assert.ok(Math.abs(value - wanted[i]!) < 2e-5, `${i}: ${value}, not ${wanted[i]}`);
        });
      }
    });

    // The others are made of the same operations.
    if (name !== 'in groups') continue;
    test(`DeformableConvolution, ${name}, has the gradient of its sum, on ${device.kind}`, async () => {
      const { compared, kinks } = await checkGradients(device, {
        net: text(c),
        seed: 3,
        step: 1e-3,
        threshold: 5e-3,
        fill: (blob, count, random) =>
          Float32Array.from({ length: count }, () =>
            blob === 'offsets' ? Math.floor(random() * 4) - 2 + 0.25 + random() / 2 : 2 * random() - 1,
          ),
      });
      assert.ok(compared > 20 && kinks === 0, `${kinks} of ${compared}`);
    });
  }

test('offsets of another size, and groups that do not divide, are refused at their place', () => {
  const plain = cases['a plain 3×3']!;
  const refused = (model: string, said: RegExp) => assertRefused(net(model), said);
  refused(
    text(plain, [N, 18, 4, 5]),
    /needs a row and a column for each of 9 taps.*2×18×6×7 or a multiple.*found 2×18×4×5/,
  );
  refused(text(plain, [N, 17, 6, 7]), /found 2×17×6×7/);
  refused(text(plain, [N, 18, 6, 7], 'deformable_group: 2'), /2×36×6×7, found 2×18×6×7/);
  refused(text(plain, [N, 54, 6, 7]), /3 groups of offsets must divide the 4 channels/);
  refused(text({ ...plain, group: 3 }), /group 3 must divide the 4 channels and num_output 3/);
  refused(text(plain).replace('num_output: 3', ''), /num_output must be given/);
});

test.run();
