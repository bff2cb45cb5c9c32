/** Filter: the number of items in its tops depends on the inputs of each run. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GraphError } from '../../ts/base/errors.ts';
import { type Blob, blobFromFloats, toFloat64 } from '../../ts/caffe/blob.ts';
import type { UpdateRule } from '../../ts/device/trainer.ts';
import { readNet } from '../../ts/index.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();

const input = (name: string, ...shape: number[]) =>
  `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${shape.map((dim) => `dim: ${dim}`).join(' ')} } } }\n`;
const layer = (type: string, bottoms: string[], tops: string[], more = '') =>
  `layer { name: "${tops[0]}" type: "${type}" ${bottoms.map((name) => `bottom: "${name}"`).join(' ')} ${tops.map((name) => `top: "${name}"`).join(' ')} ${more} }\n`;
const INNER =
  'inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "constant" value: 0.25 } }';
const net = (text: string) => readNet(text, { file: 'net.prototxt' });

const ITEMS = 4;
const x = Float32Array.from({ length: ITEMS * 2 }, (_, i) => Math.sin(i + 1));
const labels = Float32Array.of(2, 0, 1, 2);
const rowsOf = (data: Float32Array, rows: readonly number[]) =>
  Float32Array.from(
    rows.flatMap((row) => [...data.subarray((row * data.length) / ITEMS, ((row + 1) * data.length) / ITEMS)]),
  );
const near = (actual: Float32Array, expected: Float32Array, what: string) => {
  assert.is(actual.length, expected.length, what);
  for (const [i, value] of expected.entries())
    assert.ok(Math.abs(actual[i]! - value) < 1e-5, `${what}: ${actual[i]}, not ${value}`);
};

const SELECTORS: readonly (readonly number[])[] = [
  [1, 0, 0, 1],
  [0, -2, 0, 0],
  [1, 1, 1, 1],
  [Number.NaN, 0, 3, 1],
  [1, 0, 0, 1],
];
const passing = (selector: readonly number[]) => selector.flatMap((value, i) => (value === 0 ? [] : [i]));

for (const device of devices) {
  const learning = (items: number, filter: boolean) =>
    net(
      input('x', items, 2) +
        input('label', items) +
        (filter ? input('sel', items) + layer('Filter', ['x', 'label', 'sel'], ['fx', 'fl']) : '') +
        layer('InnerProduct', [filter ? 'fx' : 'x'], ['ip'], INNER) +
        layer('SoftmaxWithLoss', ['ip', filter ? 'fl' : 'label'], ['loss']),
    );

  test(`each run has as many items as its selector selects, on ${device.kind}`, async () => {
    using model = await device.load({
      model: net(input('x', ITEMS, 2) + input('sel', ITEMS, 1, 1) + layer('Filter', ['x', 'sel'], ['y'])),
    });
    assert.equal(model.outputs, { y: [ITEMS, 2] }, 'as Caffe, it begins with all of them');
    const runs = SELECTORS.map((selector) => model.run({ x, sel: Float32Array.from(selector) }));
    for (const [i, { y }] of (await Promise.all(runs)).entries()) {
      const rows = passing(SELECTORS[i]!);
      assert.equal(y!.shape, [rows.length, 2]);
      assert.equal(y!.data, rowsOf(x, rows));
    }
    const half = await model.run({ x: x.subarray(0, 4), sel: Float32Array.of(0, 1) });
    assert.equal(half.y!.data, x.slice(2, 4), 'of another batch size');
    using sel = await device.buffer({ shape: [ITEMS, 1, 1] });
    await sel.upload(Float32Array.of(0, 1, 0, 0));
    assert.equal((await model.run({ x, sel })).y!.data, x.slice(2, 4), 'selected by a DeviceBuffer');
  });

  test(`losses and gradients are those of the selected items only, on ${device.kind}`, async () => {
    using filtered = await device.train({
      model: learning(ITEMS, true),
      update: null,
      seed: 3,
      diffs: ['x'],
    });
    for (const selector of SELECTORS) {
      const rows = passing(selector);
      using alone = await device.train({
        model: learning(rows.length, false),
        update: null,
        seed: 3,
        diffs: ['x'],
      });
      const sel = Float32Array.from(selector);
      const found = await filtered.gradients({ x, label: labels, sel });
      const expected = await alone.gradients({ x: rowsOf(x, rows), label: rowsOf(labels, rows) });
      near(found.outputs.loss!.data, expected.outputs.loss!.data, 'loss');
      found.parameters.forEach((diff, i) => near(diff!.data, expected.parameters[i]!.data, `parameter ${i}`));
      near(rowsOf(found.blobs.x!.data, rows), expected.blobs.x!.data, 'diff of x');
      const others = [0, 1, 2, 3].filter((row) => !rows.includes(row));
      assert.ok(
        rowsOf(found.blobs.x!.data, others).every((value) => value === 0),
        'no diff goes to the others',
      );
    }
  });

  test(`updates follow each other, whatever each batch selects, on ${device.kind}`, async () => {
    const update: UpdateRule = { type: 'SGD', momentum: 0.9 };
    const learnt = async (selectors: readonly (readonly number[])[]) => {
      using trainer = await device.train({ model: learning(ITEMS, true), update, seed: 3 });
      const schedule = (iteration: number) => ({ rate: 0.5, iteration });
      await Promise.all(
        selectors.map((selector, i) =>
          trainer.step({ x, label: labels, sel: Float32Array.from(selector) }, schedule(i)),
        ),
      );
      return (await trainer.weights()).layers.find(({ name }) => name === 'ip')!.blobs[0]!;
    };
    // The same by hand: momentum SGD applied to a weight with the gradients of each iteration.
    using gradients = await device.train({ model: learning(ITEMS, true), update: null, seed: 3 });
    const start = (await gradients.weights()).layers;
    let weights = start;
    let history = start
      .find(({ name }) => name === 'ip')!
      .blobs.map((blob) => new Float32Array(blob.shape.reduce((a, b) => a * b, 1)));
    for (const selector of SELECTORS) {
      using at = await device.train({
        model: learning(ITEMS, true),
        update: null,
        weights: { file: '', name: '', layers: weights },
      });
      const { parameters } = await at.gradients({ x, label: labels, sel: Float32Array.from(selector) });
      history = history.map((old, i) => old.map((value, k) => 0.9 * value + 0.5 * parameters[i]!.data[k]!));
      weights = weights.map((each) =>
        each.name === 'ip' ? { ...each, blobs: each.blobs.map((blob, i) => moved(blob, history[i]!)) } : each,
      );
    }
    const expected = weights.find(({ name }) => name === 'ip')!.blobs[0]!;
    near(floats(await learnt(SELECTORS)), floats(expected), 'weights');
  });

  test(`a selector may be computed, even from weights, if nothing learns, on ${device.kind}`, async () => {
    const text = (first: string) =>
      input('x', ITEMS, 2) +
      layer('InnerProduct', ['x'], ['score'], first) +
      layer('Threshold', ['score'], ['sel'], 'threshold_param { threshold: 0 }') +
      layer('Filter', ['x', 'sel'], ['y']) +
      layer('InnerProduct', ['y'], ['ip'], INNER);
    const one = 'inner_product_param { num_output: 1 weight_filler { type: "gaussian" std: 1 } }';
    using model = await device.load({ model: net(text(one)), outputs: ['score', 'y', 'ip'], seed: 5 });
    const { score, y, ip } = await model.run({ x });
    const rows = [0, 1, 2, 3].filter((row) => score!.data[row]! > 0);
    assert.ok(rows.length > 0 && rows.length < ITEMS, `${score!.data}`);
    assert.equal(y!.data, rowsOf(x, rows));
    assert.equal(ip!.shape, [rows.length, 3]);
    await device
      .train({ model: net(text(one) + layer('Reduction', ['ip'], ['loss'], 'loss_weight: 1')), update: null })
      .then(
        () => assert.unreachable('it learns'),
        (error: GraphError) => {
          assert.is(error.code, 'graph/selector');
          assert.match(
            error.message,
            /layer "score" \(InnerProduct\), whose results change as the net learns/,
          );
        },
      );
  });

  test(`if nothing is selected, outputs have no items, and layers that need all items are refused, on ${device.kind}`, async () => {
    const text =
      input('x', ITEMS, 2) +
      input('sel', ITEMS) +
      layer('Filter', ['x', 'sel'], ['y']) +
      layer('InnerProduct', ['y'], ['ip'], INNER);
    const sum = layer('Reduction', ['ip'], ['sum']);
    using model = await device.load({ model: net(text + sum), outputs: ['y', 'ip', 'x'] });
    const sel = new Float32Array(ITEMS);
    const { y, ip, x: same } = await model.run({ x, sel });
    assert.equal([y!.shape, y!.data.length], [[0, 2], 0]);
    assert.equal(ip!.shape, [0, 3]);
    assert.equal(same!.data, x, 'what does not depend on it is as ever');
    assert.equal((await model.run({ x, sel: Float32Array.of(0, 0, 1, 0) })).y!.data, x.slice(4, 6));
    const isEmpty = (error: GraphError) =>
      error instanceof GraphError && error.code === 'graph/empty-selection';
    using whole = await device.load({ model: net(text + sum) });
    await rejects(whole.run({ x, sel }), (error: GraphError) => {
      assert.ok(isEmpty(error), error.message);
      assert.match(
        error.message,
        /selects none of its items, and output "sum" .* is computed from all of them/,
      );
    });
    await whole.run({ x, sel: Float32Array.of(0, 0, 1, 0) });
    using trainer = await device.train({ model: learning(ITEMS, true), update: null });
    await rejects(trainer.gradients({ x, label: labels, sel }), (error: GraphError) => {
      assert.ok(isEmpty(error), error.message);
    });
    await trainer.gradients({ x, label: labels, sel: Float32Array.of(1, 0, 0, 0) });
  });
}

test('a Filter whose bottoms do not fit is refused with the sizes', async () => {
  const refusal = async (text: string) => {
    try {
      (await devices[0]!.load({ model: net(text) })).dispose();
    } catch (error) {
      return (error as Error).message;
    }
    return assert.unreachable('it was accepted') as never;
  };
  const [data, sel] = [input('x', ITEMS, 2), input('sel', ITEMS)];
  assert.match(
    await refusal(data + sel + layer('Filter', ['x', 'x', 'sel'], ['y'])),
    /needs a top for each bottom except the selector, 2, found 1/,
  );
  assert.match(
    await refusal(data + layer('Filter', ['x', 'x'], ['y'])),
    /the selector, must be 1 along all axes except the first, found 4×2/,
  );
  assert.match(
    await refusal(data + input('sel', 3) + layer('Filter', ['x', 'sel'], ['y'])),
    /the selector has 3 values, so bottoms need as many items; found 4×2/,
  );
  assert.match(
    await refusal(`force_backward: true ${data}${sel}${layer('Filter', ['x', 'sel'], ['y'])}`),
    /remove force_backward/,
  );
});

const floats = (blob: Blob) => Float32Array.from(toFloat64(blob));
const moved = (blob: Blob, by: Float32Array) =>
  blobFromFloats(
    blob.shape,
    floats(blob).map((value, i) => value - by[i]!),
  );

async function rejects(work: Promise<unknown>, check: (error: never) => void): Promise<void> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(error !== null, 'it was accepted');
  check(error as never);
}

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
