import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const model = join(repositoryFolder, 'examples/fashion/deploy.prototxt');
const weights = join(repositoryFolder, 'examples/fashion/model.caffemodel');
const resnode = (...words: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', join(repositoryFolder, 'ts/cli/main.ts'), ...words], {
    encoding: 'utf8',
    cwd: repositoryFolder,
  });

for (const kind of ['cpu', 'reference'] as const)
  test(`what plan says for batch 1 and 3 is what the ${kind} device holds after load`, async () => {
    const words = ['plan', model, '--device', kind, '--threads', '2', '--batch', '1,3', '--json'];
    const { batches, freeBytes, largestBatch } = JSON.parse(resnode(...words).stdout);
    assert.equal(
      batches.map(({ batch }: { batch: number }) => batch),
      [1, 3],
    );
    for (const row of batches) {
      await using device = await openDevice(kind, { threads: 2 });
      await using _ = await device.load({ model, weights, batch: row.batch });
      const { parameters, activations, workspace, total } = device.memory();
      assert.equal([row.activationBytes, row.workspaceBytes], [activations, workspace]);
      assert.is(row.totalBytes - row.weightBytes, total - parameters);
      // The CPU device keeps the biases that folding BatchNorm computed beside their packed form: under 1 % here.
      const most = kind === 'cpu' ? row.weightBytes * 1.01 : row.weightBytes;
      assert.ok(
        parameters >= row.weightBytes && parameters <= most,
        `${parameters} held, ${row.weightBytes} planned`,
      );
      assert.is(row.fits, row.totalBytes <= freeBytes);
    }
    assert.ok(largestBatch >= 3);
  });

test('plan is a table for people, and says what it does not do', () => {
  const { stdout } = resnode('plan', model, '--device', 'cpu', '--batch', '1');
  assert.match(stdout, /batch +weights +activations +workspace +total +fits\n +1 .* yes\nlargest that fits /);
  const train = resnode('plan', model, '--train');
  assert.is(train.status, 2);
  assert.is(train.stderr, 'resnode: what training takes is not told yet; leave out --train\n');
  assert.is(resnode('plan', model, '--batch', '1,0').status, 2);
  assert.is(resnode('plan', 'none.prototxt').status, 2);
});

test.run();
