/**
 * The layers that faces are recognised with, against what the forks' code computes, written out in float64: products with a margin
 * (SphereFace, L-Softmax), centres (Wen et al.), margins that are added (AM-Softmax, ArcFace), vectors of length 1.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { blobFromFloats, toFloat32 } from '../../ts/caffe/blob.ts';
import type { Device, WeightsFile } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const [ITEMS, DEPTH, CLASSES] = [6, 5, 4] as const;
const LABELS = Float32Array.of(0, 3, 1, 1, 2, 3);

interface Pass {
  readonly outputs: Readonly<Record<string, Float32Array>>;
  readonly dx: Float32Array;
  readonly dw: Float32Array | null;
}

/** What a layer of x and label makes of them, and the diffs of x and of its blob for a diff of its first top. */
async function pass(
  device: Device,
  layer: string,
  given: { x: Float32Array; shape?: readonly number[]; w?: Float32Array; dy?: Float32Array },
): Promise<Pass> {
  const text = `${input('x', given.shape ?? [ITEMS, DEPTH])}${input('label', [ITEMS])}layer { name: "y" top: "y" bottom: "x" ${layer} }`;
  const model = { ...net(text), force_backward: true };
  using plain = await device.train({ model, update: null, phase: 'TRAIN' });
  const first = await plain.weights();
  const weights: WeightsFile = {
    ...first,
    layers: first.layers.map((each) => ({
      ...each,
      blobs: each.blobs.map((blob, i) => (i === 0 && given.w ? blobFromFloats(blob.shape, given.w) : blob)),
    })),
  };
  using trainer = await device.train({ model, update: null, diffs: ['x'], weights, phase: 'TRAIN' });
  const isLoss = Object.hasOwn(trainer.lossWeights, 'y');
  const { outputs, blobs, parameters } = await trainer.gradients(
    { x: given.x, label: LABELS },
    isLoss ? {} : { topDiffs: { y: given.dy! } },
  );
  return {
    outputs: Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data])),
    dx: blobs.x!.data,
    dw: parameters[0]?.data ?? null,
  };
}

function assertNear(found: ArrayLike<number>, wanted: readonly number[], what: string, most = 1e-5): void {
  assert.is(found.length, wanted.length, what);
  const scale = Math.max(...wanted.map(Math.abs));
  wanted.forEach((value, i) => {
    const off = Math.abs(found[i]! - value) / Math.max(Math.abs(value), scale / 10);
    assert.ok(off < most, `${what}[${i}]: ${found[i]}, not ${value}`);
  });
}

const row = (values: Float32Array, i: number) => [...values.subarray(i * DEPTH, (i + 1) * DEPTH)];
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, k) => sum + value * b[k]!, 0);
const length = (a: readonly number[]) => Math.sqrt(dot(a, a));

/** (−1)^k cos mθ − 2k, and its slope along cos θ. */
function psi(m: number, cosine: number): { value: number; slope: number } {
  const theta = Math.acos(cosine);
  const k = Math.min(m - 1, Math.floor((theta * m) / Math.PI));
  const sign = k % 2 === 0 ? 1 : -1;
  return {
    value: sign * Math.cos(m * theta) - 2 * k,
    slope: (sign * m * Math.sin(m * theta)) / Math.sin(theta),
  };
}

const TYPES = ['SINGLE', 'DOUBLE', 'TRIPLE', 'QUADRUPLE'];
const [BASE, GAMMA, POWER, LEAST, BEFORE] = [50, 0.3, 2, 1.5, 2];
/** Of the first pass behind `iteration`. */
const LAMBDA = Math.max(LEAST, BASE * (1 + GAMMA * (BEFORE + 1)) ** -POWER);
const marginText = (type: string, field: string, m: number) =>
  `bottom: "label" top: "lambda" type: "${type}" ${field} { num_output: ${CLASSES} type: ${TYPES[m - 1]} weight_filler { type: "xavier" }
     base: ${BASE} gamma: ${GAMMA} power: ${POWER} lambda_min: ${LEAST} iteration: ${BEFORE} }`;

