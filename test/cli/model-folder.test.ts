/** --model accepts a model folder (net, weights, labels and preprocessing) in every command that uses them. */
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadPreprocess, loadWholePreprocess } from '../../ts/api/images.ts';
import { readNpy } from '../../ts/caffe/npy.ts';
import { runProgram } from '../../ts/cli/program.ts';
import { openDevice } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';
import { shadeNet, squareSsd, writePatches } from '../support/task-nets.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const image = join(fashion, 'images/0000.png');
const folder = mkdtempSync(join(tmpdir(), 'resnode-model-folder-'));
test.after(() => rmSync(folder, { recursive: true }));

/** Runs in this process, which is faster than starting one for each call. */
async function resnode(...words: string[]): Promise<string> {
  const { log, error } = console;
  let printed = '';
  console.log = (line: string) => (printed += `${line}\n`);
  console.error = () => {};
  try {
    await runProgram(words);
    return printed;
  } finally {
    Object.assign(console, { log, error });
  }
}
const cpu = ['--device', 'cpu', '--threads', '1'];

test('a folder stands for its files', async () => {
  assert.match(await resnode('classify', image, '--model', fashion, ...cpu), /^ {2}0\.9\d+ {2}Ankle boot$/m);
  const output = join(folder, 'prob.npy');
  await resnode('features', '--model', fashion, '--images', image, '--blob', 'prob', '--out', output, ...cpu);
  const { shape, bytes } = readNpy(readFileSync(output), { file: output });
  assert.equal([shape, bytes.length], [[1, 10], 40]);
});

test('every command that reads a net accepts a folder instead', async () => {
  for (const words of [
    ['summary', fashion, '--json'],
    ['summary', '--model', fashion, '--json'],
    ['plan', fashion, '--json', ...cpu],
    ['lint', fashion, '--json'],
    ['time', '--model', fashion, '--iterations', '1', '--json', ...cpu],
  ])
    assert.ok(JSON.parse(await resnode(...words)) !== null, words.join(' '));
  const page = join(folder, 'page.html');
  await resnode('view', fashion, '--image', image, '--out', page, ...cpu);
  assert.match(readFileSync(page, 'utf8'), /Ankle boot/);
  const write = process.stdout.write;
  let printed = '';
  process.stdout.write = (text) => {
    printed += text;
    return true;
  };
  await resnode('print', fashion).finally(() => {
    process.stdout.write = write;
  });
  assert.match(printed, /^name: /);
});

test('device.load and device.plan accept a folder, alone or in their options', async () => {
  using device = await openDevice('cpu', { threads: 1 });
  for (const load of [
    () => device.load(fashion),
    () => device.load(pathToFileURL(fashion), { outputs: ['prob'] }),
    () => device.load({ model: fashion, batch: 2 }),
  ]) {
    using model = await load();
    assert.ok(model.report.every(({ status }) => status === 'matched'));
    assert.equal(Object.keys(model.outputs), ['prob']);
  }
  assert.ok((await device.plan({ model: fashion })).parameterBytes > 0);
  const error = await device.load(folder).then(
    () => null,
    (thrown: Error) => thrown,
  );
  assert.match(error!.message, /which lacks model\.prototxt/);
});

test('convert writes a folder from a pair or from another folder, and copies the other files in it', async () => {
  const copy = join(folder, 'copy');
  await resnode('convert', fashion, '--out', copy);
  assert.equal(readdirSync(copy).sort(), [
    'README.md',
    'labels.txt',
    'model.caffemodel',
    'model.prototxt',
    'preprocess.json',
  ]);
  assert.match(await resnode('classify', image, '--model', copy, ...cpu), /Ankle boot/);
  const onnx = join(folder, 'fashion.onnx');
  await resnode('convert', copy, '--out', onnx);
  const back = join(folder, 'back');
  await resnode('convert', onnx, '--out', `${back}/`);
  assert.match(
    await resnode('classify', image, '--model', back, '--mean-value', '73', '--no-resize', ...cpu),
    /class 9/,
  );
  assert.match(readFileSync(join(back, 'README.md'), 'utf8'), /Nothing here says how images are prepared/);
});

test('a file that is there but cannot be reached is not said to be missing', async () => {
  const circle = join(folder, 'circle');
  symlinkSync(circle, circle);
  for (const [words, says] of [
    [['--model', circle], /--model: expected .*; the links in its path lead in a circle/],
    [
      ['--model', fashion, '--weights', circle],
      /circle: the links in its path lead in a circle; give the path of/,
    ],
  ] as const) {
    const error = await resnode('classify', image, ...words, ...cpu).catch((thrown: unknown) => thrown);
    assert.match((error as Error).message, says);
  }
});

for (const [task, make, opener] of [
  ['detect', squareSsd, 'openDetector'],
  ['segment', (target: string) => shadeNet(target, 'deconvolution'), 'openSegmenter'],
] as const)
  test(`convert copies the folder of a net that takes whole images (${task}), with its ranges, and says how to use it`, async () => {
    const whole = make(join(folder, task));
    const pictures = join(folder, `${task}-pictures`);
    mkdirSync(pictures);
    await writePatches(join(pictures, 'a.png'), 32, 32, [{ x: 8, y: 8, width: 8, height: 8 }]);
    await resnode(
      ...['quantize', '--model', whole, '--images', pictures],
      ...['--out', join(whole, 'calibration.json'), ...cpu],
    );
    const copy = join(folder, `${task}-copy`);
    await resnode('convert', whole, '--out', copy, '--merge');
    assert.ok(readdirSync(copy).includes('calibration.json'));
    assert.equal(loadWholePreprocess(join(copy, 'preprocess.json')), {
      ...loadWholePreprocess(join(whole, 'preprocess.json')),
    });
    const readme = readFileSync(join(copy, 'README.md'), 'utf8');
    assert.match(readme, `npx resnode ${task} IMAGE.jpg --model .`);
    assert.match(readme, `await ${opener}(import.meta.dirname)`);
    const answers = async (model: string, ...words: string[]) =>
      await resnode(task, pictures, '--model', model, '--json', ...words, ...cpu);
    assert.is(await answers(copy, '--precision', 'int8'), await answers(whole, '--precision', 'int8'));
  });

