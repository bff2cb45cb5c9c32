/** Messages of a command name its flags as the user wrote them, and files by their names. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
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
const large = join(root, 'large.caffemodel');
copyFileSync(join(fashion, 'model.caffemodel'), large);
truncateSync(large, 17 * 2 ** 20);
const out = join(root, 'out');
const model = ['--model', fashion, '--device', 'cpu', '--threads', '1'];
const classify = ['classify', image, ...model];

for (const [words, said] of [
  [
    ['run', ...model, '--input', `data=${at('s.f32', '\0'.repeat(40))}`, '--out', out],
    /--input data: expected .*3136 bytes, .*, but received ".*s\.f32"; it has 40 bytes/,
  ],
  [
    ['run', ...model, '--input', `data=${join(root, 'none')}`, '--out', out],
    /^resnode: .*none: there is no such file or folder$/,
  ],
  [
    ['run', ...model, '--input', `dat=${at('d.f32', '\0'.repeat(3136))}`, '--out', out],
    /--input: expected .*names of the net's inputs \(data\), but/,
  ],
  [[...classify, '--labels', at('l.txt', 'a\nb\n')], /--labels: expected .*10 lines, .*, but received/],
  [[...classify, '--mean-value', '1,2,3'], /--mean-value: expected .*grey images, but received \[1, 2, 3\]/],
  [[...classify, '--mean', 'none', '--std', '1,2,3'], /--std: expected .+, but received/],
  [[...classify, '--precision', 'int8'], /--calibration: expected .+, but received nothing$/],
  [
    [...classify, '--calibration', at('c.json', '{}')],
    /--precision: expected int8, which --calibration requires, but/,
  ],
  [
    ['classify', image, '--model', join(root, 'none')],
    /--model: expected .+, but received ".*none"; there is no such file or folder/,
  ],
  [
    ['summary', large],
    /large\.caffemodel:1:1: this is a file of trained weights \(\.caffemodel\); here a net \(prototxt\) is needed/,
  ],
  [[...classify, '--mean', join(root, 'none')], /none: there is no such file or folder$/],
  [
    [
      'classify',
      image,
      '--model',
      join(fashion, 'deploy.prototxt'),
      '--weights',
      join(root, 'none'),
      '--mean',
      'none',
    ],
    /none: there is no such file or folder; give the path of a \.caffemodel/,
  ],
  [
    ['classify', image, '--model', fashion, '--device', 'gpu'],
    /--device: expected .+ "gpu"; did you mean "cuda"\?$/,
  ],
  [
    ['classify', join(root, 'empty'), ...model],
    /expected image files, or folders and lists with images, but/,
  ],
  [['view', fashion, '--out', '/proc/x.html'], /no file of this name can be created in \/proc/],
  [
    ['cam', image, ...model, '--class', '77', '--out', join(root, 'x.png')],
    /--class: expected .+, but received 77/,
  ],
  [['evaluate', ...model, '--images', join(root, 'none')], /--images: expected .+, but received/],
  [
    ['evaluate', ...model, '--images', join(fashion, 'images.txt'), '--multi-scale', '10'],
    /--multi-scale: expected /,
  ],
  [
    ['evaluate', ...model, '--images', join(fashion, 'images.txt'), '--limit', '2', '--crops', '10'],
    /^resnode: no image could be read/,
  ],
  [['evaluate', '--replay', at('r.json', '{}')], /--replay: expected .+, but received/],
  [['view', fashion, '--time', at('t.json', '{}')], /--time: expected .+, but received/],
  [
    ['finetune', join(root, 'none'), ...model, '--out', out],
    /^resnode: .*none: there is no such file or folder$/,
  ],
  [['bench', '--nets', 'nope'], /--nets: expected .+, but received "nope"/],
  [['plan', join(root, 'none.prototxt')], /--model: expected .+, but received/],
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
