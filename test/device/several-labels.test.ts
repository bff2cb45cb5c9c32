/** SoftmaxWithLoss of several labels for each item, against its definition in float64, and differences. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkGradients } from '../support/gradient-check.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const [ITEMS, CLASSES, LABELS] = [4, 6, 3];
const text = (param = 'ignore_label: -1', labels = [ITEMS, LABELS], tops = 'top: "loss"') =>
  `${input('scores', [ITEMS, CLASSES])}${input('label', labels)}
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" ${tops} loss_param { ${param} } }`;
const label = Float32Array.of(2, 5, -1, 0, -1, -1, -1, -1, -1, 1, 3, 1);

function expected(scores: Float32Array) {
  const losses: number[] = [];
  for (let item = 0; item < ITEMS; item++) {
    const row = [...scores.subarray(item * CLASSES, (item + 1) * CLASSES)];
    const total = row.reduce((sum, score) => sum + Math.exp(score), 0);
    const own = [...label.subarray(item * LABELS, (item + 1) * LABELS)].filter((each) => each >= 0);
    if (own.length > 0)
      losses.push(own.reduce((sum, each) => sum - Math.log(Math.exp(row[each]!) / total), 0) / own.length);
  }
  return losses.reduce((a, b) => a + b, 0);
}

for (const device of await openPlainDevices()) {
  test(`an item's loss is the mean over its labels, divided as normalization says, on ${device.kind}`, async () => {
    const scores = draw(ITEMS * CLASSES, 1, -3, 3);
    for (const [normalization, divisor] of [
      ['VALID', 3],
      ['FULL', 4],
      ['BATCH_SIZE', 4],
      ['NONE', 1],
    ] as const) {
      using model = await device.load({
        model: net(text(`ignore_label: -1 normalization: ${normalization}`)),
      });
      const { loss } = await model.run({ scores, label });
      assert.ok(Math.abs(loss!.data[0]! - expected(scores) / divisor) < 1e-5);
    }
    const fill = (name: string, count: number) => (name === 'label' ? label : draw(count, 2, -2, 2));
    await checkGradients(device, { net: text(), fill, seed: 1 });
  });

  test(`a label that is no class is an error of its item, on ${device.kind}`, async () => {
    using model = await device.load({ model: net(text()) });
    const wrong = label.with(4, 6);
    await model.run({ scores: new Float32Array(ITEMS * CLASSES), label: wrong }).then(
      () => assert.unreachable(),
      (error) =>
        assert.match((error as Error).message, /a label of item 1 is 6; it must be a class, from 0 to 5/),
    );
  });
}

test('labels of another number of items, as many as classes, or without ignore_label are refused', () => {
  assertRefused(net(text('', undefined)), /need 4 labels/);
  assertRefused(net(text(undefined, [ITEMS, CLASSES])), /need 4 labels/);
  assertRefused(net(text(undefined, [3, LABELS])), /need 4 labels/);
  assertRefused(
    net(text(undefined, undefined, 'top: "loss" top: "p"')),
    /with 3 labels of each item there is one top/,
  );
});

test.run();
