/** How the runner treats bad test files: each is a failure, whatever else the file prints. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { judge } from '../run-file.ts';
import { nodeArguments, scriptArguments } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

// A folder from which uvu can be found.
const folder = mkdtempSync(join(repositoryFolder, '.compiled-'));
test.after(() => rmSync(folder, { recursive: true }));

const SKIP = "console.log('ski' + 'pped: no GPU is here');";
const PASS = "test('passes', () => {});";
const FAIL = "test('fails', () => { throw new Error('told'); });";
const RUN = 'test.run();';

/** Passed tests, failures, skips, and the message. */
function judged(...lines: string[]): readonly [number, number, number, string] {
  const script = ["import { test } from 'uvu';", ...lines].join('\n');
  const file = join(folder, 'file.test.mjs');
  writeFileSync(file, script);
  // As the runner starts it: the last argument is the file.
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

test('a file that crashes after its tests, or by an unhandled rejection', () => {
  assert.equal(judged(PASS, RUN, "process.on('exit', () => process.abort());"), [
    ...[1, 1, 0],
    'ended with SIGABRT',
  ]);
  assert.equal(judged("test('passes', () => { void Promise.reject(new Error()); });", RUN), [
    ...[1, 1, 0],
    'ended with 1',
  ]);
});

test('a file that ends before its tests do, with or without a skip', () => {
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

test('a file whose top-level await never settles, before or after its tests', () => {
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

/** Runs a separate file, and allows 300 ms for processes that hold its output. */
const running = (file: string) =>
  scriptArguments(
    (place) => `
      import { runFile } from ${place('test/run-file.ts')};
      import { folderUntilExit } from ${place('test/until-exit.ts')};
      folderUntilExit(process.argv[1]);
      const { failed } = await runFile('file', process.execPath, [${JSON.stringify(file)}], process.env, 300);
      process.exitCode = 40 + failed;`,
  );

test('a file that leaves a process behind, which holds its output, is not waited for and fails', () => {
  const file = join(folder, 'leaves.mjs');
  writeFileSync(
    file,
    `import { spawn } from 'node:child_process';
     spawn('sleep', ['20'], { stdio: 'inherit', detached: true }).unref();
     console.log('  Total:     1\\n  Passed:    1');`,
  );
  const words = [...running(file), mkdtempSync(join(folder, 'taken-'))];
  const { status, stdout } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  assert.is(status, 41, stdout);
  assert.match(stdout, 'file: 1 of 1, a process that it started lives on');
});

test('an interrupted run ends the running files and removes its folders', async () => {
  const file = join(folder, 'waits.mjs');
  const [begun, taken] = [join(folder, 'begun'), mkdtempSync(join(folder, 'taken-'))];
  writeFileSync(
    file,
    `import { writeFileSync } from 'node:fs';
     process.on('SIGTERM', () => {});
     setInterval(() => {}, 1000);
     writeFileSync(${JSON.stringify(begun)}, String(process.pid));`,
  );
  const run = spawn(process.execPath, [...running(file), taken], { stdio: 'ignore' });
  while (!existsSync(begun) || readFileSync(begun, 'utf8') === '') await setTimeout(20);
  run.kill('SIGTERM');
  assert.equal(await once(run, 'exit'), [143, null]);
  assert.not.ok(existsSync(taken));
  const stat = `/proc/${readFileSync(begun, 'utf8')}/stat`;
  const lives = () => existsSync(stat) && !/\) Z/.test(readFileSync(stat, 'utf8')); // nobody may wait for it
  for (let tries = 0; tries < 100 && lives(); tries++) await setTimeout(20);
  assert.not.ok(lives());
});

test.run();
