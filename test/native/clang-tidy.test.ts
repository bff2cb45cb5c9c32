/** native/ is clean under .clang-tidy. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from '../support/golden.ts';

if (spawnSync('clang-tidy', ['--version']).status !== 0)
  console.log('skipped: clang-tidy was not found (Debian: clang-tidy, libomp-dev)');
else
  test('clang-tidy finds nothing in native/', () => {
    const script = join(repositoryFolder, 'scripts/lint-native.mjs');
    const run = spawnSync(process.execPath, [script], { encoding: 'utf8' });
    assert.is(run.status, 0, run.stdout + run.stderr);
  });

test.run();
