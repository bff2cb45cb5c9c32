/** The short form of the recipe of `npm run train-fashion`: trained from scratch on real images. */
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findFashion, SHORT, trainFashion } from '../../examples/fashion-training.ts';
import { openDevice } from '../../ts/device/device.ts';
import { lintFile } from '../../ts/tools/lint/lint.ts';

const source = findFashion();
if (source !== null) {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-fashion-'));
  test('ResNet-8 learns Fashion-MNIST: over 80% of test images after three epochs of a fifth of the images', async () => {
    using device = await openDevice('cpu');
    const begin = performance.now();
    const accuracies: number[] = [];
    const accuracy = await trainFashion(source, {
      ...SHORT,
      architecture: 'resnet-8',
      batch: 64,
      device,
      out: join(folder, 'run'),
      data: join(folder, 'data'),
      onEvent: (event) => {
        if (event.type === 'test')
          accuracies.push(event.outputs.find(({ name }) => name === 'top-1')!.values[0]!);
      },
    });
    assert.ok(accuracy > 0.8, `${accuracy}`);
    // The solver's test net and the deploy net with folded weights see the same images and agree.
    assert.ok(Math.abs(accuracies.at(-1)! - accuracy) < 0.003, `${accuracies.at(-1)} and ${accuracy}`);
    for (const name of ['deploy', 'train_val', 'solver'])
      assert.equal(
        lintFile(join(folder, `run/${name}.prototxt`)).filter(({ level }) => level !== 'note'),
        [],
      );
    assert.ok(existsSync(join(folder, 'run/model.caffemodel')));
    assert.match(readFileSync(join(folder, 'run/report.html'), 'utf8'), /<h2>Accuracy/);
    const seconds = (performance.now() - begin) / 1000;
    console.log(`figures: ${(100 * accuracy).toFixed(1)}% of ${SHORT.testImages} in ${seconds.toFixed(0)} s`);
  });
}

test.run();
