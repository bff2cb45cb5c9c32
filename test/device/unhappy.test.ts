/** Failures: each ends in a typed error and leaves the device usable. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, DeviceError, openDevice, WeightsError } from '../../ts/index.ts';
import { scriptArguments } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const files = { model: join(fashion, 'deploy.prototxt'), weights: join(fashion, 'model.caffemodel') };
const pixels = new Float32Array(784);

test('a wrong input is refused by name, and the model still runs', async () => {
  using device = await openDevice('cpu');
  using model = await device.load(files);
  for (const inputs of [{}, { data: new Float32Array(3) }, { dta: pixels }]) {
    try {
      await model.run(inputs as { data: Float32Array });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, ArgumentError);
    }
  }
  assert.is((await model.run({ data: pixels })).prob!.data.length, 10);
});

test('a Proxy of an array is refused with what to give instead', async () => {
  using device = await openDevice('reference');
  using model = await device.load(files);
  for (const inputs of [
    { data: new Proxy(pixels, {}) },
    { data: { shape: [1, 1, 28, 28], data: new Proxy(pixels, {}) } },
  ])
    try {
      await model.run(inputs);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, ArgumentError);
      assert.match((error as Error).message, /input "data": expected a Float32Array/);
      if (inputs.data instanceof Float32Array)
        assert.match((error as Error).message, 'give the array itself, not a Proxy of it');
    }
});

test('dimensions that are no positive integers are refused by their place, whatever their product', async () => {
  using device = await openDevice('reference');
  using model = await device.load(files);
  for (const [shape, message] of [
    [[1, -1, 28, -28], /the shape of input "data"\[1\]: expected a positive integer, but received -1/],
    [[1, 1, 28, 28n], /"data"\[3\]: expected a positive integer, but received 28n/],
    [[1, 1, 28, '28'], /"data"\[3\]: expected a positive integer, but received "28"/],
    [[1, 1, 1.5, 784 / 1.5], /"data"\[2\]: expected a positive integer, but received 1\.5/],
    [[Symbol('n'), 1, 28, 28], /"data"\[0\]: expected a positive integer/],
    [
      '1x1x28x28',
      /the shape of input "data": expected a list of positive integers, but received "1x1x28x28"/,
    ],
  ] as [number[], RegExp][]) {
    const error = await model.run({ data: { shape, data: pixels } }).catch((thrown: unknown) => thrown);
    assert.instance(error, ArgumentError);
    assert.match((error as Error).message, message);
  }
});

test("an abort rejects with the signal's reason, before or during a run", async () => {
  using device = await openDevice('reference');
  using model = await device.load(files);
  const controller = new AbortController();
  const running = model.run({ data: pixels }, { signal: controller.signal });
  const queued = model.run({ data: pixels }, { signal: controller.signal });
  controller.abort(new Error('enough'));
  for (const promise of [running, queued]) {
    const outcome = await promise.then(
      () => 'done',
      (error: Error) => error.message,
    );
    assert.is(outcome, 'enough');
  }
});

test('disposing during a run lets it finish; later runs are refused', async () => {
  using device = await openDevice('cpu');
  const model = await device.load(files);
  const running = model.run({ data: pixels });
  model.dispose();
  assert.is((await running).prob!.data.length, 10);
  try {
    await model.run({ data: pixels });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, DeviceError);
  }
  device.dispose();
});

test('memory is freed: a disposed model leaves nothing on the device', async () => {
  using device = await openDevice('cpu');
  const model = await device.load(files);
  assert.ok(device.memory().activations > 0 && device.memory().parameters > 0);
  await model.run({ data: pixels });
  model.dispose();
  assert.is(device.memory().activations, 0);
});

test('a closed device refuses work', async () => {
  const device = await openDevice('cpu');
  device.dispose();
  const outcome = await device.load(files).then(
    () => null,
    (error: unknown) => error,
  );
  assert.instance(outcome, DeviceError);
});

test('a model whose device has closed refuses to run, and touches nothing that was freed with the device', () => {
  const script = scriptArguments(
    (place) => `
      const { openDevice } = await import(${place('ts/index.ts')});
      const device = await openDevice('cpu', { threads: 2 });
      const model = await device.load(${JSON.stringify(files)});
      device.dispose();
      // Meanwhile the thread ends and frees the backend.
      await new Promise((resolve) => setTimeout(resolve, 200));
      const outcome = await model.run({ data: new Float32Array(784) }).catch(({ code }) => code);
      process.stdout.write(String(outcome));`,
  );
  // glibc overwrites freed memory (mallopt(3)).
  const env = { ...process.env, MALLOC_PERTURB_: '165' };
  const { status, stdout, stderr } = spawnSync(process.execPath, script, {
    cwd: repositoryFolder,
    encoding: 'utf8',
    env,
  });
  assert.is(status, 0, stderr);
  assert.is(stdout, 'device/disposed');
});

test('missing weights name the file', async () => {
  using device = await openDevice('cpu');
  const outcome = await device.load({ ...files, weights: 'no-such.caffemodel' }).then(
    () => null,
    (error: unknown) => error,
  );
  assert.instance(outcome, WeightsError);
  assert.match((outcome as Error).message, 'no-such.caffemodel');
});

test('a worker that is terminated during runs does not end the process', async () => {
  const worker = new Worker(
    `import('tsx/esm/api').then(async ({ register }) => {
      register();
      const { openDevice } = await import(${JSON.stringify(join(repositoryFolder, 'ts/index.ts'))});
      const device = await openDevice('cpu');
      const model = await device.load(${JSON.stringify(files)});
      require('node:worker_threads').parentPort.postMessage('running');
      for (;;) await model.run({ data: new Float32Array(784) });
    })`,
    { eval: true },
  );
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  assert.is(await worker.terminate(), 1);
});

test.run();
