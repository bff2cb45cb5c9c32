/** Warnings from a data layer's threads reach the program's listener, once. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { openDataLayer } from '../../ts/data/open-data-layer.ts';

test('several threads that reduce 16-bit images to 8 bits warn once, and the program hears it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-'));
  const names = Array.from({ length: 8 }, (_, i) => `${i}.png`);
  for (const name of names)
    await sharp(
      Uint16Array.from({ length: 12 }, (_, i) => i * 5000),
      {
        raw: { width: 4, height: 3, channels: 1 },
      },
    )
      .toColourspace('grey16')
      .png()
      .toFile(join(folder, name));
  writeFileSync(join(folder, 'list.txt'), names.map((name) => `${name} 0\n`).join(''));
  const text = `layer { name: "d" type: "ImageData" top: "data" top: "label"
    image_data_param { source: "list.txt" batch_size: 2 is_color: false } }`;
  const layer = readNet(text, { file: 'net.prototxt' }).layer![0]!;

  const heard: string[] = [];
  const listen = (warning: Error & { code?: string }) => heard.push(`${warning.code}: ${warning.message}`);
  process.on('warning', listen);
  {
    await using source = await openDataLayer(layer, { phase: 'TRAIN', folder, workers: 2 });
    for (let i = 0; i < 6; i++) await source.next();
    await setImmediate();
  }
  process.off('warning', listen);
  assert.is(heard.length, 1, heard.join('\n'));
  assert.match(
    heard[0]!,
    /^image\/depth: images of 16 bits are reduced to their upper 8 bits, .* the first is .*\.png/,
  );
});

test.run();
