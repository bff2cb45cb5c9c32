/** A data layer's threads start whatever flags the process has. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scriptArguments } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-'));
await sharp({ create: { width: 4, height: 3, channels: 3, background: 'red' } })
  .png()
  .toFile(join(folder, 'red.png'));
writeFileSync(join(folder, 'list.txt'), 'red.png 7\n');
const layer = {
  name: 'd',
  type: 'ImageData',
  top: ['data', 'label'],
  image_data_param: { source: 'list.txt', batch_size: 1 },
};
const program = (place: (source: string) => string) =>
  `import { openDataLayer } from ${place('ts/data/open-data-layer.ts')};
  const source = await openDataLayer(${JSON.stringify(layer)}, { phase: 'TRAIN', folder: ${JSON.stringify(folder)}, workers: 1 });
  console.log((await source.next()).label[0]);
  await source.dispose();`;

function run(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  assert.is(status, 0, stderr);
  return stdout;
}

test('a module that is given as text can open a data layer', () => {
  assert.is(run(...scriptArguments(program)), '7\n');
});

test('modules that a flag preloads are available in the threads, too', () => {
  const preloaded = join(folder, 'preloaded.cjs');
  writeFileSync(
    preloaded,
    "if (require('node:worker_threads').workerData?.kind) console.log('in a thread');",
  );
  const [flags, text] = [scriptArguments(program).slice(0, -3), scriptArguments(program).at(-1)!];
  const file = join(folder, 'program.mjs');
  writeFileSync(file, text);
  assert.is(run(...flags, '--require', preloaded, file), 'in a thread\n7\n');
});

test.run();
