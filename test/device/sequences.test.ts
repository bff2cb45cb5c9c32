/**
 * Layers that read text: Transpose, Reverse and caffe-lstm's Lstm against loops in float64, CTC against the sum over
 * all paths that spell a text.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import type { Model } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const close = (found: Float32Array, expected: readonly number[]) => {
  assert.is(found.length, expected.length);
  expected.forEach((value, i) =>
    assert.ok(
      Math.abs(found[i]! - value) <= 1e-5 * Math.max(1, Math.abs(value)),
      `${i}: ${found[i]}, not ${value}`,
    ),
  );
};
const layer = (type: string, bottoms: string, param: string) =>
  `layer { name: "y" type: "${type}" ${bottoms
    .split(' ')
    .map((name) => `bottom: "${name}"`)
    .join(' ')} top: "y" ${param} }`;
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

const [STEPS, ITEMS, DEPTH, SIZE] = [4, 2, 3, 2];

/**
 * lstm_layer.cpp of caffe-lstm in float64, with a zero initial state.
 * @param goesOn 0 where a sequence begins.
 */
function lstm(x: Float32Array, blobs: readonly Float32Array[], goesOn: (row: number) => boolean): number[] {
  const [wx, wh, b] = blobs as [Float32Array, Float32Array, Float32Array];
  const all: number[] = [];
  const h = new Float64Array(ITEMS * SIZE);
  const c = new Float64Array(ITEMS * SIZE);
  for (let row = 0; row < STEPS * ITEMS; row++) {
    const n = row % ITEMS;
    const on = goesOn(row) ? 1 : 0;
    const gates = Array.from({ length: 4 * SIZE }, (_, g) => {
      let sum = b[g]!;
      for (let k = 0; k < DEPTH; k++) sum += wx[g * DEPTH + k]! * x[row * DEPTH + k]!;
      for (let k = 0; k < SIZE; k++) sum += on * wh[g * SIZE + k]! * h[n * SIZE + k]!;
      return sum;
    });
    for (let d = 0; d < SIZE; d++) {
      const [i, f, g] = [0, 1, 3].map((gate) => gates[gate * SIZE + d]!) as [number, number, number];
      const at = n * SIZE + d;
      c[at] = on * sigmoid(f) * c[at]! + sigmoid(i) * Math.tanh(g);
    }
    for (let d = 0; d < SIZE; d++) {
      const at = n * SIZE + d;
      h[at] = sigmoid(gates[2 * SIZE + d]!) * Math.tanh(c[at]!);
      all.push(h[at]!);
    }
  }
  return all;
}

const blobsOf = async (loaded: Model) =>
  (await loaded.weights()).layers.find(({ name }) => name === 'y')!.blobs.map((blob) => toFloat32(blob));

const LSTM = `lstm_param { num_output: ${SIZE} weight_filler { type: "gaussian" std: 1 } bias_filler { type: "gaussian" std: 1 }`;

/** −log of a text's probability: the sum over every sequence of classes that spells it. */
function ctc(scores: readonly (readonly number[])[], text: readonly number[], blank: number): number {
  const classes = scores[0]!.length;
  const shares = scores.map((row) => {
    const sum = row.reduce((total, score) => total + Math.exp(score), 0);
    return row.map((score) => Math.exp(score) / sum);
  });
  let all = 0;
  for (let code = 0; code < classes ** scores.length; code++) {
    const way = scores.map((_, t) => Math.floor(code / classes ** t) % classes);
    const read = way.filter((c, t) => c !== way[t - 1]).filter((c) => c !== blank);
    if (read.join() === text.join()) all += way.reduce((product, c, t) => product * shares[t]![c]!, 1);
  }
  return -Math.log(all);
}

