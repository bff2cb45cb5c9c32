/**
 * `npx tsx examples/lesions/train.ts [FOLDER]`: draws scans, fine-tunes a net in three ways, and prints the results of
 * each.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDevice } from '../../ts/index.ts';
import { drawLesions } from './draw-lesions.ts';
import { figuresOf, tune, WAYS } from './train-lesions.ts';

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'resnode-lesions-'));
const scans = join(folder, 'scans');
await drawLesions(scans, { train: { clear: 160, lesion: 16 }, val: { clear: 150, lesion: 30 } });
await using device = await openDevice('cpu', { threads: 2 });
const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
console.log(
  '| way | right | balanced | recall of lesions | specificity | AUC (95% interval) | average precision |',
);
console.log('| --- | --: | --: | --: | --: | --- | --: |');
for (const way of Object.keys(WAYS)) {
  const out = join(folder, way.replace(' ', '-'));
  const { right, balanced, recall, specificity, auc, interval, averagePrecision } = figuresOf(
    await tune(way, { device, scans, out, epochs: 6 }),
  );
  const cells = [way, percent(right), percent(balanced), percent(recall), percent(specificity)];
  const area = `${auc.toFixed(3)} (${interval?.map((end) => end.toFixed(3)).join(' to ') ?? 'none'})`;
  console.log(`| ${[...cells, area, averagePrecision.toFixed(3)].join(' | ')} |`);
}
console.log(`models and reports: ${folder}`);
