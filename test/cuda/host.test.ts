/**
 * How convolutions are chosen, remembered and passed to cuDNN: test/cuda/host with AddressSanitizer and UBSan (bfloat16
 * without), on a fake cuDNN, and test/cuda/host/real on the real one if it is found. Each C++ case is a case here.
 */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { emulatedBuild } from '../support/emulated.ts';

for (const target of ['host-tests', 'plain-host-tests', 'real-cudnn-tests'] as const) {
  const build = emulatedBuild(target);
  if (build === null) {
    test(`${target} are skipped only where nvcc is not found`, () => {
      assert.ok(spawnSync('nvcc', ['--version']).error, 'nvcc is here, and its headers were not found');
    });
    continue;
  }
  const run = spawnSync(build, { encoding: 'utf8', timeout: 1_700_000, maxBuffer: 1 << 26 });
  const cases = [...run.stdout.matchAll(/^(ok|failed|skipped) ([^\n]*)$/gm)];
  for (const [, outcome, text] of cases) {
    if (outcome === 'skipped') console.log(`skipped: ${text}`);
    else test(`${target}: ${text}`, () => assert.is(outcome, 'ok', text));
  }
  test(`${target}: every case came to its end, and nothing leaked`, () => {
    assert.ok(cases.length >= 3, `only ${cases.length} cases ran`);
    assert.is(run.status, 0, `ended with ${run.signal ?? run.status}:\n${run.stdout}${run.stderr}`);
  });
}

test.run();
