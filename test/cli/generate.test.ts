import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resnetTraining } from '../../ts/architectures/resnet-training.ts';
import { readNetFile } from '../../ts/caffe/net-parameter.ts';
import { printPrototxt } from '../../ts/caffe/print.ts';
import { readSolverFile } from '../../ts/caffe/solver-parameter.ts';
import { COMMAND } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-generate-'));
const resnode = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, ...words], {
    encoding: 'utf8',
    cwd: folder,
  });

test('generate writes what the library returns, with paths relative to the working folder', () => {
  const words = ['--classes', '7', '--train', 'flowers', '--mean-value', '1,2,3', '--batch', '64'];
  const { status, stdout } = resnode(
    'generate',
    'resnet',
    '--depth',
    '110',
    ...words,
    '--out',
    'run',
    '--json',
  );
  assert.is(status, 0);
  const files = [
    'deploy.prototxt',
    'train_val.prototxt',
    'augment.json',
    'solver-warmup.prototxt',
    'solver.prototxt',
  ];
  assert.equal(
    JSON.parse(stdout).files,
    [...files, 'README.md'].map((name) => `run/${name}`),
  );
  const expected = resnetTraining({ depth: 110, classes: 7, train: 'flowers', mean: [1, 2, 3], batch: 64 });
  assert.equal(readNetFile(join(folder, 'run/train_val.prototxt')), expected.net);
  const paths = { net: 'run/train_val.prototxt', snapshot_prefix: 'run/resnet110' };
  assert.is(
    printPrototxt(readSolverFile(join(folder, 'run/solver.prototxt')), 'SolverParameter'),
    printPrototxt({ ...expected.solver, ...paths }, 'SolverParameter'),
  );
  // The files start with the commands that train the net: the warm-up, and the rest from its snapshot.
  const lines = readFileSync(join(folder, 'run/solver.prototxt'), 'utf8').split('\n').slice(0, 2);
  assert.equal(lines, [
    '# resnode train --solver run/solver-warmup.prototxt --augment run/augment.json',
    '# resnode train --solver run/solver.prototxt --snapshot run/resnet110_warmup_iter_400.solverstate --augment run/augment.json',
  ]);
  const readme = readFileSync(join(folder, 'run/README.md'), 'utf8');
  assert.match(
    readme,
    /^ {4}caffe train --solver run\/solver-warmup\.prototxt\n {4}caffe train --solver run\/solver\.prototxt --snapshot/m,
  );
  // The tool accepts the command; only the data are missing.
  const run = resnode(...lines[0]!.replace(/^# resnode /, '').split(' '), '--device', 'reference');
  assert.is(run.status, 1);
  assert.match(run.stderr, /flowers/);
});

test('the commands that it writes can be pasted, whatever the name of the folder', () => {
  const { status } = resnode('generate', 'resnet-20', '--train', 'cifar', '--out', "Jo's nets ü");
  assert.is(status, 0);
  const [line] = readFileSync(join(folder, "Jo's nets ü/solver.prototxt"), 'utf8').split('\n') as [string];
  const { stdout } = spawnSync('sh', ['-c', line.replace('# resnode', 'printf "%s\\n"')], {
    encoding: 'utf8',
  });
  assert.equal(stdout.trim().split('\n'), [
    'train',
    '--solver',
    "Jo's nets ü/solver.prototxt",
    '--augment',
    "Jo's nets ü/augment.json",
  ]);
});

test('misuse gives one sentence and status 2', () => {
  for (const words of [
    ['generate'],
    ['generate', 'vgg', '--depth', '18', '--out', 'x'],
    ['generate', 'resnet', '--depth', '21', '--out', 'x'],
    ['generate', 'resnet', '--depth', '50', '--batch', '100', '--out', 'x'],
    ['finetune', 'nowhere', '--model', 'a', '--weights', 'b'],
    ['finetune', '.', '--model', 'a', '--weights', 'b', '--frozen-bn', '--live-bn'],
  ]) {
    const { status, stderr } = resnode(...words);
    assert.is(status, 2, words.join(' '));
    assert.match(stderr, /^resnode: [^\n]+\n$/, words.join(' '));
  }
  assert.not.ok(existsSync(join(folder, 'x')));
});

test.run();
