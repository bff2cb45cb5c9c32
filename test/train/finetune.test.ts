/** A complete fine-tuning run on pictures that are drawn here: horizontal stripes and vertical stripes. */
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resnet } from '../../ts/architectures/resnet.ts';
import { ArgumentError, WeightsError } from '../../ts/base/errors.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { checkSolver } from '../../ts/caffe/check-solver.ts';
import { filterNet, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { printPrototxt } from '../../ts/caffe/print.ts';
import { readSolverFile } from '../../ts/caffe/solver-parameter.ts';
import { openDevice } from '../../ts/device/device.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { listImages } from '../../ts/images/list-images.ts';
import { loadPreprocess } from '../../ts/images/preprocess-file.ts';
import { lintFile } from '../../ts/tools/lint/lint.ts';
import type { FinetuneEvent } from '../../ts/train/finetune/events.ts';
import { type FinetuneSource, type Recipe, writeFinetuneFiles } from '../../ts/train/finetune/files.ts';
import { finetune } from '../../ts/train/finetune/finetune.ts';
import type { FinetuneOptions } from '../../ts/train/finetune/options.ts';
import { splitClassFolders } from '../../ts/train/finetune/split.ts';
import { COMMAND } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const files = { model: join(fashion, 'deploy.prototxt'), weights: join(fashion, 'model.caffemodel') };
const folder = mkdtempSync(join(tmpdir(), 'resnode-finetune-'));
const pictures = join(folder, 'pictures of stripes');
const random = seededRandom(5);
for (const [name, alongX] of [
  ['lying', false],
  ['standing', true],
] as const) {
  mkdirSync(join(pictures, name), { recursive: true });
  for (let i = 0; i < 30; i++) {
    const [period, phase] = [3 + 4 * random(), 10 * random()];
    const pixels = Uint8Array.from({ length: 32 * 32 }, (_, at) => {
      const place = alongX ? at % 32 : Math.floor(at / 32);
      return 128 + 90 * Math.sin((2 * Math.PI * place) / period + phase) + 30 * random();
    });
    const picture = sharp(pixels, { raw: { width: 32, height: 32, channels: 1 } });
    await picture.png().toFile(join(pictures, name, `${i}.png`));
  }
}
const preprocess = { resize: { shorterSide: 32 }, mean: [73] };
const recipe = {
  epochs: 3,
  batch: 8,
  rate: 0.01,
  headRate: 10,
  batchNorm: 'frozen',
  weightDecay: 1e-4,
  seed: 1,
} as const;

test('the written files can be read, pass lint, and name existing files', async () => {
  const out = join(folder, 'files');
  const split = await splitClassFolders(pictures);
  const written = writeFinetuneFiles(out, { ...files, folder: pictures, preprocess }, split, recipe);
  const training = join(out, 'training');
  for (const path of [
    written.paths.model,
    ...['train_val', 'solver'].map((name) => join(training, `${name}.prototxt`)),
  ])
    assert.equal(
      lintFile(path).filter(({ level }) => level !== 'note'),
      [],
      path,
    );
  const net = readNetFile(join(training, 'train_val.prototxt'));
  for (const phase of ['TRAIN', 'TEST'] as const) {
    const filtered = filterNet(net, { phase });
    graphFromCaffe(filtered, { phase, inputShapes: { data: [2, 1, 28, 28], label: [2] } });
    const { source, root_folder } = filtered.layer![0]!.image_data_param as Record<string, string>;
    const lines = readFileSync(source!, 'utf8').trimEnd().split('\n');
    assert.is(lines.length, phase === 'TRAIN' ? 48 : 12);
    for (const line of lines) {
      const [, path, label] = /^(.+) (\d)$/.exec(line)!;
      assert.ok(existsSync(root_folder + path!), line);
      assert.is(Number(label), path!.startsWith('standing/') ? 1 : 0);
    }
  }
  const head = net.layer!.find(({ name }) => name === 'fc2')!;
  assert.equal(head.param, [{ lr_mult: 10 }, { lr_mult: 10 }]);
  const { parameters, tests } = checkSolver(readSolverFile(join(training, 'solver.prototxt')));
  assert.equal([parameters.max_iter, parameters.test_interval, tests[0]!.iterations], [18, 6, 2]);
  assert.equal(JSON.parse(readFileSync(join(training, 'augment.json'), 'utf8')), {
    TRAIN: { shorterSide: [32, 40] },
    TEST: { shorterSide: 32 },
  });
  assert.equal(loadPreprocess(written.paths.preprocess).crop, { width: 28, height: 28 });
  assert.equal(readFileSync(written.paths.labels, 'utf8'), 'lying\nstanding\n');
});

test('class weights are in the loss, inversely proportional to the images of a class; balanced sampling is in augment.json', async () => {
  const split = await splitClassFolders(pictures);
  // 12 of the 48 training images are of the first class.
  const train = split.train.filter(({ label }, i) => label === 1 || i % 2 === 0);
  const unbalanced = { ...split, train };
  const counts = [0, 1].map((label) => train.filter((each) => each.label === label).length);
  const weightsOf = (name: string, more: Pick<Recipe, 'classWeights' | 'sampling'>) => {
    const out = join(folder, name);
    const written = writeFinetuneFiles(out, { ...files, folder: pictures, preprocess }, unbalanced, {
      ...recipe,
      ...more,
    });
    const net = readNetFile(join(out, 'training/train_val.prototxt'));
    assert.equal(JSON.parse(readFileSync(join(out, 'training/augment.json'), 'utf8')), written.augment);
    const { loss_param } = net.layer!.find(({ type }) => type === 'SoftmaxWithLoss')!;
    return { weights: loss_param?.class_weight, augment: written.augment };
  };
  assert.equal(counts, [12, 24]);
  const { weights, augment } = weightsOf('weighted', { classWeights: 'balanced', sampling: 'balanced' });
  assert.equal(weights, [1.5, 0.75]);
  assert.is(augment.TRAIN.balanced, true);
  assert.is(augment.TEST.balanced, undefined);
  assert.equal(weightsOf('given', { classWeights: [1, 5] }).weights, [1, 5]);
  assert.equal(weightsOf('none', {}), {
    weights: undefined,
    augment: { TRAIN: { shorterSide: [32, 40] }, TEST: { shorterSide: 32 } },
  });
  let found: unknown;
  try {
    weightsOf('wrong', { classWeights: [1, 2, 3] });
  } catch (error) {
    found = error;
  }
  assert.match(
    (found as Error).message,
    /classWeights: expected 2 numbers, one for each of "lying", "standing"/,
  );
});

test('a mean image is saved beside the net and subtracted from the crop; an exact size is that of the list', async () => {
  const out = join(folder, 'mean');
  const split = await splitClassFolders(pictures);
  const mean = { shape: [1, 28, 28], data: new Float32Array(784).fill(73) };
  const { augment } = writeFinetuneFiles(
    out,
    { ...files, folder: pictures, preprocess: { mean, resize: { width: 30, height: 30 } } },
    split,
    { ...recipe, batchNorm: 'live' },
  );
  assert.equal(augment, { TRAIN: { meanOfCrop: true }, TEST: { meanOfCrop: true } });
  const [layer] = readNetFile(join(out, 'training/train_val.prototxt')).layer!;
  assert.ok(existsSync(layer!.transform_param!.mean_file as string));
  assert.equal([layer!.image_data_param!.new_height, layer!.image_data_param!.new_width], [30, 30]);
  assert.not.match(readFileSync(join(out, 'training/train_val.prototxt'), 'utf8'), /use_global_stats/);
});

test('nets and preprocessing that do not fit are refused, with those that do', async () => {
  const split = await splitClassFolders(pictures);
  const trained = join(folder, 'train_val.prototxt');
  writeFileSync(trained, printPrototxt(resnet({ depth: 20, train: true })));
  for (const [source, words] of [
    [{ model: trained }, 'a deploy net'],
    [{ preprocess: { mean: [0], order: 'RGB' } }, '"BGR"'],
    [{ preprocess: { mean: [0], std: [58] } }, "Caffe's transform_param"],
    [{ preprocess: { mean: [0], interpolation: 'float' } }, "Caffe's transform_param"],
    [{ preprocess: { mean: { shape: [1, 30, 30], data: new Float32Array(900) } } }, "the net's input, 28×28"],
    [{ model: join(folder, 'none.prototxt') }, 'a readable prototxt'],
  ] as [Partial<FinetuneSource>, string][])
    assert.throws(
      () =>
        writeFinetuneFiles(
          join(folder, 'no'),
          { ...files, folder: pictures, preprocess: { mean: [0] }, ...source },
          split,
          recipe,
        ),
      (error: unknown) => error instanceof ArgumentError && error.message.includes(words),
      words,
    );
});

const collect = async (options: Partial<FinetuneOptions>) => {
  using device = await openDevice('cpu', { threads: 2 });
  const events: FinetuneEvent[] = [];
  const given = { ...files, folder: pictures, preprocess, device, epochs: 3, batch: 8, rate: 0.005 };
  for await (const event of finetune({ ...given, out: mkdtempSync(join(folder, 'out-')), ...options }))
    events.push(event);
  return events;
};

test('a net that knew clothes tells horizontal from vertical stripes, and all its files are written', async () => {
  const out = join(folder, 'stripes');
  const events = await collect({ out });
  const of = <T extends FinetuneEvent['type']>(type: T) =>
    events.filter((event): event is Extract<FinetuneEvent, { type: T }> => event.type === type);
  assert.equal(
    events.filter(({ type }) => type !== 'iteration').map(({ type }) => type),
    ['split', 'start', 'test', 'test', 'snapshot', 'test', 'done', 'evaluated', 'written'],
  );
  assert.equal(of('start')[0]!.filled, ['fc2']);
  assert.ok(of('start')[0]!.batchNorms.every(({ statistics }) => statistics === 'global'));
  const { summary } = of('evaluated')[0]!;
  assert.is(summary.images, 12);
  assert.ok(summary.top1.correct >= 11, `${summary.top1.correct} of 12`);
  // The test net saw the same images, prepared in the same way.
  const tested = of('test')
    .at(-1)!
    .outputs.find(({ name }) => name === 'top-1')!.values[0]!;
  assert.ok(Math.abs(tested - summary.top1.correct / 12) < 1e-6);
  assert.equal(readdirSync(out).sort(), [
    'README.md',
    'labels.txt',
    'model.caffemodel',
    'model.prototxt',
    'preprocess.json',
    'report.html',
    'report.json',
    'training',
  ]);
  assert.equal(readdirSync(join(out, 'training')).sort(), [
    'augment.json',
    'snapshot_iter_18.caffemodel',
    'snapshot_iter_18.solverstate',
    'snapshot_iter_18.solverstate.json',
    'solver.prototxt',
    'train.txt',
    'train_val.prototxt',
    'val.txt',
  ]);
  // What was reported on the way is recorded afterwards.
  const told = events.flatMap((event) =>
    event.type === 'snapshot'
      ? [event.weights, event.state]
      : event.type === 'written'
        ? Object.values(event.files)
        : [],
  );
  assert.ok(told.length >= 8);
  for (const file of told) assert.ok(existsSync(file), file);
  assert.match(readFileSync(join(out, 'README.md'), 'utf8'), /openClassifier/);
  const again = await collect({ out }).catch((error: unknown) => error);
  assert.instance(again, ArgumentError);
  assert.match((again as Error).message, /it holds .* more; name another one, or replace its files/);
  const page = readFileSync(join(out, 'report.html'), 'utf8');
  assert.match(page, /of 12: /);
  assert.match(page, /<table class="confusions">/);
  const wrong = 12 - summary.top1.correct;
  assert.is([...page.matchAll(/<img src="data:image\/jpeg/g)].length, wrong);
  assert.match(page, /48 for training, 12 for validation/);
});

test('a model folder has its weights and its preprocessing; without one, both must be given', async () => {
  using device = await openDevice('cpu', { threads: 2 });
  const from = async (net: Pick<FinetuneOptions, 'model' | 'weights'>) => {
    const options = { ...net, folder: pictures, device, epochs: 1, batch: 8 };
    const out = mkdtempSync(join(folder, 'out-'));
    for await (const event of finetune({ ...options, out })) if (event.type === 'start') break;
    return loadPreprocess(join(out, 'preprocess.json'));
  };
  const trained = join(folder, 'stripes');
  assert.equal(await from({ model: trained }), loadPreprocess(join(trained, 'preprocess.json')));
  const refused = async (net: Parameters<typeof from>[0]) =>
    (await from(net).catch((error: unknown) => error)) as Error;
  assert.match((await refused({ model: files.model })).message, /^weights: expected .*no model folder/);
  assert.match((await refused(files)).message, /^preprocess: expected .*no model folder/);
  const bare = mkdtempSync(join(folder, 'bare-'));
  cpSync(files.model, join(bare, 'deploy.prototxt'));
  assert.match((await refused({ model: bare })).message, /lacks model\.caffemodel/);
});

test('the same seed gives the same losses, another one others', async () => {
  const losses = async (seed: number) =>
    (await collect({ epochs: 1, seed })).flatMap((event) => (event.type === 'iteration' ? [event.loss] : []));
  const first = await losses(3);
  assert.is(first.length, 6);
  assert.equal(await losses(3), first);
  assert.not.equal(await losses(4), first);
});

test('weights of another net, a rate that is too high and a stop are reported, and nothing half-written remains', async () => {
  const failed = async (options: Partial<FinetuneOptions>) => {
    const out = mkdtempSync(join(folder, 'failed-'));
    const error = await collect({ ...options, out, epochs: 1 }).then(
      () => null,
      (reason: unknown) => reason,
    );
    assert.not.ok(existsSync(join(out, 'model.caffemodel')));
    return error as Error & { code?: string };
  };
  const other = join(folder, 'renamed.prototxt');
  const renamed = readFileSync(files.model, 'utf8').replace(/name: "(conv|res|bn|scale|fc)/g, 'name: "my_$1');
  writeFileSync(other, renamed);
  const unmatched = await failed({ model: other });
  assert.instance(unmatched, WeightsError);
  assert.is(unmatched.code, 'weights/none-matched');
  assert.is((await failed({ rate: 1e20 })).code, 'train/diverged');
  assert.is((await failed({ signal: AbortSignal.abort(new Error('enough')) })).message, 'enough');
  for (const wrong of [{ batch: 0 }, { rate: -1 }, { headRate: Number.NaN }, { valShare: 1 }])
    assert.instance(await failed(wrong), ArgumentError);
});

test('unreadable images are left out of the split and listed, if requested', async () => {
  const broken = join(folder, 'broken');
  cpSync(pictures, broken, { recursive: true });
  const [torn] = listImages(broken).files;
  writeFileSync(torn!, readFileSync(torn!).subarray(0, 60));
  writeFileSync(join(broken, 'notes.txt'), '');
  const whole = await splitClassFolders(pictures);
  using device = await openDevice('cpu', { threads: 1 });
  const told: (string | undefined)[] = [];
  const run = finetune({
    ...{ ...files, folder: broken, preprocess, device, out: join(folder, 'broken-out') },
    onBroken: ({ file }) => told.push(file),
  });
  const { value } = await run.next();
  await run.return();
  assert.equal(told, [torn]);
  assert.ok(value?.type === 'split');
  assert.is(value.train + value.val, whole.train.length + whole.val.length - 1);
  assert.equal(value.ignored, ['notes.txt']);
});

test('a stop leaves a snapshot to resume from, and no result; before training its reason is thrown', async () => {
  await using device = await openDevice('cpu', { threads: 2 });
  const out = join(folder, 'stopped');
  const controller = new AbortController();
  const events: FinetuneEvent[] = [];
  const options = { ...files, ...{ folder: pictures, out, device, preprocess }, ...recipe };
  for await (const event of finetune({ ...options, stop: controller.signal })) {
    events.push(event);
    if (event.type === 'iteration') controller.abort(new Error('enough'));
  }
  const last = events.at(-1)!;
  assert.is(last.type, 'stopped');
  if (last.type !== 'stopped') return;
  assert.ok(last.iteration < 5, String(last.iteration));
  for (const file of [last.snapshot!.state, last.snapshot!.weights, last.solver, last.augment])
    assert.ok(existsSync(file), file);
  assert.not.ok(existsSync(join(out, 'model.caffemodel')));
  try {
    for await (const _ of finetune({
      ...options,
      overwrite: true,
      stop: AbortSignal.abort(new Error('at once')),
      onBroken: () => {},
    }));
    assert.unreachable('was not stopped');
  } catch (error) {
    assert.match((error as Error).message, /at once/);
  }
});

// Runs the command itself, because signals go to a process.
for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  test(`resnode finetune ends on ${signal} with a snapshot, says how to resume, and has status ${status}`, async () => {
    const { child, ended } = command(signal, ['--epochs', '500']);
    let asked = false;
    child.stdout.on('data', (text) => {
      if (!asked && /"type":"iteration"/.test(String(text))) asked = child.kill(signal);
    });
    const { code, stdout, stderr } = await ended;
    assert.is(code, status, stderr);
    assert.match(stderr, new RegExp(`resnode: ${signal}: finishing; a second one ends at once`));
    assert.match(stdout, /"type":"stopped".*"state":".*solverstate"/);
  });

test('a second signal ends resnode finetune at once', async () => {
  const { child, ended } = command('twice', ['--epochs', '500']);
  let asked = false;
  child.stdout.on('data', (text) => {
    if (!asked && /"type":"split"/.test(String(text))) asked = child.kill('SIGTERM');
  });
  child.stderr.on('data', (text) => {
    if (/finishing/.test(String(text))) child.kill('SIGTERM');
  });
  const { signal } = await ended;
  assert.is(signal, 'SIGTERM');
});

function command(name: string, more: readonly string[]) {
  const words = ['finetune', pictures, '--model', files.model, '--weights', files.weights, '--json'];
  const preparation = ['--mean-value', '73', '--resize', '28x28', '--out', join(folder, name)];
  const child = spawn(process.execPath, [...COMMAND, ...words, ...preparation, ...more]);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>(
    (resolve) => child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr })),
  );
  return { child, ended };
}

test.run();
