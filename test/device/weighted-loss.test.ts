/** SegNet's SoftmaxWithLoss, which weights classes and averages over positions, against its formula in float64. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { graphFromCaffe, readNet } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { assertRefused, draw, input } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const [IMAGES, CLASSES, PLACES, IGNORED] = [2, 4, 6, 11] as const;
const WEIGHTS = [0.2595, 0.1826, 4.564, 0.1417];
const list = (weights: readonly number[]) =>
  `weight_by_label_freqs: true ${weights.map((weight) => `class_weighting: ${weight}`).join(' ')}`;
const netOf = (loss: string) =>
  readNet(
    `${input('scores', [IMAGES, CLASSES, 2, 3])}${input('label', [IMAGES, 1, 2, 3])}
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss"
      loss_param { ${loss} } }`,
    { file: 'net.prototxt' },
  );

const scores = draw(IMAGES * CLASSES * PLACES, 5, -3, 3);
const label = Float32Array.from({ length: IMAGES * PLACES }, (_, i) =>
  i % 5 === 3 ? IGNORED : (i * 7) % CLASSES,
);

/** Σ w(label)·(−log p) over the valid positions, divided by their number or by that of images; and its derivative. */
function expectedOf(byPlaces: boolean) {
  const slopes = new Float64Array(scores.length);
  const counted = label.filter((each) => each !== IGNORED).length;
  const divisor = byPlaces ? counted : IMAGES;
  let loss = 0;
  for (const [place, target] of label.entries()) {
    if (target === IGNORED) continue;
    const at = (c: number) => Math.floor(place / PLACES) * CLASSES * PLACES + c * PLACES + (place % PLACES);
    const powers = WEIGHTS.map((_, c) => Math.exp(scores[at(c)]!));
    const all = powers.reduce((sum, power) => sum + power, 0);
    loss -= (WEIGHTS[target]! * Math.log(powers[target]! / all)) / divisor;
    for (const [c, power] of powers.entries())
      slopes[at(c)] = (WEIGHTS[target]! * (power / all - (c === target ? 1 : 0))) / divisor;
  }
  return { loss, slopes };
}

for (const device of devices)
  for (const normalize of [true, false])
    test(`class_weighting weights positions, and the mean is ${normalize ? 'over their number' : "over the images'"}, on ${device.kind}`, async () => {
      const model = netOf(`${list(WEIGHTS)} ignore_label: ${IGNORED} normalize: ${normalize}`);
      using trainer = await device.train({
        model: { ...model, force_backward: true },
        update: null,
        diffs: ['scores'],
      });
      const { outputs, blobs } = await trainer.gradients({ scores, label });
      const { loss, slopes } = expectedOf(normalize);
      assert.ok(
        Math.abs(outputs.loss!.data[0]! - loss) <= 1e-5 * loss,
        `${outputs.loss!.data[0]}, not ${loss}`,
      );
      for (const [i, slope] of slopes.entries())
        assert.ok(
          Math.abs(blobs.scores!.data[i]! - slope) <= 1e-6,
          `${i}: ${blobs.scores!.data[i]}, not ${slope}`,
        );
    });

test('without weight_by_label_freqs class_weighting has no effect, as in the fork', () => {
  const { nodes } = graphFromCaffe(netOf('class_weighting: 1 class_weighting: 2'));
  assert.equal((nodes[0]!.operation as { classWeights?: unknown }).classWeights, []);
});

for (const [what, loss, said] of [
  [
    'fewer weights than classes',
    list([1, 2]),
    /net\.prototxt:\d+:\d+: class_weighting must be given once for each of 4 classes.*found 2 times/,
  ],
  ['no weights', list([]), /class_weighting must be given once for each of 4 classes.*found 0 times/],
  ['a negative weight', list([1, 2, -3, 4]), /must be finite and not negative/],
  ['weights of both kinds', `${list(WEIGHTS)} class_weight: 1`, /not both/],
] as const)
  test(`${what}: refused`, () => {
    assertRefused(netOf(loss), said);
  });

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
