/** A data layer's threads start whatever flags the process has. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scriptArguments } from '../support/command.ts';

test('a module that is given as text opens a data layer', async () => {
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
  const script = scriptArguments(
    (place) => `import { openDataLayer } from ${place('ts/data/open-data-layer.ts')};
      const source = await openDataLayer(${JSON.stringify(layer)}, { phase: 'TRAIN', folder: ${JSON.stringify(folder)} });
      console.log((await source.next()).label[0]);
      await source.dispose();`,
  );
  const { stdout, stderr } = spawnSync(process.execPath, script, { encoding: 'utf8' });
  assert.is(stdout, '7\n', stderr);
});

test.run();
