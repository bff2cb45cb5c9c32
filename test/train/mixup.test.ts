/** mixup: the net's loss and update compared with soft labels in float64, its draws, and unsuitable nets. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PrototxtError } from '../../ts/base/errors.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { blobFromFloats, toFloat32 } from '../../ts/caffe/blob.ts';
import type { WeightsFile } from '../../ts/caffe/caffemodel.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { readSolver } from '../../ts/caffe/solver-parameter.ts';
import type { Batch, DataSource } from '../../ts/data/source.ts';
import { openDevice } from '../../ts/device/device.ts';
import { beta, mixedNet, mixingSource } from '../../ts/train/mixup.ts';
import { Solver } from '../../ts/train/solver.ts';
import { collect, ofType } from './fakes.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-mixup-'));
test.after(() => rmSync(folder, { recursive: true }));

const [SAMPLES, FEATURES, CLASSES] = [4, 5, 3];
const net = (loss = 'SoftmaxWithLoss', more = '', batch = SAMPLES) => `
  layer { name: "data" type: "Input" top: "data" input_param { shape { dim: ${batch} dim: ${FEATURES} } } }
  layer { name: "label" type: "Input" top: "label" input_param { shape { dim: ${batch} } } }
  layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: ${CLASSES} bias_term: false } }
  ${more}
  layer { name: "loss" type: "${loss}" bottom: "ip" bottom: "label" top: "loss" loss_weight: 2 }`;
const begin = Float32Array.from({ length: CLASSES * FEATURES }, (_, i) => Math.fround(Math.sin(i) / 2));
const weights: WeightsFile = {
  file: '',
  name: '',
  layers: [{ name: 'ip', type: 'InnerProduct', blobs: [blobFromFloats([CLASSES, FEATURES], begin)] }],
};
const batchOf = (number: number): Batch => ({
  data: Float32Array.from({ length: SAMPLES * FEATURES }, (_, i) => Math.fround(Math.cos(7 * number + i))),
  label: Float32Array.from({ length: SAMPLES }, (_, i) => (number + i) % CLASSES),
});
function source(): DataSource {
  let at = 0;
  return {
    shapes: { data: [SAMPLES, FEATURES], label: [SAMPLES] },
    epochSize: null,
    waited: 0,
    next: async () => batchOf(at++),
    state: () => at,
    restore: (state) => {
      at = state as number;
    },
    dispose: async () => {},
  };
}
const solverOf = (text: string, name: string, written = net()) =>
  readSolver(
    `net_param { ${written} } base_lr: 0.1 lr_policy: "fixed" random_seed: 3 snapshot_prefix: "${join(folder, name)}" ${text}`,
    { file: join(folder, 'solver.prototxt') },
  );
const valuesOf = ({ layers }: WeightsFile) => toFloat32(layers.find(({ name }) => name === 'ip')!.blobs[0]!);

/** One step of SGD on soft labels, in float64. */
function softStep(w: Float64Array, batch: Batch, share: number, partner: Float32Array): number {
  const [x, y] = [batch.data!, batch.label!];
  let loss = 0;
  const gradient = new Float64Array(w.length);
  for (let n = 0; n < SAMPLES; n++) {
    const m = partner[n]!;
    const mixed = Array.from(
      { length: FEATURES },
      (_, i) => share * x[n * FEATURES + i]! + (1 - share) * x[m * FEATURES + i]!,
    );
    const target = Array.from(
      { length: CLASSES },
      (_, k) => share * Number(y[n] === k) + (1 - share) * Number(y[m] === k),
    );
    const scores = Array.from({ length: CLASSES }, (_, k) =>
      mixed.reduce((sum, value, i) => sum + value * w[k * FEATURES + i]!, 0),
    );
    const sum = scores.reduce((all, score) => all + Math.exp(score), 0);
    for (const [k, score] of scores.entries()) {
      loss -= (target[k]! * (score - Math.log(sum))) / SAMPLES;
      for (const [i, value] of mixed.entries())
        gradient[k * FEATURES + i]! += (2 * (Math.exp(score) / sum - target[k]!) * value) / SAMPLES;
    }
  }
  for (const [i, value] of gradient.entries()) w[i]! -= 0.1 * value;
  return 2 * loss;
}

