/** NaN and infinities, in weights and in results, give warnings that name the layer, and programs can see them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { notFinite, notFiniteBytes } from '../../ts/base/not-finite.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import type { WeightsFile } from '../../ts/caffe/caffemodel.ts';
import { compareRuns, compareValues } from '../../ts/convert/check.ts';
import { openDevice, readNet } from '../../ts/index.ts';

const { NaN: none, POSITIVE_INFINITY: infinity } = Number;

test('the first value that is not finite is found, wherever it is', async () => {
  for (const length of [1, 3, 4, 7, 1000])
    for (const at of [0, length - 1])
      for (const value of [none, infinity, -infinity]) {
        const values = new Float32Array(length).fill(-1.5);
        assert.is(notFinite(values), null);
        values[at] = value;
        assert.equal(notFinite(values), { index: at, value, count: 1 });
      }
  assert.is(notFinite(Float32Array.of(3.4e38, -3.4e38, 1e-45, -0)), null);
  assert.is(notFinite(new Float32Array()), null);
});

test('bytes of any alignment and type are searched, including pieces', async () => {
  const values = new Float32Array(600_000).fill(3.4e38, 0, 9);
  values[299_999] = none;
  values[599_998] = infinity;
  const moved = new Uint8Array(4 * values.length + 1);
  moved.set(new Uint8Array(values.buffer), 1);
  for (const bytes of [
    new Uint8Array(values.buffer),
    moved.subarray(1),
    Buffer.from(moved.buffer, 1, moved.length - 1),
  ])
    assert.equal(await notFiniteBytes(bytes, 'float32'), { index: 299_999, value: none, count: 2 });
  const doubles = Float64Array.of(-Number.MAX_VALUE, none, 2);
  assert.equal(await notFiniteBytes(new Uint8Array(doubles.buffer), 'float64'), {
    index: 1,
    value: none,
    count: 1,
  });
});

test('bytes that change during the search end it', async () => {
  const values = Float32Array.of(0, none, 1);
  const found = notFiniteBytes(new Uint8Array(values.buffer), 'float32');
  values.fill(0);
  assert.equal(await found, { index: 1, value: none, count: 1 });
});

const net = (name: string) =>
  readNet(
    `name: "${name}" layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "hidden" type: "InnerProduct" bottom: "data" top: "hidden" inner_product_param { num_output: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "hidden" top: "fc" inner_product_param { num_output: 2 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }`,
    { file: 'net.prototxt' },
  );

const weightsOf = (hidden: number): WeightsFile => ({
  file: 'trained.caffemodel',
  name: '',
  layers: ['hidden', 'fc'].map((name) => ({
    name,
    type: 'InnerProduct',
    blobs: [
      blobFromFloats([2, 2], Float32Array.of(1, name === 'hidden' ? hidden : 0.5, 1, 1)),
      blobFromFloats([2], Float32Array.of(0, 0)),
    ],
  })),
});

async function warningsOf(work: () => Promise<unknown>): Promise<string[]> {
  const seen: string[] = [];
  const listen = (warning: Error & { code?: string }) => seen.push(`${warning.code} ${warning.message}`);
  process.on('warning', listen);
  try {
    await work();
    await new Promise(setImmediate);
  } finally {
    process.removeListener('warning', listen);
  }
  return seen.filter((text) => text.includes('/not-finite'));
}

for (const kind of ['cpu', 'reference'] as const) {
  test(`${kind}: NaN in weights gives the file, layer and blob at loading; in outputs, the output and layer, once`, async () => {
    await using device = await openDevice(kind, { threads: 1 });
    let model: Awaited<ReturnType<typeof device.load>> | undefined;
    const weights = { ...weightsOf(none), file: `${kind}.caffemodel` };
    const loaded = await warningsOf(async () => {
      model = await device.load({ model: net(`${kind}-nan`), weights });
    });
    assert.is(loaded.length, 1, loaded.join());
    assert.match(
      loaded[0]!,
      new RegExp(
        `^weights/not-finite ${kind}.caffemodel: layer "hidden", blob 0: 1 value is not finite, the first \\(NaN\\) at 1`,
      ),
    );
    const ran = await warningsOf(async () => {
      for (let i = 0; i < 3; i++) await model!.run({ data: Float32Array.of(1, 1) });
    });
    assert.is(ran.length, 1, ran.join());
    assert.match(
      ran[0]!,
      /^output\/not-finite output "prob" of ".*-nan", made by layer "prob": 2 values are not finite, the first \(NaN\) at 0/,
    );
    model!.dispose();
  });

  test(`${kind}: NaN in an input shows in the output; a healthy net gives no warning`, async () => {
    await using device = await openDevice(kind, { threads: 1 });
    await using model = await device.load({ model: net(`${kind}-healthy`), weights: weightsOf(1) });
    assert.equal(await warningsOf(() => model.run({ data: Float32Array.of(1, 1) })), []);
    assert.is((await warningsOf(() => model.run({ data: Float32Array.of(none, 1) }))).length, 1);
  });

  test(`${kind}: an infinite weight is reported when training starts with it`, async () => {
    await using device = await openDevice(kind, { threads: 1 });
    const update = null;
    const seen = await warningsOf(async () => {
      await using _ = await device.train({
        model: net(`${kind}-train`),
        weights: { ...weightsOf(infinity), file: `${kind}-train.caffemodel` },
        update,
      });
    });
    assert.match(seen.join(), /layer "hidden", blob 0: .*the first \(Infinity\) at 1/);
  });
}

test('a conversion is not correct if both sides compute NaN, or if a blob contains it', async () => {
  const runner = (value: number) => ({
    by: 'it',
    run: async () => ({ prob: Float32Array.of(value, 0.5) }),
    dispose: () => {},
  });
  const check = (a: number, b: number) => compareRuns(runner(a), runner(b), { data: [1, 2] });
  assert.ok((await check(0.25, 0.25)).ok);
  for (const [a, b] of [
    [none, none],
    [none, 0.25],
    [0.25, none],
  ] as const)
    assert.not.ok((await check(a, b)).ok, `${a} and ${b}`);
  assert.not.ok(compareValues(weightsOf(none), weightsOf(none)).ok);
  assert.ok(compareValues(weightsOf(1), weightsOf(1)).ok);
});

test('the first layer with an output that is not finite is named once, found layer by layer after the run was answered', async () => {
  const said: { code?: string; message: string }[] = [];
  const listen = (warning: Error) => said.push(warning as never);
  process.on('warning', listen);
  try {
    await using device = await openDevice('cpu', { threads: 1 });
    const weights = weightsOf(1);
    // Finite weights with 1e30 · 1e30 = infinity, from which the softmax makes NaN.
    const large: WeightsFile = {
      ...weights,
      layers: weights.layers.map((layer) => ({
        ...layer,
        blobs: [
          blobFromFloats([2, 2], new Float32Array(4).fill(1e30)),
          blobFromFloats([2], new Float32Array(2)),
        ],
      })),
    };
    for (const look of ['run', 'time'] as const) {
      await using model = await device.load({ model: net(`first by ${look}`), weights: large });
      await model[look]({ data: Float32Array.of(1, 1) });
      await model[look]({ data: Float32Array.of(1, 1) });
    }
    await using fed = await device.load({ model: net('fed'), weights });
    await fed.run({ data: Float32Array.of(none, 1) });
  } finally {
    await new Promise(setImmediate);
    process.removeListener('warning', listen);
  }
  await new Promise(setImmediate);
  const first = said.filter(({ code }) => code === 'output/first-not-finite').map(({ message }) => message);
  for (const look of ['run', 'time']) {
    const of = first.filter((message) => message.startsWith(`"first by ${look}"`));
    assert.is(of.length, 1, first.join('\n'));
    assert.match(of[0]!, /the first layer whose output is not finite is "fc" \(blob "fc": 2 values/);
  }
  assert.match(first.join('\n'), /"fed": the input "data" already is not finite: 1 value/);
  assert.is(said.filter(({ code }) => code === 'output/not-finite').length, 3);
});

test.run();
