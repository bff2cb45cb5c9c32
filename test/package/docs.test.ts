/** `npm run docs`: every type that the public API mentions is public and described. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from '../support/golden.ts';

test('the API is documented without a warning', () => {
  const typedoc = join(repositoryFolder, 'node_modules/typedoc/bin/typedoc');
  const run = spawnSync(process.execPath, [typedoc, '--emit', 'none'], {
    cwd: repositoryFolder,
    encoding: 'utf8',
  });
  assert.is(run.status, 0, `${run.stdout}${run.stderr}`);
  assert.not.match(`${run.stdout}${run.stderr}`, /warning/);
});

test.run();
