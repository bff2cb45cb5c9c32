import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resnet } from '../../ts/architectures/resnet.ts';
import { toJson } from '../../ts/caffe/json.ts';
import type { Message } from '../../ts/caffe/message.ts';
import { COMMAND } from '../support/command.ts';
import { repositoryFolder, sharedFolder } from '../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const resnode = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, ...words], {
    encoding: 'utf8',
    cwd: repositoryFolder,
  });
const files = ['--model', join(fashion, 'deploy.prototxt'), '--weights', join(fashion, 'model.caffemodel')];

const bootOf = (model: string, weights: string) => {
  const image = join(fashion, 'images/0000.png');
  const words = ['--mean-value', '73', '--no-resize', '--labels', join(fashion, 'labels.txt'), '--json'];
  const run = resnode('classify', image, '--model', model, '--weights', weights, ...words);
  return JSON.parse(run.stdout).top[0] as { label: string; probability: number };
};

test('classify finds the ankle boot', () => {
  const top = bootOf(files[1]!, files[3]!);
  assert.is(top.label, 'Ankle boot');
  assert.ok(top.probability > 0.9, `${top.probability}`);
});

const recorded = join(sharedFolder() ?? '', 'models/fashion-resnet20');
if (existsSync(recorded))
  test('classify prints the probability that another training framework recorded for its model', () => {
    const top = bootOf(join(recorded, 'deploy.prototxt'), join(recorded, 'model.caffemodel'));
    assert.is(top.label, 'Ankle boot');
    assert.ok(Math.abs(top.probability - 0.997879) < 1e-5);
  });
else console.log(`skipped: no ${recorded}`);

test('misuse exits with 2, and a failure with 1 and one sentence', () => {
  assert.is(resnode('classify', '--bogus').status, 2);
  assert.is(resnode('time', ...files, '--iterations', '0').status, 2);
  const failed = resnode('classify', 'none.png', ...files, '--mean-value', '73');
  assert.is(failed.status, 1);
  assert.match(failed.stderr, /^resnode: none\.png: there is no such file or folder\n$/);
});

test('a misspelt option is reported before a missing one, and images in the wrong place are told where they belong', () => {
  for (const [words, cure] of [
    [
      ['classify', 'x.png', '--mdoel', 'net'],
      /^resnode: unknown option '--mdoel' \(Did you mean --model\?\)\n$/,
    ],
    [['clasify'], /^resnode: unknown command 'clasify' \(Did you mean classify\?\)\n$/],
    [['evaluate', 'photos', '--model', 'net'], /too many arguments.*; images are given by --images\n$/],
  ] as const) {
    const { status, stderr } = resnode(...words);
    assert.is(status, 2, stderr);
    assert.match(stderr, cure);
  }
});

test('a former flag name is refused with the new one, and so is an output without --out', () => {
  for (const [words, cure] of [
    [
      ['features', ...files, '--output', 'x.npy'],
      /resnode features: expected --out, .*, but received "--output"/,
    ],
    [['cam', 'x.png', ...files, '--output=x.png'], /: expected --out,/],
    [['view', files[1]!, '--output', 'x.html'], /: expected --out,/],
    [['run', ...files.slice(0, 2), '--output-dir', 'x'], /: expected --out,/],
    [['evaluate', '--output', 'x.json'], /: expected --out,/],
    [['convert', 'x.pth', '--out', 'x.caffemodel', '--output-model', 'x'], /: expected --out-model,/],
    [['bench', 'compare', 'a', 'b', '--print-json'], /: expected --json,/],
    [['bench', '--json', 'x.json'], /too many arguments.*; --out names the file to write/],
    [
      ['convert', 'x.pth', 'x.caffemodel', '--out', 'x'],
      /too many arguments.*; --out names the file to write/,
    ],
    [['dataset', 'mean', 'x', 'y', '--out', 'z'], /too many arguments.*; --out names the file to write/],
  ] as const) {
    const { status, stderr } = resnode(...words);
    assert.is(status, 2, stderr);
    assert.match(stderr, /^resnode: [^\n]+\n$/);
    assert.match(stderr, cure);
  }
});

test("--help lists every command in its group; a command before --help shows the command's help", () => {
  const { stdout } = resnode('--help');
  for (const group of ['Classify and compute:', 'Train:', 'Convert:', 'Look into nets:', 'This machine:'])
    assert.match(stdout, new RegExp(`^${group}$`, 'm'));
  assert.match(stdout, /^ {2}classify .* classify images$/m);
  const help = resnode('help', 'device_query').stdout;
  assert.match(help, /--gpu <list>/);
  assert.is(resnode('device-query', '--help').stdout, help);
});

