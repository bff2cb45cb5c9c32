/** openClassifier on a real trained net: answers, batches, refusals, disposal. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  decodeImage,
  loadPreprocess,
  openClassifier,
  preprocessImage,
  readModelFolder,
} from '../../../ts/api/images.ts';
import { openDevice, type ResnodeError } from '../../../ts/index.ts';
import { repositoryFolder } from '../../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const folder = mkdtempSync(join(tmpdir(), 'resnode-classifier-'));
test.after(() => rmSync(folder, { recursive: true }));
const images = readFileSync(join(fashion, 'images.txt'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => line.split(' '))
  .map(([file, label]) => ({
    path: join(fashion, 'images', file!.split('/').at(-1)!),
    index: Number(label),
  }));
const cpu = { device: 'cpu', threads: 1 } as const;
const failure = (promise: Promise<unknown>): Promise<ResnodeError> =>
  promise.then(
    () => assert.unreachable('it was not refused') as never,
    (error: ResnodeError) => error,
  );

test('a model folder and an image give labels with their probabilities', async () => {
  await using classifier = await openClassifier(fashion, cpu);
  const answers = await Promise.all(images.map(({ path }) => classifier.classify(path, { top: 2 })));
  const right = answers.filter(([best], i) => best!.index === images[i]!.index);
  assert.ok(right.length >= images.length - 2, `${right.length} of ${images.length}`);
  for (const answer of answers) {
    assert.is(answer.length, 2);
    assert.ok(answer[0]!.probability >= answer[1]!.probability);
    assert.is(answer[0]!.label, classifier.labels[answer[0]!.index]);
  }
});

test('bytes, pixels and batches get the answers of the model alone', async () => {
  const [{ path }] = images as [(typeof images)[number]];
  const pixels = await decodeImage(path);
  using device = await openDevice('cpu', { threads: 1 });
  using model = await device.load({
    model: join(fashion, 'deploy.prototxt'),
    weights: join(fashion, 'model.caffemodel'),
  });
  const data = await preprocessImage(pixels, loadPreprocess(join(fashion, 'preprocess.json')), 1);
  const expected = Math.max(...(await model.run({ data })).prob!.data);
  await using classifier = await openClassifier(fashion, { device });
  const inputs = [path, readFileSync(path), new Uint8Array(readFileSync(path)).buffer, pixels];
  for (const input of [...inputs, ...inputs.slice(0, 3)]) {
    const [best] = await classifier.classify(input, { top: 1 });
    assert.ok(Math.abs(best!.probability - expected) < 1e-6);
  }
  const together = await Promise.all(Array.from({ length: 21 }, () => classifier.classify(pixels)));
  for (const [best] of together) assert.ok(Math.abs(best!.probability - expected) < 1e-5);
  const { batches, served, latency, pending } = classifier.stats();
  assert.is(served, 28);
  assert.is(pending, 0);
  assert.ok(batches[8]! >= 1, JSON.stringify(batches));
  assert.ok(latency.p50 > 0 && latency.p50 <= latency.p99 && latency.p99 <= latency.max);
  assert.is(classifier.model.inputs.data![0], 1);
});

test("a caller's device stays open when the classifier is closed", async () => {
  using device = await openDevice('cpu', { threads: 1 });
  await (await openClassifier(fashion, { device, maxBatch: 1 })).close();
  using model = await device.load({ model: join(fashion, 'deploy.prototxt') });
  assert.ok(model.inputs.data);
});

test('a Device of another copy of the package works like its own', async () => {
  using device = await openDevice('cpu', { threads: 1 });
  const other = { load: device.load.bind(device) } as unknown as typeof device;
  await using classifier = await openClassifier(fashion, { device: other, maxBatch: 1 });
  const [{ path, index }] = images as [(typeof images)[number]];
  assert.is((await classifier.classify(path, { top: 1 }))[0]!.index, index);
});

test('a delay is at most an hour, since a longer one overflows the timers of Node.js', async () => {
  for (const maxDelay of [3_600_001, 2 ** 31, Number.POSITIVE_INFINITY, -1])
    assert.match(
      (await failure(openClassifier(fashion, { ...cpu, maxDelay }))).message,
      /^maxDelay: expected a number from 0 to 3600000, but received/,
    );
});

test('one image more than maxQueue is refused at once, and waiting ones are answered', async () => {
  await using classifier = await openClassifier(fashion, { ...cpu, maxQueue: 3, maxBatch: 2 });
  const [{ path }] = images as [(typeof images)[number]];
  const waiting = [1, 2, 3].map(() => classifier.classify(path));
  assert.is(classifier.pending, 3);
  const error = await failure(classifier.classify(path));
  assert.is(error.code, 'classifier/busy');
  assert.is((await Promise.all(waiting)).length, 3);
  const { served, refused } = classifier.stats();
  assert.equal([served, refused], [3, 1]);
});

test('a broken image, a large one and an aborted one do not affect the answers of others', async () => {
  await using classifier = await openClassifier(fashion, { ...cpu, maxPixels: 28 * 28 });
  const [{ path }] = images as [(typeof images)[number]];
  const abort = new AbortController();
  const large = { width: 40, height: 40, channels: 1, data: new Uint8Array(1600), file: 'large' } as const;
  const results = [
    classifier.classify(Buffer.from('no image')),
    classifier.classify(path, { signal: abort.signal }),
    classifier.classify(path),
  ];
  const settled = Promise.allSettled(results);
  abort.abort(new Error('the client has gone'));
  const [broken, aborted, fine] = await settled;
  assert.is((broken as PromiseRejectedResult).reason.code, 'image/unreadable');
  assert.is((aborted as PromiseRejectedResult).reason.message, 'the client has gone');
  assert.is(fine!.status, 'fulfilled');
  assert.is((await classifier.classify(large)).length, 5); // pixels are already in memory
  const { failed, aborted: given } = classifier.stats();
  assert.equal([failed, given], [1, 1]);
});

test('closing answers waiting images; disposing rejects them; both refuse new ones', async () => {
  const [{ path }] = images as [(typeof images)[number]];
  const closing = await openClassifier(fashion, cpu);
  const waiting = Promise.all([1, 2, 3, 4, 5].map(() => closing.classify(path)));
  await closing.close();
  assert.is((await waiting).length, 5);
  assert.is((await failure(closing.classify(path))).code, 'classifier/closed');
  await closing.close();

  const disposed = await openClassifier(fashion, cpu);
  const rejected = failure(disposed.classify(path));
  disposed.dispose();
  disposed.dispose();
  assert.is((await rejected).code, 'classifier/closed');
});

test('ten crops are averaged, and need room to crop', async () => {
  const preprocess = loadPreprocess(join(fashion, 'preprocess.json'));
  const files = { model: join(fashion, 'deploy.prototxt'), weights: join(fashion, 'model.caffemodel') };
  await using classifier = await openClassifier(
    { ...files, preprocess: { ...preprocess, resize: { shorterSide: 32 } }, labels: 'abcdefghij'.split('') },
    cpu,
  );
  const answer = await classifier.classify(images[0]!.path, { crops: 10, top: 10 });
  assert.ok(Math.abs(answer.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-4);
  assert.is(answer[0]!.label.length, 1);
  const runs = Object.entries(classifier.stats().batches).reduce(
    (sum, [size, count]) => sum + Number(size) * count,
    0,
  );
  assert.is(runs, 10);
});

test('missing parts are named: preprocessing, weights, labels with another count', async () => {
  copyFileSync(join(fashion, 'deploy.prototxt'), join(folder, 'model.prototxt'));
  assert.match((await failure(openClassifier(folder, cpu))).message, /which lacks model\.caffemodel/);
  copyFileSync(join(fashion, 'model.caffemodel'), join(folder, 'model.caffemodel'));
  assert.match((await failure(openClassifier(folder, cpu))).message, /msraPreprocess.*there is none beside/);
  copyFileSync(join(fashion, 'preprocess.json'), join(folder, 'preprocess.json'));
  writeFileSync(join(folder, 'labels.txt'), 'one\ntwo\n');
  assert.match((await failure(openClassifier(folder, cpu))).message, /10 lines.*labels\.txt"; it has 2/);
  const { labels: _, ...files } = readModelFolder(folder);
  await using classifier = await openClassifier(files, cpu);
  assert.is(classifier.labels[9], 'class 9');
  assert.match(
    (await failure(openClassifier(join(folder, 'absent'), cpu))).message,
    /absent, which is not a folder/,
  );
});

test.run();
