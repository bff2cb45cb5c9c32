/** Padding that differs on each side, and averages that exclude it, against float64 loops over the padded plane. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeOnnxFile } from '../../ts/api/convert.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { onnxRuntime } from '../../ts/convert/onnx-files.ts';
import { filterNet, GraphError, graphFromCaffe, readNet } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-uneven-'));
test.after(() => rmSync(folder, { recursive: true }));
const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

interface Case {
  readonly kernel: number;
  readonly stride: number;
  /** Above, left, below, right. */
  readonly pads: readonly [number, number, number, number];
  readonly size?: readonly [number, number];
  readonly written?: string | undefined;
}

const CHANNELS = 3;
const sizeOf = (c: Case) => c.size ?? [8, 9];
const input = (c: Case) =>
  `layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: ${CHANNELS} dim: ${sizeOf(c)[0]} dim: ${sizeOf(c)[1]} } } }`;
const fields = ({ kernel, stride, pads: [t, l, b, r], written }: Case) =>
  `kernel_size: ${kernel} stride: ${stride} ${written ?? `pad_t: ${t} pad_l: ${l} pad_b: ${b} pad_r: ${r}`}`;
const convolution = (c: Case) =>
  `${input(c)} layer { name: "y" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 4 ${fields(c)} weight_filler { type: "xavier" } bias_filler { type: "uniform" min: -1 max: 1 } } }`;
const deconvolution = (c: Case) => convolution(c).replace('"Convolution"', '"Deconvolution"');
const pooling = (c: Case, pool: string) =>
  `${input(c)} layer { name: "y" type: "Pooling" bottom: "x" top: "y" pooling_param { pool: ${pool} round_mode: FLOOR ${fields(c)} } }`;

/** What a window reads at each of its positions: indices of the plane, −1 in the padding. */
function windows({ kernel, stride, pads: [t, l, b, r], ...c }: Case): {
  sizes: number[];
  places: number[][];
} {
  const [h, w] = sizeOf({ kernel, stride, pads: [t, l, b, r], ...c });
  const sizes = [h + t + b, w + l + r].map((size) => Math.floor((size - kernel) / stride) + 1);
  const places: number[][] = [];
  for (let y = 0; y < sizes[0]!; y++)
    for (let x = 0; x < sizes[1]!; x++)
      places.push(
        Array.from({ length: kernel * kernel }, (_, k) => {
          const [row, column] = [y * stride - t + Math.floor(k / kernel), x * stride - l + (k % kernel)];
          return row >= 0 && row < h && column >= 0 && column < w ? row * w + column : -1;
        }),
      );
  return { sizes, places };
}

/**
 * The sum of each value times the kernel at its position, without the parts that the pads cut. Weights are channels ×
 * outputs × kernel.
 */
function deconvolved(
  { kernel, stride, pads: [t, l, b, r], ...c }: Case,
  seen: Float32Array[],
  weights: Float32Array,
) {
  const [h, w] = c.size ?? [8, 9];
  const sizes = [stride * (h - 1) + kernel - t - b, stride * (w - 1) + kernel - l - r] as const;
  const values = Array.from({ length: 2 * 4 * sizes[0] * sizes[1] }, () => 0);
  seen.forEach((plane, i) => {
    const [item, channel] = [Math.floor(i / CHANNELS), i % CHANNELS];
    plane.forEach((value, at) => {
      for (let output = 0; output < 4; output++)
        for (let k = 0; k < kernel * kernel; k++) {
          const row = Math.floor(at / w) * stride + Math.floor(k / kernel) - t;
          const column = (at % w) * stride + (k % kernel) - l;
          if (row < 0 || row >= sizes[0] || column < 0 || column >= sizes[1]) continue;
          values[((item * 4 + output) * sizes[0] + row) * sizes[1] + column]! +=
            value * weights[(channel * 4 + output) * kernel * kernel + k]!;
        }
    });
  });
  return { sizes: [...sizes], values };
}

function assertClose(found: Float32Array, expected: readonly number[], what: string) {
  assert.is(found.length, expected.length, what);
  const largest = Math.max(1e-3, ...expected.map(Math.abs));
  expected.forEach((value, i) =>
    assert.ok(Math.abs(found[i]! - value) <= 1e-5 * largest, `${what}[${i}]: ${found[i]}, not ${value}`),
  );
}

const draw = (c: Case, seed: number) => {
  const random = seededRandom(seed);
  const [h, w] = sizeOf(c);
  return Float32Array.from({ length: 2 * CHANNELS * h * w }, () => 2 * random() - 1);
};
const planes = (x: Float32Array) => {
  const plane = x.length / (2 * CHANNELS);
  return Array.from({ length: 2 * CHANNELS }, (_, i) => x.subarray(i * plane, (i + 1) * plane));
};

