/**
 * The CPU device's own softmax against the reference loops: along each axis, with sizes that do not fill a vector, up
 * to the limits of float32.
 */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice, ops, type Tensor } from '../../ts/index.ts';
import { cpuLibrary } from '../support/cpu-library.ts';
import { randomValues } from '../support/random-weights.ts';

const reference = await openDevice('reference');
const device = await openDevice('cpu', { threads: 2, ...cpuLibrary });
test.after(() => [reference, device].forEach((each) => each.dispose()));

// One or two rounding errors, of the result or of the smallest float32.
const [RELATIVE, LEAST] = [4e-7, 3e-45];

async function compare(shape: readonly number[], data: Float32Array, axis: number) {
  const input: Tensor = { shape, data };
  const [own, expected] = await Promise.all(
    [device, reference].map((each) => ops.softmax(each, { input, axis })),
  );
  const wrong = expected!.data.findIndex((value, i) => {
    const made = own!.data[i]!;
    return !Object.is(made, value) && !(Math.abs(made - value) <= RELATIVE * Math.abs(value) + LEAST);
  });
  assert.is(
    wrong,
    -1,
    `value ${wrong} of ${shape.join('×')} along ${axis}: ${own!.data[wrong]}, expected ${expected!.data[wrong]}`,
  );
}

const random = (count: number, scale: number) => randomValues(count, 2, 0, 7).map((value) => value * scale);

for (const [shape, axis] of [
  [[1, 1000], 1],
  [[193, 21], 1],
  [[67, 7], 1],
  [[65, 8], 1],
  [[3, 17], 1],
  [[2, 65, 3], 2],
  [[2, 21, 9, 13], 1],
  [[1, 2, 4, 64], 1],
  [[3, 5, 1, 7], 2],
  [[1, 1, 5, 5], 1],
] as const) {
  test(`softmax of ${shape.join('×')} along axis ${axis}`, async () => {
    const count = shape.reduce<number>((product, size) => product * size, 1);
    for (const scale of [1, 40, 1e4]) await compare(shape, random(count, scale), axis);
  });
}

test('softmax of values below the largest by as much as float32 can represent, and of values that are not finite', async () => {
  const below = Float32Array.from({ length: 400 }, (_, i) => -i / 2.7);
  await compare([1, 400], below, 1);
  for (const extreme of [Number.NaN, Infinity, -Infinity, 3.4e38]) {
    for (const place of [0, 8, 20]) {
      const data = random(42, 1);
      data[place] = extreme;
      await compare([2, 21], data, 1);
      await compare([1, 21, 2], data, 1);
    }
  }
  await compare([2, 5], new Float32Array(10).fill(-Infinity), 1);
});

test.run();
