/** What the runner makes of a file that is not as it should be: each is a failure, whatever else the file says. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { judge } from '../run-file.ts';
import { nodeArguments } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

// Where uvu is found.
const folder = mkdtempSync(join(repositoryFolder, '.compiled-'));
test.after(() => rmSync(folder, { recursive: true }));

const SKIP = "console.log('ski' + 'pped: no GPU is here');";
const PASS = "test('passes', () => {});";
const FAIL = "test('fails', () => { throw new Error('told'); });";
const RUN = 'test.run();';

/** Its tests that passed, its failures, its skips, and what is said of it. */
function judged(...lines: string[]): readonly [number, number, number, string] {
  const script = ["import { test } from 'uvu';", ...lines].join('\n');
  const file = join(folder, 'file.test.mjs');
  writeFileSync(file, script);
  // As the runner starts it: its last word is the file.
  const words = [...nodeArguments('test/scripts/run-file.test.ts').slice(0, -1), file];
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  const { passed, failed, skipped, notes } = judge(stdout + stderr, status, signal);
  return [passed, failed, skipped.length, notes.join(', ')];
}

test('tests that pass, fail or are skipped with a reason', () => {
  assert.equal(judged(PASS, RUN), [1, 0, 0, '']);
  assert.equal(judged(PASS, FAIL, RUN), [1, 1, 0, '']);
  assert.equal(judged(SKIP, RUN), [0, 0, 1, '1 skipped']);
  assert.equal(judged(PASS, SKIP, RUN), [1, 0, 1, '1 skipped']);
});

test('a file that crashes behind its tests, or by a promise that nobody waits for', () => {
  assert.equal(judged(PASS, RUN, "process.on('exit', () => process.abort());"), [
    ...[1, 1, 0],
    'ended with SIGABRT',
  ]);
  assert.equal(judged("test('passes', () => { void Promise.reject(new Error()); });", RUN), [
    ...[1, 1, 0],
    'ended with 1',
  ]);
});

test('a file that ends before its tests do, with a skip or without', () => {
  assert.equal(judged(SKIP, FAIL, RUN, 'process.exit(0);'), [
    0,
    1,
    1,
    '1 skipped, it did not come to its end',
  ]);
  assert.equal(judged(SKIP, FAIL), [0, 1, 1, '1 skipped, it did not come to its end']);
  assert.equal(judged(PASS, "test('ends', () => process.exit(0));", RUN), [
    ...[0, 1, 0],
    'ended with 1, it did not come to its end, it holds no test',
  ]);
});

test('a file whose top-level await never settles, before its tests or behind them', () => {
  const NEVER = 'await new Promise(() => {});';
  assert.equal(judged(PASS, RUN, NEVER), [1, 1, 0, 'ended with 13']);
  assert.equal(judged(PASS, RUN, NEVER, FAIL, RUN), [1, 1, 0, 'ended with 13']);
  assert.equal(judged(PASS, NEVER, RUN), [
    0,
    1,
    0,
    'ended with 13, it did not come to its end, it holds no test',
  ]);
  assert.equal(judged(PASS, RUN, 'await new Promise((resolve) => setTimeout(resolve, 50));'), [1, 0, 0, '']);
});

test('a file without tests, and tests that are left out without a reason', () => {
  assert.equal(judged(RUN), [0, 1, 0, 'it holds no test']);
  const leftOut = '1 left out by .only or .skip, which say no reason';
  assert.equal(judged(FAIL, "test.only('passes', () => {});", RUN), [1, 1, 0, leftOut]);
  assert.equal(judged(PASS, "test.skip('fails', () => {});", RUN), [1, 1, 0, leftOut]);
});

test.run();
