/** Evaluations that are interrupted and resumed, and results that are computed again. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../../ts/base/errors.ts';
import { blobFromFloats } from '../../../ts/caffe/blob.ts';
import { writeBinaryproto } from '../../../ts/caffe/write-caffemodel.ts';
import { openDevice } from '../../../ts/device/device.ts';
import { readLabelledImages } from '../../../ts/images/evaluate/dataset.ts';
import { evaluateImages, type Progress } from '../../../ts/images/evaluate/evaluate-images.ts';
import { openProgressFile } from '../../../ts/images/evaluate/progress-file.ts';
import { compareResults, type EvaluationResult } from '../../../ts/images/evaluate/result.ts';
import { loadPreprocess } from '../../../ts/images/preprocess-file.ts';
import { COMMAND } from '../../support/command.ts';
import { repositoryFolder } from '../../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const at = (name: string) => join(fashion, name);
const folder = mkdtempSync(join(tmpdir(), 'resnode-'));
const inFolder = (name: string) => join(folder, name);
const net = ['--model', at('deploy.prototxt'), '--weights', at('model.caffemodel')];
const preprocessed = [...net, '--preprocess', at('preprocess.json')];
// The test compares bits, so nothing is measured: on a busy machine each process might choose another algorithm.
const words = (...more: string[]) => [...COMMAND, 'evaluate', '--threads', '2', '--no-tune', ...more];
const evaluate = (...more: string[]) =>
  spawnSync(process.execPath, words(...more), { encoding: 'utf8', cwd: repositoryFolder });
const readResult = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as EvaluationResult;
const steady = ({ imagesPerSecond: _, ...result }: EvaluationResult) => result;

test('starting at any batch, the rest gives the same as the whole', async () => {
  const samples = readLabelledImages(at('images.txt'), { classes: 10 }).files;
  await using device = await openDevice('cpu', { threads: 2 });
  await using model = await device.load({ model: at('deploy.prototxt'), weights: at('model.caffemodel') });
  const options = { preprocess: loadPreprocess(at('preprocess.json')), batch: 8 };
  const seen: Progress[] = [];
  const whole = await evaluateImages(model, samples, {
    ...options,
    onProgress: (done, { outcomes, skipped }) => seen.push({ done, outcomes: [...outcomes], skipped }),
  });
  for (const resume of seen)
    assert.equal(await evaluateImages(model, samples, { ...options, resume }), whole);
  try {
    await evaluateImages(model, samples, { ...options, resume: { ...seen[0]!, done: 31 } });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, ArgumentError);
    assert.match((error as Error).message, /resume\.done: expected .*from 0 to 30, but received 31/);
  }
});

test('after an interruption, the same command continues and ends with the same result', async () => {
  const list = inFolder('long.txt');
  const [first] = readFileSync(at('images.txt'), 'utf8').split('\n');
  const others = readLabelledImages(at('images.txt'), { classes: 10 }).files;
  assert.ok(first);
  writeFileSync(
    list,
    Array.from({ length: 1200 }, (_, i) => others[(i * 7) % 30]!)
      .map(({ image, label }) => `${image} ${label}\n`)
      .join(''),
  );
  const [kept, output] = [inFolder('kept.json'), inFolder('result.json')];
  const command = [...preprocessed, '--images', list, '--device', 'cpu', '--resume', kept, '--out', output];
  const run = spawn(process.execPath, words(...command), { cwd: repositoryFolder });
  let said = '';
  run.stderr.on('data', (text) => {
    said += text;
  });
  while (!existsSync(kept) && run.exitCode === null) await setTimeout(5);
  run.kill('SIGINT');
  assert.equal(await once(run, 'exit'), [130, null]);
  assert.match(said, /^resnode: stopped at \d+ of 1200 images; the same command continues from there\n$/);
  assert.not(existsSync(output));
  const { done, outcomes } = JSON.parse(readFileSync(kept, 'utf8'));
  assert.is(outcomes.length, done);
  assert.ok(done > 0 && done < 1200, `${done} images were done`);

  const other = evaluate(...command, '--limit', '1000');
  assert.is(other.status, 2);
  assert.match(
    other.stderr,
    /^resnode: --resume: expected the progress of this evaluation.*source\.limit: null, now 1000/,
  );

  const resumed = evaluate(...command);
  assert.equal([resumed.status, resumed.stderr], [0, '']);
  assert.not(existsSync(kept));
  const whole = evaluate(...command.slice(0, -4), '--json');
  assert.equal(steady(readResult(output)), steady(JSON.parse(whole.stdout)));
});

test('progress of another evaluation is refused, with the first difference', () => {
  const file = inFolder('progress.json');
  const kept = openProgressFile(file, { recipe: { crops: 1 } }, 1000);
  assert.is(kept.resume, null);
  kept.update({ done: 8, outcomes: [], skipped: [] });
  kept.update({ done: 16, outcomes: [], skipped: [] });
  assert.is(openProgressFile(file, { recipe: { crops: 1 } }).resume!.done, 8);
  kept.save();
  assert.is(openProgressFile(file, { recipe: { crops: 1 } }).resume!.done, 16);
  for (const [identity, content, message] of [
    [{ recipe: { crops: 10 } }, readFileSync(file, 'utf8'), /recipe\.crops: 1, now 10/],
    [{ recipe: { crops: 1 } }, '{ "half": ', /this is not valid JSON/],
    [{ recipe: { crops: 1 } }, '{}', /not a file of format resnode-evaluation-progress/],
    [
      { recipe: { crops: 1 } },
      '{ "format": "resnode-evaluation-progress/1", "identity": { "recipe": { "crops": 1 } }, "done": 1 }',
      /damaged/,
    ],
  ] as const) {
    writeFileSync(file, content);
    assert.throws(
      () => openProgressFile(file, identity),
      (error: Error) => error instanceof ArgumentError && message.test(error.message),
    );
  }
  kept.remove();
  assert.not(existsSync(file));
});

test('a result is reproduced to the bit, including its mean image; other files and other results are reported', () => {
  const mean = inFolder('mean.binaryproto');
  writeBinaryproto(mean, blobFromFloats([1, 1, 28, 28], new Float32Array(784).fill(73)));
  const output = inFolder('replayed.json');
  const images = ['--images', at('images.txt'), '--device', 'cpu'];
  const options = ['--no-resize', '--batch', '7', '--specificity', '0.8,0.99'];
  const made = evaluate(...net, ...images, '--mean', mean, ...options, '--out', output);
  assert.equal([made.status, made.stderr], [0, '']);
  const again = evaluate('--replay', output, '--json');
  assert.is(again.status, 0);
  const { replay, ...result } = JSON.parse(again.stdout);
  assert.equal(replay, { equal: 'bits', calibrationDifference: 0, differing: [], changes: [] });
  assert.equal(steady(result), steady(readResult(output)));
  assert.is(result.recipe.batch, 7);

  const before = readResult(output);
  writeFileSync(output, JSON.stringify({ ...before, top1: { ...before.top1, correct: 3 } }));
  const wrong = evaluate('--replay', output);
  assert.is(wrong.status, 1);
  assert.match(wrong.stdout, /different from .*replayed\.json: top1 differ/);
  writeFileSync(mean, readFileSync(mean).fill(1, 40));
  for (const [more, message] of [
    [
      [],
      /--mean: expected .*the mean image of the result, SHA-256 [0-9a-f]{64}, but received .*mean\.binaryproto, another/,
    ],
    [
      ['--weights', at('deploy.prototxt')],
      /--weights: expected .*SHA-256 [0-9a-f]{64}, but received .*deploy\.prototxt/,
    ],
    [['--crops', '10'], /'--replay <json>' cannot be used with option '--crops <n>'/],
    [['--specificity', '0.9'], /'--replay <json>' cannot be used with option '--specificity <shares>'/],
  ] as const) {
    const run = evaluate('--replay', output, ...more);
    assert.is(run.status, 2);
    assert.match(run.stderr, message);
    assert.match(run.stderr, /^resnode: [^\n]+\n$/);
  }
  assert.match(evaluate('--replay', at('labels.txt')).stderr, /of "resnode evaluate --out"/);
  assert.match(
    evaluate('--model', 'x').stderr,
    /^resnode: required option '--weights <caffemodel>' not spec/,
  );
});

test('two results may have equal counts but different confidences', () => {
  const counts = { images: 1, top1: 1, top5: 1, classes: [], confusions: [], skipped: [] };
  const before = { ...counts, calibration: { expectedError: 0.25, bins: [] }, recipe: { a: { b: 1 } } };
  const after = { ...before, calibration: { expectedError: 0.5, bins: [] }, recipe: { a: { b: 2 }, c: 3 } };
  const compare = (a: object, b: object) => compareResults(a as EvaluationResult, b as EvaluationResult);
  assert.equal(compare(before, after), {
    equal: 'counts',
    calibrationDifference: 0.25,
    differing: ['calibration'],
    changes: ['a.b: 1, now 2', 'c: nothing, now 3'],
  });
  assert.is(compare(before, { ...after, top1: 2 }).equal, 'none');
});

test.run();