test('every command that writes a folder refuses one that is not empty, unless overwriting is requested', async () => {
  const full = join(folder, 'full');
  mkdirSync(full);
  writeFileSync(join(full, 'thesis.txt'), 'mine');
  const solver = join(folder, 'solver.prototxt');
  writeFileSync(solver, 'net: "none.prototxt" base_lr: 1 lr_policy: "fixed" max_iter: 1');
  for (const words of [
    ['convert', fashion, '--out', full],
    ['generate', 'resnet', '--depth', '20', '--out', full],
    ['finetune', folder, '--model', fashion, '--out', full, ...cpu],
    ['train', '--solver', solver, '--out', full, ...cpu],
  ]) {
    const error = await resnode(...words).then(
      () => null,
      (thrown: Error) => thrown,
    );
    assert.match(
      error!.message,
      /a folder that does not exist yet, or is empty, .*full"; it holds thesis\.txt; name another one, or .*--overwrite/,
      words[0],
    );
    assert.equal(readdirSync(full), ['thesis.txt'], words[0]);
  }
  await resnode('generate', 'resnet', '--depth', '20', '--out', full, '--overwrite');
  await resnode('convert', fashion, '--out', full, '--overwrite');
  assert.is(readFileSync(join(full, 'thesis.txt'), 'utf8'), 'mine');
  assert.ok(readdirSync(full).includes('model.caffemodel'));
});

test('train --out leaves the deploy net, its weights, names and preprocessing, and refuses beforehand if it cannot', async () => {
  const at = (name: string) => join(folder, name);
  writeFileSync(at('list.txt'), '0000.png 0\n0001.png 1\n');
  writeFileSync(at('two.txt'), 'boot\npullover\n');
  writeFileSync(
    at('train_val.prototxt'),
    `name: "two"
layer { name: "data" type: "ImageData" top: "data" top: "label" transform_param { mean_value: 73 scale: 0.5 }
  image_data_param { source: "${at('list.txt')}" root_folder: "${join(fashion, 'images')}/" batch_size: 2 is_color: false
    new_height: 28 new_width: 28 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
`,
  );
  writeFileSync(
    at('two.prototxt'),
    `net: "${at('train_val.prototxt')}" base_lr: 0.0001 lr_policy: "fixed" max_iter: 20 snapshot_prefix: "${at('two')}"
solver_mode: CPU random_seed: 1`,
  );
  const train = ['train', '--solver', at('two.prototxt'), '--labels', at('two.txt')];
  const said = await resnode(...train, '--out', at('trained'));
  assert.match(said, /^wrote .*trained\/model\.prototxt$/m);
  assert.match(await resnode('classify', image, '--model', at('trained'), '--top', '1', ...cpu), /boot/);
  const { scale, mean, resize } = loadPreprocess(at('trained/preprocess.json'));
  assert.equal({ scale, mean, resize }, { scale: 0.5, mean: [73], resize: { width: 28, height: 28 } });
  const useless = await resnode(...train).then(
    () => null,
    (thrown: Error) => thrown,
  );
  assert.match(useless!.message, /--labels: expected nothing without --out/);
});

test('finetune takes the class names from the image folders, not from the labels of the initial net', async () => {
  for (const [kind, images] of Object.entries({
    boots: ['0000', '0001', '0002'],
    shirts: ['0003', '0004', '0005'],
  })) {
    mkdirSync(join(folder, 'photos', kind), { recursive: true });
    for (const each of images)
      copyFileSync(join(fashion, `images/${each}.png`), join(folder, 'photos', kind, `${each}.png`));
  }
  const out = join(folder, 'tuned');
  const how = ['--epochs', '1', '--batch', '2', '--out', out];
  await resnode('finetune', join(folder, 'photos'), '--model', fashion, ...how, ...cpu);
  assert.is(readFileSync(join(out, 'labels.txt'), 'utf8'), 'boots\nshirts\n');
});

test('the calibration in a folder is used for int8 only', async () => {
  const whole = join(folder, 'whole');
  cpSync(fashion, whole, { recursive: true });
  await resnode(
    'quantize',
    '--model',
    whole,
    '--images',
    image,
    '--out',
    join(whole, 'calibration.json'),
    ...cpu,
  );
  for (const precision of ['float32', 'int8'])
    assert.match(
      await resnode('classify', image, '--model', whole, '--precision', precision, ...cpu),
      /Ankle boot/,
    );
});

test("a file that is given by name replaces the folder's, before or after the folder", async () => {
  const labels = join(folder, 'other.txt');
  writeFileSync(labels, 'abcdefghij'.split('').join('\n'));
  for (const words of [
    ['--labels', labels, '--model', fashion],
    ['--model', fashion, '--labels', labels],
  ])
    assert.match(await resnode('classify', image, ...words, ...cpu), /^ {2}0\.9\d+ {2}j$/m);
});

test('a folder without weights is refused, with the missing file', async () => {
  copyFileSync(join(fashion, 'deploy.prototxt'), join(folder, 'deploy.prototxt'));
  const error = await resnode('classify', image, '--model', folder).then(
    () => null,
    (thrown: Error) => thrown,
  );
  assert.match(error!.message, /which lacks model\.caffemodel/);
});

test.run();
