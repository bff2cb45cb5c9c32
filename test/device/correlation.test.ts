/**
 * Correlation and Correlation1D against float64 loops over zero-padded planes, written from the paper and the fork's
 * shapes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeOnnxFile } from '../../ts/api/convert.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { onnxRuntime } from '../../ts/convert/onnx-files.ts';
import { receptiveFields } from '../../ts/graph/receptive-field.ts';
import { filterNet, GraphError, graphFromCaffe, readNet } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-correlation-'));
const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

interface Case {
  readonly type: 'Correlation' | 'Correlation1D';
  readonly shape: readonly [number, number, number, number];
  readonly pad: number;
  readonly kernel: number;
  readonly most: number;
  readonly stride1?: number;
  readonly stride2?: number;
  readonly direction?: number;
  readonly subtracts?: boolean;
}

const netOf = (c: Case) => `name: "pairs" force_backward: true
  ${['a', 'b'].map((name) => `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${c.shape.map((dim) => `dim: ${dim}`).join(' ')} } } }`).join(' ')}
  layer { name: "corr" type: "${c.type}" bottom: "a" bottom: "b" top: "y" correlation_param { pad: ${c.pad} kernel_size: ${c.kernel}
    max_displacement: ${c.most} stride_1: ${c.stride1 ?? 1} stride_2: ${c.stride2 ?? 1} ${c.direction === undefined ? '' : `single_direction: ${c.direction}`}
    ${c.subtracts ? 'correlation_type: SUBTRACT' : ''} } }`;

/** Values of y and their terms: [index of a, index of b] for every term, −1 in the padding. */
function correlated(c: Case, a: Float32Array, b: Float32Array, dy: (i: number) => number) {
  const [n, channels, height, width] = c.shape;
  const isSquare = c.type === 'Correlation';
  const [padH, mostH] = isSquare ? [c.pad, c.most] : [0, 0];
  const radius = (c.kernel - 1) / 2;
  const sizeOf = (size: number, pad: number, most: number) =>
    Math.ceil((size + 2 * pad - 2 * (most + radius)) / (c.stride1 ?? 1));
  const [tall, wide] = [sizeOf(height, padH, mostH), sizeOf(width, c.pad, c.most)];
  const grid = Math.floor(c.most / (c.stride2 ?? 1));
  const all = Array.from({ length: 2 * grid + 1 }, (_, i) => i - grid);
  const along = { '-1': all.slice(0, grid + 1).map((o) => o - 1), 0: all, 1: all.slice(grid) }[
    String(c.direction ?? 0)
  ]!;
  const displacements = (isSquare ? all : [0]).flatMap((down) =>
    (isSquare ? all : along).map((right) => [down * (c.stride2 ?? 1), right * (c.stride2 ?? 1)] as const),
  );
  const at = (item: number, channel: number, h: number, w: number) =>
    h >= 0 && h < height && w >= 0 && w < width ? ((item * channels + channel) * height + h) * width + w : -1;
  const y: number[] = [];
  const [da, db] = [new Float64Array(a.length), new Float64Array(b.length)];
  for (let item = 0; item < n; item++)
    for (const [down, right] of displacements)
      for (let row = 0; row < tall; row++)
        for (let column = 0; column < wide; column++) {
          let sum = 0;
          const diff = dy(y.length) / (c.kernel ** 2 * channels);
          for (let k = 0; k < c.kernel ** 2; k++)
            for (let channel = 0; channel < channels; channel++) {
              // The centre of a patch, in the padded plane, then in the plane.
              const h = row * (c.stride1 ?? 1) + mostH + Math.floor(k / c.kernel) - padH;
              const w = column * (c.stride1 ?? 1) + c.most + (k % c.kernel) - c.pad;
              const [i, j] = [at(item, channel, h, w), at(item, channel, h + down, w + right)];
              const [p, q] = [a[i] ?? 0, b[j] ?? 0];
              sum += c.subtracts ? Math.abs(p - q) : p * q;
              const sign = p >= q ? 1 : -1;
              if (i >= 0) da[i]! += diff * (c.subtracts ? sign : q);
              if (j >= 0) db[j]! += diff * (c.subtracts ? -sign : p);
            }
          y.push(sum / (c.kernel ** 2 * channels));
        }
  return { shape: [n, displacements.length, tall, wide], y, da, db };
}

function assertClose(found: Float32Array, expected: ArrayLike<number>, what: string) {
  assert.is(found.length, expected.length, what);
  const largest = Math.max(1e-3, ...Array.from(expected, Math.abs));
  for (let i = 0; i < found.length; i++)
    assert.ok(
      Math.abs(found[i]! - expected[i]!) <= 1e-5 * largest,
      `${what}[${i}]: ${found[i]}, not ${expected[i]}`,
    );
}

const cases: Readonly<Record<string, Case>> = {
  "SegStereo's, to the left": {
    type: 'Correlation1D',
    shape: [2, 5, 4, 9],
    pad: 4,
    kernel: 1,
    most: 4,
    direction: -1,
  },
  'to the right, pad below the displacement': {
    type: 'Correlation1D',
    shape: [1, 3, 5, 11],
    pad: 1,
    kernel: 3,
    most: 2,
    direction: 1,
  },
  "DispNet's, both ways, patches of 3, strides": {
    type: 'Correlation1D',
    shape: [2, 3, 7, 10],
    pad: 4,
    kernel: 3,
    most: 5,
    stride1: 2,
    stride2: 2,
  },
  "FlowNetC's, every second displacement": {
    type: 'Correlation',
    shape: [2, 4, 6, 7],
    pad: 4,
    kernel: 1,
    most: 4,
    stride2: 2,
  },
  'patches of 3 with strides that do not divide': {
    type: 'Correlation',
    shape: [1, 3, 8, 9],
    pad: 3,
    kernel: 3,
    most: 3,
    stride1: 3,
    stride2: 2,
  },
  'differences along the width': {
    type: 'Correlation1D',
    shape: [2, 4, 3, 8],
    pad: 3,
    kernel: 1,
    most: 3,
    subtracts: true,
  },
  'differences of patches': {
    type: 'Correlation',
    shape: [1, 2, 6, 6],
    pad: 2,
    kernel: 3,
    most: 2,
    subtracts: true,
  },
  'no displacement': { type: 'Correlation', shape: [1, 40, 2, 2], pad: 0, kernel: 1, most: 0 },
};

