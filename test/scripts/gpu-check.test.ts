/** scripts/gpu-check.sh where there is no GPU: a clear statement, every step with its reason, a status that says so. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from '../support/golden.ts';

interface Report {
  status: string;
  steps: { name: string; status: string; reason?: string }[];
}

function gpuCheck(...words: string[]) {
  const out = mkdtempSync(join(tmpdir(), 'resnode-gpu-check-'));
  const run = spawnSync('bash', [join(repositoryFolder, 'scripts/gpu-check.sh'), ...words], {
    encoding: 'utf8',
    env: { ...process.env, OUT: out },
  });
  const read = (name: string) => (existsSync(join(out, name)) ? readFileSync(join(out, name), 'utf8') : '');
  const [json, text] = [read('gpu-check.json'), read('gpu-check.txt')];
  rmSync(out, { recursive: true });
  return { ...run, report: JSON.parse(json || 'null') as Report, text };
}

const isHere = existsSync('/dev/nvidia0') || existsSync('/proc/driver/nvidia/version');
if (isHere)
  console.log('skipped: there is a GPU, so that the reasons of a machine without one are not tested');
else
  test('without a GPU each step is skipped with its reason, and the status is 3', () => {
    const { status, report, text } = gpuCheck();
    assert.is(status, 3);
    assert.is(report.status, 'no GPU');
    assert.ok(report.steps.length >= 9);
    for (const step of report.steps) {
      assert.is(step.status, 'skipped', step.name);
      assert.match(step.reason!, /^(no GPU: |not asked for)/, step.name);
    }
    assert.match(text, /^resnode gpu-check, .*: no GPU$/m);
  });

test('a step that there is not is named with those that there are', () => {
  const { status, stderr } = gpuCheck('--only', 'benchmark');
  assert.is(status, 2);
  assert.match(stderr, /there is no step benchmark: .*bench/);
});

test.run();
