/**
 * How convolutions are split into products of matrices, on processors with and without AMX: compiled with AddressSanitizer
 * and UBSan (test/cpu/matrix-tiling.cc). Each C++ case is a case here.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const here = fileURLToPath(new URL('.', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'resnode-matrices-'));
test.after(() => rmSync(folder, { recursive: true }));

const program = join(folder, 'matrix-tiling');
const sources = [
  'matrix-tiling.cc',
  '../../native/operations/convolution/cpu-matrix-tiling.cc',
  '../../native/operations/convolution/cpu-matrix-source.cc',
  '../../native/operations/convolution/cpu-matrix-run.cc',
  '../../native/operations/convolution/cpu-window.cc',
  '../../native/cpu/thread-pool.cc',
  '../../native/cpu/processors.cc',
].map((name) => join(here, name));
const compiled = spawnSync(
  'c++',
  [
    '-std=c++17',
    '-O1',
    '-g1',
    '-Wall',
    '-Wextra',
    '-fsanitize=address,undefined',
    '-fno-sanitize-recover=all',
    `-I${join(here, '../..')}`,
    '-o',
    program,
    ...sources,
    '-pthread',
  ],
  { encoding: 'utf8' },
);

test('compiles', () => assert.is(compiled.status, 0, compiled.stderr || String(compiled.error)));

const run = spawnSync(program, { encoding: 'utf8', timeout: 300_000 });
for (const [, outcome, text] of run.stdout?.matchAll(/^(ok|failed) ([^\n]*)$/gm) ?? [])
  test(text!, () => assert.is(outcome, 'ok'));

test('every case completes and touches only its own bytes', () => {
  assert.is([...run.stdout.matchAll(/^ok /gm)].length, 60);
  assert.is(run.status, 0, run.stderr);
});

test.run();
