/** Compares a program on the reference device and on another one. */
import * as assert from 'uvu/assert';
import type { NativeDevice } from '../../ts/native/binding.ts';
import { openNative, type ProgramResult, runProgram } from './run-program.ts';
import type { TrainingOperation } from './training-operations.ts';

/** Relative to the largest value of each array. */
function compare(
  actual: readonly Float32Array[],
  expected: readonly Float32Array[],
  tolerance: number,
  what: string,
) {
  assert.is(actual.length, expected.length);
  actual.forEach((values, k) => {
    assert.is(values.length, expected[k]!.length);
    const largest = expected[k]!.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const worst = values.reduce(
      (most, value, i) =>
        Math.max(most, Object.is(value, expected[k]![i]) ? 0 : Math.abs(value - expected[k]![i]!)),
      0,
    );
    if (process.argv.includes('--print')) console.log(what, k, worst / largest);
    assert.ok(worst <= tolerance * largest, `${what}, array ${k}: differs by ${worst} of ${largest}`);
  });
}

/** @returns The device's results, which are within `tolerance` of the reference's. */
export async function againstReference(
  device: NativeDevice,
  { name, write, tolerance, options = {} }: TrainingOperation,
): Promise<ProgramResult> {
  const reference = openNative('reference');
  const expected = await runProgram(reference, ...write(), options);
  reference.dispose();
  const actual = await runProgram(device, ...write(), options);
  actual.outputs.forEach((outputs, run) =>
    compare(outputs, expected.outputs[run]!, tolerance, `${name}, run ${run}`),
  );
  compare(actual.parameters, expected.parameters, tolerance, `${name}, parameters`);
  assert.ok(actual.parameters.every((values) => values.every(Number.isFinite)));
  return actual;
}