test('every misuse gives one sentence that begins with the command, and summary accepts its net both ways', () => {
  for (const words of [
    ['bogus'],
    ['summary'],
    ['time', '--bogus'],
    ['summary', files[1]!, ...files.slice(0, 2)],
  ]) {
    const { status, stderr } = resnode(...words);
    assert.is(status, 2);
    assert.match(stderr, /^resnode: [^\n]+\n$/);
  }
  assert.equal(resnode('summary', ...files.slice(0, 2)).stdout, resnode('summary', files[1]!).stdout);
});

test('a reader that stops early, such as head, causes no error', () => {
  const command = [process.execPath, ...COMMAND].map((word) => `"${word}"`).join(' ');
  const pipe = `${command} print --resnet 152 | head -n 1; echo "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', pipe], { encoding: 'utf8', cwd: repositoryFolder });
  assert.is(stdout, 'name: "ResNet-152"\n0\n');
  assert.is(stderr, '');
});

test('a full standard output gives one sentence and a failure', () => {
  const command = [process.execPath, ...COMMAND].map((word) => `"${word}"`).join(' ');
  const { status, stderr } = spawnSync('bash', ['-c', `${command} print --resnet 18 > /dev/full`], {
    encoding: 'utf8',
    cwd: repositoryFolder,
  });
  assert.is(status, 1);
  assert.match(stderr, /^resnode: standard output cannot be written: ENOSPC[^\n]*\n$/);
});

test("summary's counts agree with the ResNet-20 paper (0.27 M, plus its projections)", () => {
  const { parameters, macs } = JSON.parse(resnode('summary', files[1]!, '--json').stdout);
  assert.ok(parameters > 270_000 && parameters < 280_000, `${parameters}`);
  assert.ok(macs > 0);
});

test('time prints the total and every operation', () => {
  const { milliseconds, operations } = JSON.parse(
    resnode('time', ...files, '--iterations', '2', '--json').stdout,
  );
  assert.ok(milliseconds.median > 0 && operations.length > 20);
});

test('print writes a solver in canonical form, with its old type upgraded', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'solver.prototxt');
  writeFileSync(file, 'solver_type: ADAM lr_policy: "fixed"\nnet: "n"');
  assert.is(resnode('print', '--solver', file).stdout, 'net: "n"\nlr_policy: "fixed"\ntype: "Adam"\n');
  const json = JSON.parse(resnode('print', '--solver', file, '--json').stdout);
  assert.equal(json, { net: 'n', lr_policy: 'fixed', type: 'Adam' });
  assert.is(resnode('print', file, '--solver', file).status, 2);
  assert.is(resnode('print').status, 2);
});

test("print writes the family's nets, with their options", () => {
  const net = (...words: string[]) => JSON.parse(resnode('print', '--resnet', ...words, '--json').stdout);
  assert.equal(
    net('50', '--resnet-version', 'v1.5', '--classes', '7'),
    toJson('NetParameter', resnet({ depth: 50, version: 'v1.5', classes: 7 }) as Message),
  );
  assert.equal(
    net('20', '--resnet-shortcut', 'projection'),
    toJson('NetParameter', resnet({ depth: 20, shortcut: 'projection' }) as Message),
  );
  for (const words of [
    ['--resnet', '51'],
    ['--resnet', '18', '--resnet-version', 'v1.5'],
    [files[1]!, '--classes', '7'],
  ]) {
    const { status, stderr } = resnode('print', ...words);
    assert.is(status, 2, stderr);
  }
});

test('doctor is satisfied if the CPU device works, with or without a GPU', () => {
  const run = resnode('doctor', '--json');
  assert.is(run.status, 0);
  const { ok, findings } = JSON.parse(run.stdout);
  assert.is(ok, true);
  assert.ok(
    findings.every(({ ok: isThere, found }: { ok: boolean; found: string }) => isThere || found !== ''),
  );
  assert.match(resnode('doctor').stdout, /the CPU device works, /);
});

test('device-query fails without a GPU in one sentence, and with one prints it', () => {
  const run = resnode('device-query');
  if (run.status === 0) assert.match(run.stdout, /^device +cuda:0$/m);
  else {
    assert.is(run.status, 1);
    assert.match(run.stderr, /^resnode: There is no GPU to query: .+\n$/);
  }
});

test.run();
