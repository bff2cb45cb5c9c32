/** Products of two computed matrices by the CPU's tiles, and their gradients, against float64. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Device, openDevice } from '../../ts/index.ts';
import { draw, input, net } from '../support/net-text.ts';

const devices = [await openDevice('cpu', { threads: 1 }), await openDevice('cpu', { threads: 2 })];

interface Case {
  readonly batches: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly transposeFirst: boolean;
  readonly transposeSecond: boolean;
}

const SIZES = [
  // Whole blocks of 16 columns; one column more, and one less; single rows, columns and terms; more rows and terms than one unit.
  [1, 5, 7, 32],
  [3, 4, 16, 17],
  [2, 65, 130, 15],
  [2, 1, 9, 33],
  [2, 9, 1, 16],
  [1, 33, 20, 1],
] as const;

async function pass(device: Device, of: Case, a: Float32Array, c: Float32Array, dy: Float32Array) {
  const { batches, rows, depth, columns, transposeFirst, transposeSecond } = of;
  const text = `${input('a', [batches, ...(transposeFirst ? [depth, rows] : [rows, depth])])}${input('c', [
    batches,
    ...(transposeSecond ? [columns, depth] : [depth, columns]),
  ])}layer { name: "y" type: "MatMul" bottom: "a" bottom: "c" top: "y" matmul_param { transpose_a: ${transposeFirst} transpose_b: ${transposeSecond} } }`;
  using trainer = await device.train({
    model: { ...net(text), force_backward: true },
    update: null,
    diffs: ['a', 'c'],
    phase: 'TRAIN',
  });
  const { outputs, blobs } = await trainer.gradients({ a, c }, { topDiffs: { y: dy } });
  return { y: outputs.y!.data, da: blobs.a!.data, dc: blobs.c!.data };
}

function wanted(of: Case, a: Float32Array, c: Float32Array, dy: Float32Array) {
  const { batches, rows, depth, columns, transposeFirst, transposeSecond } = of;
  const [y, da, dc] = [dy, a, c].map(({ length }) => new Float64Array(length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  for (let b = 0; b < batches; b++)
    for (let m = 0; m < rows; m++)
      for (let n = 0; n < columns; n++)
        for (let k = 0; k < depth; k++) {
          const atA = b * rows * depth + (transposeFirst ? k * rows + m : m * depth + k);
          const atC = b * depth * columns + (transposeSecond ? n * depth + k : k * columns + n);
          const atY = (b * rows + m) * columns + n;
          y[atY]! += a[atA]! * c[atC]!;
          da[atA]! += dy[atY]! * c[atC]!;
          dc[atC]! += dy[atY]! * a[atA]!;
        }
  return { y, da, dc };
}

for (const transposeFirst of [false, true])
  for (const transposeSecond of [false, true])
    test(`products and gradients equal float64's, first ${transposeFirst ? '' : 'not '}transposed, second ${transposeSecond ? '' : 'not '}transposed, with the same bits on any number of threads`, async () => {
      for (const [batches, rows, depth, columns] of SIZES) {
        const of = { batches, rows, depth, columns, transposeFirst, transposeSecond };
        const [a, c, dy] = [
          draw(batches * rows * depth, 1),
          draw(batches * depth * columns, 2),
          draw(batches * rows * columns, 3),
        ] as const;
        const expected = wanted(of, a, c, dy);
        const found = await Promise.all(devices.map((device) => pass(device, of, a, c, dy)));
        for (const name of ['y', 'da', 'dc'] as const) {
          const scale = Math.max(...expected[name].map(Math.abs));
          found[0]![name].forEach((value, i) => {
            const right = expected[name][i]!;
            assert.ok(
              Math.abs(value - right) <= 1e-5 * scale,
              `${JSON.stringify(of)} ${name}[${i}]: ${value}, not ${right}`,
            );
          });
          assert.equal(found[0]![name], found[1]![name], name);
        }
      }
    });

test('a value that is not a number spreads along its row alone', async () => {
  const of = { batches: 1, rows: 3, depth: 4, columns: 5, transposeFirst: false, transposeSecond: false };
  const a = draw(12, 1).with(5, Number.NaN);
  const { y } = await pass(devices[0]!, of, a, draw(20, 2), draw(15, 3));
  assert.equal(
    [...y].map(Number.isNaN),
    Array.from({ length: 15 }, (_, i) => Math.floor(i / 5) === 1),
  );
});

test.after(() => {
  for (const device of devices) device.dispose();
});

test.run();