for (const device of devices)
  for (const m of [1, 2, 3, 4]) {
    test(`MarginInnerProduct of m = ${m} computes as SphereFace, and its diffs, on ${device.kind}`, async () => {
      const [x, w, dy] = [
        draw(ITEMS * DEPTH, m),
        draw(CLASSES * DEPTH, m + 10),
        draw(ITEMS * CLASSES, m + 20),
      ];
      const found = await pass(device, marginText('MarginInnerProduct', 'margin_inner_product_param', m), {
        x,
        w,
        dy,
      });
      const units = Array.from({ length: CLASSES }, (_, j) => {
        const of = row(w, j);
        return of.map((value) => value / length(of));
      });
      const y: number[] = [];
      const dx = new Array<number>(ITEMS * DEPTH).fill(0);
      // As if the blob had been divided in place: times the length that it was divided by.
      const dw = new Array<number>(CLASSES * DEPTH).fill(0);
      for (let i = 0; i < ITEMS; i++)
        for (let j = 0; j < CLASSES; j++) {
          const [of, unit, down] = [row(x, i), units[j]!, dy[i * CLASSES + j]!];
          const product = dot(of, unit);
          for (let k = 0; k < DEPTH; k++) dw[j * DEPTH + k]! += down * of[k]! * length(row(w, j));
          const isOwn = m > 1 && LABELS[i] === j;
          if (!isOwn) {
            y.push(product);
            for (let k = 0; k < DEPTH; k++) dx[i * DEPTH + k]! += down * unit[k]!;
            continue;
          }
          const cosine = product / length(of);
          const { value, slope } = psi(m, cosine);
          y.push((LAMBDA * product + length(of) * value) / (1 + LAMBDA));
          const [alongW, alongX] = [slope, (value - cosine * slope) / length(of)];
          const norm = Math.hypot(alongW, alongX);
          for (let k = 0; k < DEPTH; k++)
            dx[i * DEPTH + k]! +=
              (down / (1 + LAMBDA)) * ((alongW / norm + LAMBDA) * unit[k]! + (alongX / norm) * of[k]!);
        }
      assertNear(found.outputs.y!, y, 'y');
      assertNear(found.outputs.lambda!, [LAMBDA], 'lambda');
      assertNear(found.dx, dx, 'dx');
      assertNear(found.dw!, dw, 'dw');
    });

    test(`LargeMarginInnerProduct of m = ${m} has its margin, and the gradient of it, on ${device.kind}`, async () => {
      const [x, w, dy] = [
        draw(ITEMS * DEPTH, m + 30),
        draw(CLASSES * DEPTH, m + 40),
        draw(ITEMS * CLASSES, m + 50),
      ];
      const products = (xs: Float64Array | Float32Array, ws: Float64Array | Float32Array) =>
        Array.from({ length: ITEMS * CLASSES }, (_, at) => {
          const [i, j] = [Math.floor(at / CLASSES), at % CLASSES];
          const [a, b] = [
            [...xs.subarray(i * DEPTH, (i + 1) * DEPTH)],
            [...ws.subarray(j * DEPTH, (j + 1) * DEPTH)],
          ];
          const lengths = length(a) * length(b);
          if (m === 1 || LABELS[i] !== j) return dot(a, b);
          return (LAMBDA * dot(a, b) + lengths * psi(m, dot(a, b) / lengths).value) / (1 + LAMBDA);
        });
      const field = 'largemargin_inner_product_param';
      const found = await pass(device, marginText('LargeMarginInnerProduct', field, m), { x, w, dy });
      assertNear(found.outputs.y!, products(x, w), 'y');
      const slopes = (values: Float32Array, of: (moved: Float64Array) => number[]) =>
        Array.from(values, (_, i) => {
          const at = (by: number) => of(Float64Array.from(values, (value, j) => value + (i === j ? by : 0)));
          const [up, down] = [at(1e-5), at(-1e-5)];
          return up.reduce((sum, value, k) => sum + ((value - down[k]!) / 2e-5) * dy[k]!, 0);
        });
      assertNear(
        found.dx,
        slopes(x, (moved) => products(moved, w)),
        'dx',
      );
      assertNear(
        found.dw!,
        slopes(w, (moved) => products(x, moved)),
        'dw',
      );
    });
  }

