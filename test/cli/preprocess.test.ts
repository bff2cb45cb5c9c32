/** How commands learn to prepare images: from explicit settings only. Contradictory and unused settings are named. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { msraPreprocess, savePreprocess } from '../../ts/api/images.ts';
import { cam } from '../../ts/cli/cam.ts';
import { classify } from '../../ts/cli/classify.ts';
import { dataset } from '../../ts/cli/dataset.ts';
import { evaluate } from '../../ts/cli/evaluate.ts';
import { features } from '../../ts/cli/features.ts';
import { finetune } from '../../ts/cli/finetune.ts';
import { parity } from '../../ts/cli/parity.ts';
import {
  choosePreprocess,
  type PreprocessFlags,
  preprocessOptions,
} from '../../ts/cli/preprocess-options.ts';
import { quantize } from '../../ts/cli/quantize.ts';
import { view } from '../../ts/cli/view.ts';
import { ArgumentError, blobFromFloats, writeNpy } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const root = mkdtempSync(join(tmpdir(), 'resnode-preprocess-'));
test.after(() => rmSync(root, { recursive: true }));
const [model, weights] = [join(root, 'deploy.prototxt'), join(fashion, 'model.caffemodel')];
copyFileSync(join(fashion, 'deploy.prototxt'), model);
const net = ['--model', model, '--weights', weights];
const boot = join(fashion, 'images/0000.png');

const commands: Record<string, () => Command> = {
  ...{ cam, classify, dataset, evaluate, features, finetune, parity, quantize, view },
};

/**
 * Runs in this process, which is faster than starting one for each call. It throws the error with which the command
 * would end.
 */
async function resnode(name: string, ...words: string[]) {
  const said = { stdout: '', stderr: '', status: 0 };
  const { log, error } = console;
  console.log = (line: string) => (said.stdout += `${line}\n`);
  console.error = (line: string) => (said.stderr += `${line}\n`);
  const command = commands[name]!().exitOverride();
  try {
    await command.parseAsync(words, { from: 'user' });
    return { ...said, status: Number(process.exitCode ?? 0), error: null };
  } catch (thrown) {
    return { ...said, error: thrown as Error };
  } finally {
    process.exitCode = 0;
    Object.assign(console, { log, error });
  }
}

const chosen = (words: string[], of = model, crop = { width: 224, height: 224 }) => {
  const command = preprocessOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  return choosePreprocess(command.parse(words, { from: 'user' }).opts<PreprocessFlags>(), of).for(crop);
};
const refused = (words: string[], message: RegExp, of = model) => {
  try {
    chosen(words, of);
  } catch (error) {
    assert.match((error as Error).message, message);
    return error;
  }
  return assert.unreachable(words.join(' '));
};

for (const [command, ...words] of [
  ['classify', boot],
  ['evaluate', '--images', join(fashion, 'images.txt')],
  ['features', '--images', boot, '--blob', 'prob', '--out', join(root, 'x.npy')],
  ['cam', boot, '--out', join(root, 'x.png')],
  ['quantize', '--images', boot, '--out', join(root, 'x.json')],
  ['finetune', fashion, '--out', join(root, 'x')],
  ['view', '--image', boot, '--out', join(root, 'x.html')],
  ['parity', '--against', 'reference', '--images', boot],
] as const)
  test(`${command} requires the mean with which the net was trained`, async () => {
    const { error } = await resnode(command, ...words, ...net);
    assert.instance(error, ArgumentError, `${error}`);
    assert.match(
      error!.message,
      /: expected .*--mean FILE, --mean-value B,G,R.*--mean none, or --preprocess FILE/,
    );
  });