for (const device of devices)
  for (const [name, c] of Object.entries(cases))
    test(`${c.type}, ${name}: values and both diffs, on ${device.kind}`, async () => {
      const random = seededRandom(7);
      const draw = (count: number) => Float32Array.from({ length: count }, () => 2 * random() - 1);
      const count = c.shape.reduce((product, dim) => product * dim, 1);
      const [a, b] = [draw(count), draw(count)];
      const dy = draw(100_000);
      const expected = correlated(c, a, b, (i) => dy[i]!);
      using trainer = await device.train({
        model: readNet(netOf(c), { file: 'net.prototxt' }),
        update: null,
        diffs: ['a', 'b'],
      });
      const { outputs, blobs } = await trainer.gradients(
        { a, b },
        { topDiffs: { y: dy.slice(0, expected.y.length) } },
      );
      assert.equal(outputs.y!.shape, expected.shape);
      assertClose(outputs.y!.data, expected.y, 'y');
      assertClose(blobs.a!.data, expected.da, 'the diff of a');
      assertClose(blobs.b!.data, expected.db, 'the diff of b');
    });

test('ONNX Runtime gives the same results for the net as ONNX', async () => {
  const file = join(folder, 'net.onnx');
  for (const [name, c] of Object.entries(cases)) {
    const net = filterNet(readNet(netOf(c), { file: 'net.prototxt' }));
    writeOnnxFile(file, { net, weights: { file: 'none', name: '', layers: [] } });
    const runtime = await onnxRuntime(file);
    if (runtime === null) return console.log('skipped: onnxruntime-node is not installed');
    const random = seededRandom(3);
    const data = () =>
      Float32Array.from(
        { length: c.shape.reduce((product, dim) => product * dim, 1) },
        () => 2 * random() - 1,
      );
    const [a, b] = [data(), data()];
    const { y } = await runtime.run({ a: { shape: c.shape, data: a }, b: { shape: c.shape, data: b } });
    await runtime.dispose();
    assertClose(y!, correlated(c, a, b, () => 0).y, name);
  }
});

const pair: Case = { type: 'Correlation1D', shape: [1, 2, 6, 8], pad: 3, kernel: 1, most: 3 };
const graphOf = (text: string) => graphFromCaffe(readNet(text, { file: 'net.prototxt' }));

test('the receptive field in the second blob grows by the displacements, only to one side if it looks to one side', () => {
  const of = (c: Case) => {
    const graph = graphOf(netOf(c).replaceAll('bottom: "b"', 'bottom: "a"'));
    return receptiveFields(graph)[graph.nodes.at(-1)!.outputs[0]!]!;
  };
  const { size, start } = of(pair);
  assert.equal(
    [size, start],
    [
      [1, 7],
      [0, -3],
    ],
  );
  const left = of({ ...pair, direction: -1 });
  assert.equal([left.size[1], left.start[1]], [5, -4]);
  const square = of({ ...pair, type: 'Correlation', kernel: 3, shape: [1, 2, 20, 20] });
  assert.equal(
    [square.size, square.start],
    [
      [9, 9],
      [-3, -3],
    ],
  );
});

test('invalid parameters of a correlation are refused with their position and what to do', () => {
  const refusals: readonly (readonly [string, RegExp])[] = [
    [netOf(pair).replace('kernel_size: 1', ''), /kernel_size is missing/],
    [netOf(pair).replace('max_displacement: 3', ''), /max_displacement is missing/],
    [netOf({ ...pair, kernel: 2 }), /kernel_size must be odd, found 2/],
    [netOf({ ...pair, kernel: 0 }), /kernel_size must be from 1/],
    [netOf({ ...pair, stride1: 0 }), /stride_1 must be from 1/],
    [netOf({ ...pair, stride2: 0 }), /stride_2 must be from 1/],
    [netOf({ ...pair, stride2: 4_000_000_000 }), /stride_2 must be from 1 to 2\^31 − 1/],
    [
      netOf({ ...pair, direction: 2 }),
      /single_direction must be −1 \(left\), 0 \(both\) or 1 \(right\), found 2/,
    ],
    [netOf({ ...pair, most: 40 }), /max_displacement 40 and kernel_size 1 do not fit.*larger pad/],
    [netOf({ ...pair, most: 3000, pad: 3000 }), /makes more than 4096 displacements/],
    [netOf({ ...pair, pad: 2_000_000_000, most: 2 }), /limit of 2\^31 − 1 values/],
    [netOf(pair).replace('dim: 8', 'dim: 7'), /all bottoms must have one shape/],
  ];
  for (const [text, expected] of refusals)
    assert.throws(
      () => graphOf(text),
      (error: Error) =>
        error instanceof GraphError &&
        /net\.prototxt:\d+:\d+/.test(error.message) &&
        expected.test(error.message),
      String(expected),
    );
});

test.after(() => {
  rmSync(folder, { recursive: true });
  for (const device of devices) device.dispose();
});
test.run();
