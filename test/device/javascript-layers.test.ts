/** Layers implemented in JavaScript compute and learn as Caffe's layers do, on every device. */
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Device, type JavaScriptLayer, openDevice, registerLayers } from '../../ts/index.ts';
import {
  net,
  python,
  refusal,
  square,
  testJavaScriptLayers,
  withLayers,
} from '../support/javascript-layers.ts';

const devices: Device[] = [await openDevice('reference')];
try {
  devices.push(await openDevice('cpu', { threads: 1 }));
} catch (error) {
  console.log(`skipped: the cpu device: ${(error as Error).message}`);
}
for (const each of devices) testJavaScriptLayers(each);

const [device] = devices as [Device];

test('a function may answer later, while the event loop runs', () => {
  let ticks = 0;
  // Answers after three turns of a timer, however late they come.
  const forward: JavaScriptLayer['forward'] = ([x]) =>
    new Promise((resolve) => {
      const timer = setInterval(() => {
        if (++ticks % 3 > 0) return;
        clearInterval(timer);
        resolve([x!.data.map((value) => -value)]);
      }, 2);
    });
  return withLayers({ 'my_layers.Square': { ...square, forward } }, async () => {
    using model = await device.load({ model: net(), outputs: ['ip', 'square'] });
    const [first, second] = await Promise.all(
      [1, 2].map((value) => model.run({ data: new Float32Array(6).fill(value) })),
    );
    assert.is(ticks, 6);
    for (const { ip, square: made } of [first!, second!])
      assert.equal(
        [...made!.data],
        [...ip!.data].map((value) => -value),
      );
  });
});

test('a function that never answers blocks nothing: an AbortSignal ends its run, and the next ones', () => {
  let calls = 0;
  let reached = () => {};
  const forward = () => {
    calls++;
    reached();
    return new Promise<never>(() => {});
  };
  return withLayers({ 'my_layers.Square': { ...square, forward } }, async () => {
    const data = new Float32Array(6);
    for (const each of devices) {
      using model = await each.load({ model: net() });
      using trainer = await each.train({ model: net(), update: null });
      calls = 0;
      const whenReached = () => {
        const controller = new AbortController();
        reached = () => controller.abort(new Error('enough'));
        return controller.signal;
      };
      const signal = whenReached();
      const runs = Promise.allSettled([
        model.run({ data }, { signal }),
        model.run({ data }, { signal }),
        trainer.gradients({ data }, { signal, topDiffs: { out: new Float32Array(4) } }),
      ]);
      for (const run of await runs) assert.is((run as PromiseRejectedResult).reason?.message, 'enough');
      assert.is(calls, 1, 'only the first run has reached its function');
      const reasonOf = (signal: AbortSignal) =>
        model.run({ data }, { signal }).then(
          () => assert.unreachable('it answered') as never,
          (reason: Error) => reason,
        );
      assert.is((await reasonOf(whenReached())).message, 'enough');
      assert.is(calls, 2);
      assert.is((await reasonOf(AbortSignal.timeout(30))).name, 'TimeoutError');
    }
  });
});

test('recompute calls a function once for each pass, because it may count or draw', () => {
  let calls = 0;
  const forward: JavaScriptLayer['forward'] = ([x]) => [x!.data.map((value) => value + ++calls)];
  const text = `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
    ${python('square', 'data', 'square', 'Square')}
    layer { name: "wave" type: "TanH" bottom: "square" top: "wave" }
    layer { name: "sum" type: "Eltwise" bottom: "wave" bottom: "data" top: "sum" }`;
  return withLayers({ 'my_layers.Square': { ...square, forward } }, async () => {
    for (const each of devices) {
      using trainer = await each.train({
        model: net(text),
        update: null,
        diffs: ['data'],
        recompute: true,
      });
      calls = 0;
      await trainer.gradients({ data: new Float32Array(6) }, { topDiffs: { sum: new Float32Array(6) } });
      assert.is(calls, 6, `${each.kind}: one call for the six values`);
    }
  });
});

