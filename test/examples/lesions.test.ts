/**
 * A short version of the example with few lesions among many clear scans: 16 bits and a window, weights for the rare
 * class, misses as pictures.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { drawLesions, WINDOW } from '../../examples/lesions/draw-lesions.ts';
import { figuresOf, tune } from '../../examples/lesions/train-lesions.ts';
import { decodeImage } from '../../ts/api/images.ts';
import { openDevice } from '../../ts/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-lesions-'));
test.after(() => rmSync(folder, { recursive: true }));
const scans = join(folder, 'scans');

test('scans have 16 bits, and a window shows what eight bits would lose', async () => {
  await drawLesions(scans, { train: { clear: 40, lesion: 4 }, val: { clear: 12, lesion: 4 } });
  assert.equal(readdirSync(join(scans, 'train/lesion')).length, 4);
  const file = join(scans, 'val/lesion/0.png');
  assert.is((await sharp(file).metadata()).depth, 'ushort');
  const levels = async (options: object) => new Set((await decodeImage(file, options)).data).size;
  assert.ok((await levels({})) < 10);
  assert.ok((await levels({ window: WINDOW })) > 80);
});

test('class weights balance the loss, and the report leads with AUC and recall and shows the misses', async () => {
  const out = join(folder, 'weighted');
  await using device = await openDevice('cpu', { threads: 2 });
  const summary = await tune('class weights', { device, scans, out, epochs: 1 });
  const { recall, specificity, auc } = figuresOf(summary);
  for (const share of [recall, specificity, auc]) assert.ok(share >= 0 && share <= 1, `${share}`);
  assert.match(
    readFileSync(join(out, 'training/train_val.prototxt'), 'utf8'),
    /class_weight: 0\.55.*\n\s*class_weight: 5\.5/,
  );
  const report = readFileSync(join(out, 'report.html'), 'utf8');
  assert.ok(report.indexOf('balanced accuracy') > 0);
  assert.match(report, /AUC of .{0,8}lesion/);
  const misses = summary.images - summary.top1.correct;
  assert.is(report.match(/<img /g)?.length ?? 0, Math.min(12, misses));
});

test.run();
