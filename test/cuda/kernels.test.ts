/**
 * The CUDA kernels on the host: test/cuda/kernels under the launch emulator, with AddressSanitizer and UBSan (bfloat16
 * without). Each C++ case is a case here.
 */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { emulatedBuild } from '../support/emulated.ts';

const build = emulatedBuild('kernel-tests');
const plain = emulatedBuild('plain-kernel-tests');
if (build !== null && plain !== null) {
  testCases(build);
  testCases(plain, ' in bfloat16');
  for (const [fault, report] of [
    ['global', 'heap-buffer-overflow'],
    ['shared', 'heap-buffer-overflow'],
    ['local', 'stack-buffer-overflow'],
    ['freed', 'heap-use-after-free'],
    ['leak', 'detected memory leaks'],
    ['copied', 'heap-buffer-overflow'],
  ] as const)
    test(`AddressSanitizer reports a fault in a kernel: ${fault}`, () => {
      const env = { ...process.env, RESNODE_FAULT: fault };
      const { status, stderr } = spawnSync(build, ['RESNODE_FAULT'], { encoding: 'utf8', env });
      assert.match(stderr, report);
      assert.is.not(status, 0);
    });
} else {
  test('is skipped only where nvcc is not found', () => {
    assert.ok(spawnSync('nvcc', ['--version']).error, 'nvcc is here, and its headers were not found');
  });
}

function testCases(executable: string, how = ''): void {
  const run = spawnSync(executable, { encoding: 'utf8', timeout: 1_700_000, maxBuffer: 1 << 26 });
  const cases = [...run.stdout.matchAll(/^(ok|failed) ([^\n]*)$/gm)];
  for (const [, outcome, text] of cases) test(text! + how, () => assert.is(outcome, 'ok', text));
  test(`every case came to its end, and nothing leaked${how}`, () => {
    assert.ok(cases.length > 10, `only ${cases.length} cases ran`);
    assert.is(run.status, 0, `ended with ${run.signal ?? run.status}:\n${run.stdout}${run.stderr}`);
  });
}

test.run();