test('the file next to the model is used and named; one with the same name takes precedence; options replace it', async () => {
  const place = mkdtempSync(join(root, 'beside-'));
  const beside = join(place, 'deploy.prototxt');
  copyFileSync(model, beside);
  copyFileSync(join(fashion, 'preprocess.json'), join(place, 'preprocess.json'));
  const run = await resnode('classify', boot, '--model', beside, '--weights', weights, '--json');
  assert.is(run.stderr, `resnode: preparing images according to ${join(place, 'preprocess.json')}\n`);
  assert.ok(JSON.parse(run.stdout).top[0].probability > 0.9);
  savePreprocess(join(place, 'deploy.preprocess.json'), msraPreprocess([5]));
  assert.equal(chosen([], beside).mean, [5]);
  assert.equal(chosen(['--mean-value', '7'], beside).mean, [7]);
  assert.equal(chosen(['--preprocess', join(place, 'deploy.preprocess.json')], model).mean, [5]);
  refused(
    ['--order', 'RGB'],
    /deploy\.preprocess\.json has one, but is not used together with other options/,
    beside,
  );
  refused(['--preprocess', join(fashion, 'preprocess.json')], /the net's input, 224×224.*28×28/);
});

test('contradictory options are refused', () => {
  const file = join(fashion, 'preprocess.json');
  for (const [words, message] of [
    [['--mean', 'none', '--mean-value', '1'], /either --mean or --mean-value/],
    [['--preprocess', file, '--mean-value', '73'], /--preprocess with --mean-value/],
    [['--preprocess', file, '--no-resize', '--order', 'RGB'], /--preprocess with --order, --resize/],
    [['--mean', 'none', '--resize', '5x5', '--shorter-side', '5'], /one of --shorter-side, --resize/],
    [['--mean', 'none', '--depth', '16'], /--interpolation float/],
    [['--mean-value', '0.485,0.456,0.406'], /pixels from 0 to 255 \(123\.675,116\.28,103\.53\?\)/],
    [['--mean', 'none', '--std', '0.229,0.224,0.225'], /58\.395,57\.12,57\.375/],
    [['--scale', '2'], /--mean FILE/],
  ] as [string[], RegExp][])
    assert.instance(refused(words, message), ArgumentError);
  for (const words of [
    ['--order', 'rgb'],
    ['--scale', '0'],
    ['--std', '0'],
    ['--resize', '5'],
    ['--depth', '12'],
    ['--max-pixels', '0'],
  ])
    assert.throws(() => chosen(['--mean', 'none', ...words]));
});

test('the given options are applied; the default size is 256 for 224, and in proportion otherwise', () => {
  const crop = { width: 224, height: 224 };
  assert.equal(chosen(['--mean', 'none']), { resize: { shorterSide: 256 }, crop, mean: [0] });
  assert.equal(chosen(['--mean', 'none'], model, { width: 28, height: 28 }).resize, { shorterSide: 32 });
  assert.equal(
    chosen([
      ...['--mean-value', '1,2,3', '--order', 'RGB', '--scale', '0.017', '--std', '58,57,56'],
      ...['--resize', '300x200', '--interpolation', 'float', '--orientation', 'ignored', '--depth', '16'],
    ]),
    {
      ...{ resize: { width: 300, height: 200 }, crop, mean: [1, 2, 3], order: 'RGB', scale: 0.017 },
      ...{ std: [58, 57, 56], interpolation: 'float', orientation: 'ignored', depth: 16 },
    },
  );
});

test("--mean reads caffe.io's .npy: an image, or one value per channel; height × width × channels is refused with the cure", () => {
  const file = join(root, 'mean.npy');
  const values = Float32Array.from({ length: 3 * 4 * 5 }, (_, i) => i);
  writeNpy(file, blobFromFloats([3, 4, 5], values));
  assert.equal(chosen(['--mean', file]).mean, { shape: [3, 4, 5], data: values });
  writeNpy(file, blobFromFloats([3], Float32Array.of(104, 117, 123)));
  assert.equal(chosen(['--mean', file]).mean, [104, 117, 123]);
  writeNpy(file, blobFromFloats([4, 5, 3], values));
  refused(['--mean', file], /channels × height × width, found 4×5×3: .*transpose\(2, 0, 1\)/);
  writeNpy(file, blobFromFloats([3], Float32Array.of(0.4, 0.5, 0.6)));
  refused(['--mean', file], /pixels from 0 to 255/);
});

test('in every command that reads many images, an unreadable one costs a line and exit status 1 at the end, or 0 with --skip-broken', async () => {
  const pictures = join(root, 'pictures');
  for (const name of ['a', 'b']) {
    mkdirSync(join(pictures, name), { recursive: true });
    for (const number of [0, 1]) copyFileSync(boot, join(pictures, name, `${number}.png`));
  }
  writeFileSync(join(pictures, 'a/torn.png'), readFileSync(boot).subarray(0, 60));
  const prepared = ['--mean-value', '73', '--no-resize'];
  const list = join(root, 'list.txt');
  writeFileSync(
    list,
    ['a/0.png 0', 'a/torn.png 0', 'b/0.png 1'].map((line) => `pictures/${line}\n`).join(''),
  );
  for (const [name, ...words] of [
    ['classify', join(pictures, 'a/torn.png'), boot, ...net],
    [
      'features',
      '--images',
      pictures,
      '--blob',
      'prob',
      '--out',
      join(root, 'f.npy'),
      '--batch',
      '2',
      ...net,
    ],
    ['quantize', '--images', pictures, '--out', join(root, 'q.json'), ...net],
    ['evaluate', '--images', list, '--json', ...net],
    ['parity', '--against', 'reference', '--images', pictures, ...net],
  ]) {
    for (const more of [[], ['--skip-broken']]) {
      const { error, stderr, status } = await resnode(name!, ...words, ...prepared, ...more);
      assert.is(error, null, name);
      assert.is(status, more.length === 0 ? 1 : 0, name);
      assert.match(stderr, /^resnode: (skipped: )?.*torn\.png: cannot be decoded/m, name);
      assert.match(stderr, /resnode: skipped 1 of \d images/, name);
    }
  }
  assert.is(readFileSync(join(root, 'f.npy.txt'), 'utf8').trim().split('\n').length, 4);
  const made = await resnode('dataset', 'images', pictures, '--out', join(root, 'p.lmdb'), '--skip-broken');
  assert.match(made.stderr, /skipped 1 of 5 images/);
  assert.match(made.stdout, /4 images\n {2}class 0 a: 3 images\n {2}class 1 b: 2 images\n$/);
  const torn = join(pictures, 'a/torn.png');
  const lines = await resnode('classify', torn, boot, ...net, ...prepared, '--json');
  const [first, second] = lines.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal([first.file, first.error.code, second.file], [torn, 'image/unreadable', boot]);
  assert.is(second.top.length, 5);
  for (const more of [[], ['--skip-broken']]) {
    const one = await resnode('classify', torn, ...net, ...prepared, ...more);
    assert.equal([one.error, one.status], [null, 1]);
    assert.match(one.stderr, /^resnode: .*torn\.png: [^\n]+\n$/);
    const none = await resnode('classify', torn, torn, ...net, ...prepared, ...more);
    assert.match(none.error!.message, /no image could be read/);
  }
});

test('no file of a folder is silently skipped; --max-pixels applies', async () => {
  const place = join(root, 'mixed');
  mkdirSync(join(place, '.thumbnails'), { recursive: true });
  copyFileSync(boot, join(place, 'boot.png'));
  for (const name of ['notes.txt', '._boot.png', 'boot.heic', '.thumbnails/boot.png'])
    copyFileSync(boot, join(place, name));
  const words = [
    '--images',
    place,
    '--blob',
    'prob',
    '--out',
    join(root, 'm.npy'),
    '--mean',
    'none',
    '--no-resize',
  ];
  const { error, stderr } = await resnode('features', ...words, ...net);
  assert.is(error, null);
  assert.match(
    stderr,
    /resnode: .*mixed: skipped 4 files \(hidden, or without an image's extension\): \._boot\.png, \.thumbnails\/, boot\.heic, notes\.txt\n/,
  );
  const small = await resnode('features', ...words, ...net, '--max-pixels', '783');
  assert.is(small.status, 1);
  assert.match(small.stderr, /boot\.png: is 28×28, 784 pixels; at most 783/);
});

test.run();
