/** scripts/gpu-check.sh without a GPU: a clear statement, every step with its reason, and a matching exit status. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parityOf, rowsOf } from '../../scripts/gpu-check/rows.mjs';
import { goldenCases, repositoryFolder } from '../support/golden.ts';

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

test('--plan prints every step with its limit, and each run fits its time', () => {
  const { status, stdout, report } = gpuCheck('--plan');
  assert.is(status, 0);
  assert.is(report, null); // nothing ran
  const calls = stdout.split('\n\n').filter((block) => /call/.test(block.split('\n')[0]!));
  assert.is(calls.length, 2);
  for (const [i, most] of [560, 150].entries()) {
    const limits = [...calls[i]!.matchAll(/^ {2}(\S+) +(\d+) s {2}(\S.*)$/gm)].map(([, , limit]) =>
      Number(limit),
    );
    assert.ok(limits.length >= 4, calls[i]);
    const sum = limits.reduce((total, limit) => total + limit, 0);
    assert.ok(sum <= most, `${sum} s of ${most} s`);
    assert.match(calls[i]!, new RegExp(`at most ${sum} s of ${most} s`));
  }
  // The steps that would be worst to lose come first, and torch is compiled before the cases of its AMP.
  const order = ['kernels', 'goldens', 'training', 'forward', 'compiled', 'variants', 'operations'];
  const places = order.map((name) => calls[0]!.indexOf(`\n  ${name} `));
  assert.equal(
    places,
    [...places].sort((a, b) => a - b),
  );
  assert.ok(places[0]! > 0);
  for (const [pack, made, used] of [
    ['gpu-carry', '--pack', 'tar -xf it in a folder there'],
    ['gpu-models', '--pack-models', '--second --carried gpu-models.tar.xz'],
  ] as const)
    assert.match(
      stdout,
      new RegExp(
        `build/${pack}\\.tar\\.xz  (?:\\d|not packed yet: scripts/gpu-check.sh ${made}\n)[^]*?holds  \\S[^]*?used .*${used}`,
      ),
    );
  assert.match(
    stdout,
    /What travels beside the checkout \([\d.]+ MiB of files\), each at most 64\.0 MiB together with it:/,
  );
});

test('--plan --only shows only these steps', () => {
  const { status, stdout } = gpuCheck('--plan', '--only', 'kernels,racecheck');
  assert.is(status, 0);
  const [first] = stdout.split('\n\n');
  assert.match(first!, /device[\s\S]*kernels[\s\S]*racecheck/);
  assert.not.match(first!, /training/);
});

test('each step writes its own JSON with the date, commit and machine', () => {
  const out = mkdtempSync(join(tmpdir(), 'resnode-gpu-check-'));
  spawnSync('bash', [join(repositoryFolder, 'scripts/gpu-check.sh'), '--only', 'kernels'], {
    encoding: 'utf8',
    env: { ...process.env, OUT: out },
  });
  const step = JSON.parse(readFileSync(join(out, 'steps/kernels.json'), 'utf8'));
  assert.is(step.format, 'resnode-gpu-check-step/1');
  assert.is(step.name, 'kernels');
  assert.ok('commit' in step && 'machine' in step && 'status' in step);
  assert.not(existsSync(join(out, 'steps/training.json')));
  rmSync(out, { recursive: true });
});

test('an interrupted check keeps its results: the running step says so, and later ones are skipped', async () => {
  const out = mkdtempSync(join(tmpdir(), 'resnode-gpu-check-'));
  const check = spawn('bash', [join(repositoryFolder, 'scripts/gpu-check.sh'), '--only', 'kernels'], {
    env: { ...process.env, OUT: out },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // A signal interrupts the first step during a step that was not requested.
  for await (const text of check.stderr) if (String(text).includes('gpu-check: build')) break;
  check.kill('SIGTERM');
  await new Promise((resolve) => check.once('close', resolve));
  const report = JSON.parse(readFileSync(join(out, 'gpu-check.json'), 'utf8')) as Report;
  rmSync(out, { recursive: true });
  assert.is(check.exitCode, 1);
  assert.is(report.status, 'ended by SIGTERM');
  const of = (name: string) => report.steps.find((step) => step.name === name)!;
  assert.is(of('device').status, 'failed');
  assert.match(of('device').reason!, /SIGKILL/);
  assert.equal([of('kernels').status, of('kernels').reason], ['skipped', 'the check was ended by SIGTERM']);
});

test('if a program is killed in the middle of a row, the rows before it are kept', () => {
  assert.equal(rowsOf('measuring\n{"batch":1}\n{"batch":256}\n{"bat'), [{ batch: 1 }, { batch: 256 }]);
});

test('parity cases are reported one by one: those before an interruption are kept, with its reason', () => {
  const folders = goldenCases('rules');
  if (folders.length === 0) return;
  const words = ['--import', 'tsx', 'bench/gpu/parity.ts', 'reference', 'float32', 'no-tune', ...folders];
  const run = spawnSync(process.execPath, words, { cwd: repositoryFolder, encoding: 'utf8' });
  const rows = rowsOf(run.stdout);
  assert.is(run.status, 0, run.stderr);
  const whole = parityOf(rows, null);
  assert.is(whole.cases, rows.filter(({ checks }: { checks: number }) => checks > 0).length);
  assert.ok(whole.comparisons >= whole.cases && whole.cases > 0 && whole.worstRelative < 1e-4);
  assert.equal(whole.beyond, []);
  // Truncated within the second line.
  const cut = run.stdout.slice(0, run.stdout.indexOf('\n') + 20);
  const [first] = rows;
  const part = parityOf(rowsOf(cut), 'not done within 2 s');
  assert.equal([part.comparisons, part.reason], [first.checks, 'not done within 2 s']);
  const { beyond } = parityOf([{ ...first, ok: false, firstDivergence: { name: 'y' } }], null);
  assert.equal(beyond, [{ folder: first.folder, firstDivergence: { name: 'y' }, error: undefined }]);
});

test('wrong arguments end the check before anything runs, and are named with what is expected', () => {
  for (const [words, message] of [
    [['--nonsense'], /^gpu-check: Unknown option '--nonsense'; /],
    [['--limit', 'abc'], /^gpu-check: --limit takes seconds, more than 0, but received abc$/m],
    [['--limit=-5'], /--limit .* received -5/],
    [['--depths', '50,51'], /--depths takes 50, 101 and 152, .* received 51/],
    [['--batches', '0'], /--batches takes numbers of images, .* received 0/],
    [['--precisions', 'float8'], /--precisions takes float32, tf32, .* received float8/],
    [['--node', '/nowhere'], /^gpu-check: --node takes a file that can be read, but received \/nowhere$/m],
    [['--carried'], /--carried takes a file that can be read, but received nothing/],
  ] as const) {
    const { status, stderr, report } = gpuCheck(...words);
    assert.match(stderr, message);
    assert.is(status, 2, stderr);
    assert.is(report, null);
  }
});

test('paths are relative to the folder from which the check is called', () => {
  const away = mkdtempSync(join(tmpdir(), 'resnode-gpu-check-away-'));
  spawnSync('bash', ['-c', 'mkdir empty && tar -cJf carried.tar.xz -C empty .'], { cwd: away });
  const words = [join(repositoryFolder, 'scripts/gpu-check.sh'), '--carried', 'carried.tar.xz', '--plan'];
  const env = { ...process.env, OUT: 'found' };
  const { status, stderr } = spawnSync('bash', words, { cwd: away, encoding: 'utf8', env });
  assert.is(status, 0, stderr);
  assert.ok(existsSync(join(away, 'found')));
  rmSync(away, { recursive: true });
});

test('an unknown step is named with the existing ones', () => {
  const { status, stderr } = gpuCheck('--only', 'benchmark');
  assert.is(status, 2);
  assert.match(stderr, /there is no step benchmark: .*bench/);
});

test.run();