for (const device of devices) {
  test(`λ falls with every forward pass, on ${device.kind}`, async () => {
    const layer = marginText('MarginInnerProduct', 'margin_inner_product_param', 4);
    const text = `${input('x', [ITEMS, DEPTH])}${input('label', [ITEMS])}layer { name: "y" top: "y" bottom: "x" ${layer} }`;
    using trainer = await device.train({ model: net(text), update: null });
    const found: number[] = [];
    for (let i = 0; i < 3; i++)
      found.push(
        (await trainer.gradients({ x: draw(ITEMS * DEPTH, 1), label: LABELS })).outputs.lambda!.data[0]!,
      );
    assertNear(
      found,
      [3, 4, 5].map((n) => Math.max(LEAST, BASE * (1 + GAMMA * n) ** -POWER)),
      'lambda',
    );
  });

  for (const type of ['L2', 'L1'])
    test(`CenterLoss draws features and centres together, by ${type}, on ${device.kind}`, async () => {
      const [x, w] = [draw(ITEMS * DEPTH, 61), draw(CLASSES * DEPTH, 62)];
      const found = await pass(
        device,
        `bottom: "label" type: "CenterLoss" loss_weight: 0.25 center_loss_param { num_output: ${CLASSES} distance_type: "${type}" }`,
        { x, w },
      );
      const counts = Array.from({ length: CLASSES }, (_, j) => LABELS.filter((each) => each === j).length);
      let loss = 0;
      const dx: number[] = [];
      const dw = new Array<number>(CLASSES * DEPTH).fill(0);
      for (let i = 0; i < ITEMS; i++)
        for (let k = 0; k < DEPTH; k++) {
          const own = LABELS[i]!;
          const off = x[i * DEPTH + k]! - w[own * DEPTH + k]!;
          loss += type === 'L2' ? off ** 2 / 2 / ITEMS : Math.abs(off) / ITEMS;
          const slope = type === 'L2' ? off : Math.sign(off);
          dx.push((0.25 * slope) / ITEMS);
          dw[own * DEPTH + k]! -= slope / (1 + counts[own]!);
        }
      assertNear(found.outputs.y!, [loss], 'loss');
      assertNear(found.dx, dx, 'dx');
      assertNear(found.dw!, dw, 'dw');
    });

  test(`LabelSpecificAdd adds where the score stays above 0, and its bias changes with the passes, on ${device.kind}`, async () => {
    const shape = [ITEMS, CLASSES];
    const [x, dy] = [draw(ITEMS * CLASSES, 71), draw(ITEMS * CLASSES, 72)];
    const added = (bias: number) =>
      Array.from(x, (value, at) =>
        LABELS[Math.floor(at / CLASSES)] === at % CLASSES && value > -bias ? value + bias : value,
      );
    const plain = await pass(
      device,
      'bottom: "label" type: "LabelSpecificAdd" label_specific_add_param { bias: -0.35 }',
      { x, dy, shape },
    );
    assertNear(plain.outputs.y!, added(-0.35), 'y');
    assert.equal([...plain.dx], [...dy]);
    const annealed = await pass(
      device,
      'bottom: "label" top: "bias" type: "LabelSpecificAdd" label_specific_add_param { bias_base: 0 bias_gamma: -0.05 bias_min: -0.4 bias_max: 0 iteration: 5 }',
      { x, dy, shape },
    );
    assertNear(annealed.outputs.bias!, [-0.25], 'bias');
    assertNear(annealed.outputs.y!, added(-0.25), 'y');
    using tested = await device.load({
      model: net(
        `${input('x', shape)}${input('label', [ITEMS])}layer { name: "y" top: "y" bottom: "x" bottom: "label" type: "LabelSpecificAdd" label_specific_add_param { bias: -0.35 } }`,
      ),
    });
    assert.equal([...(await tested.run({ x, label: LABELS })).y!.data], [...x]);
  });

  test(`CosinAddm adds an angle, on ${device.kind}`, async () => {
    const m = 0.5;
    const x = draw(ITEMS * CLASSES, 81, -0.9, 0.9);
    // Beyond π − m, and 1 itself.
    x[0 * CLASSES + 0] = -0.95;
    x[1 * CLASSES + 3] = 1;
    const dy = draw(ITEMS * CLASSES, 82);
    const found = await pass(device, `bottom: "label" type: "CosinAddm" cosin_add_m_param { m: ${m} }`, {
      x,
      dy,
      shape: [ITEMS, CLASSES],
    });
    const isOwn = (at: number) => LABELS[Math.floor(at / CLASSES)] === at % CLASSES;
    assertNear(
      found.outputs.y!,
      Array.from(x, (value, at) => {
        if (!isOwn(at)) return value;
        return Math.acos(value) > Math.PI - m ? value - m * Math.sin(m) : Math.cos(Math.acos(value) + m);
      }),
      'y',
    );
    assertNear(
      found.dx,
      Array.from(x, (value, at) => {
        if (!isOwn(at) || value === 1 || Math.acos(value) > Math.PI - m) return dy[at]!;
        return (dy[at]! * Math.sin(Math.acos(value) + m)) / Math.sin(Math.acos(value));
      }),
      'dx',
    );
  });

  test(`InnerProduct with normalize multiplies by rows of length 1, in both phases, on ${device.kind}`, async () => {
    const [x, w, dy] = [
      draw(ITEMS * DEPTH, 91),
      draw(CLASSES * DEPTH, 92, -0.02, 0.02),
      draw(ITEMS * CLASSES, 93),
    ];
    const layer = `type: "InnerProduct" inner_product_param { num_output: ${CLASSES} bias_term: false normalize: true }`;
    const lengths = Array.from({ length: CLASSES }, (_, j) => Math.sqrt(dot(row(w, j), row(w, j)) + 1e-6));
    const y = Array.from({ length: ITEMS * CLASSES }, (_, at) => {
      const [i, j] = [Math.floor(at / CLASSES), at % CLASSES];
      return dot(row(x, i), row(w, j)) / lengths[j]!;
    });
    const found = await pass(device, layer, { x, w, dy });
    assertNear(found.outputs.y!, y, 'y');
    const dw = Array.from({ length: CLASSES * DEPTH }, (_, at) => {
      const [j, k] = [Math.floor(at / DEPTH), at % DEPTH];
      let sum = 0;
      for (let i = 0; i < ITEMS; i++) sum += dy[i * CLASSES + j]! * x[i * DEPTH + k]! * lengths[j]!;
      return sum;
    });
    assertNear(found.dw!, dw, 'dw');
    const model = net(`${input('x', [ITEMS, DEPTH])}layer { name: "y" top: "y" bottom: "x" ${layer} }`);
    using trainer = await device.train({ model, update: null });
    const first = await trainer.weights();
    const weights = {
      ...first,
      layers: first.layers.map((each) => ({
        ...each,
        blobs: each.blobs.map((blob) => blobFromFloats(blob.shape, w)),
      })),
    };
    assert.is(toFloat32(weights.layers.at(-1)!.blobs[0]!)[0], w[0]);
    using loaded = await device.load({ model, weights, phase: 'TEST' });
    assertNear((await loaded.run({ x })).y!.data, y, 'y of TEST');
  });

  test(`Normalize of happynear divides the channels at each place, and hands out their lengths, on ${device.kind}`, async () => {
    const [channels, places] = [3, 4];
    const x = draw(2 * channels * places, 95);
    const model = (type: string) =>
      net(
        `${input('x', [2, channels, 2, 2])}layer { name: "n" type: "Normalize" bottom: "x" top: "y" top: "length" normalize_param { normalize_type: "${type}" } }`,
      );
    for (const type of ['L2', 'L1']) {
      using loaded = await device.load({ model: model(type) });
      const { y, length: lengths } = await loaded.run({ x });
      const at = (n: number, c: number, s: number) => x[(n * channels + c) * places + s]!;
      const lengthOf = (n: number, s: number) => {
        const values = [0, 1, 2].map((c) => at(n, c, s));
        return type === 'L2'
          ? Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 1e-6))
          : values.reduce((sum, value) => sum + Math.abs(value), 1e-6);
      };
      assert.equal(lengths!.shape, [2, 1, 2, 2]);
      const all = [0, 1].flatMap((n) => Array.from({ length: places }, (_, s) => lengthOf(n, s)));
      assertNear(lengths!.data, all, 'length');
      const over = [0, 1].flatMap((n) =>
        [0, 1, 2].flatMap((c) => Array.from({ length: places }, (_, s) => at(n, c, s) / lengthOf(n, s))),
      );
      assertNear(y!.data, over, 'y');
    }
  });

  test(`LabelSpecificRescale has a factor for an item's own class, on ${device.kind}`, async () => {
    const x = draw(ITEMS * CLASSES, 31);
    const dy = draw(ITEMS * CLASSES, 32);
    const factors = Array.from({ length: ITEMS * CLASSES }, (_, i) =>
      i % CLASSES === LABELS[Math.floor(i / CLASSES)] ? 0.5 : 2,
    );
    const layer =
      'bottom: "label" type: "LabelSpecificRescale" label_specific_rescale_param { positive_weight: 0.5 negative_weight: 2 }';
    const { outputs, dx } = await pass(device, layer, { x, shape: [ITEMS, CLASSES], dy });
    assertNear(
      outputs.y!,
      factors.map((factor, i) => factor * x[i]!),
      'y',
    );
    assertNear(
      dx,
      factors.map((factor, i) => factor * dy[i]!),
      'dx',
    );
    const text = `${input('x', [ITEMS, CLASSES])}${input('label', [ITEMS])}layer { name: "y" top: "y" bottom: "x" ${layer} }`;
    using loaded = await device.load({ model: net(text) });
    assert.equal([...(await loaded.run({ x, label: LABELS })).y!.data], [...x], 'in phase TEST');
  });

  test(`AdaCosAddmScale adds a margin and a scale that it adapts, on ${device.kind}`, async () => {
    const x = draw(ITEMS * CLASSES, 33, -0.8, 0.95);
    const dy = draw(ITEMS * CLASSES, 34);
    // An angle to which no margin can be added.
    x[3 + CLASSES] = -0.95;
    const isOwn = (i: number) => i % CLASSES === LABELS[Math.floor(i / CLASSES)];
    const first = Math.SQRT2 * Math.log(CLASSES - 1);
    const angle = [...x].reduce((sum, value) => sum + Math.acos(value), 0) / x.length;
    const others = [...x].reduce((sum, value, i) => sum + (isOwn(i) ? 1 : Math.exp(first * value)), 0);
    const scale = Math.log(others / ITEMS) / Math.cos(Math.min(angle, Math.PI / 4));
    const m = 0.5;
    const added = (value: number) =>
      value <= Math.cos(Math.PI - m) ? value - m * Math.sin(m) : Math.cos(Math.acos(value) + m);
    const slope = (value: number) =>
      value <= Math.cos(Math.PI - m) ? 1 : Math.sin(Math.acos(value) + m) / Math.sqrt(1 - value * value);
    const { outputs, dx } = await pass(
      device,
      `bottom: "label" type: "AdaCosAddmScale" adacos_add_m_scale_param { m: 0.5 num_classes: ${CLASSES} }`,
      { x, shape: [ITEMS, CLASSES], dy },
    );
    assertNear(
      outputs.y!,
      [...x].map((value, i) => scale * (isOwn(i) ? added(value) : value)),
      'y',
    );
    assertNear(
      dx,
      [...x].map((value, i) => scale * dy[i]! * (isOwn(i) ? slope(value) : 1)),
      'dx',
    );
  });

  test(`AdaCosAddmScale takes a cosine that is rounded to above 1 for 1, on ${device.kind}`, async () => {
    const text = `${input('x', [1, 3])}${input('label', [1])}layer { name: "y" type: "AdaCosAddmScale" bottom: "x" bottom: "label" top: "y" adacos_add_m_scale_param { num_classes: 3 } }`;
    const of = async (most: number) => {
      using loaded = await device.load({ model: net(text) });
      const [label, x] = [Float32Array.of(1), Float32Array.of(most, 0.5, -most)];
      await loaded.run({ x, label });
      return [...(await loaded.run({ x: Float32Array.of(0.1, 0.2, 0.3), label })).y!.data];
    };
    const found = await of(1 + 2 ** -23);
    assert.ok(found.every(Number.isFinite), `${found}`);
    assertNear(Float32Array.from(found), await of(1), 'y');
  });

  for (const type of ['L2', 'L1'])
    test(`InnerDistance says how far items are from points, by ${type}, on ${device.kind}`, async () => {
      const x = draw(ITEMS * DEPTH, 35);
      const w = draw(CLASSES * DEPTH, 36);
      const dy = draw(ITEMS * CLASSES, 37);
      const { outputs, dx, dw } = await pass(
        device,
        `type: "InnerDistance" inner_distance_param { num_output: ${CLASSES} distance_type: "${type}" bias_filler { value: 0.25 } }`,
        { x, w, dy },
      );
      const apart = (i: number, n: number, k: number) => x[i * DEPTH + k]! - w[n * DEPTH + k]!;
      const slope = (d: number) => (type === 'L2' ? 2 * d : Math.sign(d));
      const each = (count: number, of: (i: number) => number) =>
        Array.from({ length: count }, (_, i) => of(i));
      const sum = (count: number, of: (i: number) => number) => each(count, of).reduce((a, b) => a + b);
      assertNear(
        outputs.y!,
        each(ITEMS * CLASSES, (at) => {
          const [i, n] = [Math.floor(at / CLASSES), at % CLASSES];
          return 0.25 + sum(DEPTH, (k) => (type === 'L2' ? apart(i, n, k) ** 2 : Math.abs(apart(i, n, k))));
        }),
        'y',
      );
      assertNear(
        dx,
        each(ITEMS * DEPTH, (at) => {
          const [i, k] = [Math.floor(at / DEPTH), at % DEPTH];
          return sum(CLASSES, (n) => dy[i * CLASSES + n]! * slope(apart(i, n, k)));
        }),
        'dx',
      );
      assertNear(
        dw!,
        each(CLASSES * DEPTH, (at) => {
          const [n, k] = [Math.floor(at / DEPTH), at % DEPTH];
          return sum(ITEMS, (i) => -dy[i * CLASSES + n]! * slope(apart(i, n, k)));
        }),
        'dw',
      );
    });

  test(`a label that no class has ends the pass with its place, on ${device.kind}`, async () => {
    for (const layer of [
      marginText('MarginInnerProduct', 'margin_inner_product_param', 1),
      `bottom: "label" type: "CenterLoss" center_loss_param { num_output: ${CLASSES} }`,
    ]) {
      const text = `${input('x', [ITEMS, DEPTH])}${input('label', [ITEMS])}layer { name: "y" top: "y" bottom: "x" ${layer} }`;
      using loaded = await device.load({ model: net(text) });
      try {
        await loaded.run({ x: new Float32Array(ITEMS * DEPTH), label: LABELS.with(2, 4) });
        assert.unreachable();
      } catch (error) {
        assert.match((error as Error).message, /label of item 2 is 4; it must be a class, from 0 to 3/);
      }
    }
  });
}

