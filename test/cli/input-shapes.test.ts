/**
 * Every command that opens a net has --input-shape. A blob that is not an input is refused, with the most similar name.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { failureOf } from '../../ts/cli/failure.ts';
import { runProgram } from '../../ts/cli/program.ts';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-shapes-'));
test.after(() => rmSync(folder, { recursive: true }));
const fashion = join(repositoryFolder, 'examples/fashion');
const [model, weights, image] = ['deploy.prototxt', 'model.caffemodel', 'images/0000.png'].map((name) =>
  join(fashion, name),
) as [string, string, string];
const net = ['--model', model, '--weights', weights, '--device', 'reference'];
const pixels = ['--mean-value', '73', '--no-resize'];
const out = (name: string) => join(folder, name);

const refusal = async (words: readonly string[]): Promise<string> =>
  runProgram(words).then(
    () => 'taken',
    (error: unknown) => failureOf(error).text ?? 'said',
  );

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  cam: [image, ...net, ...pixels, '--out', out('cam.png')],
  classify: [image, ...net, ...pixels],
  evaluate: [...net, ...pixels, '--images', join(fashion, 'images')],
  features: [...net, ...pixels, '--images', image, '--blob', 'pool5', '--out', out('pool5.npy')],
  lint: [model],
  parity: ['--model', model, '--weights', weights, '--against', 'reference', '--device', 'reference'],
  plan: [model, '--device', 'reference'],
  print: ['--deploy', model],
  quantize: [...net, ...pixels, '--images', image, '--out', out('int8.json')],
  run: [...net, '--input', `data=${image}`, '--out', out('run')],
  summary: [model, '--device', 'reference'],
  time: [...net, '--iterations', '1'],
  view: [model, '--out', out('page.html')],
};

for (const [command, words] of Object.entries(COMMANDS))
  test(`${command} refuses a shape for a blob that is not an input, with the most similar name`, async () => {
    const said = await refusal([command, ...words, '--input-shape', 'dat=1x1x28x28']);
    assert.match(
      said,
      /^resnode: .+: expected inputs of the net \(data\).*, but received "dat"; did you mean "data"\?$/,
    );
  });

test.run();
