/** Nets that learn shapes: an SSD by its loss with hard negatives, and an FCN, each evaluated on unseen pictures. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { trainDetector, trainSegmenter } from '../../examples/shapes/train-shapes.ts';
import { type Device, openDevice } from '../../ts/index.ts';

let device: Device | null = null;
try {
  device = await openDevice('cpu', { threads: 2 });
} catch (error) {
  console.log(`skipped: the cpu device: ${(error as Error).message}`);
}
const out = mkdtempSync(join(tmpdir(), 'resnode-shapes-'));
test.after(async () => {
  rmSync(out, { recursive: true });
  await device?.dispose();
});

if (device !== null) {
  const on = device;
  test('an SSD on a small residual net learns to find shapes', async () => {
    const { meanPrecision } = await trainDetector({ device: on, out, iterations: 160 });
    console.log(`mean average precision on 100 unseen pictures: ${meanPrecision.toFixed(3)}`);
    assert.ok(meanPrecision > 0.9, `mAP ${meanPrecision}`);
  });

  test('a fully convolutional residual net learns the shape of every pixel', async () => {
    const { meanOverlap } = await trainSegmenter({ device: on, out, iterations: 160 });
    console.log(`mean overlap of classes on 100 unseen pictures: ${meanOverlap.toFixed(3)}`);
    assert.ok(meanOverlap > 0.85, `mean overlap ${meanOverlap}`);
  });
}

test.run();