/** The pooled value at each position. An average includes or excludes the padding. */
const pooled = (x: Float32Array, places: readonly number[][], pool: string): number[] =>
  planes(x).flatMap((plane) =>
    places.map((place) => {
      const values = place.filter((at) => at >= 0).map((at) => plane[at]!);
      if (pool === 'MAX') return Math.max(...values);
      const count = pool === 'AVE' ? place.length : values.length;
      return values.reduce((a, b) => a + b) / count;
    }),
  );

const cases: Readonly<Record<string, Case>> = {
  "MobileNet's: below and right alone": { kernel: 3, stride: 2, pads: [0, 0, 1, 1], size: [8, 8] },
  'below and right alone, odd sizes': { kernel: 3, stride: 2, pads: [0, 0, 1, 1], size: [9, 7] },
  "Inception's first": { kernel: 7, stride: 2, pads: [2, 2, 3, 3], size: [12, 13] },
  'above and left alone': { kernel: 3, stride: 1, pads: [2, 1, 0, 0] },
  'every side another': { kernel: 4, stride: 1, pads: [0, 3, 2, 1] },
  'far more behind than before': { kernel: 4, stride: 3, pads: [0, 1, 3, 3] },
  "TensorFlow's SAME": { kernel: 3, stride: 2, pads: [0, 1, 1, 1], written: 'pad_type: 1' },
};

for (const device of devices) {
  for (const [name, c] of Object.entries(cases)) {
    test(`a convolution padded ${name} reads zeros there, on ${device.kind}`, async () => {
      using net = await device.load({ model: readNet(convolution(c), { file: 'net.prototxt' }) });
      const x = draw(c, 3);
      const { y } = await net.run({ x });
      const { sizes, places } = windows(c);
      assert.equal(y!.shape, [2, 4, ...sizes]);
      const [weights, bias] = [(await net.parameter('y', 0))!, (await net.parameter('y', 1))!];
      const seen = planes(x);
      const expected = [0, 1].flatMap((item) =>
        [0, 1, 2, 3].flatMap((output) =>
          places.map((place) => {
            let sum = bias[output]!;
            for (let channel = 0; channel < CHANNELS; channel++)
              place.forEach((at, k) => {
                if (at >= 0)
                  sum +=
                    seen[item * CHANNELS + channel]![at]! *
                    weights[(output * CHANNELS + channel) * place.length + k]!;
              });
            return sum;
          }),
        ),
      );
      assertClose(y!.data, expected, 'y');
    });

    test(`a deconvolution is cropped ${name.replace('padded ', '')}, on ${device.kind}`, async () => {
      using net = await device.load({
        model: readNet(deconvolution({ ...c, written: undefined }), { file: 'net.prototxt' }),
      });
      const x = draw(c, 6);
      const { y } = await net.run({ x });
      const { sizes, values } = deconvolved(c, planes(x), (await net.parameter('y', 0))!);
      assert.equal(y!.shape, [2, 4, ...sizes]);
      const bias = (await net.parameter('y', 1))!;
      const each = sizes[0]! * sizes[1]!;
      assertClose(
        y!.data,
        values.map((value, i) => value + bias[Math.floor(i / each) % 4]!),
        'y',
      );
    });

    for (const pool of ['MAX', 'AVE_EXC_PAD', 'AVE'])
      test(`pool: ${pool} padded ${name} gives the results of Synopsys's fork, on ${device.kind}`, async () => {
        using net = await device.load({ model: readNet(pooling(c, pool), { file: 'net.prototxt' }) });
        const x = draw(c, 4);
        const { y } = await net.run({ x });
        const { sizes, places } = windows(c);
        assert.equal(y!.shape, [2, CHANNELS, ...sizes]);
        assertClose(y!.data, pooled(x, places, pool), 'y');
      });
  }

  for (const pool of ['MAX', 'AVE', 'AVE_EXC_PAD'])
    test(`pool: ${pool} with pad_type: 1 has ceil(size / stride) positions for any kernel and rounding, on ${device.kind}`, async () => {
      for (const kernel of [1, 2, 3])
        for (const stride of [1, 2, 3, 4])
          for (const size of [
            [6, 6],
            [7, 5],
            [8, 9],
          ] as const)
            for (const rounding of ['CEIL', 'FLOOR']) {
              const counts = size.map((each) => Math.ceil(each / stride));
              const [t, l] = size.map((each, i) =>
                Math.floor(Math.max(0, (counts[i]! - 1) * stride + kernel - each) / 2),
              ) as [number, number];
              const [b, r] = size.map((each, i) =>
                Math.max(0, (counts[i]! - 1) * stride + kernel - each - [t, l][i]!),
              ) as [number, number];
              const c: Case = { kernel, stride, pads: [t, l, b, r], size, written: 'pad_type: 1' };
              using net = await device.load({
                model: readNet(pooling(c, pool).replace('FLOOR', rounding), { file: 'net.prototxt' }),
              });
              const x = draw(c, 7);
              const { y } = await net.run({ x });
              const what = `${size.join('×')} by ${kernel} at ${stride}, ${rounding}`;
              assert.equal(y!.shape, [2, CHANNELS, ...counts], what);
              const { places } = windows(c);
              assertClose(y!.data, pooled(x, places, pool), what);
            }
    });

  test(`a window smaller than its stride reads the start of each stride, with SAME, on ${device.kind}`, async () => {
    for (const pool of ['MAX', 'AVE', 'AVE_EXC_PAD']) {
      using net = await device.load({
        model: readNet(
          `layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 dim: 6 dim: 6 } } }
           layer { name: "y" type: "Pooling" bottom: "x" top: "y" pooling_param { pool: ${pool} kernel_size: 1 stride: 3 pad_type: 1 } }`,
          { file: 'net.prototxt' },
        ),
      });
      const { y } = await net.run({ x: Float32Array.from({ length: 36 }, (_, i) => i) });
      assert.equal([...y!.data], [0, 3, 18, 21]);
    }
  });

  test(`an average with equal pads excludes them, also in sizes that are rounded up, on ${device.kind}`, async () => {
    using net = await device.load({
      model: readNet(
        `layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 dim: 3 dim: 4 } } }
         layer { name: "y" type: "Pooling" bottom: "x" top: "y" pooling_param { pool: AVE_EXC_PAD kernel_size: 3 stride: 2 pad: 1 } }`,
        { file: 'net.prototxt' },
      ),
    });
    const { y } = await net.run({ x: Float32Array.from({ length: 12 }, (_, i) => i) });
    assertClose(y!.data, [2.5, 4, 5, 6.5, 8, 9], 'y');
  });
}