test('without "backward" no diff is propagated, as with propagate_down: false', () =>
  withLayers({ 'my_layers.Square': { shapes: square.shapes, forward: square.forward! } }, async () => {
    using trainer = await device.train({ model: net(), update: null });
    const { parameters } = await trainer.gradients(
      { data: new Float32Array(6).fill(1) },
      { topDiffs: { out: new Float32Array(4).fill(1) } },
    );
    assert.equal(
      parameters.map((each) => (each === null ? null : each.data.some((value) => value !== 0))),
      [null, null, true, true].map((each, i) => (parameters[i] === null ? null : (each ?? false))),
    );
  }));

test('a function without bottoms makes its tops, or leaves them to the caller; its shapes may come from param_str', async () => {
  const model = net(python('data', '', 'x', 'Data', "{'size': 3}"));
  const shapes: JavaScriptLayer['shapes'] = ({ param }) => [[1, Number(/'size': (\d+)/.exec(param)![1])]];
  await withLayers({ 'my_layers.Data': { shapes } }, async () => {
    using fed = await device.load({ model });
    assert.equal(fed.inputs, { x: [1, 3] });
    assert.equal([...(await fed.run({ x: Float32Array.of(1, 2, 3) })).x!.data], [1, 2, 3]);
  });
  await withLayers({ 'my_layers.Data': { shapes, forward: () => [Float32Array.of(7, 8, 9)] } }, async () => {
    using made = await device.load({ model });
    assert.equal(made.inputs, {});
    assert.equal([...(await made.run({})).x!.data], [7, 8, 9]);
  });
});

test('a Python layer without a function is refused with the cure, and so are impossible shapes', async () => {
  const missing = await refusal(device.load({ model: net() }));
  assert.is(missing.code, 'graph/unsupported-type');
  assert.match(missing.message, /registerLayers.*--layers FILE/);
  await withLayers({ 'my_layers.Square': { ...square, shapes: () => [[0]] } }, async () => {
    const wrong = await refusal(device.load({ model: net() }));
    assert.is(wrong.code, 'graph/javascript-layer');
    assert.match(wrong.message, /net\.prototxt:\d+:\d+.*positive integers.*found \[ \[ 0 \] \]/s);
  });
  // A value that JSON cannot represent is shown, too.
  await withLayers({ 'my_layers.Square': { ...square, shapes: () => [[3n]] as never } }, async () => {
    assert.match((await refusal(device.load({ model: net() }))).message, /found \[ \[ 3n \] \]/);
  });
  assert.throws(() => registerLayers({ Square: { shapes: 3 } } as never), /a function/);
  assert.throws(() => registerLayers({ Square: { ...square, forwards: 1 } } as never), /forward/);
});

test('a function that misreads its arguments gets an error that says how it is called', async () => {
  const run = async () => {
    using model = await device.load({ model: net() });
    await model.run({ data: new Float32Array(6) });
  };
  const wrong = (layer: object) =>
    withLayers({ 'my_layers.Square': { ...square, ...layer } as JavaScriptLayer }, () => refusal(run()));
  const { message: shapes } = await wrong({ shapes: ([bottom]: Iterable<unknown>) => [bottom] });
  assert.match(shapes, /not iterable.*it is called as shapes\(\{ bottoms, tops/);
  const { message: forward } = await wrong({
    forward: ({ bottoms: [x] }: { bottoms: Float32Array[] }) => [x],
  });
  assert.match(forward, /it is called as forward\(\[\{ shape, data \}/);
});

test('a worker that is terminated while its function computes ends, and so does its device', async () => {
  const script = new URL('./processes/hanging-layer.ts', import.meta.url).href;
  const worker = new Worker(
    `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(script)}); })`,
    { eval: true },
  );
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
  });
  assert.is(await worker.terminate(), 1);
});

test.after(() => {
  for (const each of devices) each.dispose();
});
test.run();
