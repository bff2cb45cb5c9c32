/**
 * int8 convolutions through cuDNN's graphs, on the cuDNN of test/cuda/host/libraries: integers from 0 to 255 are stored
 * with an offset, which corrections compensate, also at the edges of padded images. Results differ from the CPU's bits
 * only where a value is within a rounding error of the middle between two integers.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { calibrationOf } from '../../ts/compile/calibration.ts';
import type { Device } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { expected, INT8_CASES, type Int8Case, netOf, random } from '../support/int8-cases.ts';
import { useStandInCudnn } from '../support/stand-in-cudnn.ts';
import { nameWinners } from '../support/tuning-cache.ts';

/** The nearest float16 of a number that is not too small. */
const toHalf = (value: number) => {
  if (value === 0) return 0;
  const unit = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(value)))) - 10);
  return Math.round(value / unit) * unit;
};
const loadOf = (each: Int8Case) => {
  const { net, weights, ranges } = netOf(each);
  const calibration = calibrationOf({ net: '', method: 'min-max', percentile: null, images: 1, ranges });
  return { model: net, weights, precision: 'int8', calibration } as const;
};

if (useStandInCudnn()) {
  const cacheFolder = mkdtempSync(join(tmpdir(), 'resnode-int8-'));
  // Measured once, so that there is a cache; then edited to name cuDNN for every int8 convolution.
  const tuned = (await openEmulated({ cudnn: true, tune: true, cacheFolder }))!;
  for (const each of INT8_CASES) (await tuned.load(loadOf(each))).dispose();
  tuned.dispose();
  const ENGINE = 'cudnn-engine-1[2:5]';
  const named = nameWinners(cacheFolder, (key) => (/^u?int8 /.test(key) ? ENGINE : null));
  const device = (await openEmulated({ cudnn: true, cacheFolder }))!;

  test('there are signed and unsigned cases, padded and not', () => {
    for (const kind of [/^int8 /, /^uint8 /, /^uint8 .* kernel 1x1 /, /^uint8 .* kernel 3x3 .* pad 1x1 /])
      assert.ok(
        named.some((key) => kind.test(key)),
        String(kind),
      );
  });
  for (const each of INT8_CASES)
    test(`int8 by cuDNN: ${JSON.stringify(each)}`, () => nearlySameBits(device, each, ENGINE));
  test.after(() => {
    device.dispose();
    rmSync(cacheFolder, { recursive: true });
  });
}

async function nearlySameBits(on: Device, each: Int8Case, engine: string): Promise<void> {
  const data = random(elementCount(each.input), 5).map(toHalf);
  await using model = await on.load(loadOf(each));
  const convolutions = model
    .plan()
    .operations.filter(({ implementation }) => implementation.startsWith('int8 '));
  assert.ok(convolutions.length > 0);
  for (const { layer, implementation } of convolutions) assert.is(implementation, `int8 ${engine}`, layer);
  const [output] = Object.values(await model.run({ in: data }));
  const wanted = expected(each, data).map(toHalf);
  const most = wanted.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const apart = output!.data.map((value, i) => Math.abs(value - wanted[i]!));
  const different = apart.filter((value) => value > 0).length;
  assert.ok(different <= 0.02 * wanted.length, `${different} of ${wanted.length} differ`);
  assert.ok(
    apart.every((value) => value <= 2 ** -8 * most),
    `${Math.max(...apart)} apart, of ${most}`,
  );
}

test.run();
