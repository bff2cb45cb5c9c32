import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lintRules } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-lint-'));
const lint = (...words: string[]) =>
  spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), join(repositoryFolder, 'ts/cli/main.ts'), 'lint', ...words],
    {
      encoding: 'utf8',
      cwd: folder,
    },
  );
writeFileSync(join(folder, 'good.prototxt'), 'layer { name: "r" type: "ReLU" bottom: "a" top: "b" }');
writeFileSync(join(folder, 'old.prototxt'), '\nlayers { name: "d" type: DATA top: "data" }');
writeFileSync(join(folder, 'wrong.prototxt'), 'layer { nme: "d" }');

test('status 0 where nothing was found, 1 for an error, and for a warning only with --strict', () => {
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

test('--json gives the findings, --rules all rules; misuse is status 2', () => {
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
