/** native/ and, if nvcc is installed, the C++ of cuda/ are clean under .clang-tidy. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from '../support/golden.ts';

const script = join(repositoryFolder, 'scripts/lint-native.mjs');
const lint = (...words: string[]) => spawnSync(process.execPath, [script, ...words], { encoding: 'utf8' });

const found = lint('--version');
if (found.status !== 0) console.log(`skipped: ${found.stderr.trim()}`);
else
  test('clang-tidy finds nothing in native/ and cuda/', () => {
    const { status, stdout, stderr } = lint();
    assert.is(status, 0, stdout + stderr);
  });

test.run();