for (const kind of ['reference', 'cpu'] as const)
  test(`${kind}: loss and update are those of mixed images with mixed labels, in float64`, async () => {
    await using device = await openDevice(kind, kind === 'cpu' ? { threads: 1 } : {});
    const solver = new Solver({
      solver: solverOf('max_iter: 4 mixup: 1', kind),
      device,
      data: async () => source(),
      weights,
    });
    const events = await collect(solver);
    const draws = mixingSource(source(), SAMPLES, { alpha: 1, seed: 3, rank: 0, drawn: 0 });
    const w = Float64Array.from(begin);
    for (const { iteration, loss, outputs } of ofType(events, 'iteration')) {
      const batch = await draws.next();
      const wanted = softStep(
        w,
        batchOf(iteration),
        batch['mixup/lambda']![0]!,
        batch['mixup/partner'] as Float32Array,
      );
      assert.ok(Math.abs(loss - wanted) < 1e-5, `iteration ${iteration}: ${loss}, ${wanted}`);
      assert.equal(
        outputs.map(({ name, lossWeight }) => [name, lossWeight]),
        [['loss', 2]],
      );
    }
    const { weights: file } = ofType(events, 'snapshot')[0]!;
    const { readCaffemodel } = await import('../../ts/caffe/caffemodel.ts');
    const { readFileSync } = await import('node:fs');
    for (const [i, value] of valuesOf(readCaffemodel(readFileSync(file), { file })).entries())
      assert.ok(Math.abs(value - w[i]!) < 1e-5, `weight ${i}: ${value}, ${w[i]}`);
    assert.ok(ofType(events, 'warning').some(({ message }) => /mixup is an extension/.test(message)));
  });

test('training that resumes from a snapshot draws the same as an uninterrupted run', async () => {
  await using device = await openDevice('reference');
  const run = (text: string, name: string, snapshot?: string) =>
    collect(
      new Solver({
        solver: solverOf(`mixup: 0.4 iter_size: 2 ${text}`, name),
        device,
        data: async () => source(),
        ...(snapshot === undefined ? { weights } : { snapshot }),
      }),
    );
  const losses = (events: Awaited<ReturnType<typeof run>>) =>
    ofType(events, 'iteration').map(({ loss }) => loss);
  const whole = losses(await run('max_iter: 4', 'whole'));
  await run('max_iter: 2', 'half');
  assert.equal(
    losses(await run('max_iter: 4', 'rest', join(folder, 'half_iter_2.solverstate'))),
    whole.slice(2),
  );
});

test('λ has the mean and variance of Beta(α, α), and each batch has its own partners', async () => {
  for (const alpha of [0.05, 0.2, 1, 4]) {
    const random = seededRandom(7);
    const draws = Array.from({ length: 20_000 }, () => beta(alpha, random));
    const mean = draws.reduce((sum, value) => sum + value, 0) / draws.length;
    const variance = draws.reduce((sum, value) => sum + (value - mean) ** 2, 0) / draws.length;
    const wanted = 1 / (4 * (2 * alpha + 1));
    assert.ok(draws.every((value) => value >= 0 && value <= 1));
    assert.ok(Math.abs(mean - 0.5) < 0.012, `α ${alpha}: mean ${mean}`);
    assert.ok(Math.abs(variance - wanted) < 0.03 * wanted, `α ${alpha}: variance ${variance}, ${wanted}`);
  }
  const draw = async (seed: number, rank: number, drawn = 0) => {
    const batch = await mixingSource(source(), SAMPLES, { alpha: 1, seed, rank, drawn }).next();
    const partner = [...batch['mixup/partner']!];
    assert.equal(partner.toSorted(), [0, 1, 2, 3]);
    return `${batch['mixup/lambda']![0]} ${partner}`;
  };
  assert.is(await draw(1, 0), await draw(1, 0));
  assert.is(new Set([await draw(1, 0), await draw(2, 0), await draw(1, 1), await draw(1, 0, 1)]).size, 4);
});

test("nets that cannot use mixup are refused by name, with the solver's line", async () => {
  const at = { file: 'solver.prototxt', line: 3, column: 1 };
  const state = { phase: 'TRAIN' as const, level: 0, stages: [] };
  for (const [text, batch, said] of [
    [net('HingeLoss'), SAMPLES, /layer "loss" \(HingeLoss\) is not linear/],
    [net('EuclideanLoss'), SAMPLES, /EuclideanLoss/],
    [net('SoftmaxWithLoss', '', 1), 1, /a batch of 1/],
    [
      net('SoftmaxWithLoss', 'layer { name: "e" type: "Embed" bottom: "label" top: "e" }'),
      SAMPLES,
      /layer "e" \(Embed\) reads the labels "label"/,
    ],
    [net().replace('bottom: "label" top', 'bottom: "ip" top'), SAMPLES, /the net computes the labels "ip"/],
    [net().replace(/layer { name: "loss".*/s, ''), SAMPLES, /no loss/],
    [
      `${net()} layer { name: "clip" type: "Input" top: "clip" } layer { name: "p" type: "Power" bottom: "clip" top: "p" }`,
      SAMPLES,
      /reads data, clip/,
    ],
  ] as const) {
    const read = readNet(text, { file: 'net' });
    const shapes = {
      data: [batch, FEATURES],
      label: [batch],
      ...(text.includes('clip') ? { clip: [batch] } : {}),
    };
    const refused = () => mixedNet({ net: read, filtered: read, state } as never, shapes, at);
    assert.throws(
      refused,
      (error: Error) =>
        error instanceof PrototxtError && error.code === 'solver/mixup' && said.test(error.message),
      text,
    );
  }
  assert.throws(
    () =>
      new Solver({
        solver: solverOf('max_iter: 1 mixup: -1', 'x'),
        device: { name: '', train: null, load: null } as never,
      }),
  );
});

test.run();
