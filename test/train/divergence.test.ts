/** A training run that diverges in a known layer. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { readSolver } from '../../ts/caffe/solver-parameter.ts';
import type { DataSource } from '../../ts/data/source.ts';
import { openDevice } from '../../ts/device/device.ts';
import { SGD_UPDATE } from '../../ts/device/plan-training.ts';
import { Solver } from '../../ts/train/solver.ts';
import { collect, ofType } from './fakes.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-divergence-'));
test.after(() => rmSync(folder, { recursive: true }));

const NET = `name: "wild"
  layer { name: "in" type: "Input" top: "data" top: "label"
    input_param { shape { dim: 4 dim: 2 dim: 5 dim: 5 } shape { dim: 4 } } }
  layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
    convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "msra" } } }
  layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
  layer { name: "square" type: "Power" bottom: "data" top: "square" power_param { power: 2 } }
  layer { name: "flat" type: "InnerProduct" bottom: "square" top: "flat"
    inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
  layer { name: "ip" type: "InnerProduct" bottom: "bn" top: "ip"
    inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
  layer { name: "sum" type: "Eltwise" bottom: "ip" bottom: "flat" top: "sum" }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "sum" bottom: "label" top: "loss" }`;

/** Small numbers; from one batch on, a number whose square exceeds float32. */
function source(bad: number): DataSource {
  const random = seededRandom(1);
  let next = 0;
  return {
    shapes: { data: [4, 2, 5, 5], label: [4] },
    epochSize: null,
    waited: 0,
    next: async () => {
      const data = Float32Array.from({ length: 200 }, () => random() - 0.5);
      if (next++ >= bad) data[7] = 1e25;
      return { data, label: Float32Array.of(0, 1, 2, 1) };
    },
    state: () => next,
    restore: () => {},
    dispose: async () => {},
  };
}

for (const kind of ['reference', 'cpu'] as const)
  for (const iterSize of [1, 2])
    test(`${kind}, iter_size ${iterSize}: the layer is named, and the weights are those before the bad batch`, async () => {
      await using device = await openDevice(kind, { threads: 1 });
      const run = async (name: string, iterations: number, bad: number) => {
        const text = `base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 max_iter: ${iterations} iter_size: ${iterSize}
          snapshot: 2 random_seed: 1 snapshot_prefix: "${folder}/${kind}-${iterSize}-${name}" net_param { ${NET} }`;
        const solver = readSolver(text, { file: 'solver.prototxt' });
        return await collect(new Solver({ solver, device, data: async () => source(bad) }));
      };
      // The bad batch is the last pass of iteration 3, after which the update would come.
      const events = await run('bad', 9, 4 * iterSize - 1);
      const [diverged] = ofType(events, 'diverged');
      const kept = ofType(events, 'snapshot').at(-1)!;
      assert.equal(
        [diverged!.iteration, diverged!.layer, diverged!.blob, kept.iteration, diverged!.lastSnapshot],
        [3, 'square', 'square', 2, kept.weights],
      );
      assert.match(diverged!.message, /first bad layer "square" \(blob "square"\): values are not finite/);
      const good = ofType(await run('good', 2, 99), 'snapshot')[0]!;
      assert.equal(readFileSync(kept.weights), readFileSync(good.weights));
    });

test('a pass whose loss is not finite changes no weights and no history', async () => {
  for (const kind of ['reference', 'cpu'] as const) {
    await using device = await openDevice(kind, { threads: 1 });
    const { readNet } = await import('../../ts/caffe/net-parameter.ts');
    await using trainer = await device.train({
      model: readNet(NET, { file: 'net.prototxt' }),
      update: { ...SGD_UPDATE, weight_decay: 0.01 },
    });
    const learned = async () => {
      const { layers } = await trainer.weights();
      const blobs = layers.filter(({ type }) => type !== 'BatchNorm').flatMap(({ blobs }) => blobs);
      return [...blobs.map(({ bytes }) => Buffer.from(bytes).toString('hex')), await trainer.history()];
    };
    const batches = source(1);
    const before = await learned();
    await trainer.step(await batches.next(), { rate: 0.1, iteration: 0 });
    const after = await learned();
    assert.not.equal(after, before, 'a good pass changes them');
    const { loss } = await trainer.step(await batches.next(), { rate: 0.1, iteration: 1 });
    assert.is(Number.isFinite(loss!.data[0]), false);
    assert.equal(await learned(), after);
  }
});

test.run();