for (const device of devices) {
  test(`Transpose reorders axes, and Reverse reverses one, on ${device.kind}`, async () => {
    const x = draw(24, 1);
    const at = (a: number, b: number, c: number) => x[(a * 3 + b) * 4 + c]!;
    const places = [0, 1].flatMap((a) =>
      [0, 1, 2].flatMap((b) => [0, 1, 2, 3].map((c) => [a, b, c] as const)),
    );
    using turned = await device.load({
      model: net(`${input('x', [2, 3, 4])}${layer('Transpose', 'x', 'transpose_param { dim: [2, 0, 1] }')}`),
    });
    const { y } = await turned.run({ x });
    assert.equal(y!.shape, [4, 2, 3]);
    for (const [a, b, c] of places) assert.is(y!.data[(c * 2 + a) * 3 + b], at(a, b, c));
    for (const axis of [0, 1, 2]) {
      using reversed = await device.load({
        model: net(`${input('x', [2, 3, 4])}${layer('Reverse', 'x', `reverse_param { axis: ${axis} }`)}`),
      });
      const { y: back } = await reversed.run({ x });
      for (const [a, b, c] of places) {
        const from = [a, b, c].map((place, i) => (i === axis ? [2, 3, 4][i]! - 1 - place : place));
        assert.is(back!.data[(a * 3 + b) * 4 + c], at(from[0]!, from[1]!, from[2]!));
      }
    }
  });

  test(`Lstm starts with a zero state, in T×N×C as in T·N×C, on ${device.kind}`, async () => {
    const x = draw(STEPS * ITEMS * DEPTH, 2);
    for (const [shape, more] of [
      [[STEPS, ITEMS, DEPTH], ''],
      [[STEPS * ITEMS, DEPTH], `batch_size: ${ITEMS}`],
    ] as const) {
      using loaded = await device.load({
        model: net(`${input('x', shape)}${layer('Lstm', 'x', `${LSTM} ${more} }`)}`),
      });
      const blobs = await blobsOf(loaded);
      const expected = lstm(x, blobs, (row) => row >= ITEMS);
      for (let run = 0; run < 2; run++) {
        const { y } = await loaded.run({ x });
        assert.equal(y!.shape, shape.length === 3 ? [STEPS, ITEMS, SIZE] : [STEPS * ITEMS, SIZE]);
        close(y!.data, expected);
      }
    }
  });

  test(`a second bottom of Lstm says which rows continue, on ${device.kind}`, async () => {
    const shapes = input('x', [STEPS, ITEMS, DEPTH]) + input('clip', [STEPS, ITEMS]);
    using loaded = await device.load({ model: net(`${shapes}${layer('Lstm', 'x clip', `${LSTM} }`)}`) });
    const blobs = await blobsOf(loaded);
    const x = draw(STEPS * ITEMS * DEPTH, 3);
    const clip = Float32Array.of(0, 0, 1, 1, 0, 1, 1, 1);
    const { y } = await loaded.run({ x, clip });
    close(
      y!.data,
      lstm(x, blobs, (row) => clip[row] !== 0),
    );
  });

  test(`Lstm, Reverse and Transpose propagate their gradients, on ${device.kind}`, async () => {
    for (const text of [
      layer('Lstm', 'x', `${LSTM} }`),
      layer('Transpose', 'x', 'transpose_param { dim: [1, 2, 0] }'),
      layer('Reverse', 'x', 'reverse_param { axis: 1 }'),
    ]) {
      const { compared } = await checkGradients(device, {
        net: `${input('x', [STEPS, ITEMS, DEPTH])}${text}`,
        seed: 4,
      });
      assert.ok(compared > 0);
    }
  });

  test(`CtcLoss and WarpCTCLoss are −log of the sum over all paths, and their diffs those of the sum over items, on ${device.kind}`, async () => {
    const [steps, items, classes] = [5, 4, 3];
    const x = draw(steps * items * classes, 5, -2, 2);
    // Distinct consecutive classes, a repeated class, an empty text, and one that does not fit into five steps.
    const texts = [[1, 2], [2, 2], [], [1, 1, 1, 2]];
    const label = new Float32Array(items * 4);
    texts.forEach((text, n) => label.set(text, 4 * n));
    const of = (values: ArrayLike<number>, n: number) =>
      Array.from({ length: steps }, (_, t) =>
        Array.from({ length: classes }, (_, c) => values[(t * items + n) * classes + c]!),
      );
    const lossOf = (values: ArrayLike<number>) =>
      texts.slice(0, 3).reduce((sum, text, n) => sum + ctc(of(values, n), text, 0), 0);
    const shapes = input('x', [steps, items, classes]) + input('label', [items, 4]);
    for (const text of [
      layer('CtcLoss', 'x label', `ctc_loss_param { alphabet_size: ${classes} time_step: ${steps} }`),
      layer('WarpCTCLoss', 'x label', ''),
    ]) {
      using trainer = await device.train({
        model: { ...net(`${shapes}${text}`), force_backward: true },
        update: null,
        diffs: ['x'],
      });
      const { outputs, blobs } = await trainer.gradients({ x, label });
      close(outputs.y!.data, [lossOf(x) / items]);
      const expected = Array.from(x, (_, i) => {
        if (Math.floor(i / classes) % items === 3) return 0;
        const moved = (by: number) => Array.from(x, (value, j) => (i === j ? value + by : value));
        return (lossOf(moved(1e-4)) - lossOf(moved(-1e-4))) / 2e-4;
      });
      close(blobs.x!.data, expected);
    }
  });

  test(`CTCGreedyDecoder and LabelsequenceAccuracy read the best class of each step, without repeats and blanks, on ${device.kind}`, async () => {
    const [steps, items, classes] = [5, 2, 3];
    const best = [
      [1, 1, 0, 1, 2],
      [0, 2, 2, 0, 0],
    ];
    const x = new Float32Array(steps * items * classes);
    best.forEach((row, n) => row.forEach((c, t) => (x[(t * items + n) * classes + c] = 1)));
    const shape = input('x', [steps, items, classes]);
    const run = async (text: string, given: Record<string, Float32Array>) => {
      using loaded = await device.load({ model: net(text) });
      return [...(await loaded.run({ x, ...given })).y!.data];
    };
    const decoder = (bottoms: string, param = '') =>
      layer('CTCGreedyDecoder', bottoms, `ctc_decoder_param { ${param} }`);
    assert.equal(await run(`${shape}${decoder('x')}`, {}), [1, 1, 2, -1, -1, 2, -1, -1, -1, -1]);
    assert.equal(
      await run(`${shape}${decoder('x', 'ctc_merge_repeated: false')}`, {}),
      [1, 1, 1, 2, -1, 2, 2, -1, -1, -1],
    );
    const on = Float32Array.of(0, 0, 1, 1, 1, 0, 0, 1, 1, 1);
    assert.equal(
      await run(`${shape}${input('on', [steps, items])}${decoder('x on')}`, { on }),
      [1, -1, -1, -1, -1, 2, -1, -1, -1, -1],
    );
    const label = Float32Array.of(1, 1, 0, 2, 0, 0);
    close(
      Float32Array.from(await run(`${shape}${input('label', [items, 3])}${decoder('x label')}`, { label })),
      [1 - 1 / 3 / 2, 0.5],
    );
    const rows = `${input('label', [items, 3])}${layer('Transpose', 'x', 'transpose_param { dim: [1, 0, 2] }').replaceAll('"y"', '"rows"')}`;
    assert.equal(
      await run(`${shape}${rows}${layer('LabelsequenceAccuracy', 'rows label', '')}`, { label }),
      [0.5],
    );
  });

  test(`an invalid label ends the run with its position, on ${device.kind}`, async () => {
    const text = `${input('x', [3, 1, 2])}${input('label', [1, 2])}${layer('WarpCTCLoss', 'x label', '')}`;
    using loaded = await device.load({ model: net(text) });
    try {
      await loaded.run({ x: new Float32Array(6), label: Float32Array.of(1, 2) });
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, /label 1 of item 0 is 2; expected a class from 0 to 1/);
    }
  });
}

