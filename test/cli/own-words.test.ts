/** What a command is told of its flags, it is told by their names; what of files, by theirs. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { failureOf } from '../../ts/cli/failure.ts';
import { runProgram } from '../../ts/cli/program.ts';
import { repositoryFolder } from '../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const image = join(fashion, 'images/0000.png');
const root = mkdtempSync(join(tmpdir(), 'resnode-words-'));
test.after(() => rmSync(root, { recursive: true }));
const at = (name: string, content = '') => {
  writeFileSync(join(root, name), content);
  return join(root, name);
};
mkdirSync(join(root, 'empty'));
const out = join(root, 'out');
const model = ['--model', fashion, '--device', 'cpu', '--threads', '1'];
const classify = ['classify', image, ...model];

for (const [words, said] of [
  [
    ['run', ...model, '--input', `data=${at('s.f32', '\0'.repeat(40))}`, '--out', out],
    /3136 bytes, .* for --input data but received ".*s\.f32 with 40 bytes"/,
  ],
  [
    ['run', ...model, '--input', `data=${join(root, 'none')}`, '--out', out],
    /^resnode: .*none: there is no such file or folder$/,
  ],
  [
    ['run', ...model, '--input', `dat=${at('d.f32', '\0'.repeat(3136))}`, '--out', out],
    /names data for --input but/,
  ],
  [[...classify, '--labels', at('l.txt', 'a\nb\n')], /10 lines, .* for --labels but received/],
  [[...classify, '--mean-value', '1,2,3'], /grey images, for --mean-value but received \[1, 2, 3\]/],
  [[...classify, '--mean', 'none', '--std', '1,2,3'], /for --std but received/],
  [[...classify, '--precision', 'int8'], /for --calibration but received "nothing"/],
  [[...classify, '--calibration', at('c.json', '{}')], /computed with --calibration, for --precision but/],
  [
    ['classify', image, '--model', join(root, 'none')],
    /for --model but received ".*none, which is not there"/,
  ],
  [['cam', image, ...model, '--class', '77', '--out', join(root, 'x.png')], /for --class but received 77/],
  [['evaluate', ...model, '--images', join(root, 'none')], /for --images but received/],
  [
    ['evaluate', ...model, '--images', join(fashion, 'images.txt'), '--multi-scale', '10'],
    /for --multi-scale but/,
  ],
  [
    ['evaluate', ...model, '--images', join(fashion, 'images.txt'), '--limit', '2', '--crops', '10'],
    /^resnode: no image is left/,
  ],
  [['evaluate', '--replay', at('r.json', '{}')], /for --replay but received/],
  [['view', fashion, '--time', at('t.json', '{}')], /for --time but received/],
  [
    ['finetune', join(root, 'none'), ...model, '--out', out],
    /^resnode: .*none: there is no such file or folder$/,
  ],
  [['bench', '--nets', 'nope'], /for --nets but received "nope"/],
  [['plan', join(root, 'none.prototxt')], /for --model but received/],
] as const)
  test(`${words[0]}: ${said.source.slice(0, 60)}`, async () => {
    const { error } = console;
    console.error = () => {};
    const failure = await runProgram(words as readonly string[]).then(
      () => null,
      (thrown: unknown) => failureOf(thrown),
    );
    console.error = error;
    process.exitCode = 0;
    assert.match(failure?.text ?? 'taken', said);
    assert.match(failure!.text!, /^resnode: [^\n]+$/);
  });

test.run();