test('diffs pass through uneven padding, and through averages that exclude it', async () => {
  const [device] = devices;
  for (const [i, c] of [cases["Inception's first"]!, cases['far more behind than before']!].entries())
    for (const net of [convolution(c), deconvolution(c), pooling(c, 'AVE_EXC_PAD'), pooling(c, 'AVE')]) {
      const { compared } = await checkGradients(device!, { net, seed: i + 1 });
      assert.ok(compared > 0);
    }
});

test('ONNX Runtime gives the same results for the net as ONNX', async () => {
  const file = join(folder, 'net.onnx');
  const [device] = devices;
  // Rounded up beyond the padding on one axis, and within it on the other.
  const hanging: Case = { kernel: 2, stride: 3, pads: [0, 1, 1, 0], size: [13, 3] };
  for (const [name, c] of Object.entries({ ...cases, hanging }))
    for (const text of [
      convolution(c),
      deconvolution({ ...c, written: undefined }),
      pooling(c, 'MAX'),
      pooling(c, 'AVE_EXC_PAD'),
      pooling(c, 'AVE'),
    ]) {
      const model = filterNet(readNet(text, { file: 'net.prototxt' }));
      using trainer = await device!.train({ model, phase: 'TEST', update: null });
      const weights = await trainer.weights();
      writeOnnxFile(file, { net: model, weights });
      const runtime = await onnxRuntime(file);
      if (runtime === null) return console.log('skipped: onnxruntime-node is not installed');
      const data = draw(c, 5);
      const found = await runtime.run({ x: { shape: [2, CHANNELS, ...sizeOf(c)], data } });
      await runtime.dispose();
      using net = await device!.load({ model, weights });
      const { y } = await net.run({ x: data });
      assertClose(y!.data, [...found.y!], name);
    }
});

test('layers that cannot be padded so are refused with their position', () => {
  const refusal = (text: string) => {
    try {
      graphFromCaffe(filterNet(readNet(text, { file: 'net.prototxt' })));
    } catch (error) {
      if (error instanceof GraphError) return error.message;
      throw error;
    }
    return assert.unreachable('it was accepted') as never;
  };
  const c: Case = { kernel: 3, stride: 1, pads: [0, 0, 1, 1] };
  assert.match(
    refusal(deconvolution({ ...c, written: 'pad_type: 1' })),
    /pad_type: 1 computes a Convolution's padding.*pad_t, pad_b/,
  );
  assert.match(refusal(deconvolution({ ...c, pads: [0, 0, 1, 11] })), /cuts all of the top: it would be 9×0/);
  assert.match(
    refusal(convolution(c).replace('num_output', 'axis: 2 num_output').replace('dim: 8', 'dim: 3 dim: 8')),
    /is supported over N×C×H×W, this bottom is 2×3×3×8×9; reshape it/,
  );
  assert.match(
    refusal(convolution({ ...c, written: 'pad_type: 1 pad: 1' })),
    /pad_type: 1 computes the padding itself, but pad is also given/,
  );
  assert.match(refusal(convolution({ ...c, written: 'pad_type: 2' })), /pad_type must be 0, or 1/);
  assert.match(
    refusal(convolution({ ...c, kernel: 99 })),
    /a 99×99 kernel \(dilation 1×1, pad 0×0 before and 1×1 after\) does not fit the/,
  );
  assert.match(
    refusal(pooling(c, 'AVE').replace('top: "y"', 'top: "y" top: "mask"')),
    /pool: AVE has no mask and therefore one top, found 2/,
  );
});

test.run();
