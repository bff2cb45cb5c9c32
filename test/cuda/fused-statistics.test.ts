/**
 * Training in 16 bits where cuDNN computes the sums that BatchNorm reads together with a convolution's result, and
 * those that BatchNorm's gradient reads together with the diff behind its ReLU, on the cuDNN of
 * test/cuda/host/libraries: compared with float32, and with separate passes.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Device, readNet, type TrainOptions } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { useStandInCudnn } from '../support/stand-in-cudnn.ts';
import { batch, model, NET, open, SGD, valuesOf } from '../support/trainer-cases.ts';
import { CACHE, nameWinners } from '../support/tuning-cache.ts';

const NARROW = ['float16', 'bfloat16'] as const;
const smooth = readNet(NET.replaceAll('"ReLU"', '"TanH"'), { file: 'smooth' });
const FUSED = 'cudnn-engine-1[2:5]-sums';

/**
 * One step on each of two trainers, the second of which continues from the first one's result, because a replayed graph
 * would not call the fake.
 */
async function twoSteps(device: Device, options: Partial<TrainOptions>) {
  using first = await open(device, options);
  const one = (await first.step(batch(0), { rate: 0.05, iteration: 0 })).loss!.data[0]!;
  const [weights, history] = [await first.weights(), await first.history()];
  using second = await open(device, { ...options, weights, history });
  const two = (await second.step(batch(1), { rate: 0.05, iteration: 1 })).loss!.data[0]!;
  return { losses: [one, two], values: await valuesOf(second) };
}

async function diffsOf(device: Device, options: Partial<TrainOptions>) {
  using trainer = await open(device, { model: smooth, update: null, ...options });
  return (await trainer.gradients(batch(1))).parameters.flatMap((diff) => (diff === null ? [] : [diff.data]));
}

const norm = (values: Float32Array) => Math.hypot(...values);
/** Each difference as a share of the expected value. */
const apart = (all: readonly Float32Array[], expected: readonly Float32Array[]) =>
  all.map((values, i) => {
    const wanted = expected[i]!;
    return norm(values.map((value, j) => value - wanted[j]!)) / Math.max(norm(wanted), 1e-30);
  });

