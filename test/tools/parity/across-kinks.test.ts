/** A case that diverges is run again with weights moved by a rounding error; one complete run has to pass. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { blobFromFloats, toFloat32 } from '../../../ts/caffe/blob.ts';
import type { WeightsFile } from '../../../ts/caffe/caffemodel.ts';
import { acrossKinks, type Move } from '../../../ts/tools/parity/across-kinks.ts';
import type { Check } from '../../../ts/tools/parity/check.ts';

const check = (name: string, ok: boolean): Check => ({
  ...{ name, layer: name, mode: 'training', pass: 0, ok },
  ...{ absolute: ok ? 0 : 1, relative: ok ? 0 : 1, tolerance: 0.5 },
});

/** A sequence of trials, each a list of what passes; the last one is repeated. A run that is no trial is the first one again. */
function runs(...outcomes: boolean[][]) {
  let calls = 0;
  const run = async (_: Move, isTrial: boolean) => {
    const outcome = outcomes[isTrial ? Math.min(calls++, outcomes.length - 1) : 0]!;
    return outcome.map((ok, i) => check(`check ${i}`, ok));
  };
  return { run, calls: () => calls };
}

test('checks that pass in different runs do not make a case pass', async () => {
  const { run } = runs([true, false], [false, true]);
  assert.equal(
    (await acrossKinks(run)).map(({ ok }) => ok),
    [true, false],
  );
});

test('a whole run with moved weights passes, and its checks say so', async () => {
  const { run, calls } = runs([true, false], [false, true], [true, true]);
  const checks = await acrossKinks(run);
  assert.equal(
    checks.map(({ ok, mode }) => [ok, mode]),
    Array(2).fill([true, 'training, weights moved by a rounding']),
  );
  assert.is(calls(), 3);
});

test('a case that passes is run once, with the recorded weights', async () => {
  const { run, calls } = runs([true, true]);
  assert.ok((await acrossKinks(run)).every(({ mode }) => mode === 'training'));
  assert.is(calls(), 1);
});

test('runs may end at what fails, but for the last one, which says all that diverges', async () => {
  const trials: boolean[] = [];
  const checks = await acrossKinks(async (_, isTrial) => {
    trials.push(isTrial);
    return [check('first', false), ...(isTrial ? [] : [check('second', false)])];
  });
  assert.equal(trials, [...Array(9).fill(true), false]);
  assert.is(checks.length, 2);
});

test('weights move to a neighbouring value at most', async () => {
  const values = Float32Array.of(1, -3.5, 0, 1e-20);
  const weights: WeightsFile = {
    file: '',
    name: '',
    layers: [{ name: 'ip', type: 'InnerProduct', blobs: [blobFromFloats([4], values)] }],
  };
  await acrossKinks(async (move) => {
    const moved = toFloat32(move(weights).layers[0]!.blobs[0]!);
    moved.forEach((value, i) => {
      assert.ok(Math.abs(value - values[i]!) <= 2 ** -22 * Math.abs(values[i]!), `${value}`);
    });
    return [check('moved', false)];
  });
});

test.run();
