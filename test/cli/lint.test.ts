import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lintRules } from '../../ts/api/tools.ts';
import { COMMAND } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-lint-'));
const lint = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, 'lint', ...words], {
    encoding: 'utf8',
    cwd: folder,
  });
writeFileSync(join(folder, 'good.prototxt'), 'layer { name: "r" type: "ReLU" bottom: "a" top: "b" }');
writeFileSync(join(folder, 'old.prototxt'), '\nlayers { name: "d" type: DATA top: "data" }');
writeFileSync(join(folder, 'wrong.prototxt'), 'layer { nme: "d" }');

test('the status is 0 without findings and 1 for an error, and for a warning only with --strict', () => {
  const good = lint('good.prototxt', '--strict');
  assert.equal([good.status, good.stdout], [0, '0 errors, 0 warnings, 0 notes\n']);
  const old = lint('old.prototxt');
  assert.is(old.status, 0);
  assert.match(
    old.stdout,
    /^old\.prototxt:2:1: warning v1-syntax: .*\n {2}fix: .*\n0 errors, 1 warning, 0 notes\n$/,
  );
  assert.is(lint('old.prototxt', '--strict').status, 1);
  const wrong = lint('good.prototxt', 'wrong.prototxt');
  assert.is(wrong.status, 1);
  assert.match(wrong.stdout, /^wrong\.prototxt:1:9: error does-not-parse: /);
});

test('a cause with many positions is reported once with its lines, and another cause separately', () => {
  const layer = (name: string) =>
    `layer { name: "${name}" type: "Convolution" bottom: "data" top: "${name}" param {} param {} convolution_param { num_output: 1 kernel_size: 1 bias_term: false } }`;
  const text = [
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 3 dim: 3 } } }',
  ];
  for (let i = 0; i < 20; i++) text.push(layer(`conv${i}`));
  writeFileSync(join(folder, 'many.prototxt'), text.join('\n'));
  const { stdout } = lint('many.prototxt');
  const surplus = stdout.split('\n').filter((line) => line.includes('has 2 param'));
  assert.is(surplus.length, 1, stdout);
  assert.match(surplus[0]!, /^many\.prototxt:2:\d+: .*layer "conv0"/);
  assert.match(stdout, /\n {2}and 19 more in lines 3, 4, 5, .*, 20, 21\n {2}fix: /);
  const all = JSON.parse(lint('many.prototxt', '--json').stdout) as { message: string }[];
  assert.is(all.filter(({ message }) => message.includes('has 2 param')).length, 20);
  assert.ok(stdout.trimEnd().split('\n').length < 20, stdout);
});

test('--json prints the findings and --rules all rules; misuse is status 2', () => {
  const [finding] = JSON.parse(lint('old.prototxt', '--json').stdout);
  assert.equal([finding.rule, finding.level, finding.position.line], ['v1-syntax', 'warning', 2]);
  assert.equal(JSON.parse(lint('--rules', '--json').stdout), lintRules);
  for (const words of [[], ['--rules', 'good.prototxt'], ['none.prototxt']]) {
    const { status, stderr } = lint(...words);
    assert.is(status, 2);
    assert.match(stderr, /^resnode: [^\n]+\n$/);
  }
});

test.run();