if (useStandInCudnn()) {
  const cacheFolder = mkdtempSync(join(tmpdir(), 'resnode-statistics-'));
  const own = (await openEmulated())!;

  // Measured once, so that there is a cache; then edited to name implementations that compute sums wherever sums are
  // wanted.
  const tuned = (await openEmulated({ cudnn: true, tune: true, cacheFolder }))!;
  for (const precision of NARROW)
    for (const net of [model, smooth]) await tuned.planTraining({ model: net, update: SGD, precision });
  tuned.dispose();
  // A second cache, in which only gradients use them; all else is computed as without measurements.
  const gradientFolder = join(cacheFolder, 'gradients');
  cpSync(join(cacheFolder, CACHE), join(gradientFolder, CACHE));
  const namedGradients = nameWinners(gradientFolder, (key) =>
    key.endsWith('data gradient direct sums') ? FUSED : 'none',
  ).filter((key) => key.endsWith(' sums') && key.includes('gradient'));
  const behind = (await openEmulated({ cudnn: true, cacheFolder: gradientFolder }))!;
  const named = nameWinners(cacheFolder, (key) => (key.endsWith(' sums') ? FUSED : null));
  const fused = (await openEmulated({ cudnn: true, cacheFolder }))!;
  const unmeasured = (await openEmulated({ cudnn: true, cacheFolder: join(cacheFolder, 'none') }))!;

  test('sums are requested only from 16-bit convolutions whose sole reader is a BatchNorm', () => {
    assert.equal([...new Set(named.map((key) => key.split(' ')[0]))].sort(), ['bfloat16', 'float16']);
    for (const key of named) assert.not.match(key, /bias|relu|weight gradient/);
    assert.is(namedGradients.length, 2, 'of each precision one shape');
  });

  test('implementations that compute sums are chosen only if they were measured', async () => {
    for (const precision of NARROW) {
      const of = async (device: Device) => {
        const { operations } = await device.planTraining({ model, update: SGD, precision });
        const at = (text: string) =>
          operations.filter(({ implementation }) => implementation.includes(text)).map(({ layer }) => layer);
        return [at('-sums'), at("of the convolution's sums")];
      };
      const [convolutions, norms] = await of(fused);
      // All forward passes; backward passes behind a ReLU inside a block.
      assert.is(convolutions!.length, 12, `${convolutions}`);
      assert.is(norms!.length, 12, `${norms}`);
      assert.is(convolutions!.filter((layer) => /_conv2$/.test(layer)).length, 8);
      assert.equal(await of(unmeasured), [[], []]);
    }
    const { operations } = await fused.planTraining({ model, update: SGD });
    assert.not.match(operations.map(({ implementation }) => implementation).join(), /sums$/);
  });

  for (const precision of NARROW)
    test(`${precision}: diffs, losses and blobs equal those with separate statistics within 16 bits' rounding`, async () => {
      const unit = { float16: 2 ** -10, bfloat16: 2 ** -7 }[precision];
      const expected = await diffsOf(own, {});
      const diffs = apart(await diffsOf(fused, { precision }), expected);
      const ofOwn = apart(await diffsOf(own, { precision }), expected);
      // As near to float32 as with separate passes: one unit per map, forward and backward.
      assert.ok(
        diffs.every((share) => share <= 44 * unit),
        `${diffs}`,
      );
      assert.ok(
        Math.max(...diffs) <= 1.5 * Math.max(...ofOwn),
        `${Math.max(...diffs)}, own ${Math.max(...ofOwn)}`,
      );
      // If the forward pass is recomputed, so are the sums.
      const again = apart(await diffsOf(fused, { precision, recompute: true }), expected);
      assert.ok(Math.max(...again) <= 1.5 * Math.max(...ofOwn), `${Math.max(...again)}`);
      // So are losses and blobs after two steps, including moving means and variances.
      const wide = await twoSteps(own, {});
      const found = await twoSteps(fused, { precision });
      const blobs = ({ values }: typeof wide) => values.map(([, blob]) => blob);
      const shares = apart(blobs(found), blobs(wide));
      // A ReLU whose sign changes by rounding changes a diff completely, as in precision-training.test.ts.
      assert.ok(
        shares.every((share) => share <= 2 * Math.sqrt(22 * unit)),
        `${shares}`,
      );
      // None of BatchNorm's own blobs differs much: they were counted before parameters had moved much.
      const statistics = found.values.flatMap(([name], i) => (/_bn\d\//.test(name) ? [shares[i]!] : []));
      assert.is(statistics.length, 24);
      assert.ok(
        statistics.every((share) => share <= 4 * unit),
        `${statistics}`,
      );
      found.losses.forEach((loss, i) => {
        const share = Math.abs(loss / wide.losses[i]! - 1);
        assert.ok(share <= 44 * unit, `loss ${i}: ${loss}, in float32 ${wide.losses[i]}`);
      });
    });

  for (const precision of NARROW)
    test(`${precision}: a diff computed behind BatchNorm's ReLU with its sums gives the gradients of two passes`, async () => {
      const unit = { float16: 2 ** -10, bfloat16: 2 ** -7 }[precision];
      for (const recompute of [false, true]) {
        const options = { model, precision, recompute };
        const found = await diffsOf(behind, options);
        const shares = apart(found, await diffsOf(unmeasured, options));
        assert.ok(
          shares.every((share) => share <= 2 * unit),
          `${shares}`,
        );
        assert.ok(Math.max(...shares) > 0, 'sums of what is not rounded yet differ a little');
      }
    });

  test.after(() => {
    for (const device of [own, fused, behind, unmeasured]) device.dispose();
    rmSync(cacheFolder, { recursive: true });
  });
}

test.run();