test('what these layers cannot be is refused at its place', () => {
  const bottoms = input('x', [6, 5]) + input('label', [6]) + input('few', [5]) + input('w', [4, 4]);
  const refused = (layer: string, said: RegExp) =>
    assertRefused(net(`${bottoms}layer { name: "y" top: "y" ${layer} }`), said);
  const margin = 'bottom: "x" bottom: "label" type: "MarginInnerProduct"';
  refused(margin, /num_output, the classes, must be given/);
  refused(
    'bottom: "x" bottom: "few" type: "MarginInnerProduct" margin_inner_product_param { num_output: 3 }',
    /needs a label for each of 6 items, found 5/,
  );
  refused(`${margin} margin_inner_product_param { num_output: 3 axis: 2 }`, /axis 2 does not exist/);
  refused('bottom: "x" bottom: "label" type: "CenterLoss"', /num_output, the classes, must be given/);
  refused(
    'bottom: "x" bottom: "label" type: "CenterLoss" center_loss_param { num_output: 2 distance_type: "L3" }',
    /distance_type must be "L1" or "L2", found "L3"/,
  );
  refused(
    'bottom: "x" bottom: "few" type: "CenterLoss" center_loss_param { num_output: 2 }',
    /a label for each of the 6 items/,
  );
  refused('bottom: "x" bottom: "few" type: "LabelSpecificAdd"', /needs a label for each of 6 items/);
  refused(
    'bottom: "x" bottom: "label" type: "LabelSpecificRescale" label_specific_rescale_param { for_ip: true }',
    /for_ip is not supported/,
  );
  refused('bottom: "x" bottom: "label" type: "AdaCosAddmScale"', /num_classes must be given and at least 2/);
  refused('bottom: "x" type: "InnerDistance"', /num_output must be given/);
  refused(
    'bottom: "x" type: "InnerDistance" inner_distance_param { num_output: 2 distance_type: "L3" }',
    /"L2" or "L1", found "L3"/,
  );
  refused(
    'bottom: "x" bottom: "few" type: "InnerDistance" inner_distance_param { num_output: 2 }',
    /2 points of 5 values/,
  );
  refused('bottom: "x" bottom: "w" type: "InnerDistance"', /3 points of 5 values.* found 4×4/);
  refused('bottom: "x" bottom: "w" type: "InnerProduct"', /a row of 5 values for each output, found 4×4/);
  refused(
    'bottom: "x" type: "InnerProduct" inner_product_param { num_output: 2 normalize: true transpose: true }',
    /normalize with transpose/,
  );
  refused(
    'bottom: "x" type: "Normalize" normalize_param { normalize_type: "L9" }',
    /"L2" or "L1", found "L9"/,
  );
  refused('bottom: "x" bottom: "w" type: "MatMul"', /takes matrices …×M×K and …×K×N.*found 6×5 and 4×4/);
});

test.run();