test('invalid shapes and numbers are refused with their position', () => {
  const scores = input('x', [4, 2, 3]) + input('label', [2, 5]) + input('labels', [4, 5]);
  for (const [text, said] of [
    [
      layer('Transpose', 'x', 'transpose_param { dim: [0, 0, 1] }'),
      /dim must name each of the 3 axes of 4×2×3 once, found 0, 0, 1/,
    ],
    [layer('Reverse', 'x', 'reverse_param { axis: 3 }'), /axis 3 does not exist/],
    [layer('Lstm', 'x', ''), /num_output must be given/],
    [layer('Lstm', 'x', 'lstm_param { num_output: 2 batch_size: 3 }'), /batch_size 3 must divide the 4 rows/],
    [
      layer('Lstm', 'x label', 'lstm_param { num_output: 2 }'),
      /for each of 4×2 rows whether its sequence continues, found 2×5/,
    ],
    [
      layer('CtcLoss', 'x label', 'ctc_loss_param { alphabet_size: 4 time_step: 4 }'),
      /alphabet_size is 4, the scores have 3 classes/,
    ],
    [
      layer('CtcLoss', 'x label', 'ctc_loss_param { alphabet_size: 3 time_step: 5 }'),
      /time_step is 5, the scores have 4 steps/,
    ],
    [
      layer('WarpCTCLoss', 'x label', 'ctc_loss_param { blank_index: 3 }'),
      /the blank is class 3, but the classes are 0 to 2/,
    ],
    [
      layer('CTCGreedyDecoder', 'x', 'ctc_decoder_param { blank_index: 3 }'),
      /the blank is class 3, but the classes are 0 to 2; -1 is the last one/,
    ],
    ...[-1, 3].map(
      (blank) =>
        [
          layer(
            'LabelsequenceAccuracy',
            'x labels',
            `labelsequence_accuracy_param { blank_label: ${blank} }`,
          ),
          new RegExp(`net.prototxt:\\d+:\\d+: the blank is class ${blank}, but the classes are 0 to 2`),
        ] as const,
    ),
    [layer('WarpCTCLoss', 'label x', ''), /the scores must be T×N×C, found 2×5/],
  ] as const)
    assertRefused(net(scores + text), said);
});

test.run();
